"""Rows and draws in chunks that fit the memory, in evaluation mode, for every figure."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.random import using
from ..core.row_noise import RowNoise
from ..models.base import Inference, LatentModel

CPU_BYTES = 48 << 20
"""Largest working set of a chunk on a CPU: what the allocator keeps without giving pages back to the system."""

PROBE_DRAWS, NEARLY_TWICE = 16, 1.8


@dataclass(frozen=True)
class Chunk:
    """Some rows with some of their draws.

    Args:
        rows: Which rows.
        draws: Which of the ``k`` draws.
        batch: The rows.
        seen: What the model infers about them.
    """

    rows: slice
    draws: range
    batch: Batch
    seen: Inference


def chunks(
    model: LatentModel, batch: Batch, k: int, *, seed: int, memory_gb: float = 0.5, first_row: int = 0,
    common: bool = False,
) -> Iterator[Chunk]:
    """Go through all rows with ``k`` draws each; inside :func:`judging`.

    Draws are merged before rows, so that a row is encoded as seldom as possible. The noise of a row and draw does not
    depend on the chunk; with ``common`` it is the same for every row.
    """
    check_settings(batch, k, memory_gb)
    keep_pages(batch.device)
    n_rows, n_draws = plan(model, batch, k, memory_gb)
    for start in range(0, len(batch), n_rows):
        stop = min(start + n_rows, len(batch))
        some = batch.take(slice(start, stop))
        for first in range(0, k, n_draws):
            draws = range(first, min(first + n_draws, k))
            rows = range(first_row + start, first_row + stop)
            with using(RowNoise.of(seed, k, rows, draws, device=batch.device, common=common)):
                seen = model.infer(some, len(draws))
                # Inside, because log densities are computed when first read, and one that is estimated draws too.
                yield Chunk(slice(start, stop), draws, some, seen)


def check_settings(batch: Batch, k: int, memory_gb: float) -> None:
    """Refuse an evaluation without rows, draws or memory."""
    if len(batch) < 1 or k < 1 or not memory_gb > 0:
        raise SettingError(
            f"An evaluation needs rows, draws and memory, but got {len(batch)} rows, {k!r} draws per row and "
            f"memory_gb={memory_gb!r}. Give at least one of each."
        )


# --- size of a chunk ------------------------------------------------------------------------------------------------
def plan(model: LatentModel, batch: Batch, k: int, memory_gb: float) -> tuple[int, int]:
    """Return rows and draws of a chunk."""
    fixed, each = bytes_of_draws(model, batch, k)
    budget = memory_gb * 2**30 - fixed
    if batch.device.type == "cpu":
        budget = min(budget, CPU_BYTES)
    pairs = max(1, int(budget / each))
    if pairs >= k:
        return min(len(batch), pairs // k), k
    return 1, -(-k // -(-k // pairs))


def bytes_of_draws(model: LatentModel, batch: Batch, k: int) -> tuple[float, float]:
    """Return the memory that a chunk needs however few its draws (a prior made of many rows, say), and each draw more.

    Measured by inferring one row with ever more draws, until twice as many need nearly twice as much.
    """
    row, n = batch.take(slice(0, 1)), min(k, PROBE_DRAWS)
    once, twice = _peak(model, row, n), _peak(model, row, 2 * n)
    while twice < NEARLY_TWICE * once and 2 * n < k:
        n, once, twice = 2 * n, twice, _peak(model, row, 4 * n)
    each = max(1.0, (twice - once) / n)
    return max(0.0, once - n * each), each


def _peak(model: LatentModel, row: Batch, n: int) -> float:
    """Return the largest number of bytes alive at once while ``n`` draws are scored."""
    with _Alive() as alive, using(RowNoise.of(0, n, range(1), range(n), device=row.device)):
        _ = model.infer(row, n).log_w
    return float(alive.peak)


class _Alive(TorchDispatchMode):
    """Counts the bytes of tensors that are alive at once."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: otherwise torch would load its compiler, which takes two seconds, only to skip this mode."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        old = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, Tensor) and t.untyped_storage()._cdata not in old | self._known:
                self._count(t.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def keep_pages(device: torch.device) -> None:
    """Let the C library keep freed blocks of up to 32 MiB instead of mapping, and zeroing, fresh pages for each tensor.

    The GNU C library raises its threshold for mapping to the largest mapped block that was freed; other libraries and
    devices do not care. Without it a third of the time of a decoder goes into page faults.
    """
    if device.type == "cpu":
        torch.empty(31 << 20, dtype=torch.uint8)
