"""Feeds of a run: which rows train and validate, from memory if they fit, in what pieces."""

from __future__ import annotations

import os
from contextlib import suppress
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.random import derive
from ..data import Dataset
from ..training.comms import Comms
from ..training.feed import Feed, Plan
from ..training.settings import TrainSettings

COPIES = 4
"""Times its size that rows on disk take while they are brought to memory."""
VALIDATION_ROWS = 1024
"""Most rows that are validated at once."""


def feeds(
    dataset: Dataset, settings: TrainSettings, device: torch.device, comms: Comms
) -> tuple[Feed, Feed | None]:
    """Return the feeds of training and validation rows."""
    parts = dataset.split_indices()
    budget = settings.memory_gb * 1e9 if settings.memory_gb else _free_memory() / 3
    needed = dataset.rows.nbytes * (1 if dataset.rows.in_memory else COPIES)
    in_memory = needed <= budget and dataset.schema.options.get("in_memory") is not False
    batch_size = settings.chosen_batch_size(len(parts["train"]))

    def feed(index: Any, rows_at_once: int, accumulate: int) -> Feed:
        plan = Plan(len(index), rows_at_once, settings.seed, comms.world)
        return Feed(
            dataset.rows, index, plan, device=device, in_memory=in_memory, rank=comms.rank, world=comms.world,
            accumulate=accumulate,
        )

    train = feed(parts["train"], batch_size, settings.accumulate)
    held = parts["validation"]
    if len(held) > settings.max_validation_rows:  # any of them, since data are often sorted
        chosen = np.random.default_rng(derive(settings.seed, "validation rows"))
        held = np.sort(chosen.choice(held, settings.max_validation_rows, replace=False))
    if len(held) == 0:
        return train, None
    pieces = ceil(len(held) / VALIDATION_ROWS)  # nearly equal ones, so that no small rest is left out
    return train, feed(held, ceil(len(held) / pieces), 1)


def _free_memory() -> float:
    """Return bytes of memory that this process can still have: what the system has, and what its limits leave."""
    return max(0.0, min(_system_memory(), *_limits()))


def _system_memory() -> float:
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 4e9


def _limits() -> list[float]:
    """Return what limits of the process (``ulimit``) and of its container leave, where there are any."""
    left = [inf]
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        lines = Path("/proc/self/status").read_text().splitlines()
        for name, used in (("RLIMIT_DATA", "VmData"), ("RLIMIT_AS", "VmSize")):
            most = resource.getrlimit(getattr(resource, name))[0]
            if most != resource.RLIM_INFINITY:
                left.append(most - 1024 * int(next(x for x in lines if x.startswith(used)).split()[1]))
    with suppress(OSError, ValueError, StopIteration):
        group = Path("/sys/fs/cgroup")
        most, stat = int((group / "memory.max").read_text()), (group / "memory.stat").read_text().splitlines()
        left.append(most - int(next(x for x in stat if x.startswith("anon ")).split()[1]))  # files read do not count
    return left
