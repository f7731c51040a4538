"""Feeds of a run: which rows train and validate, from memory if they fit, in what pieces."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import torch

from ...core.errors import SettingError
from ...core.memory import free_memory
from ...core.random import derive
from ...core.secret import Secret
from ...data import Dataset
from ...data.rows import HELD_BYTES
from ...training.comms import Comms
from ...training.feed import Feed, FeedPlan
from ...training.private import PoissonPlan
from ...training.settings import TrainSettings

COPIES = 4
"""Times its size that rows on disk take while they are brought to memory."""
VALIDATION_ROWS = 1024
"""Most rows that are validated at once."""


def feeds(
    dataset: Dataset, settings: TrainSettings, device: torch.device, comms: Comms, secret: Secret | None = None
) -> tuple[Feed, Feed | None]:
    """Return the feeds of training and validation rows; with a key, training rows are chosen by coins."""
    parts = dataset.split_indices()
    budget = settings.memory_gb * 1e9 if settings.memory_gb else free_memory() / 3
    needed = dataset.rows.dense_nbytes * (1 if dataset.rows.in_memory else COPIES)
    asked = dataset.schema.reading.get("in_memory")
    in_memory = needed <= budget and asked is not False and (dataset.rows.better_dense or asked is True)
    batch_size = settings.chosen_batch_size(len(parts["train"]))

    found = dataset.rows.lengths
    lengths = found if isinstance(found, torch.Tensor) and settings.by_length else None
    if settings.by_length and lengths is None:
        raise SettingError("Rows are put together by_length where they have lengths; these have none. Leave it out.")

    def feed(index: Any, rows_at_once: int, accumulate: int, *, held: bool) -> Feed:
        own = None if lengths is None else lengths[torch.from_numpy(np.asarray(index))]
        cuts = dataset.rows.cuts
        blocks = None if cuts is None or held else np.searchsorted(index, cuts)
        plan = FeedPlan(len(index), rows_at_once, settings.seed, comms.world, own, blocks)
        if secret is not None:
            plan = PoissonPlan(len(index), rows_at_once, settings.seed, secret=secret)
        return Feed(
            dataset.rows, index, plan, device=device, in_memory=held, rank=comms.rank, world=comms.world,
            accumulate=accumulate,
        )

    train = feed(parts["train"], batch_size, settings.accumulate, held=in_memory)
    held = parts["validation"]
    held = dataset.rows.some(held, settings.max_validation_rows, derive(settings.seed, "validation rows"))
    if len(held) == 0:
        return train, None
    pieces = ceil(len(held) / VALIDATION_ROWS)  # nearly equal ones, so that no small rest is left out
    few = in_memory or needed * len(held) / max(1, len(dataset)) <= min(budget, HELD_BYTES)
    return train, feed(held, ceil(len(held) / pieces), 1, held=few)
