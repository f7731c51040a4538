"""Variational autoencoders whose inference looks at the model's own joint density."""

from __future__ import annotations

from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "hamiltonian-vae",
    title="Posterior moved by leapfrog steps on the model's own log joint density, with cooled momenta",
    paper="Caterini, Doucet and Sejdinovic, Hamiltonian VAE, 2018, https://arxiv.org/abs/1805.11328",
)
def hamiltonian_vae(frame: Frame) -> Made:
    """Standard normal prior, Hamiltonian posterior, bound on latents and momenta."""
    return Flat(frame.prior(), frame.posterior("hamiltonian"), frame.likelihood()), frame.elbo()


@recipe(
    "riemannian-vae",
    title="Hamiltonian posterior whose momenta follow a learned metric of the latent space",
    paper="Chadebec, Mantoux and Allassonnière, Geometry-Aware Hamiltonian VAE, 2020, https://arxiv.org/abs/2010.11518",
)
def riemannian_vae(frame: Frame) -> Made:
    """Standard normal prior, Riemannian Hamiltonian posterior, bound on latents and momenta."""
    return Flat(frame.prior(), frame.posterior("riemannian"), frame.likelihood()), frame.elbo()


@recipe(
    "sa-vae",
    title="Semi-amortised: what the encoder says is refined by gradient steps of every row's own",
    paper="Kim et al., Semi-Amortized Variational Autoencoders, 2018, https://arxiv.org/abs/1802.02550",
)
def sa_vae(frame: Frame) -> Made:
    """Standard normal prior, refined diagonal normal posterior."""
    return Flat(frame.prior(), frame.posterior("semi_amortised"), frame.likelihood()), frame.elbo()
