"""Schedules of a weight over optimisation steps, from 0 to 1; each knows when it is finished."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, cos, pi
from typing import final

from ..core.errors import SettingError
from ..core.renamed import old_method
from ..core.spec import part


class Warmup(ABC):
    """A factor in [0, 1] for each step; after ``end`` it is 1 for good."""

    @property
    @abstractmethod
    def end(self) -> int:
        """First step from which the factor stays 1."""

    @abstractmethod
    def factor(self, step: int) -> float:
        """Return the factor at a 0-based step."""

    at = old_method("at", "factor")

    def over(self, total_steps: int) -> Warmup:
        """Return the schedule for a training of known length; only a share of it depends on that."""
        return self


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise SettingError(f"A warm-up takes at least one step, but got steps={steps!r}. Leave it out instead.")


@part("schedule", "constant")
@final
@dataclass(frozen=True)
class Constant(Warmup):
    """No warm-up."""

    @property
    def end(self) -> int:
        """Finished from the start."""
        return 0

    def factor(self, step: int) -> float:
        """Return 1."""
        return 1.0


@part("schedule", "linear")
@final
@dataclass(frozen=True)
class LinearWarmup(Warmup):
    """A straight line from 0 at the first step to 1 after ``steps``.

    Reference:
        Generating Sentences from a Continuous Space (Bowman et al., 2016). https://arxiv.org/abs/1511.06349

    Example:
        >>> [LinearWarmup(4).factor(s) for s in (0, 2, 4, 9)]
        [0.0, 0.5, 1.0, 1.0]
    """

    steps: int

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    @property
    def end(self) -> int:
        """Length of the ramp."""
        return self.steps

    def factor(self, step: int) -> float:
        """Return ``min(1, step / steps)``."""
        return min(1.0, step / self.steps)


@part("schedule", "share")
@final
@dataclass(frozen=True)
class ShareWarmup(Warmup):
    """A straight line from 0 to 1 over a share of the training, whatever its length.

    Args:
        share: Share of all steps spent rising.

    Raises:
        SettingError: The share is not between 0 and 1; or it is read before the length of the training is known.

    Example:
        >>> [ShareWarmup(0.5).over(8).factor(s) for s in (0, 1, 2, 4)]
        [0.0, 0.25, 0.5, 1.0]
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise SettingError(f"`0 < share <= 1` must hold, but got share={self.share!r}.")

    def over(self, total_steps: int) -> Warmup:
        """Return the line in steps."""
        return LinearWarmup(max(1, round(self.share * total_steps)))

    @property
    def end(self) -> int:
        """Unknown before the length of the training is."""
        raise self._unknown()

    def factor(self, step: int) -> float:
        """Unknown before the length of the training is."""
        raise self._unknown()

    def _unknown(self) -> SettingError:
        return SettingError(
            f"A share ({self.share}) of the training needs to know its length. Train, or call `objective.over(steps)`."
        )


@part("schedule", "monotone")
@final
@dataclass(frozen=True)
class Monotone(Warmup):
    """A smooth S from 0 to 1 after ``steps`` (half a cosine): slow at both ends, never falling.

    Example:
        >>> [round(Monotone(4).factor(s), 3) for s in (0, 1, 2, 4)]
        [0.0, 0.146, 0.5, 1.0]
    """

    steps: int

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    @property
    def end(self) -> int:
        """Length of the ramp."""
        return self.steps

    def factor(self, step: int) -> float:
        """Return ``(1 - cos(pi step / steps)) / 2``, then 1."""
        return 1.0 if step >= self.steps else 0.5 * (1 - cos(pi * step / self.steps))


@part("schedule", "cyclical")
@final
@dataclass(frozen=True)
class Cyclical(Warmup):
    """The line from 0 to 1 repeated ``cycles`` times within ``steps``, then 1 for good.

    Reference:
        Cyclical Annealing Schedule (Fu et al., 2019). https://arxiv.org/abs/1903.10145

    Args:
        steps: Steps of all cycles together.
        cycles: How often the ramp starts again.
        ramp: Share of a cycle spent rising; the rest stays at 1.

    Example:
        >>> [Cyclical(8, cycles=2, ramp=0.5).factor(s) for s in (0, 1, 2, 3, 4, 5, 8)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0]
    """

    steps: int
    cycles: int = 4
    ramp: float = 0.5

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        if self.cycles < 1 or not 0 < self.ramp <= 1 or self.steps < self.cycles:
            raise SettingError(
                "`cycles >= 1`, `0 < ramp <= 1` and `steps >= cycles` must hold, "
                f"but got cycles={self.cycles!r}, ramp={self.ramp!r}, steps={self.steps!r}."
            )

    @property
    def end(self) -> int:
        """Length of all cycles."""
        return self.steps

    def factor(self, step: int) -> float:
        """Return the factor within the current cycle."""
        if step >= self.steps:
            return 1.0
        length = self.steps / self.cycles
        return min(1.0, (step % length) / length / self.ramp)


# --- a first step ---------------------------------------------------------------------------------------------------
def in_steps(start: float, total_steps: int) -> float:
    """Return a step: as it is, or the share of the training it is if below 1.

    Example:
        >>> in_steps(0.5, 9), in_steps(0.0, 9), in_steps(7.0, 9)
        (5.0, 0.0, 7.0)
    """
    return float(max(1, ceil(start * total_steps))) if 0 < start < 1 else start


def begun(start: float, step: int) -> bool:
    """Whether a first step is reached.

    Raises:
        SettingError: It is a share, and the length of the training is not known.
    """
    if 0 < start < 1:
        raise SettingError(
            f"`start={start!r}` is a share of the training, whose length is not known yet. Train, or call "
            "`objective.over(steps)`."
        )
    return step >= start
