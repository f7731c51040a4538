"""Rows that a model looks at before training."""

from __future__ import annotations

from ...core.batch import Batch
from ...core.random import derive
from ...data import Dataset

ROWS_TO_INITIALISE, NUMBERS_TO_INITIALISE, LEAST_TO_INITIALISE = 10_000, 10_000_000, 1_000
"""Rows that a model looks at before training: fewer where they are large, for their numbers share a unit."""


def first_rows(dataset: Dataset, seed: int, *, private: bool = False) -> Batch:
    """Return the training rows that a model starts from; a private one from rows made up from the schema."""
    rows = dataset.split_indices()["train"]
    wanted = min(ROWS_TO_INITIALISE, max(LEAST_TO_INITIALISE, NUMBERS_TO_INITIALISE // dataset.schema.size))
    if private:
        return dataset.kind.made_up(dataset.schema, wanted, seed)
    most = dataset.rows.at_once(wanted)
    return dataset.batch(dataset.rows.some(rows, most, derive(seed, "rows to initialise")))  # data are often sorted
