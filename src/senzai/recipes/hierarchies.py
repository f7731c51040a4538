"""Several groups of latents."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from ..core.spec import make
from ..data.proposal import Choice
from ..models.flat import Flat
from ..models.stacked import Stacked
from ..models.top_down import TopDown
from ..models.very_deep import VeryDeep
from ..nn.levels import LevelFeatures
from ..objectives.warmup import ShareWarmup
from ..parts.conditionals import Concatenated, Merged
from ..parts.likelihoods.decoded import Likelihood, calm
from ..parts.posteriors.amortised import Posterior
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "hvae-2",
    title="Two levels of latents, both seen by encoder and decoder",
    paper="Tomczak and Welling, VAE with a VampPrior, 2018, https://arxiv.org/abs/1705.07120",
    settings=("n_lower",),
)
def hvae_2(frame: Frame) -> Made:
    """q(z2 | x) q(z1 | x, z2) against p(z2) p(z1 | z2) p(x | z1, z2); any prior may be on top."""
    top = frame.n_latent
    lower = frame.get("n_lower", top)
    features = LevelFeatures(frame.encoder())
    transition = frame.conditional(top, lower, deep=True, calm=True)
    rung = Concatenated(transition, frame.conditional(features.n_features + top, lower, calm=True))
    likelihood = frame.inner(n_latent=top + lower).likelihood()
    return TopDown(frame.prior(), frame.posterior(), features, (rung,), likelihood, skip=True), frame.elbo()


@recipe(
    "iwae-2",
    title="Two levels of latents, inferred from the bottom up, as in the importance-weighted autoencoder's paper",
    paper="Burda et al., Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519",
    settings=("n_lower",),
)
def iwae_2(frame: Frame) -> Made:
    """q(z1 | x) q(z2 | z1) against p(z2) p(z1 | z2) p(x | z1); the upper pair is a flat model of z1."""
    top = frame.n_latent
    lower = frame.get("n_lower", 2 * top)
    below = frame.inner(n_latent=lower, without=("prior",))
    above = frame.of_codes(lower, top)
    upper = Flat(above.prior(), above.posterior(), calm(above.likelihood()))
    return Stacked(below.posterior(), below.likelihood(), upper), frame.elbo()


@recipe(
    "ladder-vae",
    title="Levels of latents whose posteriors merge data and expectation by precision",
    paper="Sønderby et al., Ladder Variational Autoencoders, 2016, https://arxiv.org/abs/1602.02282",
    settings=("n_levels",),
)
def ladder_vae(frame: Frame) -> Made:
    """A deterministic way up, a stochastic way down; without a warm-up of the rate its upper levels stay empty."""
    top, n_levels = frame.n_latent, max(2, frame.get("n_levels", 3))
    widths = [top * 2 ** (n_levels - 1 - i) for i in range(n_levels)][::-1]  # top first: n, 2n, 4n
    up = frame.hidden[-1]
    features = LevelFeatures(frame.encoder(), tuple(max(16, up >> i) for i in range(1, n_levels)))
    posterior = Posterior(features, make("family/normal"), top)
    rungs = tuple(
        Merged(frame.conditional(a, b), frame.conditional(features.widths[n_levels - 2 - i], b))
        for i, (a, b) in enumerate(pairwise(widths))
    )
    likelihood = frame.inner(n_latent=widths[-1]).likelihood()
    return TopDown(frame.prior(), posterior, features, rungs, likelihood), frame.elbo(warmup=ShareWarmup(0.5))


@recipe(
    "vdvae",
    title="Very deep hierarchy: many small groups on one residual way down; images of any size, or vectors",
    paper="Child, Very Deep VAEs Generalize Autoregressive Models, 2021, https://arxiv.org/abs/2011.10650",
    settings=("channels", "n_blocks", "n_levels"),
)
def vdvae(frame: Frame) -> Made:
    """Blocks of convolutions for images, of linear layers for anything else."""
    network = frame.network
    asked = {k: frame.settings[k] for k in ("width", "channels", "n_blocks") if frame.get(k, None) is not None}
    depth = {"n_levels": "n_levels"} if network == "mlp" else {"n_stages": "n_stages"}
    asked |= {k: frame.settings[k] for k in depth if frame.get(k, None) is not None}
    blocks = frame.part("blocks", network, fixed=asked)
    shape = blocks.feature_shape
    maps = Choice("feature_map", {"feature_shape": shape}) if len(shape) == 3 else None
    likelihood = frame.inner(n_latent=prod(shape), n_condition=0, own_decoder=maps).likelihood()
    assert isinstance(likelihood, Likelihood)
    return VeryDeep(blocks, likelihood), frame.elbo()
