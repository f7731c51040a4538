"""More rows like those of a rare class, made from training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...core.batch import cat
from ...core.errors import InputError, SettingError
from ...core.random import derive
from ...core.row_noise import RowKeys
from ...data import Dataset
from ...data.table import codec
from ...data.table.rows import column_named
from ...models import verbs

if TYPE_CHECKING:
    from ..protocol import Trained

PIECE = 50_000
"""Rows that are looked at at once."""


def rows_like(run: Trained, dataset: Dataset, column: str, value: object) -> np.ndarray[Any, Any]:
    """Return the numbers of the training rows with a value; of data the model was not trained on, of all rows.

    Raises:
        InputError: There is no such row.
    """
    import pandas as pd

    table = dataset.schema.table
    if table is None:
        raise SettingError("Rows are added for a value of a column, so the data must be a table.")
    found = column_named(table, column)
    codes, _ = codec.encode(pd.Series([value], dtype=object, name=found.name), found, table)
    at = [str(c.name) for c in table.modelled].index(str(found.name))
    index = run.part(dataset, "train") if dataset.schema.fingerprint == run.schema.fingerprint else run.part(dataset)
    rows = np.concatenate([_same(dataset, index[i : i + PIECE], at, codes[0]) for i in range(0, len(index), PIECE)])
    if not len(rows):
        raise InputError(f"More rows with {column}={value!r} need one to learn from, but no training row has it.")
    return rows


def _same(dataset: Dataset, index: np.ndarray[Any, Any], at: int, code: float) -> np.ndarray[Any, Any]:
    """Return those of some rows that have a code in a column."""
    batch = dataset.batch(index)
    same = batch.tensor[:, at] == code
    if batch.observed is not None:
        same = same & batch.observed[:, at]
    return np.asarray(index[same.numpy()])


def augment(run: Trained, data: object, column: str, value: object, n: int, *, seed: int) -> Any:
    """Return ``n`` new rows with a value in a column; see :meth:`Run.augment`."""
    from .given import put

    if n < 1:
        raise SettingError(f"`n >= 1` must hold, but got n={n!r}.")
    dataset = run.dataset(data)
    rows = rows_like(run, dataset, column, value)
    rng = np.random.default_rng(derive(seed, "augment"))
    seeds = np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n]
    own, keys = derive(seed, "augment"), RowKeys()
    parts = [
        verbs.reconstruct(run.model, dataset.batch(seeds[i : i + 4096]), seed=own, keys=keys)
        for i in range(0, n, 4096)
    ]
    frame = dataset.kind.decode(cat(parts), dataset.schema.but(form="pandas"))
    table = dataset.schema.table
    assert table is not None
    made = put(frame, {column: [value] * n}, table)
    made.attrs["seeds"] = len(rows)
    return made
