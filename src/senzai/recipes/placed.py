"""Variational autoencoders whose latents live on a sphere, a ball or a simplex, or are classes or bits."""

from __future__ import annotations

from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "spherical-vae",
    title="Latents on the unit sphere: von Mises-Fisher posterior, uniform prior",
    paper="Davidson et al., Hyperspherical Variational Auto-Encoders, 2018, https://arxiv.org/abs/1804.00891",
)
def spherical_vae(frame: Frame) -> Made:
    """Uniform prior on the sphere, von Mises-Fisher posterior, closed rate."""
    return Flat(frame.prior("uniform_sphere"), frame.posterior("von_mises_fisher"), frame.likelihood()), frame.elbo()


@recipe(
    "poincare-vae",
    title="Latents in hyperbolic space, for hierarchies: wrapped normals on the Poincaré ball",
    paper="Mathieu et al., Continuous Hierarchical Representations with Poincaré VAEs, 2019, https://arxiv.org/abs/1901.06033",
)
def poincare_vae(frame: Frame) -> Made:
    """Wrapped normal prior and posterior; the decoder sees the logarithmic map at the origin."""
    return Flat(frame.prior("wrapped_normal"), frame.posterior("wrapped_normal"), frame.likelihood()), frame.elbo()


@recipe(
    "dirichlet-vae",
    title="Latents that are shares of topics: Dirichlet posterior and prior",
    paper="Joo et al., Dirichlet Variational Autoencoder, 2019, https://arxiv.org/abs/1901.02739",
)
def dirichlet_vae(frame: Frame) -> Made:
    """Symmetric Dirichlet prior, Dirichlet posterior, closed rate."""
    return Flat(frame.prior("dirichlet"), frame.posterior("dirichlet"), frame.likelihood()), frame.elbo()


@recipe(
    "gumbel-vae",
    title="Latents that are classes, trained through the Gumbel-softmax relaxation",
    paper="Jang, Gu and Poole, Categorical Reparameterization with Gumbel-Softmax, 2017, https://arxiv.org/abs/1611.01144",
)
def gumbel_vae(frame: Frame) -> Made:
    """Uniform classes as prior, categorical posterior, closed rate."""
    return Flat(frame.prior("categorical"), frame.posterior("class_codes"), frame.likelihood()), frame.elbo()


@recipe(
    "bernoulli-vae",
    title="Latents that are bits, trained through a relaxation or straight through",
    paper="Maddison, Mnih and Teh, The Concrete Distribution, 2017, https://arxiv.org/abs/1611.00712",
)
def bernoulli_vae(frame: Frame) -> Made:
    """Fair bits as prior, Bernoulli posterior, closed rate."""
    return Flat(frame.prior("bernoulli"), frame.posterior("bit_codes"), frame.likelihood()), frame.elbo()
