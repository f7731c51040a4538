"""The family of tables: columns of different types, each with its own distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

from senzai.core.errors import SettingError
from senzai.core.examples import example
from senzai.core.spec import part

from .columns import Groups, MixedColumns, taken
from .counts import LOG_DISPERSION_LIMIT, LOG_MEAN_LIMIT, NegativeBinomial, log_count, log_dispersion_of
from .family import Family, Support, Unit, over_event, weighted_mean
from .inflated import NEAR, Inflated
from .location import StudentT
from .numeric import (
    half_count,
    need_at_least,
    need_positive,
    positive,
    positive_raw,
    start_moments,
    tame,
    weighted_moments,
)
from .side_by_side import SideBySide, side_by_side
from .steps import WIDE, Steps

SORTS = ("normal", "student_t", "steps", "count", "binary", "category")
"""How a column can be distributed; a column's raw numbers are, in this order of sorts, side by side."""


@dataclass(frozen=True)
class Layout:
    """Where the columns of one group are, and where their raw numbers.

    Args:
        sort: Type of distribution.
        columns: Columns of the group, ``(d_g,)``.
        raw: Places of their raw numbers, ``(d_g, n)``.
        real: True where a place is one and not filling (categories), ``(d_g, n)``; ``None``: everywhere.
        spike: The value of each that has a probability of its own, ``(d_g,)``; ``None``: of none.
    """

    sort: str
    columns: Tensor
    raw: Tensor
    real: Tensor | None = None
    spike: Tensor | None = None

    def to(self, device: torch.device) -> Layout:
        """Return the same on a device."""
        real, spike = (None if t is None else t.to(device) for t in (self.real, self.spike))
        return Layout(self.sort, self.columns.to(device), self.raw.to(device), real, spike)


@dataclass(frozen=True)
class ColumnConstants:
    """What a family knows about its columns, on one device and in one precision."""

    layouts: tuple[Layout, ...]
    cuts: list[Tensor | None]
    back: Tensor
    order: SideBySide


N_RAW = {"normal": 2, "student_t": 3, "steps": 2, "count": 2, "binary": 1}


@part("family", "mixed")
@example(data="mixed", excused={"density": "Its columns have supports of their own; `support` cannot say so."})
@final
@dataclass(frozen=True, kw_only=True)
class MixedFamily(Family):
    r"""Rows whose columns have different types: the likelihood of tables.

    Sorts of columns: ``normal`` and ``student_t`` (location, scale), ``steps`` (ordered values with known cut points,
    see :class:`Steps`), ``count`` (negative binomial), ``binary`` (Bernoulli), ``category`` (categorical). Columns of
    one sort are computed together; categories in groups of about equal size.

    Args:
        sorts: Sort of each column.
        sizes: Number of values of each column, 0 for numbers.
        cuts: Cut points of each column of the sort ``steps``, ascending, in the order of those columns.
        spikes: For each column, a value that has a probability of its own (see :class:`Inflated`), its log odds being
            the last raw number, or ``None``; nothing: for no column. Numbers, steps and counts can have one.
        floor: Least scale.

    Example:
        >>> family = MixedFamily(sorts=("normal", "category"), sizes=(0, 3), cuts=())
        >>> family.raw_shape((2,))
        (5,)
        >>> family(torch.zeros(4, 5), (2,)).log_prob(torch.tensor([0.0, 2.0])).shape
        torch.Size([4])
    """

    sorts: tuple[str, ...]
    sizes: tuple[int, ...]
    cuts: tuple[tuple[float, ...], ...] = ()
    spikes: tuple[float | None, ...] = ()
    floor: float = 0.1
    support: ClassVar[Support] = "mixed"

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)
        if not self.sorts or len(self.sorts) != len(self.sizes):
            raise SettingError(
                f"Every column has a sort and a size, but got {len(self.sorts)} sorts and {len(self.sizes)} sizes."
            )
        if unknown := sorted(set(self.sorts) - set(SORTS)):
            raise SettingError(f"A column is one of {', '.join(SORTS)}, but got {unknown[0]!r}.")
        for sort, size in zip(self.sorts, self.sizes, strict=True):
            if sort in ("steps", "category"):
                need_at_least("sizes", size, 2)
        stepped = [size for sort, size in zip(self.sorts, self.sizes, strict=True) if sort == "steps"]
        if [len(c) + 1 for c in self.cuts] != stepped:
            raise SettingError("Every column of steps has one cut point less than it has values.")
        if self.spikes and len(self.spikes) != len(self.sorts):
            raise SettingError(
                f"Every column has a spike or None, but got {len(self.spikes)} for {len(self.sorts)} columns."
            )
        for sort, spike in zip(self.sorts, self.spikes or (), strict=False):
            if spike is not None and sort in ("binary", "category"):
                raise SettingError(f"Numbers, steps and counts can have a spike, but a column is of the sort {sort!r}.")

    # --- raw numbers ------------------------------------------------------------------------------------------------
    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many raw numbers each column has."""
        pairs = zip(self.sorts, self.sizes, strict=True)
        spiked = [s is not None for s in self.spikes] or [False] * len(self.sorts)
        plain = (size if sort == "category" else N_RAW[sort] for sort, size in pairs)
        return tuple(n + s for n, s in zip(plain, spiked, strict=True))

    def _spike(self, column: int) -> float | None:
        return self.spikes[column] if self.spikes else None

    @property
    def raw_names(self) -> tuple[str, ...]:
        """One name per raw number: the column and the place in it."""
        return tuple(f"{i}.{j}" for i, n in enumerate(self.widths) for j in range(n))

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """All raw numbers in one row, column after column."""
        if tuple(event) != (len(self.sorts),):
            raise SettingError(f"This family has {len(self.sorts)} columns, but the event is {event}.")
        return (sum(self.widths),)

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The groups of columns."""
        starts = torch.tensor([0, *self.widths]).cumsum(0)
        found = []
        for sort, columns in self._grouped():
            at = torch.tensor(columns)
            width = torch.tensor([self.widths[i] for i in columns])
            offset = torch.arange(int(width.max()))
            real = offset < width[:, None]
            raw = starts[at][:, None] + torch.where(real, offset, torch.zeros_like(offset))
            spikes = [s for s in map(self._spike, columns) if s is not None]
            spike = torch.tensor(spikes, dtype=torch.float64) if spikes else None
            found.append(Layout(sort, at, raw, real if sort == "category" else None, spike))
        return tuple(found)

    def _grouped(self) -> list[tuple[str, list[int]]]:
        """Columns by sort; categories of about the same size together, so that little is filled up and computed.

        Steps only look their cut points up, in a table that is filled up.
        """
        groups: dict[tuple[int, int, bool], list[int]] = {}
        for i, (sort, size) in enumerate(zip(self.sorts, self.sizes, strict=True)):
            large = (size - 1).bit_length() // 2 if sort == "category" else 0
            groups.setdefault((SORTS.index(sort), large, self._spike(i) is not None), []).append(i)
        return [(SORTS[sort], columns) for (sort, *_), columns in sorted(groups.items())]

    @cached_property
    def back(self) -> Tensor:
        """Place of each column when the groups stand one after the other."""
        return torch.argsort(torch.cat([g.columns for g in self.layouts]))

    @cached_property
    def _cut_of(self) -> dict[int, tuple[float, ...]]:
        stepped = [i for i, sort in enumerate(self.sorts) if sort == "steps"]
        return dict(zip(stepped, self.cuts, strict=True))

    @cached_property
    def _placed(self) -> dict[Any, ColumnConstants]:
        return {}

    def _on(self, like: Tensor) -> ColumnConstants:
        """Return what is known about columns where ``like`` is and in its precision, made once."""
        device, key = like.device, (like.device, like.dtype)
        if key not in self._placed:
            cuts = [self.table_of_cuts(g.columns.tolist()) if g.sort == "steps" else None for g in self.layouts]
            self._placed[key] = ColumnConstants(
                tuple(g.to(device) for g in self.layouts), [None if c is None else c.to(like) for c in cuts],
                self.back.to(device), self.order.to(like),
            )
        return self._placed[key]

    @cached_property
    def order(self) -> SideBySide:
        """How columns are scored together."""
        stepped = [i for i, sort in enumerate(self.sorts) if sort == "steps"]
        cuts = self.table_of_cuts(stepped) if stepped else torch.zeros(0, 0, dtype=torch.float64)
        spikes = self.spikes or (None,) * len(self.sorts)
        return side_by_side(self.sorts, self.sizes, self.widths, spikes, cuts, floor=self.floor)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density of each column of ``x``, ``(*lead, d)``, given raw numbers ``(*lead, n)``."""
        return self._on(raw).order.log_prob(raw, x)

    def table_of_cuts(self, columns: list[int]) -> Tensor:
        """Return the cut points of some columns of steps, ``(d, longest)``, filled up out of reach."""
        rows = [self._cut_of[i] for i in columns]
        longest = max(len(r) for r in rows)
        filled = [[*r, *(WIDE + 1.0 + k for k in range(longest - len(r)))] for r in rows]
        return torch.tensor(filled, dtype=torch.float64)

    # --- distribution -----------------------------------------------------------------------------------------------
    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent columns."""
        return over_event(MixedColumns.made(self, raw, self._on(raw).back), event)

    def groups(self, raw: Tensor) -> Groups:
        """Return the distribution of each group of columns."""
        placed = self._on(raw)
        found = []
        for g, cut in zip(placed.layouts, placed.cuts, strict=True):
            numbers = taken(raw, g.raw.reshape(-1)).unflatten(-1, tuple(g.raw.shape))
            found.append((g.columns, self._group(g, numbers, cut)))
        return found

    def _group(self, g: Layout, raw: Tensor, cuts: Tensor | None) -> Distribution:
        if g.spike is not None:
            inner = self._plain(g, raw[..., :-1], cuts)
            return Inflated(inner, raw[..., -1], g.spike.to(raw.dtype), discrete=g.sort in ("steps", "count"))
        return self._plain(g, raw, cuts)

    def _plain(self, g: Layout, raw: Tensor, cuts: Tensor | None) -> Distribution:
        if g.real is not None:
            return Categorical(logits=raw.masked_fill(~g.real, -1e30), validate_args=False)
        numbers = raw.unbind(-1)
        if g.sort == "binary":
            return Bernoulli(logits=numbers[0], validate_args=False)
        if g.sort == "count":
            return NegativeBinomial(tame(numbers[0], LOG_MEAN_LIMIT), tame(numbers[1], LOG_DISPERSION_LIMIT))
        loc, scale = numbers[0], positive(numbers[1], self.floor)
        if cuts is not None:
            return Steps(loc, scale, cuts)
        return Normal(loc, scale, validate_args=False) if g.sort == "normal" else StudentT(
            loc, scale, positive(numbers[2], 2.0)
        )

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Each column at its marginal."""
        x = torch.where(weight > 0, x, torch.zeros_like(x))
        out = x.new_zeros(sum(self.widths))
        for g in self.layouts:
            column, seen = x[:, g.columns], weight[:, g.columns]
            values = self._start(g, column, seen) if g.spike is None else self._start_spiked(g, column, seen)
            real = torch.ones_like(g.raw, dtype=torch.bool) if g.real is None else g.real
            out[g.raw[real]] = values.to(out.dtype)[real]
        return out

    def _start_spiked(self, g: Layout, x: Tensor, weight: Tensor) -> Tensor:
        """The value has its share, and the rest starts at the rest's marginal."""
        assert g.spike is not None
        least, there = half_count(weight), (x - g.spike.to(x.dtype)).abs() < NEAR
        share = weighted_mean(there.to(weight.dtype), weight) * (1 - 2 * least) + least
        inner = self._start(g, x, weight * ~there)
        return torch.cat([inner, torch.logit(share)[:, None].to(inner)], -1)

    def _start(self, g: Layout, x: Tensor, weight: Tensor) -> Tensor:
        if g.sort == "category":
            least = half_count(weight)
            codes = torch.stack([weighted_mean((x == k).to(weight.dtype), weight) for k in range(g.raw.shape[1])], -1)
            n = g.real.sum(-1, keepdim=True) if g.real is not None else x.new_tensor(1.0)
            return (codes * (1 - least)[:, None] + least[:, None] / n).log()
        if g.sort == "binary":
            least = half_count(weight)
            return torch.logit((weighted_mean(x, weight) * (1 - 2 * least) + least).clamp(1e-6, 1 - 1e-6))[:, None]
        if g.sort == "count":
            mean, variance = weighted_moments(x, weight)
            return torch.stack([log_count(x, weight), log_dispersion_of(mean, variance)], -1)
        if g.sort == "steps":
            one = positive_raw(torch.ones(x.shape[1], dtype=x.dtype), self.floor)
            return torch.stack([torch.zeros_like(one), one], -1)
        mean, sd = start_moments(x, weight)
        sd = sd.clamp_min(2 * self.floor)
        if g.sort == "normal":
            return torch.stack([mean, positive_raw(sd, self.floor)], -1)
        scale = (sd * 0.9).clamp_min(2 * self.floor)
        extra = positive_raw(torch.full_like(sd, 8.0), 0.0)
        return torch.stack([mean, positive_raw(scale, self.floor), extra], -1)
