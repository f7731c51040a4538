"""Noise that is asked for once to see what is needed, and then handed in from outside: draws as functions of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..core.errors import CombinationError
from ..core.random import Noise, using


@dataclass(frozen=True)
class AskedNoise:
    """Numbers that a draw asked for.

    Args:
        like: ``normal`` or ``uniform``.
        shape: Their shape.
        dtype: Their precision.
    """

    like: str
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Recorder(Noise):
    """Noise that notes what it was asked for, and the numbers that it gave."""

    asked: list[AskedNoise] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)
    same: bool = False

    @property
    def fixed(self) -> bool:
        """Yes: what is asked for here is what is handed in later."""
        return True

    def apart(self) -> Noise:
        """Return itself, for there is one list of what is asked for."""
        return self

    def normal(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Standard normal numbers."""
        return self._note("normal", torch.randn, tuple(shape), row_dim, like.get("dtype"))

    def uniform(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Uniform numbers."""
        return self._note("uniform", torch.rand, tuple(shape), row_dim, like.get("dtype"))

    def per_row(self, shape: tuple[int, ...], **like: Any) -> Tensor:
        """Standard normal numbers."""
        return self.normal(shape, **like)

    def _note(
        self, like: str, make: Callable[..., Tensor], shape: tuple[int, ...], row_dim: int, dtype: torch.dtype | None
    ) -> Tensor:
        kind = dtype or torch.float32
        one = (*shape[:row_dim], 1, *shape[row_dim + 1 :]) if self.same and len(shape) > row_dim else shape
        numbers = make(one, generator=self.generator, dtype=kind)
        self.asked.append(AskedNoise(like, shape, kind))
        self.given.append(numbers)
        return numbers.expand(shape)


@dataclass(frozen=True)
class Replay(Noise):
    """Noise that gives the numbers it was handed, in the order in which they are asked for."""

    given: list[Tensor] = field(default_factory=list)
    next: list[int] = field(default_factory=lambda: [0])

    @property
    def fixed(self) -> bool:
        """Yes: there are no other numbers."""
        return True

    def apart(self) -> Noise:
        """Return itself, for there is one list of numbers."""
        return self

    def normal(self, shape: tuple[int, ...], **like: Any) -> Tensor:
        """The next numbers."""
        return self._take(shape)

    def uniform(self, shape: tuple[int, ...], **like: Any) -> Tensor:
        """The next numbers."""
        return self._take(shape)

    def per_row(self, shape: tuple[int, ...], **like: Any) -> Tensor:
        """The next numbers."""
        return self._take(shape)

    def _take(self, shape: tuple[int, ...]) -> Tensor:
        self.next[0] += 1
        return self.given[self.next[0] - 1].expand(shape)


@dataclass(frozen=True)
class Wanted:
    """Noise that a graph takes as an input.

    Args:
        like: ``normal`` or ``uniform``.
        shape: Its shape, ``None`` for the axis that counts rows.
        dtype: Its precision.
    """

    like: str
    shape: tuple[int | None, ...]
    dtype: torch.dtype

    def example(self, n: int, seed: int) -> Tensor:
        """Return numbers for ``n`` rows."""
        own = torch.Generator().manual_seed(seed)
        make = torch.randn if self.like == "normal" else torch.rand
        return make(tuple(n if s is None else s for s in self.shape), generator=own, dtype=self.dtype)


def wanted(draw: Callable[[int], object], what: str) -> tuple[Wanted, ...]:
    """Return the noise that a draw of ``n`` rows asks for.

    Args:
        draw: Draws so many rows, from the ambient noise.
        what: What is drawn, for messages.

    Raises:
        CombinationError: It takes numbers from elsewhere, or another number of them each time.
    """
    few, many = (_asked(draw, n, what) for n in (3, 5))
    same = len(few) == len(many) and all(_alike(a, b) for a, b in zip(few, many, strict=True))
    if not same:
        raise CombinationError(
            f"An exported draw takes a fixed number of random numbers for each row, but {what} takes as many as its "
            "values need. Draw with the run itself."
        )
    return tuple(Wanted(a.like, _axes(a.shape, b.shape), a.dtype) for a, b in zip(few, many, strict=True))


def _asked(draw: Callable[[int], object], n: int, what: str) -> list[AskedNoise]:
    before = torch.random.get_rng_state()
    heard = Recorder(torch.Generator().manual_seed(0))
    with using(heard), torch.no_grad():
        draw(n)
    if not torch.equal(before, torch.random.get_rng_state()):
        torch.random.set_rng_state(before)
        raise CombinationError(
            f"An exported draw is made from random numbers that it is given, but {what} has a sampler of torch. "
            "Draw with the run itself, or choose a likelihood or prior that is drawn from standard noise."
        )
    return heard.asked


def _alike(a: AskedNoise, b: AskedNoise) -> bool:
    sizes = all(x == y or (x, y) == (3, 5) for x, y in zip(a.shape, b.shape, strict=False))
    return (a.like, a.dtype, len(a.shape)) == (b.like, b.dtype, len(b.shape)) and sizes


def _axes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if x != y else x for x, y in zip(a, b, strict=True))
