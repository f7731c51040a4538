"""The plain recipes."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "vae",
    title="Variational autoencoder with the likelihood that fits the data",
    paper="Kingma and Welling, Auto-Encoding Variational Bayes, 2013, https://arxiv.org/abs/1312.6114",
)
def vae(frame: Frame) -> Made:
    """Standard normal prior, diagonal normal posterior, evidence lower bound."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "beta-vae",
    title="Rate weighted by beta > 1: fewer, more independent latents for blurrier reconstructions",
    paper="Higgins et al., beta-VAE, 2017, https://openreview.net/forum?id=Sy2fzU9gl",
)
def beta_vae(frame: Frame) -> Made:
    """The same model, trained with the rate counted four times."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood()), frame.elbo(beta=4.0)


@recipe(
    "sigma-vae",
    title="Normal likelihood with the analytically optimal sigma: no weight between the terms to tune",
    paper="Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, 2020, https://arxiv.org/abs/2006.13202",
)
def sigma_vae(frame: Frame) -> Made:
    """One global noise scale, always at its optimum for the current reconstructions."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood("normal_optimal")), frame.elbo()


@recipe(
    "autoencoder",
    title="Autoencoder as the limit: nearly deterministic codes and no rate; reconstructs well, samples badly",
    paper="Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, 2006",
)
def autoencoder(frame: Frame) -> Made:
    """Posterior of fixed small scale and weight zero on the rate."""
    return Flat(frame.prior(), frame.posterior("normal_fixed", scale=0.01), frame.likelihood()), frame.elbo(beta=0.0)


@recipe(
    "embedding-vae",
    title="Vectors of a network as data, with a normal likelihood of the best scale: anomaly scores, new vectors",
    paper="Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, 2020, https://arxiv.org/abs/2006.13202",
)
def embedding_vae(frame: Frame) -> Made:
    """Vectors alone; what is drawn is shown by the known vectors next to it."""
    if len(frame.event) != 1:
        raise CombinationError(
            f"Embeddings are vectors, but rows have the shape {frame.event}. Encode them first, or use recipe=vae."
        )
    return Flat(frame.prior(), frame.posterior(), frame.likelihood("normal_optimal")), frame.elbo()
