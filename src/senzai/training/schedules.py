"""Learning-rate schedules: pure functions of the share of training done, and one that watches validation."""

from __future__ import annotations

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


class Plateau:
    """Halve the factor after every ``wait`` validations without improvement, down to a hundredth."""

    def __init__(self, *, active: bool, wait: int = 5) -> None:
        self.active, self.wait = active, wait
        self.factor = 1.0

    def observe(self, since_best: int) -> None:
        """Look at the number of validations since the best one."""
        if self.active and since_best > 0 and since_best % self.wait == 0:
            self.factor = max(0.01, self.factor / 2)


def learning_rate_factor(name: str, step: int, total: int, warmup: int) -> float:
    """Return course × linear warm-up at a 0-based step; before the first and after the last one what it is there."""
    step = max(0, step)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * COURSES[name](min(1.0, step / max(1, total)))
