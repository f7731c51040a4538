"""Augment: more rows with a rare value, made from training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ...core.batch import cat
from ...core.errors import InputError, SettingError
from ...core.random import derive
from ...core.row_noise import RowKeys
from ...data import KINDS, Dataset, Schema
from ...data.conditioning import LABEL
from ...models import verbs
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

PIECE = 50_000
"""Rows that are looked at at once."""


def rows_like(run: Trained, dataset: Dataset, column: str, value: object) -> np.ndarray[Any, Any]:
    """Return the numbers of the training rows with a value; of data the model was not trained on, of all rows.

    Raises:
        InputError: There is no such row.
    """
    index = run.part(dataset, "train") if dataset.schema.fingerprint == run.schema.fingerprint else run.part(dataset)
    features = dataset.kind.features(dataset.schema)
    if features is None:
        return _labelled(dataset, index, column, value)
    at, code = features.place(column), features.encode(column, value)
    if code is None:
        raise SettingError(f"Rows are added for a value, but {column}={value!r} is a missing one. Give a value.")
    rows = np.concatenate([_same(dataset, index[i : i + PIECE], at, code) for i in range(0, len(index), PIECE)])
    if not len(rows):
        raise InputError(f"More rows with {column}={value!r} need one to learn from, but no training row has it.")
    return rows


def _labelled(dataset: Dataset, index: np.ndarray[Any, Any], column: str, value: object) -> np.ndarray[Any, Any]:
    """Return those of some rows that have a label."""
    label = dataset.schema.label
    assert label is not None  # else the verb does not fit
    known = [str(c) for c in label.classes]
    if column not in (LABEL, label.name) or str(value) not in known:
        raise SettingError(
            f"Rows are added for a class of the label {label.name!r}, one of {', '.join(known[:10])}, but got "
            f"{column}={value!r}. Choose one."
        )
    y = dataset.batch(index).y
    rows = index[:0] if y is None else index[(y == known.index(str(value))).numpy()]
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


def cannot_augment(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents, and for rows whose entries have names."""
    if KINDS[schema.kind].features(schema) is None and schema.label is None:
        return (
            "Rows are added for a value of a column or for a class of the label, so the data must be a table or have a "
            "label. Fit with one, or sample new rows."
        )
    return needs_latents(schema, model)


@verb("augment", group="Use", takes="own rows", answers="rows", unfit=cannot_augment, steered=False)
def augment(run: Trained, data: object, column: str, value: object, n: int, *, seed: int = 0) -> Any:
    """Make more rows with a rare value, drawn around training rows that have it."""
    if n < 1:
        raise SettingError(f"`n >= 1` must hold, but got n={n!r}.")
    dataset = run.dataset(run.source(data))
    rows = rows_like(run, dataset, column, value)
    rng = np.random.default_rng(derive(seed, "augment"))
    seeds = np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n]
    own, keys = derive(seed, "augment"), RowKeys()
    parts = [
        verbs.reconstruct(run.model, dataset.batch(seeds[i : i + 4096]), seed=own, keys=keys)
        for i in range(0, n, 4096)
    ]
    if dataset.kind.features(dataset.schema) is None:
        return dataset.kind.decode(cat(parts), dataset.schema, about=dataset.rows.about(seeds))
    made = dataset.kind.decode_given(cat(parts), dataset.schema, {column: [value] * n})
    if hasattr(made, "attrs"):
        made.attrs["seeds"] = len(rows)
    return made
