"""Colours for the points of the latent map: numbers on a scale, categories each their own, missing values grey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Schema
from .blocks import Colouring
from .figures import CLASSES
from .findings import Floats, Held, label_names
from .numbers import number, short

MOST = 200
"""Colourings that a page offers: of more, those that the map separates best."""
LEVELS = 200
"""Different values that a page keeps; more are gathered in so many bins of about equal size."""
MISSING = 255


class WordsOf(Sequence[str]):
    """Values in words, each put into words when it is asked for: of many rows, few are.

    Example:
        >>> WordsOf([1.0, 2.5], lambda v: f"{v:g} cm")[1]
        '2.5 cm'
    """

    def __init__(self, values: Sequence[Any], word: Callable[[Any], str]) -> None:
        self.values, self.word = values, word

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, i: Any) -> Any:
        return self.word(self.values[i])


DISTORTION = "distortion, nats"


def offered(made: Sequence[Colouring], xy: Floats, distortion: Floats | None) -> tuple[Colouring, ...]:
    """Return the colourings a page offers, the distortion last; the one that the map separates best is marked.

    Args:
        made: Colourings of the rows of the map, one for each thing that is known about them.
        xy: Their places on the map.
        distortion: Distortion of each row, where the model has one.
    """
    share = [separated(c, xy) for c in made]
    chosen = sorted(range(len(made)), key=lambda i: -share[i])[:MOST]
    kept = [made[i] for i in sorted(chosen)]
    first = kept.index(made[chosen[0]]) if chosen and share[chosen[0]] > 0 else len(kept)
    if distortion is not None:
        kept.append(by_numbers(DISTORTION, distortion, [number(v, 4) for v in distortion]))
    first = min(first, len(kept) - 1)
    return tuple(c.chosen() if i == first else c for i, c in enumerate(kept))


def by_label(held: Held, schema: Schema) -> list[Colouring]:
    """Return the colouring by label, if rows have one."""
    names = label_names(held, schema)
    if names is None or schema.label is None:
        return []
    classes = list(schema.label.classes)
    place = {c: i for i, c in enumerate(classes)}
    return [by_levels(schema.label.name, np.array([place.get(n, -1) for n in names]), classes)]


def separated(made: Colouring, xy: Floats) -> float:
    """Return the share of the variation that a point's place on the map explains, 0 to 1.

    Numbers: the determination of a plane. Categories: the share of the map's variance that lies between them.
    """
    there = made.index != MISSING
    if there.sum() < 10 or not np.ptp(xy[there], axis=0).all():
        return 0.0
    at, code = xy[there] - xy[there].mean(0), made.index[there]
    if made.at:
        y = np.array(made.at)[code]
        y = y - y.mean()
        rest = y - at @ np.linalg.lstsq(at, y, rcond=None)[0]
        return 0.0 if not y.any() else float(1 - (rest @ rest) / (y @ y))
    n = np.bincount(code)
    sums = np.stack([np.bincount(code, at[:, i]) for i in range(2)])
    return float((sums**2 / np.maximum(n, 1)).sum() / (at**2).sum())


# --- one colouring ----------------------------------------------------------------------------------------------------
def by_numbers(name: str, values: Floats, texts: Sequence[str], order: Floats | None = None) -> Colouring:
    """Return a scale of colours: its ends are the 2nd and the 98th percentile, NaN is missing.

    Args:
        name: What the numbers are.
        values: One number per row.
        texts: How each reads.
        order: Numbers to be placed by instead of the values.
    """
    x = np.asarray(values if order is None else order, dtype=float)
    there = np.isfinite(x)
    index = np.full(len(x), MISSING, dtype=np.uint8)
    if not there.any():
        return Colouring(short(name), index, (), at=(0.0,), ends=("", ""))
    distinct = np.unique(x[there])
    exact = len(distinct) <= LEVELS
    edges = distinct[1:] if exact else np.unique(np.quantile(x[there], np.linspace(0, 1, LEVELS + 1)[1:-1]))
    index[there] = np.searchsorted(edges, x[there], "right")
    middles, words = np.zeros(len(edges) + 1), [""] * (len(edges) + 1)
    rows = np.flatnonzero(there)
    order_ = rows[np.lexsort((x[rows], index[rows]))]
    starts = np.searchsorted(index[order_], np.arange(len(edges) + 2))
    for k, (a, b) in enumerate(pairwise(starts)):
        row = order_[min((a + b) // 2, len(order_) - 1)]
        middles[k], words[k] = x[row], texts[row] if exact else f"about {texts[row]}"
    low, high = np.percentile(x[there], [2, 98])
    if not high > low:
        low, high = distinct[0], distinct[-1] if distinct[-1] > distinct[0] else distinct[0] + 1
    at = np.clip((middles - low) / (high - low), 0, 1)
    ends = tuple(texts[int(rows[np.argmin(np.abs(x[rows] - v))])] for v in (low, high))
    return Colouring(short(name), index, tuple(words), at=tuple(np.round(at, 3).tolist()), ends=(ends[0], ends[1]))


def by_levels(name: str, codes: NDArray[np.int64], names: Sequence[Any]) -> Colouring:
    """Return a colour for each of the most frequent levels, one for all others; a negative code is missing."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    frequent = np.sort(np.argsort(-counts, kind="stable")[: CLASSES if len(names) > CLASSES else len(names)])
    kept = [int(k) for k in frequent if counts[k]]
    rest = len(kept)
    table = np.full(len(names) + 1, rest)
    table[kept] = np.arange(rest)
    table[-1] = MISSING
    index = table[codes].astype(np.uint8)
    words, colours = [short(names[k]) for k in kept], [f"var(--c{i})" for i in range(rest)]
    if (index == rest).any():
        words, colours = [*words, "other"], [*colours, "var(--c-rest)"]
    return Colouring(short(name), index, tuple(words), colours=tuple(colours))
