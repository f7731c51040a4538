"""Families for positive numbers and for numbers strictly between 0 and 1: log-normal, beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from senzai.core.errors import SettingError
from senzai.core.spec import part

from .family import Family, Support, Unit, over_event, split_raw
from .location import LogNormal, OpenBeta
from .numeric import between, half_count, need_positive, positive, positive_raw, start_moments, tame, weighted_moments

LOG_LOCATION_LIMIT = 40.0
LOGIT_LIMIT = 10.0
LOG_CONCENTRATION_LIMIT = 8.0


@part("family", "log_normal")
@final
@dataclass(frozen=True, kw_only=True)
class LogNormalFamily(Family):
    """Positive numbers; mean and softplus scale of their logarithm.

    Args:
        floor: Least scale of the logarithm.

    Example:
        >>> LogNormalFamily()(torch.zeros(3, 2, 4), (4,)).mode.shape
        torch.Size([3, 4])
    """

    floor: float = 1e-4
    support: ClassVar[Support] = "positive"

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and scale of the logarithm."""
        return ("loc", "scale")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent log-normals."""
        loc, scale = split_raw(raw, event)
        return over_event(LogNormal(tame(loc, LOG_LOCATION_LIMIT), positive(scale, self.floor)), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean and standard deviation of the logarithm."""
        mean, sd = start_moments(x.clamp_min(torch.finfo(x.dtype).tiny).log(), weight)
        return torch.stack([mean, positive_raw(sd, self.floor)])


@part("family", "beta")
@final
@dataclass(frozen=True, kw_only=True)
class BetaFamily(Family):
    r"""Numbers strictly between 0 and 1; the logit of the mean and the logarithm of the concentration.

    .. math:: a = m \kappa, \quad b = (1 - m) \kappa, \quad m = \sigma(r_1), \quad \kappa = e^{r_2}

    Args:
        margin: Values nearer than this to 0 or 1 are scored as if they were this near.

    Example:
        >>> BetaFamily()(torch.zeros(3, 2, 4), (4,)).mean[0]
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    margin: float = 1e-6
    support: ClassVar[Support] = "interval"

    def __post_init__(self) -> None:
        if not 0 < self.margin < 0.5:
            raise SettingError(
                f"`margin` must lie between 0 and 0.5, but got margin={self.margin!r}. Give one such as 1e-6."
            )

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Logit of the mean and log concentration."""
        return ("mean", "concentration")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent betas."""
        mean, concentration = split_raw(raw, event)
        logit, total = tame(mean, LOGIT_LIMIT), tame(concentration, LOG_CONCENTRATION_LIMIT).exp()
        a, b = torch.sigmoid(logit) * total, torch.sigmoid(-logit) * total
        return over_event(OpenBeta(a, b, margin=self.margin), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean and variance, the concentration within [0.1, 1000]."""
        mean, variance = weighted_moments(x, weight)
        mean = between(mean, half_count(weight), 1 - half_count(weight))
        total = mean * (1 - mean) / variance.clamp_min(1e-12) - 1
        return torch.stack([torch.logit(mean), total.clamp(0.1, 1e3).log()])
