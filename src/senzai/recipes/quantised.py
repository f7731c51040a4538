"""Recipes with codes: whole numbers in place of a latent distribution, and a prior over them."""

from __future__ import annotations

from typing import Any

from ..core.examples import example
from ..models.quantised import Quantised
from .frame import Frame
from .registry import Made, recipe


def with_codes(frame: Frame, quantiser: str, coder: dict[str, Any] | None = None, **defaults: Any) -> Made:
    """Return a model of codes with the recipe's quantiser at each level, and the bound with its two players."""
    first = frame.quantiser(quantiser, **defaults)
    made = frame.coder(**(coder or {}))
    quantisers = (first, *(frame.quantiser(quantiser, **defaults) for _ in made.places[1:]))
    likelihood = frame.likelihood()
    return Quantised(made, quantisers, likelihood, frame.code_prior(quantisers)), frame.objective("codes")


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
    """Two levels, the fine one told what the coarse one was put to."""
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
