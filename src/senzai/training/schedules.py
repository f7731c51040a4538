"""Learning-rate schedules: pure functions of the share of training done, and one that watches validation."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Protocol

from ..core.registry import Registry


class Course(Protocol):
    """Factor on the learning rate for the share of training done, in [0, 1]."""

    def __call__(self, done: float) -> float:
        """Return the factor."""


COURSES: Registry[Course] = Registry("learning-rate schedule")


@COURSES.add("constant")
def constant(done: float) -> float:
    """Return 1 throughout."""
    return 1.0


@COURSES.add("cosine")
def cosine(done: float) -> float:
    """Half a cosine from 1 to 0.01.

    Example:
        >>> round(cosine(0.0), 3), round(cosine(1.0), 3)
        (1.0, 0.01)
    """
    return 0.01 + 0.99 * 0.5 * (1 + cos(pi * min(1.0, done)))


@COURSES.add("one_cycle")
def one_cycle(done: float) -> float:
    """From 0.04 up to 1 in the first 30 % of steps, then down to 0.0004, both along a cosine.

    Reference:
        Super-Convergence (Smith and Topin, 2018). https://arxiv.org/abs/1708.07120
    """
    rise = 0.3
    if done < rise:
        return 0.04 + 0.96 * 0.5 * (1 - cos(pi * done / rise))
    return 0.0004 + 0.9996 * 0.5 * (1 + cos(pi * min(1.0, (done - rise) / (1 - rise))))


COURSES.add("plateau")(constant)  # the factor falls in `Plateau`, at validations
COURSES.add("follow")(one_cycle)  # where nothing is validated, there is nothing to follow


class Plateau:
    """Halve the factor after every ``wait`` validations without improvement, down to a hundredth."""

    def __init__(self, *, active: bool, wait: int = 5) -> None:
        self.active, self.wait = active, wait
        self.factor = 1.0

    def observe(self, since_best: int) -> None:
        """Look at the number of validations since the best one."""
        if self.active and since_best > 0 and since_best % self.wait == 0:
            self.factor = max(0.01, self.factor / 2)


@dataclass(frozen=True)
class Follow:
    """A length that follows validation: a short rise, the full rate as long as validation improves, then a fall.

    Nothing better for a while (``WAIT`` steps, or a share of the steps so far) ends the full rate: the run goes back to
    its best weights, and the rate falls along a cosine for half as many steps as led to them. A run that improves to
    the end falls in the last third of its budget. A fall that brings nothing for as long ends the run.

    Args:
        budget: Steps that a run takes at most.

    Example:
        >>> course = Follow(900)
        >>> course.over(best=300, gain=290, step=350), course.over(best=300, gain=250, step=400)
        (None, 550)
        >>> [round(course.factor(s, falls_from=400, ends_at=550), 2) for s in (0, 100, 400, 475, 549)]
        [0.01, 1.0, 1.0, 0.5, 0.0]
    """

    budget: int

    RISE, WAIT, SHARE, FALL = 100, 150, 0.2, 0.5

    def over(self, best: int, gain: int, step: int) -> int | None:
        """Return the step at which the run ends if the rate falls now, or ``None`` while it should not.

        Args:
            best: Step of the best validation.
            gain: Step of the last one that was better by an amount that matters.
            step: Steps so far.
        """
        if not self.waited(step, since=gain) or step >= self.latest:
            return None
        return min(self.budget, step + max(self.WAIT // 2, round(self.FALL * best)))

    def waited(self, step: int, since: int) -> bool:
        """Whether nothing happened for so long that nothing more is expected."""
        return step - since >= max(self.WAIT, self.SHARE * step)

    @property
    def latest(self) -> int:
        """The step from which on the rate falls, whatever validation says."""
        return self.budget - round(self.budget * self.FALL / (1 + self.FALL))

    def factor(self, step: int, *, falls_from: int | None, ends_at: int | None) -> float:
        """Return the factor on the learning rate at a 0-based step."""
        first, end = (self.latest, self.budget) if falls_from is None or ends_at is None else (falls_from, ends_at)
        rise = min(1.0, (step + 1) / min(self.RISE, max(1, self.budget // 10)))
        return rise * 0.5 * (1 + cos(pi * min(1.0, max(0, step - first) / max(1, end - first))))


def learning_rate_factor(name: str, step: int, total: int, warmup: int) -> float:
    """Return course × linear warm-up at a 0-based step, constant before the first and after the last one."""
    step = max(0, step)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * COURSES[name](min(1.0, step / max(1, total)))
