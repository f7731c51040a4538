"""What distributions over ordered levels share: moments and mode from the distribution function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import constraints

from .bases import FromNoise

TOGETHER = 32
"""Levels that are looked at together where a graph is traced."""


class Levels(FromNoise):
    """A distribution over ``0 .. n - 1`` with a known distribution function; moments and mode go through all levels."""

    finite_mean = True

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of levels."""

    @abstractmethod
    def at_most(self, k: int | Tensor) -> Tensor:
        """Probability of a level up to ``k``, for ``k < n - 1``; of several, along axes in front."""

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers from 0 to ``n - 1``."""
        whole: constraints.Constraint = constraints.integer_interval(0, self.n - 1)
        return whole

    @property
    def mean(self) -> Tensor:
        """Sum of the probabilities of exceeding each level."""
        total = torch.zeros_like(self.at_most(0))
        if torch.compiler.is_compiling():  # a term for many levels, or a traced graph has one for each
            levels = torch.arange(self.n - 1, dtype=total.dtype).reshape(-1, *[1] * (total.ndim + self.trailing))
            for some in levels.split(TOGETHER):
                total = total + (1 - self.at_most(some)).sum(0)
            return total
        for k in range(self.n - 1):
            total = total + (1 - self.at_most(k))
        return total

    @property
    def variance(self) -> Tensor:
        """Mean squared distance from the mean."""
        mean = self.mean
        total = torch.zeros_like(mean)
        for k, mass in enumerate(self._masses()):
            total = total + (k - mean).square() * mass
        return total

    @property
    def mode(self) -> Tensor:
        """Likeliest level, the lowest of equals."""
        best, where = torch.full_like(self.at_most(0), -1.0), torch.zeros_like(self.at_most(0))
        for k, mass in enumerate(self._masses()):
            better = mass > best
            best, where = torch.where(better, mass, best), torch.where(better, float(k), where)
        return where

    def _masses(self) -> Iterator[Tensor]:
        below = torch.zeros_like(self.at_most(0))
        for k in range(self.n - 1):
            up_to = self.at_most(k)
            yield up_to - below
            below = up_to
        yield 1 - below
