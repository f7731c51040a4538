"""Other bounds for the same model: several draws, weighted by how well each explains the row."""

from __future__ import annotations

from math import inf

from ..models.flat import Flat
from ..objectives.base import Objective
from .frame import Frame
from .registry import Made, recipe


def plain(frame: Frame, objective: Objective) -> Made:
    """Return the plain model of the frame with an objective."""
    return Flat(frame.prior(), frame.posterior(), frame.likelihood()), objective


@recipe(
    "iwae",
    title="Importance-weighted bound: tighter than the elbo, better likelihoods, at K draws per row",
    paper="Burda et al., Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519",
)
def iwae(frame: Frame) -> Made:
    """Five draws in one group; ``gradient=dreg`` for the doubly reparameterised gradient."""
    return plain(frame, frame.objective("iwae", n_samples=5))


@recipe(
    "miwae",
    title="Mean of several importance-weighted bounds: between elbo and IWAE, with a clearer signal for the encoder",
    paper="Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, https://arxiv.org/abs/1802.04537",
)
def miwae(frame: Frame) -> Made:
    """Eight groups of eight draws."""
    return plain(frame, frame.objective("iwae", n_samples=8, n_groups=8))


@recipe(
    "piwae",
    title="Importance-weighted bound for the decoder, the mean of several for the encoder: two players",
    paper="Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, https://arxiv.org/abs/1802.04537",
)
def piwae(frame: Frame) -> Made:
    """Eight groups of eight draws for the encoder, sixty-four together for the decoder."""
    return plain(frame, frame.objective("iwae", n_samples=8, n_groups=8, partial=True))


@recipe(
    "ciwae",
    title="A mixture of the elbo and the importance-weighted bound",
    paper="Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, https://arxiv.org/abs/1802.04537",
)
def ciwae(frame: Frame) -> Made:
    """Sixty-four draws, with the elbo counting one twentieth."""
    return plain(frame, frame.objective("iwae", n_samples=64, elbo_share=0.05))


@recipe(
    "renyi-vae",
    title="Rényi bound of order alpha: from the elbo (1) over IWAE (0) to the best draw (minus infinity)",
    paper="Li and Turner, Rényi Divergence Variational Inference, 2016, https://arxiv.org/abs/1602.02311",
)
def renyi_vae(frame: Frame) -> Made:
    """Order one half, five draws."""
    return plain(frame, frame.objective("renyi", order=0.5, n_samples=5))


@recipe(
    "vr-max",
    title="Only the draw that explains a row best is trained: the Rényi bound at its end",
    paper="Li and Turner, Rényi Divergence Variational Inference, 2016, https://arxiv.org/abs/1602.02311",
)
def vr_max(frame: Frame) -> Made:
    """Order minus infinity, five draws."""
    return plain(frame, frame.objective("renyi", order=-inf, n_samples=5))
