"""Shares that are the softmax of independent normals: no share is the one that the others are compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl

from senzai.core.random import Noise, current_noise
from senzai.core.spec import part

from .family import Family, Support, Unit, weighted_mean
from .numeric import need_positive, positive, positive_raw
from .ops import Shape, _draw, point
from .simplex import LEAST, Simplex, simplex_width
from .spaces import Space


@final
class SoftmaxNormal(Distribution):
    r"""The distribution of :math:`z = \mathrm{softmax}(h)` with independent :math:`h_i \sim N(m_i, s_i^2)`, i = 1 .. d.

    Adding a number to all of h changes no share, so that the density is that of a normal over the d - 1 log ratios,
    whose covariance is diagonal plus a constant. With :math:`\ell_i = \log z_i - m_i`, :math:`w_i = 1 / s_i^2`:

    .. math:: \log p(z) = -\tfrac12 \Big[(d - 1) \log 2\pi + \sum \log s_i^2 + \log \sum w_i
        + \sum w_i \ell_i^2 - \frac{(\sum w_i \ell_i)^2}{\sum w_i}\Big] - \sum \log z_i

    It is a :class:`LogisticNormal` with one number more; an encoder that gives it treats all shares alike.

    Args:
        loc: m, shape ``(*batch, d)``.
        scale: s, same shape, positive.

    Example:
        >>> SoftmaxNormal(torch.zeros(2), torch.ones(2)).log_prob(torch.tensor([0.5, 0.5])).exp()  # N(0; 0, 2) / z1 z2
        tensor(1.1284)
    """

    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """The simplex."""
        return constraints.simplex

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to the first ``d - 1`` shares."""
        log_z = value.clamp_min(torch.finfo(value.dtype).tiny).log()
        weight = self.scale**-2
        off = log_z - self.loc
        total = weight.sum(-1)
        middle = (weight * off).sum(-1, keepdim=True) / total.unsqueeze(-1)
        square = (weight * (off - middle) ** 2).sum(-1)
        width = (value.shape[-1] - 1) * math.log(2 * math.pi)
        log_p: Tensor = -0.5 * (width + 2 * self.scale.log().sum(-1) + total.log() + square) - log_z.sum(-1)
        return log_p

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        return _draw(self, tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> SoftmaxNormal:
        """Return the same distribution with a larger batch shape."""
        shape = (*batch_shape, *self.event_shape)
        return SoftmaxNormal(self.loc.expand(shape), self.scale.expand(shape))


def shares(h: Tensor) -> Tensor:
    """Return the softmax, no share below what can be scored."""
    return h.log_softmax(-1).clamp_min(LEAST).exp()


@_draw.register(SoftmaxNormal)
def _(p: SoftmaxNormal, shape: Shape, noise: Noise) -> Tensor:
    own = (*shape, *p.loc.shape)
    eps = noise.normal(own, row_dim=len(shape), dtype=p.loc.dtype, device=p.loc.device)
    return shares(p.loc + p.scale * eps)


@point.register(SoftmaxNormal)
def _(p: SoftmaxNormal) -> Tensor:
    return shares(p.loc)


@register_kl(SoftmaxNormal, SoftmaxNormal)
def _kl_softmax_normals(q: SoftmaxNormal, p: SoftmaxNormal) -> Tensor:
    r"""Return the rate between the normals over log ratios.

    With weights w of p, their sum W, variances v of q and differences of means m:
    2 KL = sum w v - sum w^2 v / W + sum w m^2 - (sum w m)^2 / W - (d - 1) + log det p - log det q.
    """
    weight, var, m = p.scale**-2, q.scale**2, q.loc - p.loc
    total = weight.sum(-1)
    trace = (weight * var).sum(-1) - (weight**2 * var).sum(-1) / total
    middle = (weight * m).sum(-1, keepdim=True) / total.unsqueeze(-1)
    square = (weight * (m - middle) ** 2).sum(-1)
    kl: Tensor = 0.5 * (trace + square - (q.loc.shape[-1] - 1) + _log_det(p) - _log_det(q))
    return kl


def _log_det(p: SoftmaxNormal) -> Tensor:
    """Log determinant of the covariance of the log ratios."""
    found: Tensor = 2 * p.scale.log().sum(-1) + (p.scale**-2).sum(-1).log()
    return found


@part("family", "softmax_normal")
@final
@dataclass(frozen=True, kw_only=True)
class SoftmaxNormalFamily(Family):
    """Shares; a normal for each, and the softmax of them.

    Reference:
        Autoencoding Variational Inference for Topic Models (Srivastava and Sutton, 2017).
        https://arxiv.org/abs/1703.01488

    Args:
        floor: Least scale.
    """

    floor: float = 1e-3
    support: ClassVar[Support] = "real"
    usual_prior: ClassVar[str] = "softmax_normal"

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and scale."""
        return ("loc", "scale")

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """Two numbers for each share."""
        return (2, simplex_width(event))

    def space(self, event: tuple[int, ...]) -> Space:
        """The simplex."""
        simplex_width(event)
        return Simplex()

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return the softmax of normals."""
        loc, scale = raw.unbind(-2)
        return SoftmaxNormal(loc, positive(scale, self.floor))

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Logarithms of the observed means, unit scale."""
        loc = weighted_mean(x, weight).clamp_min(1e-3).log()
        return torch.stack([loc, positive_raw(torch.ones_like(loc), self.floor)])
