"""Imputation: missing entries of a user's data drawn or averaged from the model; observed ones stay what they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...core.errors import InputError, SettingError
from ...core.row_noise import RowKeys
from ...data import Dataset
from ...data.frames import with_index
from ...data.table.filling import fill, fill_with_means
from ...data.table.writing import to_polars
from ...models.base import latent_model
from ...models.impute import conditional_draws, conditional_mean

if TYPE_CHECKING:
    from ..protocol import Trained

ROWS = 2048
MEAN_DRAWS = 100
NUMBERS = 50_000_000
"""Drawn numbers that are held at once: of very wide tables, fewer rows are filled in at a time."""


def impute(run: Trained, data: object, *, draws: int | None, k: int, seed: int) -> Any:
    """Return data with their missing entries filled in; see :meth:`Run.impute`."""
    latent_model(run.model)
    dataset = run.dataset(data)
    if dataset.schema.table is not None:
        import pandas as pd

        found = list(pieces(run, dataset, draws=draws, k=k, seed=seed))
        wholes = [pd.concat([p[m] for p in found]) for m in range(draws or 1)]
        if dataset.source.labels is not None:
            wholes = [with_index(w.set_axis(dataset.source.labels, axis=1), dataset.index) for w in wholes]
        if dataset.schema.form == "polars":
            wholes = [to_polars(w) for w in wholes]
        return wholes if draws else wholes[0]
    return _array(run, dataset, draws=draws, k=k, seed=seed)


def pieces(
    run: Trained, dataset: Dataset, *, draws: int | None = None, k: int = 100, seed: int = 0
) -> Iterator[list[Any]]:
    """Yield the completed frames of a piece of a table: one, or one per draw."""
    table = dataset.schema.table
    if table is None:
        raise InputError("Only a table is filled in piece by piece.")
    start, keys = 0, RowKeys(repeated=not draws)
    size = len(table.sorts) * (draws or MEAN_DRAWS)
    for frame in dataset.source.pieces(max(1, min(ROWS, NUMBERS // size))):
        batch = dataset.batch(np.arange(start, start + len(frame)))
        start += len(frame)
        holes = torch.zeros(0, dtype=torch.long)
        if batch.observed is not None:
            holes = (~batch.observed.all(1)).nonzero().squeeze(1)
        if not len(holes):  # whole rows need no draws, but a constant may be missing that the model does not know
            yield [fill(frame, batch.tensor, table)] * (draws or 1)
            continue
        some = batch.take(holes)
        model = latent_model(run.model)
        drawn = conditional_draws(model, some, draws=draws or MEAN_DRAWS, k=k, seed=seed, keys=keys(some))
        rows = holes.numpy()
        if draws:
            yield [fill(frame, drawn[m], table, rows) for m in range(draws)]
        else:
            yield [fill_with_means(frame, drawn, table, rows)]


def _array(run: Trained, dataset: Dataset, *, draws: int | None, k: int, seed: int) -> Any:
    source = dataset.source
    if not isinstance(source, np.ndarray):
        raise SettingError("Missing entries are filled in for tables and arrays. Give one of them.")
    batch = dataset.batch()
    if batch.observed is None:
        made = [batch.tensor]
    elif draws:
        made = list(conditional_draws(latent_model(run.model), batch, draws=draws, k=k, seed=seed))
    else:
        made = [conditional_mean(latent_model(run.model), batch, k=k, seed=seed)]
    out = []
    for x in made if draws is None or len(made) == draws else made * draws:
        new = dataset.kind.decode(x, dataset.schema.but(form="numpy"))
        gone = np.isnan(source)
        filled = np.where(gone, new.astype(source.dtype), source)
        out.append(torch.from_numpy(filled) if dataset.schema.form == "torch" else filled)
    return out if draws else out[0]
