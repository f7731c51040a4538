"""The normal distribution with a full covariance, for posteriors whose latents depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from senzai.core.errors import ShapeError
from senzai.core.spec import part

from .continuous import shifted
from .family import Family, Support, Unit
from .numeric import need_positive, positive, positive_raw, start_moments, tame

OFF_DIAGONAL_LIMIT = 30.0


@part("family", "full_normal")
@final
@dataclass(frozen=True, kw_only=True)
class FullNormalFamily(Family):
    r"""Real vectors; a location and the Cholesky factor of a full covariance.

    .. math:: \Sigma = L L^\top, \quad L_{ii} = \mathrm{softplus}(r_i) + \text{floor}

    The raw numbers of one row are ``d`` locations, ``d`` diagonal entries and ``d (d - 1) / 2`` entries below the
    diagonal, row by row.

    Args:
        floor: Least diagonal entry of the Cholesky factor.

    Example:
        >>> family = FullNormalFamily()
        >>> family.raw_shape((3,))
        (9,)
        >>> family(torch.zeros(5, 9), (3,)).scale_tril.shape
        torch.Size([5, 3, 3])
    """

    floor: float = 1e-4
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and Cholesky factor."""
        return ("loc", "scale_tril")

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """``d`` locations and the lower triangle."""
        d = one_axis(event)
        return (d + d * (d + 1) // 2,)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return a normal over the whole event."""
        d = one_axis(event)
        diagonal = positive(raw[..., d : 2 * d], self.floor)
        tril = lower_triangle(diagonal, tame(raw[..., 2 * d :], OFF_DIAGONAL_LIMIT))
        if unit is not None:
            tril = tril * unit.scale.unsqueeze(-1)
        return MultivariateNormal(shifted(raw[..., :d], unit), scale_tril=tril, validate_args=False)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed means and standard deviations, no correlation."""
        mean, sd = start_moments(x, weight)
        d = mean.shape[-1]
        return torch.cat([mean, positive_raw(sd, self.floor), mean.new_zeros(d * (d - 1) // 2)])


def one_axis(event: tuple[int, ...]) -> int:
    """Return the length of an event with one axis."""
    if len(event) != 1:
        raise ShapeError(f"A full covariance is over vectors, but got events of shape {event}. Flatten them first.")
    return event[0]


def lower_triangle(diagonal: Tensor, below: Tensor) -> Tensor:
    """Arrange ``(*lead, d)`` and ``(*lead, d (d - 1) / 2)`` numbers as lower triangular matrices.

    Example:
        >>> lower_triangle(torch.tensor([1.0, 2.0]), torch.tensor([5.0]))
        tensor([[1., 0.],
                [5., 2.]])
    """
    zero = torch.zeros_like(diagonal[..., :1])
    d = diagonal.shape[-1]
    return torch.cat([zero, diagonal, below], -1)[..., _places(d, diagonal.device)]


@lru_cache(maxsize=64)
def _places(d: int, device: torch.device) -> Tensor:
    """Where each entry of the matrix stands in a zero, the diagonal and the entries below it."""
    places = torch.zeros(d, d, dtype=torch.long)
    places.diagonal().copy_(torch.arange(1, d + 1))
    rows, columns = torch.tril_indices(d, d, -1)
    places[rows, columns] = torch.arange(d + 1, d + 1 + len(rows))
    return places.to(device)
