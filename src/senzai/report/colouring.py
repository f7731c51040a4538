"""The latent map of a table by any of its columns: numbers on a scale, categories in colours, missing values grey."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Dataset, Schema
from ..data.table import Column, details_of, table_of
from .blocks import Colouring
from .figures import CLASSES
from .findings import Findings, Floats, label_names
from .numbers import number, own, short

MOST = 200
"""Columns that a page offers: of more, those that the map separates best."""
LEVELS = 200
"""Different values of a column that a page keeps; more are gathered in so many bins of about equal size."""
MISSING = 255
DISTORTION = "distortion, nats"


def colourings(found: Findings, schema: Schema, dataset: Dataset, xy: Floats) -> tuple[Colouring, ...]:
    """Return a colouring for every column, the label and the distortion; the one that shows most is marked.

    Args:
        found: What was measured; rows are those of the map.
        schema: Schema of the model.
        dataset: Where the rows come from.
        xy: Their places on the map.
    """
    made = [(c, separated(c, xy)) for c in _columns(found, schema) if c is not None]
    if (left := _left_out(found, schema, dataset)) is not None:
        made += [(c, separated(c, xy)) for c in left]
    chosen = sorted(range(len(made)), key=lambda i: -made[i][1])[:MOST]
    kept = [made[i][0] for i in sorted(chosen)]
    first = kept.index(made[chosen[0]][0]) if chosen and made[chosen[0]][1] > 0 else len(kept)
    kept.append(by_numbers(DISTORTION, found.codes.distortion, [number(v, 4) for v in found.codes.distortion]))
    return (*kept[:first], kept[first].chosen(), *kept[first + 1 :])


def separated(made: Colouring, xy: Floats) -> float:
    """Return the share of a column's variation that its place on the map explains, 0 to 1.

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


# --- one column -------------------------------------------------------------------------------------------------------
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


# --- all columns ------------------------------------------------------------------------------------------------------
def _columns(found: Findings, schema: Schema) -> list[Colouring | None]:
    table, batch = table_of(schema), found.mapped.batch
    names = label_names(found.mapped, schema)
    made: list[Colouring | None] = []
    if names is not None and schema.label is not None:
        classes = list(schema.label.classes)
        place = {c: i for i, c in enumerate(classes)}
        made.append(by_levels(schema.label.name, np.array([place.get(n, -1) for n in names]), classes))
    for j, column in enumerate(() if table is None else table.modelled):
        there = None if batch.observed is None else batch.observed[:, j].numpy()
        made.append(of_column(column, batch.tensor[:, j].double().numpy(), there, schema))
    return made


def of_column(column: Column, codes: Floats, there: NDArray[np.bool_] | None, schema: Schema) -> Colouring:
    """Return the colouring of a modelled column from the model's numbers, in the user's own values."""
    from ..data.table import codec

    assert table_of(schema) is not None
    seen = np.ones(len(codes), dtype=bool) if there is None else there
    if column.sort in ("category", "binary") or (column.sort == "steps" and isinstance(column.levels[0], str)):
        names = [*codec.level_names(column), codec.OTHER] if column.other else codec.level_names(column)
        return by_levels(str(column.name), np.where(seen, codes, -1).astype(np.int64), names)
    texts = [short(own(v)) for v in codec.decode(codes, column, details_of(schema)).astype(object).tolist()]
    return by_numbers(str(column.name), np.where(seen, codes, np.nan), texts, _plain(codes, seen, column))


def _plain(codes: Floats, seen: NDArray[np.bool_], column: Column) -> Floats:
    """Return numbers as the user has them, for a scale that is even in them."""
    from ..data.table import codec

    if column.sort == "steps":
        values = np.array(column.levels, dtype=float)[np.clip(codes, 0, len(column.levels) - 1).astype(int)]
    else:
        values = codec.numbers(codes, column)
    return np.where(seen, values, np.nan)


def _left_out(found: Findings, schema: Schema, dataset: Dataset) -> list[Colouring] | None:
    """Columns that the model does not know, where they are at hand: they too may explain the map."""
    import pandas as pd

    whole = getattr(dataset.source, "whole", None)
    if whole is None or table_of(schema) is None:
        return None
    dropped = {str(c.name) for c in details_of(schema).columns if c.type == "dropped"}
    label = None if schema.label is None else str(schema.label.name)
    made = []
    for i, name in enumerate(whole.columns):
        if str(name) not in dropped or str(name) == label:
            continue
        series = whole.iloc[found.mapped.index, i]
        title = f"{name} (left out)"
        if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
            values = series.to_numpy(dtype=float, na_value=np.nan)
            made.append(by_numbers(title, values, [own(v) for v in values.tolist()]))
        elif (codes := pd.factorize(series, sort=False)) and len(codes[1]) <= LEVELS:
            made.append(by_levels(title, codes[0].astype(np.int64), codes[1].tolist()))
    return made
