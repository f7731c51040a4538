"""The only way in which a kind may look at values of private data: counts, with noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from senzai.core.secret import Floats, Secret

from .rows import Array

Found: TypeAlias = list[tuple[str, str]]


@dataclass
class Budget:
    r"""Noisy counts of columns, all of them together one Gaussian mechanism.

    A row is in one bin of each histogram, so that ``m`` histograms together have the sensitivity :math:`\sqrt m`; each
    count gets normal noise of :math:`\sigma\sqrt m`.

    Args:
        noise: Standard deviation of the noise over the sensitivity, sigma; infinite where nothing may be looked at.
        delta: Probability with which a list of values that the user did not give may show one that a single row has.
        secret: Where the noise comes from.
        seen: What was counted, in words, for the ledger.
        counts: Noisy counts that were taken, by column.
        summed: Noisy counts that were taken elsewhere, by column: they are given, and nothing is counted here.

    Example:
        >>> budget = Budget(noise=0.5, delta=1e-6, secret=Secret.seeded(2))
        >>> budget.of(4).histogram("age", np.array([0, 0, 2]), 3).round(1).tolist()
        [2.7, 0.1, 1.2]
        >>> Budget.none().may_look
        False
    """

    noise: float
    delta: float
    secret: Secret
    together: int = 1
    seen: Found = field(default_factory=list)
    counts: dict[str, Floats] = field(default_factory=dict)
    summed: Mapping[str, Floats] | None = None

    @classmethod
    def none(cls) -> Budget:
        """Return the budget of nothing."""
        return cls(inf, 0.0, Secret.seeded(0))

    @property
    def may_look(self) -> bool:
        """Whether anything may be counted."""
        return self.noise < inf

    def of(self, histograms: int) -> Budget:
        """Return the same, now that it is known among how many histograms it is shared."""
        self.together = max(1, histograms)
        return self

    @property
    def spread(self) -> float:
        """Standard deviation of the noise of one count."""
        return float(self.noise * np.sqrt(self.together))

    def histogram(self, name: str, codes: Array, n: int) -> Floats:
        """Return how many entries are in each of ``n`` known bins, with noise; codes below 0 are in none."""
        self.seen.append((name, f"{n} noisy counts"))
        if self.summed is not None:
            return np.asarray(self.summed[name], np.float64)
        counts = np.bincount(codes[codes >= 0].astype(np.int64), minlength=n)[:n]
        self.counts[name] = counts + self.spread * self.secret.normal(n, "histogram", name)
        return self.counts[name]

    def frequent(self, name: str, values: Array) -> tuple[list[str], Floats]:
        """Return values that many rows have, and their noisy counts; what few rows have is never shown.

        A value is shown where its noisy count is above a threshold so high that the value of one single row passes it
        with a probability of ``delta`` over the number of histograms.

        Reference:
            Differentially Private SQL with Bounded User Contribution (Wilson et al., 2020), tau-thresholding.
            https://arxiv.org/abs/1909.01917
        """
        levels, counts = np.unique(values.astype(str), return_counts=True)
        # The noise of a level follows from its name, so that levels which are not there change nothing of the others.
        noise = np.array([self.secret.normal(1, "level", name, str(v))[0] for v in levels])
        noisy = counts + self.spread * noise
        threshold = 1 + self.spread * NormalDist().inv_cdf(1 - self.delta / self.together)
        kept = noisy > threshold
        self.seen.append((name, f"values whose noisy count passes {threshold:.0f}"))
        return [str(v) for v in levels[kept]], noisy[kept]


def shares(counts: Floats) -> Floats:
    """Return shares from noisy counts: none below 0, and all together 1; this looks at no data.

    Example:
        >>> shares(np.array([3.0, -1.0, 1.0])).tolist()
        [0.75, 0.0, 0.25]
    """
    whole = np.clip(counts, 0, None)
    total = whole.sum()
    return whole / total if total > 0 else np.full(len(counts), 1 / len(counts))
