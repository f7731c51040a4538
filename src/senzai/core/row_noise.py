"""Noise that belongs to rows and draws, so that a number does not depend on how the work was cut into chunks.

Whose noise it is: where rows of a fixed data set are evaluated, a row's by its number; where a verb answers row by row
(impute, encode, reconstruct, predict), a row's by what is in it, wherever in a file it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import count
from typing import Any

import numpy as np

from .batch import Batch
from .later import Tensor, torch
from .random import Noise, derive

TILE = 512
"""Draws that one seed is good for."""


@dataclass(frozen=True)
class RowNoise(Noise):
    """Standard noise as a function of *(seed, row, draw)* for the rows and draws of one chunk.

    Every row has seeds of its own, one for each ``TILE`` draws. Whatever asks for ``(draws, rows, ...)`` numbers gets
    the same ones for the same row and draw, in whichever chunk they fall. Distributions that are not drawn from
    standard noise (they use ``generator``) get numbers that depend on the chunk.

    Args:
        generator: Where the numbers come from; it is seeded anew all the time.
        seed: Seed of the whole evaluation.
        k: Draws per row of the whole evaluation.
        rows: Rows of this chunk: numbers by which their own are seeded.
        draws: Draws of this chunk.
        common: Give every row the same numbers, so that what is said of a row does not depend on its position.

    Example:
        >>> whole = RowNoise.of(0, 3, range(5), range(3)).normal((3, 5, 2))
        >>> part = RowNoise.of(0, 3, range(4, 5), range(1, 3)).normal((2, 1, 2))
        >>> bool((whole[1:, 4:] == part).all())
        True
    """

    seed: int = 0
    k: int = 1
    rows: Sequence[int] = range(0)
    draws: range = range(0)
    common: bool = False
    calls: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(
        cls, seed: int, k: int, rows: Sequence[int], draws: range, *, device: torch.device | str = "cpu",
        common: bool = False,
    ) -> RowNoise:
        """Return the noise of a chunk; numbers that belong to no row are the same for all chunks of keyed rows."""
        generator = torch.Generator(device)
        generator.manual_seed(derive(seed, "chunk", rows.start if isinstance(rows, range) else 0, draws.start))
        return cls(generator, seed=seed, k=k, rows=rows, draws=draws, common=common)

    def apart(self) -> Noise:
        """Return a source for the same rows and draws with seeds of its own."""
        generator = None if self.generator is None else torch.Generator(self.generator.device)
        return replace(self, generator=generator, seed=derive(self.seed, "apart", next(self.calls)), calls=count())

    def normal(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Standard normal numbers of ``shape``; axis ``row_dim`` counts rows of the chunk."""
        return self._numbers(torch.randn, tuple(shape), row_dim, dtype=dtype, device=device)

    def uniform(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform numbers in [0, 1) of ``shape``; axis ``row_dim`` counts rows of the chunk."""
        return self._numbers(torch.rand, tuple(shape), row_dim, dtype=dtype, device=device)

    def per_row(
        self, shape: tuple[int, ...], *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Tensor:
        """Standard normal numbers ``(n, B, ...)``, the same ones for every chunk of a row's draws."""
        call = next(self.calls)
        rest = (shape[0], *shape[2:])
        numbers = [self._seeded(torch.randn, rest, call, row, -1, dtype=dtype, device=device) for row in self.rows]
        return torch.stack(numbers, 1)

    def _numbers(self, make: Callable[..., Tensor], shape: tuple[int, ...], row_dim: int, **like: Any) -> Tensor:
        own = len(shape) > row_dim and shape[row_dim] == len(self.rows)
        if own and row_dim == 1 and shape[0] == len(self.draws):
            return self._by_draw(make, shape, **like)
        if own:
            return self._by_row(make, shape, row_dim, **like)
        return make(shape, generator=self.generator, **like)

    def _by_draw(self, make: Callable[..., Tensor], shape: tuple[int, ...], **like: Any) -> Tensor:
        call, out = next(self.calls), torch.empty(shape, **like)
        for i, row in enumerate(self.rows):
            for tile in range(self.draws.start // TILE, (self.draws.stop - 1) // TILE + 1):
                first, last = tile * TILE, min((tile + 1) * TILE, self.k)
                numbers = self._seeded(make, (last - first, *shape[2:]), call, self._own(row), tile, **like)
                a, b = max(first, self.draws.start), min(last, self.draws.stop)
                out[a - self.draws.start : b - self.draws.start, i] = numbers[a - first : b - first]
        return out

    def _by_row(self, make: Callable[..., Tensor], shape: tuple[int, ...], row_dim: int, **like: Any) -> Tensor:
        call, rest = next(self.calls), shape[:row_dim] + shape[row_dim + 1 :]
        numbers = [self._seeded(make, rest, call, self._own(row), self.draws.start, **like) for row in self.rows]
        return torch.stack(numbers, row_dim)

    def _own(self, row: int) -> int:
        return 0 if self.common else row

    def _seeded(self, make: Callable[..., Tensor], shape: tuple[int, ...], *path: int, **like: Any) -> Tensor:
        if self.generator is not None:
            self.generator.manual_seed(derive(self.seed, *path))
        return make(shape, generator=self.generator, **like)


_ALIKE: ContextVar[bool] = ContextVar("alike rows", default=False)


@contextmanager
def alike() -> Iterator[None]:
    """Let rows that are alike have one number inside the block, so that a draw follows from the row alone.

    Example:
        >>> with alike():
        ...     keys = RowKeys()
        >>> len(set(keys(Batch(torch.ones(2, 1)))))
        1
    """
    token = _ALIKE.set(True)
    try:
        yield
    finally:
        _ALIKE.reset(token)


class RowKeys:
    """Numbers of rows by what is in them: values that it has and were seen, condition, known label, length.

    Args:
        repeated: Let rows that are alike have one number, for answers that must be alike; else the second, third, …
            of them gets one of its own, so that draws for equal rows are not one draw.

    Example:
        >>> rows = Batch(torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        >>> a, b = RowKeys()(rows), RowKeys()(rows.take(torch.tensor([1, 0])))
        >>> a[:2] == b[::-1], a[0] == a[2], len(set(RowKeys(repeated=True)(rows)))
        (True, False, 2)
    """

    MOST = 2**20
    """Different rows that are remembered; memory does not grow with the rows beyond that."""

    def __init__(self, *, repeated: bool = False) -> None:
        self.repeated = repeated or _ALIKE.get()
        self._seen: dict[int, int] = {}

    def __call__(self, batch: Batch) -> tuple[int, ...]:
        """Return the numbers of the next rows."""
        found = [int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "big") for row in _contents(batch)]
        return tuple(found if self.repeated else (self._apart(key) for key in found))

    def _apart(self, key: int) -> int:
        times = self._seen.get(key, 0)
        if times or len(self._seen) < self.MOST:
            self._seen[key] = times + 1
        return derive(key, times) if times else key


def _contents(batch: Batch) -> Any:
    """Return what is in each row as bytes, ``(B, n)``."""
    xs = {"": batch.x} if not isinstance(batch.x, dict) else dict(sorted(batch.x.items()))
    seen = batch.seen
    lengths = batch.lengths if isinstance(batch.lengths, dict) else {"": batch.lengths}
    parts: list[tuple[Tensor | None, Tensor | None]] = [(x, seen[name]) for name, x in xs.items()]
    parts += [(seen[name], None) for name in xs]
    parts += [(batch.c, None), (batch.y, batch.y_known), (batch.y_known, None)]
    parts += [(lengths.get(name), None) for name in xs]
    held = [v if seen is None else torch.where(seen, v, torch.zeros_like(v)) for v, seen in parts if v is not None]
    plain = [(v.detach().cpu() + 0 if v.is_floating_point() else v.cpu()).flatten(1 if v.ndim > 1 else 0) for v in held]
    return np.concatenate([v.reshape(len(v), -1).contiguous().view(torch.uint8).numpy() for v in plain], 1)
