"""An order of rows that reads blocks one after the other, and yet is a function of (seed, step) alone.

Blocks are dealt once to some *lanes*, in an order that the seed gives. In every epoch a lane goes through its blocks in
a new order, some blocks (a *window*) at a time, whose rows are mixed. A step takes its share of rows from every lane.

Each row is taken once per epoch. Processes share the lanes, so that each reads its own blocks in every epoch, whatever
their number; and a run can go on at any step without reading what came before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..core.random import derive

LANES = 8
"""Lanes, of which every step takes rows: as many processes have a share of their own."""
WINDOW = 4
"""Blocks of a lane whose rows are mixed."""


@dataclass(frozen=True)
class Lanes:
    """Which rows belong to which step, where rows are read block by block.

    Args:
        cuts: Where each block begins among the rows that are used, and how many these are, ``(blocks + 1,)``.
        batch_size: Rows per step.
        seed: Seed of the order.
        lanes: Number of lanes.

    Example:
        >>> lanes = Lanes(np.array([0, 3, 5, 9]), 4, seed=0, lanes=2)
        >>> rows = torch.cat([lanes.order(1).rows(i) for i in range(3)])
        >>> sorted(rows.tolist()), lanes.order(1).rows(1).tolist() == rows[4:8].tolist()
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], True)
    """

    cuts: np.ndarray
    batch_size: int
    seed: int
    lanes: int = LANES

    @property
    def n_rows(self) -> int:
        """Rows that are used."""
        return int(self.cuts[-1])

    @property
    def full(self) -> int:
        """Whole batches of an epoch."""
        return self.n_rows // self.batch_size

    @cached_property
    def shares(self) -> np.ndarray:
        """Where the rows of each lane begin in a batch, and the size of a batch."""
        return np.array([self.batch_size * i // self.lanes for i in range(self.lanes + 1)])

    @cached_property
    def pieces(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """First rows and lengths of the pieces of each lane: blocks, or the parts of one that two lanes share."""
        starts, sizes = self.cuts[:-1], np.diff(self.cuts)
        dealt = np.random.Generator(np.random.PCG64(derive(self.seed, "lanes"))).random(len(starts)).argsort()
        starts, sizes = starts[dealt], sizes[dealt]
        starts, sizes = starts[sizes > 0], sizes[sizes > 0]
        ends = np.cumsum(sizes)
        rest = self.n_rows - self.full * self.batch_size
        bounds = self.full * self.shares + np.array([rest * i // self.lanes for i in range(self.lanes + 1)])
        found = []
        for low, high in pairwise(bounds.tolist()):
            some = np.flatnonzero((ends > low) & (ends - sizes < high))
            before = np.maximum(low - (ends - sizes)[some], 0)
            after = np.maximum(ends[some] - high, 0)
            found.append((starts[some] + before, sizes[some] - before - after))
        return found

    def order(self, epoch: int) -> LaneOrder:
        """Return the order of an epoch."""
        return LaneOrder(self, epoch)


class LaneOrder:
    """The order of one epoch; a window is mixed when a step first needs it.

    Args:
        plan: The lanes.
        epoch: Number of the epoch.
    """

    def __init__(self, plan: Lanes, epoch: int) -> None:
        self.plan, self.epoch = plan, epoch
        self._turned: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._windows: dict[int, tuple[int, np.ndarray]] = {}

    def rows(self, position: int) -> Tensor:
        """Return the rows of the step at ``position``; the step behind all whole batches has the rest."""
        plan = self.plan
        found = []
        for lane in range(plan.lanes):
            share = int(plan.shares[lane + 1] - plan.shares[lane])
            first = min(position, plan.full) * share
            end = first + share if position < plan.full else int(plan.pieces[lane][1].sum())
            found.append(self._of_lane(lane, first, end))
        return torch.from_numpy(np.concatenate(found))

    def _of_lane(self, lane: int, first: int, end: int) -> np.ndarray:
        """Return the rows of a lane from one place to another in its order of this epoch."""
        _, ends = self._order_of(lane)
        found = [np.zeros(0, dtype=np.int64)]
        while first < end:
            edges = _windows(len(ends))
            window = int(np.searchsorted(ends[edges[1:] - 1], first, side="right"))
            before = 0 if window == 0 else int(ends[edges[window] - 1])
            stop = min(end, int(ends[edges[window + 1] - 1]))
            found.append(self._mixed(lane, window)[first - before : stop - before])
            first = stop
        return np.concatenate(found)

    def _order_of(self, lane: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first rows of the pieces of a lane in the order of this epoch, and where each ends in it."""
        if lane not in self._turned:
            starts, sizes = self.plan.pieces[lane]
            turned = self._generator(lane, -1).random(len(starts)).argsort()
            self._turned[lane] = starts[turned], np.cumsum(sizes[turned])
        return self._turned[lane]

    def _mixed(self, lane: int, window: int) -> np.ndarray:
        """Return the rows of a window in their order."""
        held = self._windows.get(lane)
        if held is None or held[0] != window:
            starts, ends = self._order_of(lane)
            sizes = np.diff(ends, prepend=0)
            edges = _windows(len(ends))
            some = range(int(edges[window]), int(edges[window + 1]))
            rows = np.concatenate([np.arange(starts[i], starts[i] + sizes[i]) for i in some])
            held = window, rows[self._generator(lane, window).random(len(rows)).argsort()]
            self._windows[lane] = held
        return held[1]

    def _generator(self, lane: int, window: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(derive(self.plan.seed, "lane", self.epoch, lane, window)))


def _windows(pieces: int) -> np.ndarray:
    """Return where windows of nearly equal numbers of pieces begin, and the number of pieces.

    Example:
        >>> _windows(9).tolist()
        [0, 3, 6, 9]
    """
    count = -(-pieces // WINDOW)
    return np.array([pieces * i // count for i in range(count + 1)])
