"""All randomness starts here: seeds fork the generator, and latent noise comes from one ambient source.

Noise is a function of *(seed, step, row)* and of nothing else: a resumed run, a run on several processes and a run
with gradient accumulation draw the same numbers for the same row of the same global batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from math import prod
from threading import RLock
from typing import Any

from .later import Tensor, torch


def derive(seed: int, *path: int | str) -> int:
    """Return a seed for a named purpose, independent of every other path (63 bits of SHA-256).

    Example:
        >>> derive(0, "split") == derive(0, "split"), derive(0, "split") == derive(0, "step", 1)
        (True, False)
    """
    text = "/".join(str(p) for p in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Noise:
    """A source of standard noise for the rows ``offset .. offset + B`` of a global batch of ``total`` rows.

    Args:
        generator: Where the numbers come from; ``None`` is torch's global generator.
        offset: Position of the first local row in the global batch.
        total: Rows of the global batch; ``None`` means the local rows are all there are.
        point: Draw nothing: every draw is the point that stands for its distribution
            (see ``senzai.distributions.point``), every standard number the middle of its distribution.
        spread: Factor on normal numbers: the temperature of what is drawn from them.

    Example:
        >>> whole = Noise.seeded(3).normal((2, 6, 1))
        >>> part = Noise.seeded(3, offset=4, total=6).normal((2, 2, 1))
        >>> bool((whole[:, 4:] == part).all())
        True
    """

    generator: torch.Generator | None = None
    offset: int = 0
    total: int | None = None
    point: bool = False
    spread: float = 1.0

    @classmethod
    def seeded(
        cls, seed: int, *, device: torch.device | str = "cpu", offset: int = 0, total: int | None = None
    ) -> Noise:
        """Return a source with its own generator on ``device``."""
        generator = torch.Generator(device)
        generator.manual_seed(seed)
        return cls(generator, offset, total)

    @property
    def fixed(self) -> bool:
        """Whether as many numbers have to be asked for whatever they are: of what is traced, loops have a fixed end."""
        return False

    def apart(self) -> Noise:
        """Return a source for the same rows that is seeded by one number of this one.

        Drawing from it (by rejection, say, until the slowest row is accepted) does not change what this one draws next.
        torch's global generator cannot be split; a source that uses it is returned as it is.

        Example:
            >>> a, b = Noise.seeded(0), Noise.seeded(0)
            >>> _ = a.apart().normal((2, 1)), b.apart().normal((9, 1))
            >>> bool((a.normal((1, 3)) == b.normal((1, 3))).all())
            True
        """
        if self.generator is None or self.point:
            return self
        device = self.generator.device
        generator = torch.Generator(device)
        generator.manual_seed(int(torch.randint(2**62, (), generator=self.generator, device=device)))
        return replace(self, generator=generator)

    def _rows(self, shape: tuple[int, ...], row_dim: int) -> tuple[tuple[int, ...], slice | None]:
        if self.total is None or len(shape) <= row_dim:
            return shape, None
        rows = shape[row_dim]
        return (*shape[:row_dim], self.total, *shape[row_dim + 1 :]), slice(self.offset, self.offset + rows)

    def normal(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Standard normal numbers of ``shape``; axis ``row_dim`` counts rows of the batch."""
        if self.point:
            return torch.zeros(tuple(shape), dtype=dtype, device=device)
        full, rows = self._rows(tuple(shape), row_dim)
        out = torch.randn(full, generator=self.generator, dtype=dtype, device=device)
        out = out if self.spread == 1.0 else self.spread * out
        return out if rows is None else out.narrow(row_dim, rows.start, rows.stop - rows.start)

    def per_row(
        self, shape: tuple[int, ...], *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Tensor:
        """Standard normal numbers ``(n, B, ...)`` that belong to the rows, whichever draws of them are looked at.

        Where nothing is drawn, they are always the same ones, alike for all rows.
        """
        if not self.point:
            return self.normal(shape, dtype=dtype, device=device)
        fixed = torch.Generator()
        fixed.manual_seed(0)
        one = torch.randn((shape[0], 1, *shape[2:]), generator=fixed, dtype=dtype)
        return one.to(device or "cpu").expand(shape)

    def uniform(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform numbers in [0, 1) of ``shape``; axis ``row_dim`` counts rows of the batch."""
        if self.point:
            return torch.full(tuple(shape), 0.5, dtype=dtype, device=device)
        full, rows = self._rows(tuple(shape), row_dim)
        out = torch.rand(full, generator=self.generator, dtype=dtype, device=device)
        return out if rows is None else out.narrow(row_dim, rows.start, rows.stop - rows.start)


@dataclass(frozen=True)
class LaterRows(Noise):
    """The numbers of ``inner`` for a distribution whose first ``lead`` batch axes count draws, and the next one rows.

    Example:
        >>> a = LaterRows.of(Noise.seeded(0), 1).normal((4, 3, 2), row_dim=0)
        >>> bool((a == Noise.seeded(0).normal((4, 3, 2), row_dim=1)).all())
        True
    """

    inner: Noise = Noise()
    lead: int = 1

    @classmethod
    def of(cls, inner: Noise, lead: int) -> Noise:
        """Return ``inner`` seen through that shift."""
        if not lead:
            return inner
        return cls(
            inner.generator, inner.offset, inner.total, inner.point, inner.spread, inner=inner, lead=lead
        )

    @property
    def fixed(self) -> bool:
        """Whether that of ``inner`` is."""
        return self.inner.fixed

    def apart(self) -> Noise:
        """Return ``inner``'s seen through the shift."""
        return LaterRows.of(self.inner.apart(), self.lead)

    def normal(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Standard normal numbers of ``shape``; axis ``row_dim + lead`` counts rows of the batch."""
        return self.inner.normal(shape, row_dim=row_dim + self.lead, dtype=dtype, device=device)

    def uniform(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform numbers of ``shape``; axis ``row_dim + lead`` counts rows of the batch."""
        return self.inner.uniform(shape, row_dim=row_dim + self.lead, dtype=dtype, device=device)


@dataclass(frozen=True)
class CopiedRows(Noise):
    """The numbers of ``inner`` for a batch that is ``classes * draws`` copies of the true one, copy after copy.

    Copies of one draw for different classes, and of different draws, get numbers of their own, and a row's numbers
    stay those of the row: they do not depend on how many other rows there are.

    Example:
        >>> copied = CopiedRows.of(Noise.seeded(0, total=6), classes=2, draws=3)
        >>> copied.normal((1, 2 * 3 * 4, 5)).shape  # four of the six rows
        torch.Size([1, 24, 5])
    """

    inner: Noise = Noise()
    classes: int = 1
    draws: int = 1

    @classmethod
    def of(cls, inner: Noise, *, classes: int = 1, draws: int = 1) -> Noise:
        """Return ``inner`` seen through the copies."""
        return cls(
            inner.generator, inner.offset, None, inner.point, inner.spread, inner=inner, classes=classes, draws=draws
        )

    @property
    def fixed(self) -> bool:
        """Whether that of ``inner`` is."""
        return self.inner.fixed

    def apart(self) -> Noise:
        """Return ``inner``'s seen through the copies."""
        return CopiedRows.of(self.inner.apart(), classes=self.classes, draws=self.draws)

    def _ask(self, ask: Callable[..., Tensor], shape: tuple[int, ...], row_dim: int, **like: Any) -> Tensor:
        copies = self.classes * self.draws
        if len(shape) <= row_dim or shape[row_dim] % copies:
            return ask(shape, row_dim=row_dim, **like)
        lead, rows, rest = shape[:row_dim], shape[row_dim] // copies, shape[row_dim + 1 :]
        n = prod(lead)
        wide = (n * self.draws, rows, *((self.classes,) if self.classes > 1 else ()), *rest)
        out = ask(wide, row_dim=1, **like).reshape(n, self.draws, rows, self.classes, *rest)
        return out.permute(0, 3, 1, 2, *range(4, out.ndim)).reshape(shape)

    def normal(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Standard normal numbers of ``shape``; axis ``row_dim`` counts copies of the rows."""
        return self._ask(self.inner.normal, tuple(shape), row_dim, dtype=dtype, device=device)

    def uniform(
        self, shape: tuple[int, ...], *, row_dim: int = 1, dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform numbers of ``shape``; axis ``row_dim`` counts copies of the rows."""
        return self._ask(self.inner.uniform, tuple(shape), row_dim, dtype=dtype, device=device)


_AMBIENT: ContextVar[Noise] = ContextVar("senzai_noise", default=Noise())


def current_noise() -> Noise:
    """Return the noise source in force."""
    return _AMBIENT.get()


@contextmanager
def using(noise: Noise) -> Iterator[Noise]:
    """Draw from ``noise`` inside the block."""
    token = _AMBIENT.set(noise)
    try:
        yield noise
    finally:
        _AMBIENT.reset(token)


GLOBAL = RLock()
"""Held while torch's global generators are seeded and drawn from: threads share them."""
_FORKED: ContextVar[bool] = ContextVar("senzai_forked", default=False)
_BEFORE: dict[str, Any] = {}
"""What the global generators were before the first of the threads that are in a :func:`forked` block, by device."""
_THREADS: dict[str, int] = {}


def reseed(seed: int, *, device: torch.device | str = "cpu") -> None:
    """Seed torch's global generators inside a :func:`forked` block (dropout draws from them).

    Only the CPU's and that of ``device``: ``torch.manual_seed`` also notes down a stack trace for each kind of device
    that is not there, which takes as long as a small training step, and keeps it.
    """
    torch.default_generator.manual_seed(seed)
    where = torch.device(device)
    if where.type == "cuda":
        with torch.cuda.device(where):
            torch.cuda.manual_seed(seed)


@contextmanager
def forked(seed: int | None, *, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed everything inside the block and leave the caller's random state as it was.

    ``seed=None`` takes the numbers as they come: the block continues the caller's random state. Several threads may be
    in such blocks: who draws from the global generators there seeds them and draws under ``GLOBAL``, and the last
    thread that leaves puts back what was there before the first came.

    Example:
        >>> with forked(1):
        ...     a = torch.rand(1)
        >>> with forked(1):
        ...     b = torch.rand(1)
        >>> bool(a == b)
        True
    """
    if seed is None:
        yield
        return
    where = torch.device(device)
    with _put_back("cpu"), _put_back(str(where)) if where.type == "cuda" else nullcontext():
        token = _FORKED.set(True)
        try:
            with GLOBAL:
                reseed(seed, device=where)
            with using(Noise.seeded(derive(seed, "noise"), device=where)):
                yield
        finally:
            _FORKED.reset(token)


@contextmanager
def _put_back(device: str) -> Iterator[None]:
    """Leave a global generator as it was: for a block inside another at its end, else when no thread is in one."""
    state, put = _state_of(device)
    inner = _FORKED.get()
    with GLOBAL:
        before = state()
        if not inner:
            _THREADS[device] = _THREADS.get(device, 0) + 1
            _BEFORE.setdefault(device, before)
    try:
        yield
    finally:
        with GLOBAL:
            if inner:
                put(before)
            else:
                _THREADS[device] -= 1
                if not _THREADS[device]:
                    put(_BEFORE.pop(device))


def _state_of(device: str) -> tuple[Callable[[], Tensor], Callable[[Tensor], None]]:
    """Return how the state of a global generator is read and written."""
    if device == "cpu":
        return torch.random.get_rng_state, torch.random.set_rng_state
    return lambda: torch.cuda.get_rng_state(device), lambda state: torch.cuda.set_rng_state(state, device)
