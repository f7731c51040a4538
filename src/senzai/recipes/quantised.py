"""Recipes with codes: whole numbers in place of a latent distribution, and a prior over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import registry
from ..data.proposal import Choice
from ..models.quantised import Quantised
from ..parts.priors.codes import CodePrior
from ..parts.quantisers.coders import Coder
from ..parts.quantisers.vector import Quantiser
from .frame import NOTHING, Frame
from .registry import Made, recipe
from .settings import parameters


def with_codes(frame: Frame, quantiser: str, coder: Mapping[str, Any] = NOTHING, **defaults: Any) -> Made:
    """Return a model of codes with the recipe's quantiser at each level, and the bound with its two players."""
    first: Quantiser = frame.part("quantiser", quantiser, defaults)
    frame = frame.inner(code_width=first.width)
    made = coder_of(frame, coder)
    quantisers = (first, *(frame.part("quantiser", quantiser, defaults) for _ in made.places[1:]))
    grids = Choice("spatial", {"grids": made.grids}) if made.grids else None
    likelihood = frame.inner(n_latent=made.size, own_decoder=grids).likelihood()
    entries = sum(n * q.depth for n, q in zip(made.places, quantisers, strict=True))
    sizes = {"n_values": first.n_codes, "n_entries": entries}
    code_prior: CodePrior = frame.part("code_prior", "transformer", fixed=sizes)
    return Quantised(made, quantisers, likelihood, code_prior), frame.objective("codes")


def coder_of(frame: Frame, defaults: Mapping[str, Any]) -> Coder:
    """Return the coder: a grid of vectors for an image under convolutions, else a set of them.

    Raises:
        CombinationError: The recipe needs grids, and there are none.
    """
    name = "grid" if frame.network == "conv" else "set"
    fits = {k: v for k, v in defaults.items() if k in parameters(registry("coder")[name])}
    if fits != defaults and frame.word("coder", name) == name:
        raise CombinationError(
            f"This recipe needs codes on grids ({', '.join(defaults)}), but the network makes a set of codes. "
            "Use it for images, with network=conv."
        )
    coder: Coder = frame.part("coder", name, fits)
    return coder


@recipe(
    "vq-vae",
    title="Codes from a learned list of vectors, with a transformer as the prior over them",
    paper="van den Oord et al., Neural Discrete Representation Learning, 2017, https://arxiv.org/abs/1711.00937",
)
def vq_vae(frame: Frame) -> Made:
    """One codebook of running means."""
    return with_codes(frame, "vq")


@example(data="pictures", settings={"quantiser.n_codes": 8, "n_stages": 0})
@recipe(
    "vq-vae-2",
    title="Codes on a coarse and on a fine grid, for images",
    paper="Razavi et al., Generating Diverse High-Fidelity Images with VQ-VAE-2, 2019, https://arxiv.org/abs/1906.00446",
)
def vq_vae_2(frame: Frame) -> Made:
    """Two levels; the fine one is given the codes of the coarse one."""
    return with_codes(frame, "vq", {"n_levels": 2})


@recipe(
    "residual-vq-vae",
    title="Each vector the sum of codes from several lists, each for what those before left over",
    paper="Zeghidour et al., SoundStream, 2021, https://arxiv.org/abs/2107.03312",
)
def residual_vq_vae(frame: Frame) -> Made:
    """Four small codebooks in turn."""
    return with_codes(frame, "residual_vq")


@recipe(
    "fsq-vae",
    title="Codes by rounding a few bounded numbers: no codebook to learn or to collapse",
    paper="Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple, 2023, https://arxiv.org/abs/2309.15505",
)
def fsq_vae(frame: Frame) -> Made:
    """Levels 8, 6, 5: 240 codes."""
    return with_codes(frame, "fsq", levels=(8, 6, 5))


@recipe(
    "lfq-vae",
    title="Codes from the signs of a few numbers, kept in use by the entropy of their bits",
    paper="Yu et al., Language Model Beats Diffusion, 2023, https://arxiv.org/abs/2310.05737",
)
def lfq_vae(frame: Frame) -> Made:
    """Eight bits a code."""
    return with_codes(frame, "lfq")


@example(data="waves", settings={"quantiser.n_codes": 8, "quantiser.depth": 2, "strides": (2, 4)})
@recipe(
    "wave-codec",
    title="A codec of sound: convolutions along time, codes from residual lists, a distance of spectra in the loss",
    paper="Zeghidour et al., SoundStream, 2021, https://arxiv.org/abs/2107.03312",
    settings=("strides",),
)
def wave_codec(frame: Frame) -> Made:
    """A frame is 80 samples, with six codes of eight bits; the prior says how often each code is used."""
    if len(frame.event) != 2:
        raise CombinationError(
            f"A codec of waves needs rows (channels, samples), but rows have the shape {frame.event}. For sound, set "
            "form=wave."
        )
    given = frame.get("strides", (4, 4, 5))
    strides = {"strides": tuple(given) if isinstance(given, list | tuple) else (given,)}
    quantiser: Quantiser = frame.part("quantiser", "residual_vq", {"depth": 6, "n_codes": 256})
    inner = frame.inner(code_width=quantiser.width)
    coder: Coder = inner.part("coder", "waves", strides)
    decoder = Choice("waves", {**strides, "frames": coder.places[0]})
    likelihood = inner.inner(n_latent=coder.size, own_decoder=decoder).likelihood()
    sizes = {"n_values": quantiser.n_codes, "n_entries": coder.places[0] * quantiser.depth}
    prior: CodePrior = inner.part("code_prior", "independent", fixed=sizes)
    return Quantised(coder, (quantiser,), likelihood, prior), frame.objective("spectral_codes")
