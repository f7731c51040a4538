"""Whole numbers from 0 to n - 1, such as pixels: the discretised logistic distribution and its mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from senzai.core.random import Noise
from senzai.core.spec import part

from .bases import as_real, pick
from .family import Family, Support, Unit, over_event, split_raw
from .levels import Levels
from .numeric import log_logistic_mass, need_at_least, tame, weighted_moments
from .ops import Shape

LOGISTIC_SD = math.pi / math.sqrt(3)
"""Standard deviation of the standard logistic distribution."""
LOG_SCALE_LIMIT = 15.0


# --- distributions --------------------------------------------------------------------------------------------------
def coordinate(x: Tensor, n: int) -> Tensor:
    """Place level ``x`` of ``n`` on [-1, 1]."""
    return x * (2 / (n - 1)) - 1


def nearest_level(y: Tensor, n: int) -> Tensor:
    """Undo :func:`coordinate`, to the nearest level; what lies outside goes to the end levels."""
    return ((y + 1) * ((n - 1) / 2)).round().clamp(0, n - 1)


def discretised_logistic_log_prob(x: Tensor, loc: Tensor, scale: Tensor, n: int) -> Tensor:
    """Log mass of the logistic distribution on the bin of level ``x``; the end bins reach to infinity."""
    half, y = 1 / (n - 1), coordinate(x, n)
    lower, upper = (y - half - loc) / scale, (y + half - loc) / scale
    return log_logistic_mass(lower, upper, (2 * half) / scale, x < 0.5, x > n - 1.5)


def discretised_logistic_at_most(k: int | Tensor, loc: Tensor, scale: Tensor, n: int) -> Tensor:
    """Mass of the logistic distribution below the upper edge of level ``k``."""
    return torch.sigmoid(((2 * k + 1) / (n - 1) - 1 - loc) / scale)


@final
class DiscretisedLogistic(Levels):
    r"""Whole numbers ``0 .. n - 1``: a logistic variable rounded to the nearest level.

    .. math:: P(x) = \sigma\Big(\frac{y + h - \mu}{s}\Big) - \sigma\Big(\frac{y - h - \mu}{s}\Big), \quad
        y = \frac{2 x}{n - 1} - 1, \quad h = \frac{1}{n - 1}

    with the upper edge of the last and the lower edge of the first level at infinity, so that the masses add up to one.

    Reference:
        PixelCNN++: improving the PixelCNN with discretized logistic mixture likelihood and other modifications
        (Salimans, Karpathy, Chen and Kingma, 2017). https://arxiv.org/abs/1701.05517

    Args:
        loc: Location on the scale from -1 (level 0) to 1 (level ``n - 1``), shape ``(*batch,)``.
        scale: Logistic scale in the same coordinates, positive, shape ``(*batch,)``.
        n: Number of levels.

    Example:
        >>> p = DiscretisedLogistic(torch.tensor(0.0), torch.tensor(0.1), n=3)
        >>> p.log_prob(torch.arange(3.0)).exp()
        tensor([0.0067, 0.9866, 0.0067])
    """

    tensors = ("loc", "scale")
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Tensor, scale: Tensor, *, n: int = 256) -> None:
        self._n = n
        super().__init__(loc, scale)

    def settings(self) -> dict[str, Any]:
        """The number of levels."""
        return {"n": self._n}

    @property
    def n(self) -> int:
        """Number of levels."""
        return self._n

    def at_most(self, k: int | Tensor) -> Tensor:
        """Probability of a level up to ``k``."""
        return discretised_logistic_at_most(k, self.loc, self.scale, self._n)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        return discretised_logistic_log_prob(as_real(value, self.loc), self.loc, self.scale, self._n)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Round logistic quantiles of uniform numbers."""
        u = self._uniform(shape, noise)
        return nearest_level(self.loc + self.scale * torch.logit(u), self._n)


@final
class DiscretisedLogisticMixture(Levels):
    r"""Whole numbers ``0 .. n - 1``: a mixture of discretised logistics, element by element.

    .. math:: P(x) = \sum_k \pi_k P_k(x), \quad \pi = \mathrm{softmax}(\eta)

    Reference:
        PixelCNN++ (Salimans, Karpathy, Chen and Kingma, 2017), without its coupling of colours.
        https://arxiv.org/abs/1701.05517

    Args:
        logits: Log weights of the components up to a constant, shape ``(*batch, components)``.
        loc: Locations, as in :class:`DiscretisedLogistic`, same shape.
        scale: Scales, same shape.
        n: Number of levels.

    Example:
        >>> loc, scale = torch.tensor([-1.0, 1.0]), torch.tensor([0.1, 0.1])
        >>> DiscretisedLogisticMixture(torch.zeros(2), loc, scale, n=3).log_prob(torch.arange(3.0)).exp()
        tensor([0.4967, 0.0067, 0.4967])
    """

    tensors = ("logits", "loc", "scale")
    trailing = 1
    logits: Tensor
    loc: Tensor
    scale: Tensor

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, *, n: int = 256) -> None:
        self._n = n
        super().__init__(logits, loc, scale)

    def settings(self) -> dict[str, Any]:
        """The number of levels."""
        return {"n": self._n}

    @property
    def n(self) -> int:
        """Number of levels."""
        return self._n

    def at_most(self, k: int | Tensor) -> Tensor:
        """Probability of a level up to ``k``."""
        each = discretised_logistic_at_most(k, self.loc, self.scale, self._n)
        return (self.logits.softmax(-1) * each).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, elementwise."""
        x = as_real(value, self.loc).unsqueeze(-1)
        each = discretised_logistic_log_prob(x, self.loc, self.scale, self._n)
        return torch.logsumexp(F.log_softmax(self.logits, -1) + each, -1)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Pick a component, then round its logistic quantile."""
        chosen = pick(self.logits, shape, noise).unsqueeze(-1)
        loc, scale = (t.expand(*shape, *t.shape).gather(-1, chosen).squeeze(-1) for t in (self.loc, self.scale))
        return nearest_level(loc + scale * torch.logit(self._uniform(shape, noise)), self._n)


# --- families -------------------------------------------------------------------------------------------------------
def level_moments(x: Tensor, weight: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the data on [-1, 1], the latter at least a fifth of a bin."""
    mean, variance = weighted_moments(coordinate(x, n), weight)
    return mean, variance.sqrt().clamp_min(0.4 / (n - 1))


@part("family", "discretised_logistic")
@final
@dataclass(frozen=True, kw_only=True)
class DiscretisedLogisticFamily(Family):
    """Whole numbers ``0 .. levels - 1``, such as pixels; a location on [-1, 1] and a log scale.

    Args:
        levels: Number of levels.

    Example:
        >>> p = DiscretisedLogisticFamily(levels=256)(torch.zeros(3, 2, 4), (4,))
        >>> p.log_prob(torch.full((3, 4), 128.0))
        tensor([-24.9377, -24.9377, -24.9377])
    """

    levels: int = 256
    support: ClassVar[Support] = "levels"

    def __post_init__(self) -> None:
        need_at_least("levels", self.levels, 2)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and log scale."""
        return ("loc", "log_scale")

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent discretised logistics."""
        loc, log_scale = split_raw(raw, event)
        return over_event(DiscretisedLogistic(loc, tame(log_scale, LOG_SCALE_LIMIT).exp(), n=self.levels), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Location and scale with the observed mean and variance, apart from what the end bins cut off."""
        mean, sd = level_moments(x, weight, self.levels)
        return torch.stack([mean, (sd / LOGISTIC_SD).log()])


@part("family", "discretised_logistic_mixture")
@final
@dataclass(frozen=True, kw_only=True)
class DiscretisedLogisticMixtureFamily(Family):
    """Whole numbers ``0 .. levels - 1`` with several peaks; a logit, a location and a log scale per component.

    Args:
        levels: Number of levels.
        components: Number of components.

    Example:
        >>> p = DiscretisedLogisticMixtureFamily(levels=256, components=5)(torch.zeros(3, 15, 4), (4,))
        >>> p.log_prob(torch.full((3, 4), 128.0))
        tensor([-24.9377, -24.9377, -24.9377])
    """

    levels: int = 256
    components: int = 5
    support: ClassVar[Support] = "levels"

    def __post_init__(self) -> None:
        need_at_least("levels", self.levels, 2)
        need_at_least("components", self.components, 1)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """All logits, then all locations, then all log scales."""
        kinds = ("logit", "loc", "log_scale")
        return tuple(f"{kind}_{k}" for kind in kinds for k in range(self.components))

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent mixtures."""
        logits, loc, log_scale = raw.movedim(raw.ndim - len(event) - 1, -1).chunk(3, -1)
        scale = tame(log_scale, LOG_SCALE_LIMIT).exp()
        return over_event(DiscretisedLogisticMixture(logits, loc, scale, n=self.levels), event)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Equal components spread over the data, together with its mean and variance, apart from the end bins."""
        mean, sd = level_moments(x, weight, self.levels)
        places = spread(self.components, like=mean).reshape(-1, *[1] * mean.ndim)
        within = sd * (1 - places.square().mean()).sqrt() / LOGISTIC_SD
        loc = mean + sd * places
        return torch.cat([torch.zeros_like(loc), loc, within.log().expand_as(loc)])


def spread(components: int, *, like: Tensor) -> Tensor:
    """Evenly spaced numbers with mean 0 and variance 0.6 (one number: 0)."""
    places = torch.arange(components, dtype=like.dtype, device=like.device) - (components - 1) / 2
    return places * math.sqrt(0.6 / max(1e-12, (components**2 - 1) / 12))
