"""Families for real numbers: normals with a free, fixed or optimal scale, Laplace, Student's t."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from senzai.core.spec import part

from .calibrated import OptimalNormal
from .family import Family, Support, Unit, over_event, split_raw, weighted_mean
from .location import StudentT
from .numeric import need_positive, positive, positive_raw, start_moments

START_DF = 8.0


# --- shared ---------------------------------------------------------------------------------------------------------
def shifted(loc: Tensor, unit: Unit | None) -> Tensor:
    """Return a location in the units of the data."""
    return loc if unit is None else torch.addcmul(unit.shift, unit.scale, loc)


def scaled(scale: Tensor, unit: Unit | None) -> Tensor:
    """Return a scale in the units of the data."""
    return scale if unit is None else scale * unit.scale


# --- normal ---------------------------------------------------------------------------------------------------------
@part("family", "normal")
@final
@dataclass(frozen=True, kw_only=True)
class NormalFamily(Family):
    r"""Real numbers; a location and a softplus scale. As a posterior: the diagonal normal.

    .. math:: \sigma = \mathrm{softplus}(s) + \text{floor}

    Args:
        floor: Least scale, in units of the data.

    Example:
        >>> p = NormalFamily()(torch.zeros(3, 2, 4), (4,))
        >>> p.log_prob(torch.zeros(3, 4)).shape
        torch.Size([3])
    """

    floor: float = 1e-4
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and scale."""
        return ("loc", "scale")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent normals."""
        loc, scale = split_raw(raw, event)
        base = Normal(shifted(loc, unit), scaled(positive(scale, self.floor), unit), validate_args=False)
        return over_event(base, event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean and standard deviation."""
        mean, sd = start_moments(x, weight)
        return torch.stack([mean, positive_raw(sd, self.floor)])


@part("family", "normal_fixed")
@final
@dataclass(frozen=True, kw_only=True)
class NormalFixedFamily(Family):
    """Real numbers; a location, and one scale that is not learned (the squared error, up to constants).

    Args:
        scale: Standard deviation, in units of the data.

    Example:
        >>> NormalFixedFamily(scale=0.5)(torch.zeros(3, 1, 4), (4,)).stddev[0]
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    scale: float = 1.0
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("scale", self.scale)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location."""
        return ("loc",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent normals."""
        (loc,) = split_raw(raw, event)
        scale = scaled(loc.new_tensor(self.scale), unit)
        return over_event(Normal(shifted(loc, unit), scale, validate_args=False), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean."""
        return weighted_mean(x, weight).unsqueeze(0)


@part("family", "normal_optimal")
@final
@dataclass(frozen=True, kw_only=True)
class NormalOptimalFamily(Family):
    """Real numbers; a location, and the one scale that fits the batch best (see :class:`OptimalNormal`).

    Args:
        scale: Standard deviation, in units of the data, until another is given with ``with_scale``.
        floor: Least optimal scale, in units of the data.

    Example:
        >>> p = NormalOptimalFamily()(torch.zeros(3, 1, 4), (4,))
        >>> p.base_dist.optimal_scale(torch.full((3, 4), 2.0))
        tensor(2.)
    """

    scale: float = 1.0
    floor: float = 1e-3
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True
    mixes_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("scale", self.scale)
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location."""
        return ("loc",)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent normals with a common scale."""
        (loc,) = split_raw(raw, event)
        feature = None if unit is None else unit.scale
        return over_event(OptimalNormal(shifted(loc, unit), self.scale, unit=feature, floor=self.floor), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean."""
        return weighted_mean(x, weight).unsqueeze(0)


# --- heavier tails --------------------------------------------------------------------------------------------------
@part("family", "laplace")
@final
@dataclass(frozen=True, kw_only=True)
class LaplaceFamily(Family):
    """Real numbers; a location and a softplus scale, the absolute error in place of the squared one.

    Args:
        floor: Least scale, in units of the data.

    Example:
        >>> LaplaceFamily()(torch.zeros(3, 2, 4), (4,)).mean.shape
        torch.Size([3, 4])
    """

    floor: float = 1e-4
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and scale."""
        return ("loc", "scale")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent Laplaces."""
        loc, scale = split_raw(raw, event)
        base = Laplace(shifted(loc, unit), scaled(positive(scale, self.floor), unit), validate_args=False)
        return over_event(base, event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Location and scale with the observed mean and variance."""
        mean, sd = start_moments(x, weight)
        return torch.stack([mean, positive_raw(sd / math.sqrt(2), self.floor)])


@part("family", "student_t")
@final
@dataclass(frozen=True, kw_only=True)
class StudentTFamily(Family):
    r"""Real numbers with outliers; a location, a softplus scale and degrees of freedom.

    .. math:: \nu = \text{least\_df} + \mathrm{softplus}(d)

    The degrees of freedom start at 2 because only above it is there a variance: sums of squares, standardised
    residuals and the moments that reports show all exist for every raw number.

    Args:
        floor: Least scale, in units of the data.
        least_df: Least degrees of freedom.

    Example:
        >>> StudentTFamily()(torch.zeros(3, 3, 4), (4,)).variance.shape
        torch.Size([3, 4])
    """

    floor: float = 1e-4
    least_df: float = 2.0
    support: ClassVar[Support] = "real"
    has_unit: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)
        need_positive("least_df", self.least_df)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location, scale and degrees of freedom."""
        return ("loc", "scale", "df")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent Student's t."""
        loc, scale, df = split_raw(raw, event)
        scale = scaled(positive(scale, self.floor), unit)
        return over_event(StudentT(shifted(loc, unit), scale, positive(df, self.least_df)), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean and variance, with eight degrees of freedom above the least."""
        mean, sd = start_moments(x, weight)
        extra = torch.full_like(sd, START_DF)
        df = self.least_df + extra
        scale = sd * ((df - 2).clamp_min(1.0) / df).sqrt()
        return torch.stack([mean, positive_raw(scale, self.floor), positive_raw(extra, 0.0)])
