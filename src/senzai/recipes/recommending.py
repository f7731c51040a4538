"""Recommendation."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from ..objectives.warmup import ShareWarmup
from ..parts.base import AnyLikelihood
from .frame import Frame
from .registry import Made, recipe

FAMILY = "multinomial"


def items(frame: Frame) -> AnyLikelihood:
    """Return a multinomial over the entries of a row, with what the data propose of it."""
    return frame.likelihood() if frame.proposal.likelihood.name == FAMILY else frame.likelihood(FAMILY)


@example(data="count", settings={})
@recipe(
    "mult-vae",
    title="Multinomial over items, dropped inputs, and a rate that counts a fifth: recommendation",
    paper="Liang et al., Variational Autoencoders for Collaborative Filtering, 2018, https://arxiv.org/abs/1802.05814",
)
def mult_vae(frame: Frame) -> Made:
    """The weight of the rate rises over half of the training."""
    frame.prefer(encoder="profile", hidden=(600,), n_latent=200, activation="tanh")
    model = Flat(frame.prior(), frame.posterior(), items(frame))
    return model, frame.elbo(beta=0.2, warmup=ShareWarmup(0.5))


@example(data="count", settings={})
@recipe(
    "mult-dae",
    title="Multinomial over items and dropped inputs, without a rate: a denoising autoencoder for recommendation",
    paper="Liang et al., Variational Autoencoders for Collaborative Filtering, 2018, https://arxiv.org/abs/1802.05814",
)
def mult_dae(frame: Frame) -> Made:
    """Nearly deterministic codes."""
    frame.prefer(encoder="profile", hidden=(200,), n_latent=200, activation="tanh")
    return Flat(frame.prior(), frame.posterior("normal_fixed", scale=0.01), items(frame)), frame.elbo(beta=0.0)


@example(data="count", settings={})
@recipe(
    "recvae",
    title="Rate by length of the history, a prior that remembers the encoder, encoder and decoder in turns",
    paper="Shenbin et al., RecVAE, 2020, https://arxiv.org/abs/1912.11160",
)
def recvae(frame: Frame) -> Made:
    """Dense layers encode; the decoder is linear."""
    frame.prefer(encoder="profile", hidden=(600, 600, 600), n_latent=200, activation="silu", norm="layer")
    if frame.word("encoder", "profile") == "profile":
        frame.prefer(**{"encoder.dense": True})
    if frame.network in ("mlp", "items"):
        frame.prefer(**{"decoder.hidden": ()})
    every = frame.get("period", 20)
    model = Flat(frame.prior("composite", every=every), frame.posterior(), items(frame))
    return model, frame.objective("by_length")
