"""Every point under every row of a distribution, and mixtures of its rows, without a tensor of points × rows × axes."""

from __future__ import annotations

from functools import singledispatch
from math import log, pi
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, MultivariateNormal, Normal


def broadcast_log_prob(q: Distribution, z: Tensor) -> Tensor:
    """What :func:`pairwise_log_prob` is for any distribution, by broadcasting."""
    log_q: Tensor = q.log_prob(z.unsqueeze(1))
    return log_q.double()


@singledispatch
def pairwise_log_prob(q: Distribution, z: Tensor) -> Tensor:
    """Log density of every ``z`` ``(M, *event)`` under every row of ``q``, ``(M, B)``, float64."""
    return broadcast_log_prob(q, z)


@pairwise_log_prob.register(Independent)
def _(q: Independent[Any], z: Tensor) -> Tensor:
    if not isinstance(q.base_dist, Normal) or q.reinterpreted_batch_ndims != 1:
        return broadcast_log_prob(q, z)
    return diagonal_log_prob(q.base_dist.loc.double(), q.base_dist.scale.double(), z.double())


@pairwise_log_prob.register(MultivariateNormal)
def _(q: MultivariateNormal, z: Tensor) -> Tensor:
    return full_log_prob(q.loc.double(), q._unbroadcasted_scale_tril.double(), z.double())


def diagonal_log_prob(loc: Tensor, scale: Tensor, z: Tensor) -> Tensor:
    """Log densities of diagonal normals by matrix products: ``(B, d)``, ``(B, d)``, ``(M, d)`` to ``(M, B)``."""
    centre = loc.mean(0)
    m, u, precision = loc - centre, z - centre, scale.square().reciprocal()
    constant = (0.5 * m.square() * precision + scale.log()).sum(-1) + 0.5 * loc.shape[-1] * log(2 * pi)
    return u @ (m * precision).T - 0.5 * (u.square() @ precision.T) - constant


def full_log_prob(loc: Tensor, tril: Tensor, z: Tensor) -> Tensor:
    """Log densities of normals with full covariance: ``(B, d)``, ``(B, d, d)``, ``(M, d)`` to ``(M, B)``."""
    eye = torch.eye(loc.shape[-1], dtype=loc.dtype, device=loc.device)
    whiten = torch.linalg.solve_triangular(tril, eye.expand_as(tril), upper=False)
    centre = loc.mean(0)
    shift = (whiten @ (loc - centre).unsqueeze(-1)).squeeze(-1)
    distance = (torch.einsum("bij,mj->mbi", whiten, z - centre) - shift).square().sum(-1)
    log_det = tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_p: Tensor = -0.5 * distance - log_det - 0.5 * loc.shape[-1] * log(2 * pi)
    return log_p


# --- mixtures -------------------------------------------------------------------------------------------------------
@final
class Mixture(MixtureSameFamily):
    r"""Torch's mixture, faster where one set of normals is shared by all rows.

    .. math:: \log p(z) = \log \sum_k \pi_k \, p_k(z)

    Args:
        logits: Log weights of the components, up to a constant, ``(*batch, K)``.
        components: Their distributions; the last batch axis counts them.

    Example:
        >>> normals = Independent(Normal(torch.zeros(5, 2), torch.ones(5, 2)), 1)
        >>> Mixture(torch.zeros(5), normals).log_prob(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """

    def __init__(self, logits: Tensor, components: Distribution) -> None:
        super().__init__(Categorical(logits=logits, validate_args=False), components, validate_args=False)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density, ``(*lead,)`` for ``(*lead, n)``."""
        components = self.component_distribution
        one_set = len(components.batch_shape) == 1 and len(self.event_shape) == 1
        if not one_set or x.device.type == "mps":  # no double precision there
            found: Tensor = super().log_prob(x)  # type: ignore[no-untyped-call]  # torch's
            return found
        each = pairwise_log_prob(components, x.reshape(-1, x.shape[-1])).to(x.dtype)
        mixed = (each + self.mixture_distribution.logits).logsumexp(-1)
        return mixed.reshape(x.shape[:-1])
