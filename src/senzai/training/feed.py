"""Which rows belong to which step, and how they are loaded: gathered from memory in one call, or read ahead.

The rows of a step are a function of (seed, step) alone, so that a run can be resumed anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import InputError, SettingError
from ..core.random import derive
from .lanes import LaneOrder, Lanes

POOL = 20
"""Batches whose rows are sorted by length together."""


class RowSource(Protocol):
    """Rows that can be taken by number."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def take(self, index: np.ndarray) -> Batch:
        """Return the rows at ``index``."""


@dataclass(frozen=True)
class FeedPlan:
    """Which rows belong to which step.

    Args:
        n_rows: Training rows.
        batch_size: Rows per step over all processes.
        seed: Seed of the order.
        least: Smallest batch that every process gets a row of; a shorter rest of an epoch is left out.
        blocks: Where blocks of rows begin that are read together; the order then goes through them block by block.
        lengths: Steps of each row, where rows of about one length shall share a batch, so that little is padding.
    """

    n_rows: int
    batch_size: int
    seed: int
    least: int = 1
    lengths: Tensor | None = None
    blocks: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.n_rows < self.least:
            raise InputError(
                f"Training needs at least {self.least} rows, but there are {self.n_rows}. "
                "Give more data, or a smaller validation and test share."
            )
        if self.batch_size < self.least:
            raise SettingError(
                f"A batch must have a row for each of {self.least} devices, but batch_size={self.batch_size}. "
                "Set a larger batch_size, or use fewer devices."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the rows."""
        full, rest = divmod(self.n_rows, self.batch_size)
        return full + (1 if rest >= self.least else 0)

    @cached_property
    def lanes(self) -> Lanes | None:
        """The order of rows that are read block by block."""
        return None if self.blocks is None else Lanes(self.blocks, self.batch_size, self.seed)

    def order(self, epoch: int) -> Tensor | LaneOrder:
        """Return the order of rows in an epoch; with lengths, random up to the batches of some hundred rows."""
        if self.lanes is not None:
            return self.lanes.order(epoch)
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        order = torch.randperm(self.n_rows, generator=generator)
        return order if self.lengths is None else self._by_length(order, self.lengths, generator)

    def _by_length(self, order: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Sort rows by length within pools of batches, and put the whole batches in a random order.

        Rows that are left out or in a short batch at the end are any rows, not the longest ones.
        """
        full = self.n_rows // self.batch_size * self.batch_size
        pools = order[:full].split(POOL * self.batch_size)
        found = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools]) if full else order[:0]
        batches = found.view(-1, self.batch_size)
        turned = batches[torch.randperm(len(batches), generator=generator)].flatten()
        return torch.cat([turned, order[full:]])

    def rows(self, order: Tensor | LaneOrder, position: int) -> Tensor:
        """Return the rows of the step at ``position`` of an epoch."""
        if isinstance(order, LaneOrder):
            return order.rows(position)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def total(self, rows: Tensor) -> int:
        """Return by how many rows a step is divided: as many as it has."""
        return len(rows)


@dataclass(frozen=True)
class Piece:
    """A slice of a step's rows: local rows, where they lie in the global batch, and how large that is."""

    batch: Batch
    offset: int
    total: int


def shares(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``range(n)`` into ``parts`` nearly equal runs.

    Example:
        >>> shares(7, 3)
        [(0, 2), (2, 4), (4, 7)]
    """
    cuts = [n * i // parts for i in range(parts + 1)]
    return list(pairwise(cuts))


class Feed:
    """Pieces of the batch of each step, from memory or streamed.

    Args:
        source: Where rows come from.
        index: Which rows may be used.
        plan: Which of them make which step.
        device: Where batches are needed.
        in_memory: Take all rows once and gather on the device; otherwise read each batch ahead of its use.
        rank: This process.
        world: Number of processes.
        accumulate: Pieces per process; a batch with fewer rows has fewer.
    """

    def __init__(
        self, source: RowSource, index: np.ndarray, plan: FeedPlan, *, device: torch.device, in_memory: bool = True,
        rank: int = 0, world: int = 1, accumulate: int = 1,
    ) -> None:
        self.source, self.index, self.plan, self.device = source, index, plan, device
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self._held = source.take(index).to(device) if in_memory else None
        self._order: tuple[int, Tensor | LaneOrder] | None = None

    def _rows_of(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.plan.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self.plan.order(epoch))
        return self.plan.rows(self._order[1], position)

    def _load(self, rows: Tensor) -> list[Piece]:
        pieces = []
        first, end = shares(len(rows), self.world)[self.rank]
        parts = min(self.accumulate, max(1, len(rows) // self.world))  # as many in every process
        cuts = [(first + a, first + b) for a, b in shares(end - first, parts) if a < b]
        for a, b in cuts or [(first, first)]:  # a step without rows is a step all the same
            batch = self._read(rows[a:b]) if self._held is None else self._held.take(rows[a:b])
            pieces.append(Piece(batch, a, self.plan.total(rows)))
        return pieces

    def _read(self, rows: Tensor) -> Batch:
        if len(rows) == 0:  # not every source can give none
            return self.source.take(self.index[:1]).take(slice(0, 0))
        return self.source.take(self.index[rows.numpy()])

    def pieces_of(self, step: int) -> list[Piece]:
        """Return the local pieces of one step."""
        return [Piece(p.batch.to(self.device), p.offset, p.total) for p in self._load(self._rows_of(step))]

    def run(self, start: int, stop: int) -> Iterator[tuple[int, list[Piece]]]:
        """Yield ``(step, pieces)``; streamed batches are read three steps ahead, in order."""
        if self._held is not None:
            for step in range(start, stop):
                yield step, self._load(self._rows_of(step))
            return
        yield from self._ahead(start, stop)

    def _ahead(self, start: int, stop: int, depth: int = 3) -> Iterator[tuple[int, list[Piece]]]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            waiting: dict[int, Future[list[Piece]]] = {}
            try:
                for step in range(start, stop):
                    for s in range(step, min(stop, step + depth)):
                        if s not in waiting:
                            waiting[s] = pool.submit(self._load, self._rows_of(s))
                    pieces = waiting.pop(step).result()
                    yield step, [Piece(p.batch.to(self.device), p.offset, p.total) for p in pieces]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
