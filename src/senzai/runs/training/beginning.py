"""Rows that a model looks at before training."""

from __future__ import annotations

import numpy as np

from ...core.batch import Batch
from ...core.random import derive
from ...data import Dataset

ROWS_TO_INITIALISE, NUMBERS_TO_INITIALISE, LEAST_TO_INITIALISE = 10_000, 10_000_000, 1_000
"""Rows that a model looks at before training: fewer where they are large, for their numbers share a unit."""


def first_rows(dataset: Dataset, seed: int) -> Batch:
    """Return the training rows that a model starts from."""
    rows = dataset.split_indices()["train"]
    wanted = min(ROWS_TO_INITIALISE, max(LEAST_TO_INITIALISE, NUMBERS_TO_INITIALISE // dataset.schema.size))
    some, most = rows, dataset.rows.at_once(wanted)
    if len(rows) > most:  # at random: data are often sorted
        rng = np.random.default_rng(derive(seed, "rows to initialise"))
        some = np.sort(rng.choice(rows, most, replace=False))
    return dataset.batch(some)
