"""What an estimator hands out: a number with its error, how many rows it rests on, and what it was measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Args:
        value: The number; NaN where it is not defined.
        se: Its standard error; NaN where none is known.
        n: Rows it rests on.
        seed: Seed of whatever was random, or ``None`` if nothing was.
        name: What it is, e.g. ``"frechet[pca-64]"``.
        details: Further numbers behind it, as plain values.

    Example:
        >>> Figure(0.5, 0.1, 20, 0, "accuracy").document()
        {'value': 0.5, 'se': 0.1, 'n': 20, 'seed': 0}
    """

    value: float
    se: float = nan
    n: int = 0
    seed: int | None = None
    name: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON; the name is left to the caller's key."""
        values = {"value": self.value, "se": self.se, "n": self.n, "seed": self.seed, **self.details}
        return {name: plain(value) for name, value in values.items()}


def plain(value: Any) -> Any:
    """Return a value as what JSON has: arrays become lists, numbers that are not finite ``None``.

    Example:
        >>> plain({"a": np.array([1.0, float("nan")]), "b": (1, True)})
        {'a': [1.0, None], 'b': [1, True]}
    """
    if isinstance(value, Figure):
        return value.document()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if callable(to_list := getattr(value, "tolist", None)):
        return plain(to_list())
    return None if isinstance(value, float) and not isfinite(value) else value


def figures_of(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the figures in a nested document with their path; floors are left to the figures they belong to.

    Example:
        >>> [name for name, _ in figures_of({"a": {"b": {"value": 1.0, "n": 3}, "c": 2}, "floor": {}})]
        ['a b']
    """
    for name, value in document.items():
        if isinstance(value, Mapping) and "value" in value and "n" in value:
            yield f"{before}{name}", value
        elif isinstance(value, Mapping) and name != "floor":
            yield from figures_of(value, f"{before}{name} ")


def bootstrap(
    n: int, statistic: Callable[[Ints], Any], *, seed: int, repeats: int = 200
) -> Floats:
    """Values of a statistic on rows drawn anew with replacement, ``(repeats, ...)``.

    Reference:
        An Introduction to the Bootstrap (Efron and Tibshirani, 1993), chapter 6.

    Args:
        n: Rows.
        statistic: Takes row numbers, gives a number or an array of numbers.
        seed: Seed of the rows.
        repeats: How often.

    Example:
        >>> x = np.arange(100.0)
        >>> bool(abs(bootstrap(100, lambda i: x[i].mean(), seed=0).std() - x.std() / 10) < 0.5)
        True
    """
    rng = np.random.default_rng(seed)
    return np.stack([np.asarray(statistic(rng.integers(0, n, n)), dtype=float) for _ in range(repeats)])


HALVES = 40
"""Times that rows are halved for a standard error."""


def halving(
    sizes: tuple[int, ...], statistic: Callable[..., Any], *, seed: int, repeats: int = HALVES
) -> tuple[Floats, Floats]:
    r"""Standard error of a statistic of one or several sets of rows, and its mean, over random halves of each.

    .. math:: \mathrm{se} = s(T_h) \sqrt{h / (n - h)}, \qquad \text{bias} \approx \bar T_h - T_n

    Rows drawn with replacement come twice, which changes distances to the nearest row and information in bins; rows of
    a half do not. The bias of a statistic that gets right as :math:`1 / n` is what its mean over halves differs by.

    Reference:
        A General Theory for Jackknife Variance Estimation (Shao and Wu, 1989), with half the rows left out.
        https://doi.org/10.1214/aos/1176347263

    Args:
        sizes: Rows of each set.
        statistic: Takes the row numbers of a half of each set, gives a number or an array of numbers; NaN where a half
            has none.
        seed: Seed of the halves.
        repeats: How often.

    Example:
        >>> x = np.random.default_rng(0).normal(size=400)
        >>> se, mean = halving((400,), lambda i: x[i].mean(), seed=0)
        >>> bool(abs(se / (x.std() / 20) - 1) < 0.3), bool(abs(mean - x.mean()) < 0.05)
        (True, True)
    """
    rng = np.random.default_rng(seed)
    halves = ([rng.permutation(n)[: max(1, n // 2)] for n in sizes] for _ in range(repeats))
    found = np.stack([np.asarray(statistic(*rows), dtype=float) for rows in halves])
    n, known = min(sizes), np.isfinite(found).sum(0)
    se = np.nanstd(found, 0, ddof=1) * np.sqrt(max(1, n // 2) / (n - n // 2)) if np.all(known > 1) else known * nan
    return se, np.nanmean(found, 0) if np.all(known > 0) else known * nan


def spread(values: Floats) -> tuple[float, float, float]:
    """Standard error and 95 % interval (percentiles) from bootstrap values; NaN ones are left out."""
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        return nan, nan, nan
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(kept.std(ddof=1)), float(low), float(high)
