"""One pass over the user's values, block by block, that collects facts about them and refuses unusable values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from senzai.core.errors import InputError

from .rows import Array

BLOCK = 2**22
MAX_DECIMALS = 6
MAX_ROUNDED_COLUMNS = 10_000
FLOAT32_MAX = float(np.finfo(np.float32).max)
COARSE = 1e-4
"""Step of 32-bit numbers, as a share of the range of a feature, above which they are too coarse for it."""

GRIDS = ("divide", "divide32", "multiply", "multiply32")
"""How 8-bit values became floats: k/255 or k*(1/255), in the user's precision or in float32 first."""


def grid_table(grid: str, dtype: str) -> Array:
    """Return the 256 floats that 8-bit values became.

    Example:
        >>> float(grid_table("divide", "float32")[51])
        0.20000000298023224
    """
    target = np.dtype(dtype)
    work = np.dtype(np.float32) if grid.endswith("32") else target
    k = np.arange(256).astype(work)
    full = work.type(255)
    table = k / full if grid.startswith("divide") else k * (work.type(1) / full)
    return np.asarray(table.astype(target))


def blocks(x: Array) -> Iterator[tuple[int, Array]]:
    """Yield ``(first row, rows)`` in blocks of at most about four million values."""
    step = max(1, BLOCK // max(1, int(np.prod(x.shape[1:], dtype=np.int64))))
    for start in range(0, len(x), step):
        yield start, np.asarray(x[start : start + step])


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFacts:
    """What all observed values have in common.

    Args:
        low: Least value.
        high: Greatest value.
        whole: All are whole numbers.
        zero_one: All are 0 or 1.
        zero_full: All are 0 or 255.
        grid: How 8-bit values became these floats, if they did.
        on_grid: How many different 8-bit values were seen.
        n_missing: How many entries are NaN.
        constant: Features (of two-dimensional data) that have one value only.
        decimals: Decimals that each feature is rounded to, ``None`` where it is not rounded.
        offset: What each feature (or all data that have no features) is counted from, 0 where 32-bit numbers are fine
            enough; empty where none is.
        reach: Range of the values of a feature, the lower quartile of the features that vary.
    """

    low: float
    high: float
    whole: bool
    zero_one: bool = False
    zero_full: bool = False
    grid: str | None = None
    on_grid: int = 0
    n_missing: int = 0
    constant: tuple[int, ...] = ()
    decimals: tuple[int | None, ...] = ()
    offset: tuple[float, ...] = ()
    reach: float = 1.0


def bytes_facts() -> ValueFacts:
    """Return the facts of 8-bit images that were not all looked at."""
    return ValueFacts(low=0, high=255, whole=True)


class _Survey:
    """Facts while they are collected."""

    def __init__(self, x: Array) -> None:
        self.dtype, self.shape = x.dtype, x.shape[1:]
        self.flat = x.ndim == 2
        self.low = np.full(self.shape if self.flat else (), np.inf)
        self.high = -self.low
        self.whole = self.zero_one = self.zero_full = True
        self.grids = [(g, grid_table(g, x.dtype.name)) for g in GRIDS] if x.dtype.kind == "f" else []
        self.seen = np.zeros(256, dtype=bool)
        self.n_missing = 0
        rounds = x.dtype.kind == "f" and self.flat and x.shape[1] <= MAX_ROUNDED_COLUMNS
        self.decimals = np.zeros(x.shape[1] if rounds else 0, dtype=np.int64)

    def see(self, block: Array) -> None:
        if block.dtype == np.uint8 and not self.flat:
            self._bytes(block)
            return
        gone = np.isnan(block) if block.dtype.kind == "f" else np.zeros((), dtype=bool)
        self.n_missing += int(gone.sum())
        axes = 0 if self.flat else None
        self.low = np.minimum(self.low, np.where(gone, np.inf, block).min(axis=axes))
        self.high = np.maximum(self.high, np.where(gone, -np.inf, block).max(axis=axes))
        values = block[~gone] if gone.any() else block.reshape(-1)
        self._kinds(values)
        self._round(block, gone)

    def _bytes(self, block: Array) -> None:
        present = np.flatnonzero(np.bincount(block.reshape(-1), minlength=256))
        self.low, self.high = np.minimum(self.low, present[0]), np.maximum(self.high, present[-1])
        self.zero_one = self.zero_one and bool((present <= 1).all())
        self.zero_full = self.zero_full and bool(np.isin(present, (0, 255)).all())

    def _kinds(self, values: Array) -> None:
        if self.zero_one and values.dtype != np.bool_:
            self.zero_one = bool(((values == 0) | (values == 1)).all())
        self.zero_full = self.zero_full and bool(((values == 0) | (values == 255)).all())
        if values.dtype.kind != "f":
            return
        self.whole = self.whole and bool((values == np.rint(values)).all())
        if self.grids and bool(((values < 0) | (values > 1)).any()):
            self.grids = []
        if self.grids:
            k = np.rint(values * values.dtype.type(255)).astype(np.int64)
            self.seen[np.unique(k)] = True
            self.grids = [(g, table) for g, table in self.grids if (table[k] == values).all()]

    def _round(self, block: Array, gone: Array) -> None:
        for d in range(MAX_DECIMALS + 1):
            ask = np.flatnonzero(self.decimals == d)
            if not len(ask):
                continue
            part = block[:, ask].astype(np.float64)
            same = (np.round(part, d) == part) | (gone[:, ask] if gone.ndim else False)
            self.decimals[ask[~same.all(axis=0)]] = d + 1

    def facts(self) -> ValueFacts:
        known = self.high >= self.low
        low, high = float(self.low.min()), float(self.high.max())
        constant = np.flatnonzero(known & (self.low == self.high)) if self.flat else ()
        grid = self.grids[0][0] if self.grids and not self.zero_one else None
        return ValueFacts(
            low=low, high=high, whole=self.whole, zero_one=self.zero_one, zero_full=self.zero_full, grid=grid,
            on_grid=int(self.seen.sum()), n_missing=self.n_missing, constant=tuple(int(i) for i in constant),
            decimals=self._decimals(), offset=self._offset(), reach=self._reach(),
        )

    def _offset(self) -> tuple[float, ...]:
        """Give features that lie far from zero, for how little they vary, the middle of their values to count from."""
        span, size = self.high - self.low, np.maximum(np.abs(self.low), np.abs(self.high))
        coarse = (span > 0) & np.isfinite(span) & (size * 2.0**-23 > COARSE * span)
        with np.errstate(over="ignore", invalid="ignore"):  # where nothing was seen, or the middle is no single
            middle = np.where(coarse, np.float32(self.low / 2 + self.high / 2), 0.0).reshape(-1)
        return tuple(float(m) for m in middle) if middle.any() else ()

    def _reach(self) -> float:
        span = np.atleast_1d(self.high - self.low)
        varying = np.sort(span[(span > 0) & np.isfinite(span)])
        return float(varying[(len(varying) - 1) // 4]) if len(varying) else 1.0

    def _decimals(self) -> tuple[int | None, ...]:
        """Keep the rounding only where float32 is fine enough to come back to the very same decimal."""
        if not len(self.decimals):
            return ()
        far = np.array(self._offset() or (0.0,))
        size = np.maximum(np.abs(self.low - far), np.abs(self.high - far))
        fine = (self.decimals <= MAX_DECIMALS) & (size * 2.0**-24 < 0.4 * 10.0**-self.decimals)
        return tuple(int(d) if ok else None for d, ok in zip(self.decimals, fine, strict=True))


def survey(x: Array, *, columns: tuple[str | int, ...] | None = None, missing: str = "error") -> ValueFacts:
    """Look at every value once.

    Raises:
        InputError: A value is infinite, not representable, or missing where that was not allowed.

    Example:
        >>> facts = survey(np.array([[0.5, 2.0], [0.25, 2.0]]))
        >>> facts.low, facts.high, facts.constant, facts.decimals
        (0.25, 2.0, (1,), (2, 0))
    """
    found = _Survey(x)
    for start, block in blocks(x):
        refuse_unusable(block, start=start, columns=columns, missing=missing, whole=x)
        found.see(block)
    facts = found.facts()
    if not facts.high >= facts.low:
        raise InputError("Data need at least one observed value, but every entry is missing. Check how they were read.")
    if max(-facts.low, facts.high) > FLOAT32_MAX:
        raise InputError(
            f"Values must be within ±{FLOAT32_MAX:.1e} (32-bit numbers), but got {facts.low:g} to {facts.high:g}. "
            "Rescale the data, for example to other units."
        )
    return facts


def refuse_unusable(
    block: Array,
    *,
    start: int = 0,
    columns: tuple[str | int, ...] | None = None,
    missing: str = "error",
    whole: Array | None = None,
) -> None:
    """Refuse infinite values, and NaN unless ``missing`` is "keep"; the first three are named.

    Args:
        block: The rows to look at.
        start: Number of the first of them.
        columns: Names of the features, where they have names.
        missing: "keep" lets NaN pass.
        whole: All rows, to say how many bad values there are in all; the block otherwise.
    """
    bad = _unusable(block, missing)
    if not bad.any():
        return
    at = np.argwhere(bad)[:3]
    first = "; ".join(f"{_place(where, start, columns)} is {block[tuple(where)]}" for where in at)
    n = sum(int(_unusable(b, missing).sum()) for _, b in blocks(block if whole is None else whole))
    instead = "" if missing == "keep" else ", or set the option missing='keep' to treat NaN as not observed"
    raise InputError(
        f"Values must be finite, but {n} {'is' if n == 1 else 'are'} not: {first}{'; ...' if n > len(at) else ''} "
        f"(rows and columns count from 0). Fill them in, drop those rows{instead}."
    )


def _unusable(block: Array, missing: str) -> Array:
    if block.dtype.kind != "f":
        return np.zeros(1, dtype=bool)
    return np.isinf(block) if missing == "keep" else ~np.isfinite(block)


def _place(where: Array, start: int, columns: tuple[str | int, ...] | None) -> str:
    row, *rest = (int(i) for i in where)
    if columns is not None:
        return f"row {row + start}, column {columns[rest[0]]!r}"
    return f"row {row + start}, {'column' if len(rest) == 1 else 'position'} {', '.join(str(i) for i in rest)}"
