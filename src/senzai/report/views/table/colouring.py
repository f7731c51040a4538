"""The latent map of a table by any of its columns, also those that were left out of the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....data import Schema
from ....data.table import Column, codec, details_of
from ...blocks import Colouring
from ...colouring import LEVELS, WordsOf, by_levels, by_numbers
from ...findings import Findings, Floats
from ...numbers import own, short
from .values import known


def colourings(found: Findings) -> list[Colouring]:
    """Return a colouring for every column."""
    batch = found.mapped.batch
    made = [
        of_column(column, batch.tensor[:, j].double().numpy(), known(batch, j), found.schema)
        for j, column in enumerate(details_of(found.schema).modelled)
    ]
    return [*made, *_left_out(found)]


def of_column(column: Column, codes: Floats, seen: NDArray[np.bool_], schema: Schema) -> Colouring:
    """Return the colouring of a modelled column from the model's numbers, in the user's own values."""
    if column.sort in ("category", "binary") or (column.sort == "steps" and isinstance(column.levels[0], str)):
        names = [*codec.level_names(column), codec.OTHER] if column.other else codec.level_names(column)
        return by_levels(str(column.name), np.where(seen, codes, -1).astype(np.int64), names)
    values = codec.decode(codes, column, details_of(schema)).astype(object).tolist()
    texts = WordsOf(values, lambda v: short(own(v)))
    return by_numbers(str(column.name), np.where(seen, codes, np.nan), texts, _plain(codes, seen, column))


def _plain(codes: Floats, seen: NDArray[np.bool_], column: Column) -> Floats:
    """Return numbers as the user has them, for a scale that is even in them."""
    if column.sort == "steps":
        values = np.array(column.levels, dtype=float)[np.clip(codes, 0, len(column.levels) - 1).astype(int)]
    else:
        values = codec.numbers(codes, column)
    return np.where(seen, values, np.nan)


def _left_out(found: Findings) -> list[Colouring]:
    """Return columns that the model does not know, where they are at hand: they too may explain the map."""
    import pandas as pd

    schema, whole = found.schema, getattr(found.dataset.source, "whole", None)
    if whole is None:
        return []
    dropped = {str(c.name) for c in details_of(schema).columns if c.type == "dropped"}
    label = None if schema.label is None else str(schema.label.name)
    made: list[Colouring] = []
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
