"""Recipes whose decoder goes entry by entry."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@example(data="pictures", settings={"likelihood.n_layers": 1, "likelihood.width": 8})
@recipe(
    "pixel-vae",
    title="A PixelCNN of small view as the decoder: sharp texture from it, the picture from the latents",
    paper="Gulrajani et al., PixelVAE, 2017, https://arxiv.org/abs/1611.05013",
)
def pixel_vae(frame: Frame) -> Made:
    """A flat model with a gated PixelCNN that receives the latents at every layer."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood("pixelcnn")), frame.elbo()


@example(data="binary")
@example(data="levels")
@recipe(
    "made-vae",
    title="A masked network as the decoder: every entry given those before it and the latents",
    paper="Germain et al., MADE: Masked Autoencoder for Distribution Estimation, 2015, https://arxiv.org/abs/1502.03509",
)
def made_vae(frame: Frame) -> Made:
    """A flat model with a masked decoder."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood("made")), frame.elbo()
