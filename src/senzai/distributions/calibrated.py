"""The normal distribution whose scale is the most likely one for the data that it scores (σ-VAE)."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from senzai.core.errors import CombinationError
from senzai.core.random import Noise

from .bases import FromNoise
from .location import normal_log_prob
from .ops import Observed, Shape, counting


@final
class OptimalNormal(FromNoise):
    r"""Normal with one scale for everything, in ``log_prob(x)`` the most likely one given ``x``.

    .. math:: \sigma^{*2} = \frac1N \sum_{i} \Big(\frac{x_i - \mu_i}{u_i}\Big)^2, \quad
        \log p(x_i) = \log \mathcal N(x_i; \mu_i, \sigma^* u_i)

    over all rows and entries that count. :math:`\sigma^*` carries no gradient and needs none: it maximises the sum of
    the log densities, so that the derivative of that sum through :math:`\sigma^*` is zero (the envelope theorem). With
    ``profile=False`` the given scale is used instead: then rows no longer depend on each other.

    Reference:
        Simple and effective VAE training with calibrated decoders (Rybkin, Daniilidis and Levine, 2021).
        https://arxiv.org/abs/2006.13202

    Args:
        loc: Mean, shape ``(*batch,)``.
        scale: Standard deviation in units of ``unit``, a number or a tensor with one; for draws, and for densities
            with ``profile=False``.
        unit: Scale of each feature, broadcastable to ``loc``; one by default.
        floor: Least :math:`\sigma^*`.
        profile: Whether densities use :math:`\sigma^*`.
        counted: True for the entries that count, broadcastable to ``loc``; all by default.

    Example:
        >>> p = OptimalNormal(torch.zeros(4))
        >>> x = torch.tensor([3.0, -3.0, 3.0, -3.0])
        >>> p.optimal_scale(x), p.log_prob(x)
        (tensor(3.), tensor([-2.5176, -2.5176, -2.5176, -2.5176]))
        >>> p.with_scale(p.optimal_scale(x)).stddev
        tensor([3., 3., 3., 3.])
    """

    tensors = ("loc",)
    support = constraints.real
    has_rsample = True
    loc: Tensor

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor | float = 1.0,
        *,
        unit: Tensor | None = None,
        floor: float = 1e-3,
        profile: bool = True,
        counted: Tensor | None = None,
    ) -> None:
        super().__init__(loc)
        self.scale = torch.as_tensor(scale, dtype=loc.dtype, device=loc.device)
        self.unit = loc.new_ones(()) if unit is None else unit
        self.floor, self.profile, self.counted = floor, profile, counted

    def settings(self) -> dict[str, Any]:
        """Everything but the mean."""
        return {
            "scale": self.scale,
            "unit": self.unit,
            "floor": self.floor,
            "profile": self.profile,
            "counted": self.counted,
        }

    @property
    def mean(self) -> Tensor:
        """Mean."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """Mean."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """The given scale, in the units of the data."""
        return (self.scale * self.unit).expand_as(self.loc)

    @property
    def variance(self) -> Tensor:
        """Square of the given scale, in the units of the data."""
        return self.stddev.square()

    def with_scale(self, scale: Tensor | float) -> OptimalNormal:
        """Return the same distribution with this scale, in units of ``unit``, and densities that use it."""
        return OptimalNormal(self.loc, **{**self.settings(), "scale": scale, "profile": False})

    def squares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the squared errors that count, in units of ``unit``, and their number.

        For a scale over many batches: add up both, divide, take the root.
        """
        error = ((x - self.loc) / self.unit).detach().square()
        if self.counted is None:
            return error.sum(), error.new_tensor(error.numel())
        counted = self.counted.expand_as(error)
        return torch.where(counted, error, 0.0).sum(), counted.sum().to(error.dtype)

    def optimal_scale(self, x: Tensor) -> Tensor:
        """Return the most likely scale given ``x``, in units of ``unit``: a scalar without gradient."""
        total, number = self.squares(x)
        return (total / number.clamp_min(1)).sqrt().clamp_min(self.floor)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, elementwise."""
        scale = self.optimal_scale(value) if self.profile else self.scale
        return normal_log_prob(value, self.loc, scale * self.unit)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Scale normal numbers by the given scale."""
        full = (*shape, *self.batch_shape)
        eps = noise.normal(full, row_dim=len(shape), dtype=self.loc.dtype, device=self.loc.device)
        return torch.addcmul(self.loc, self.stddev, eps)

    def inside(self) -> Tensor:
        """The mean."""
        return self.loc


@counting.register(OptimalNormal)
def _(p: OptimalNormal, observed: Tensor) -> Distribution:
    return OptimalNormal(p.loc, **{**p.settings(), "counted": observed})


def optimal(p: Distribution) -> OptimalNormal:
    """Return the :class:`OptimalNormal` inside ``p``.

    Raises:
        CombinationError: There is none.
    """
    inner = p.base if isinstance(p, Observed) else p
    base = inner.base_dist if isinstance(inner, Independent) else inner
    if not isinstance(base, OptimalNormal):
        raise CombinationError(
            f"An optimal scale belongs to the family `normal_optimal`, but got {type(base).__name__}. Use that family."
        )
    return base


@singledispatch
def with_scale(p: Distribution, scale: Tensor | float) -> Distribution:
    """Return ``p`` with a given scale in place of the optimal one, whatever it is wrapped in.

    Raises:
        CombinationError: There is no :class:`OptimalNormal` inside.

    Example:
        >>> p = Independent(OptimalNormal(torch.zeros(3, 2)), 1)
        >>> with_scale(p, 2.0).stddev[0]
        tensor([2., 2.])
    """
    return optimal(p).with_scale(scale)


@with_scale.register(Independent)
def _(p: Independent[Any], scale: Tensor | float) -> Distribution:
    return Independent(with_scale(p.base_dist, scale), p.reinterpreted_batch_ndims, validate_args=False)


@with_scale.register(Observed)
def _(p: Observed, scale: Tensor | float) -> Distribution:
    inner = with_scale(p.base, scale)
    return Observed(inner, p.observed) if isinstance(inner, Independent) else inner
