"""Variational autoencoders whose posterior is bent by a flow."""

from __future__ import annotations

from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "planar-vae",
    title="Posterior bent by planar flows: a diagonal normal pushed along directions that the encoder gives",
    paper="Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015, https://arxiv.org/abs/1505.05770",
)
def planar_vae(frame: Frame) -> Made:
    """Standard normal prior, planar flow posterior."""
    return Flat(frame.prior(), frame.posterior("planar"), frame.likelihood()), frame.elbo()


@recipe(
    "radial-vae",
    title="Posterior bent by radial flows: a diagonal normal pushed away from centres that the encoder gives",
    paper="Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015, https://arxiv.org/abs/1505.05770",
)
def radial_vae(frame: Frame) -> Made:
    """Standard normal prior, radial flow posterior."""
    return Flat(frame.prior(), frame.posterior("radial"), frame.likelihood()), frame.elbo()


@recipe(
    "sylvester-vae",
    title="Posterior bent by Sylvester flows: pushes along several orthogonal directions at once",
    paper="van den Berg et al., Sylvester Normalizing Flows, 2018, https://arxiv.org/abs/1803.05649",
)
def sylvester_vae(frame: Frame) -> Made:
    """Standard normal prior, Sylvester flow posterior."""
    return Flat(frame.prior(), frame.posterior("sylvester"), frame.likelihood()), frame.elbo()


@recipe(
    "iaf-vae",
    title="Posterior by inverse autoregressive flow: each latent moved by those before it",
    paper="Kingma et al., Improved Variational Inference with IAF, 2016, https://arxiv.org/abs/1606.04934",
)
def iaf_vae(frame: Frame) -> Made:
    """Standard normal prior, inverse autoregressive flow posterior."""
    return Flat(frame.prior(), frame.posterior("iaf"), frame.likelihood()), frame.elbo()


@recipe(
    "nsf-vae",
    title="Posterior by neural spline flow: monotone splines coupled to each other",
    paper="Durkan et al., Neural Spline Flows, 2019, https://arxiv.org/abs/1906.04032",
)
def nsf_vae(frame: Frame) -> Made:
    """Standard normal prior, spline flow posterior."""
    return Flat(frame.prior(), frame.posterior("nsf"), frame.likelihood()), frame.elbo()
