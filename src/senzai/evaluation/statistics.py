"""Means and their standard errors."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor


def mean_se(values: Tensor) -> float:
    r"""Standard error of the mean of independent values, :math:`s / \sqrt n`; NaN for a single one.

    Example:
        >>> mean_se(torch.tensor([1.0, 3.0]))
        1.0
    """
    if len(values) < 2:
        return float("nan")
    return float(values.double().std(correction=1)) / sqrt(len(values))


def ratio_of_means(top: Tensor, bottom: Tensor) -> tuple[float, float]:
    r"""Return :math:`R = \bar a / \bar b` and its standard error :math:`s(a - R b) / (\bar b \sqrt n)`.

    Reference:
        Sampling Techniques (Cochran, 1977), section 2.11.

    Example:
        >>> ratio_of_means(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0]))
        (1.0, 0.5)
    """
    a, b = top.double(), bottom.double()
    ratio = float(a.mean() / b.mean())
    return ratio, mean_se(a - ratio * b) / float(b.mean())


def random_rows(n: int, most: int | None, seed: int) -> Tensor | None:
    """Return the sorted positions of ``most`` rows out of ``n`` chosen at random, or ``None`` for all of them."""
    if most is None or most >= n:
        return None
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n, generator=generator)[:most].sort().values
