"""Scores columns of different types together: what the types have in common is computed in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .counts import LOG_DISPERSION_LIMIT, LOG_MEAN_LIMIT, negative_binomial_log_prob
from .inflated import inflated_log_prob
from .location import normal_log_prob, student_t_log_prob
from .numeric import log_one_minus_exp, positive, tame
from .steps import WIDE

NUMBERS = ("normal", "student_t", "steps", "count")
FAR = 1e20
"""Where an open end is put: out of reach at any scale, and near enough that its gradient is zero and not undefined."""
FILLED = 128
"""Numbers a row that may be filled up, so that codes with different numbers of values are computed together."""


class _Moved(torch.autograd.Function):
    """``x[..., there]``, filled up; torch's own gradient would add up entry by entry, because they might repeat."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, filling: Tensor | None, there: Tensor, back: Tensor) -> Tensor:
        wide = x if filling is None else torch.cat([x, filling.expand(*x.shape[:-1], -1)], -1)
        return wide.index_select(-1, there)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[3])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        (back,) = ctx.saved_tensors
        return slopes[0].index_select(-1, back), None, None, None


def moved(x: Tensor, there: Tensor, back: Tensor, filling: Tensor | None = None) -> Tensor:
    """Return ``x[..., there]``, where each entry of ``x`` stands once, at the place that ``back`` says.

    Args:
        x: Numbers, ``(*lead, n)``.
        there: Which entry comes where; from ``n`` on those of ``filling``, as often as one likes.
        back: Where each entry of ``x`` is then, ``(n,)``.
        filling: Constants behind the numbers.

    Example:
        >>> moved(torch.tensor([10.0, 20.0]), torch.tensor([1, 2, 0]), torch.tensor([2, 0]), torch.zeros(1))
        tensor([20.,  0., 10.])
    """
    if torch.compiler.is_compiling():
        return _Moved.forward(x, filling, there, back)
    found: Tensor = _Moved.apply(x, filling, there, back)  # type: ignore[no-untyped-call]  # torch's
    return found


@dataclass(frozen=True)
class SideBySide:
    """Columns and their raw numbers in the order in which they are scored together.

    First normal and Student's t, steps and counts, in each those with a spike last, then codes; bits are codes of two
    values, the first of which has the logit zero. Those with a spike are scored behind all numbers without.

    Args:
        there: Which raw number is computed with where; ``back`` where each of them is.
        filling: A zero and a number out of reach, which stand for raw numbers that there are not.
        columns: Which column is scored where.
        home: Where the score of each column is; ``away`` the other way round.
        n: How many columns are normal, Student's t, steps and counts.
        spiked: How many of each have a spike.
        codes: How many columns each group of codes has, and how many values.
        ends: Lower and upper end of each value of the columns of steps and their distance, ``(3, d * values)``.
        start: Place in that of the first value of each, ``(d,)``; ``top`` is the last value of the longest.
        spike: Values with a probability of their own.
        whole: Whether they are those of steps or counts: all, none, or one answer for each.
        floor: Least scale.
    """

    there: Tensor
    back: Tensor
    filling: Tensor
    columns: Tensor
    home: Tensor
    away: Tensor
    n: tuple[int, ...]
    spiked: tuple[int, ...]
    codes: tuple[tuple[int, int], ...]
    ends: Tensor
    start: Tensor
    top: int
    spike: Tensor
    whole: Tensor | bool
    floor: float

    def to(self, like: Tensor) -> SideBySide:
        """Return the same where ``like`` is and in its precision."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, v in values.items():
            if isinstance(v, Tensor):
                values[name] = v.to(like) if v.is_floating_point() else v.to(like.device)
        return SideBySide(**values)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density of each column of ``x``, ``(*lead, d)``, given raw numbers ``(*lead, n_raw)``."""
        normal, t, steps, counts = self.n
        sizes = [normal, t, steps, normal + t + steps, t, counts, counts, sum(self.spiked)]
        parts = moved(raw, self.there, self.back, self.filling).split([*sizes, *(d * k for d, k in self.codes)], -1)
        sorted_x = x.to(raw.dtype).index_select(-1, self.columns).split([*self.n, *(d for d, _ in self.codes)], -1)
        found = self._numbers(parts[:7], sorted_x[:4])
        if any(self.spiked):
            found = self._inflated(found, sorted_x[:4], parts[7])
        codes = zip(parts[8:], sorted_x[4:], self.codes, strict=True)
        found += [_coded(logits.unflatten(-1, shape), values) for logits, values, shape in codes]
        return moved(found[0] if len(found) == 1 else torch.cat(found, -1), self.home, self.away)

    def _numbers(self, raw: Sequence[Tensor], x: Sequence[Tensor]) -> list[Tensor]:
        """Return the log densities of normal, Student's t, steps and counts; nothing for those that there are not."""
        *loc, spread, tail, log_mean, log_dispersion = raw
        scale = positive(spread, self.floor).split(self.n[:3], -1)
        found = []
        if self.n[0]:
            found.append(normal_log_prob(x[0], loc[0], scale[0]))
        if self.n[1]:
            found.append(student_t_log_prob(x[1], loc[1], scale[1], positive(tail, 2.0)))
        if self.n[2]:
            found.append(self._steps(x[2], loc[2], scale[2]))
        if self.n[3]:
            tamed = tame(log_mean, LOG_MEAN_LIMIT), tame(log_dispersion, LOG_DISPERSION_LIMIT)
            found.append(negative_binomial_log_prob(x[3], *tamed))
        return found

    def _steps(self, x: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        at = x.long().clamp(0, self.top) + self.start
        lower, upper, width = self.ends.index_select(1, at.reshape(-1)).unflatten(1, at.shape)
        mass = F.logsigmoid((upper - loc) / scale) + F.logsigmoid((loc - lower) / scale)
        return mass + log_one_minus_exp(width / scale)

    def _inflated(self, found: list[Tensor], x: Sequence[Tensor], gate: Tensor) -> list[Tensor]:
        """Return the log densities of numbers without a spike, and then of all that have one."""
        there = [(n, k) for n, k in zip(self.n, self.spiked, strict=True) if n]
        cut = [p.split([n - k, k], -1) for p, (n, k) in zip(found, there, strict=True)]
        values = [v[..., n - k :] for v, n, k in zip(x, self.n, self.spiked, strict=True)]
        inner, value = torch.cat([b for _, b in cut], -1), torch.cat(values, -1)
        return [*(a for a, _ in cut), inflated_log_prob(value, inner, gate, self.spike, self.whole)]


def _coded(logits: Tensor, x: Tensor) -> Tensor:
    """Return the log probability of each code, ``(*lead, d)``, from logits ``(*lead, d, values)``."""
    at = x.long().unsqueeze(-1).expand(*logits.shape[:-1], 1)
    return logits.gather(-1, at).squeeze(-1) - logits.logsumexp(-1)  # log_softmax is slower on so few values


# --- where everything stands ----------------------------------------------------------------------------------------
def side_by_side(
    sorts: Sequence[str], sizes: Sequence[int], widths: Sequence[int], spikes: Sequence[float | None], cuts: Tensor,
    *, floor: float,
) -> SideBySide:
    """Return the order in which columns are scored together.

    Args:
        sorts: Sort of each column.
        sizes: How many values it has.
        widths: How many raw numbers it has; a column's stand together, column after column.
        spikes: The value of it that has a probability of its own, its log odds the last raw number, or ``None``.
        cuts: Cut points of the columns of steps, in the order of columns, filled up out of reach.
        floor: Least scale.
    """
    numbers = [by_spike([j for j, s in enumerate(sorts) if s == sort], spikes) for sort in NUMBERS]
    spiked = [[j for j in columns if spikes[j] is not None] for columns in numbers]
    groups = packed({j: max(2, sizes[j]) for j, s in enumerate(sorts) if s not in NUMBERS})
    coded = [j for columns, _ in groups for j in columns]
    first = torch.tensor([0, *widths]).cumsum(0).tolist()
    there = raw_order(numbers, spiked, first) + codes_order(groups, first, [s == "binary" for s in sorts])
    scored = [*(j for columns in numbers for j in columns if spikes[j] is None), *chain(*spiked), *coded]
    order = {j: i for i, j in enumerate(j for j, s in enumerate(sorts) if s == "steps")}
    ends = ends_of(cuts[[order[j] for j in numbers[2]]] if order else cuts)
    whole = [sort in ("steps", "count") for sort, columns in zip(NUMBERS, spiked, strict=True) for _ in columns]
    return SideBySide(
        there=torch.tensor(there), back=places(there, first[-1]),
        filling=torch.tensor([0.0, -1e30], dtype=torch.float64),
        columns=torch.tensor([*chain(*numbers), *coded]), home=places(scored, len(sorts)), away=torch.tensor(scored),
        n=tuple(map(len, numbers)), spiked=tuple(map(len, spiked)), codes=tuple((len(c), k) for c, k in groups),
        ends=ends.flatten(1), start=torch.arange(len(order)) * ends.shape[2], top=ends.shape[2] - 1,
        spike=torch.tensor([spikes[j] for j in chain(*spiked)], dtype=torch.float64),
        whole=torch.tensor(whole) if len(set(whole)) == 2 else any(whole), floor=floor,
    )


def by_spike(columns: Sequence[int], spikes: Sequence[float | None]) -> list[int]:
    """Return columns, those with a spike last."""
    return sorted(columns, key=lambda j: spikes[j] is not None)


def raw_order(numbers: Sequence[Sequence[int]], spiked: Sequence[Sequence[int]], first: Sequence[int]) -> list[int]:
    """Return places of raw numbers: locations, scales, tails, logs of means and of dispersions, and gates of spikes."""
    normal, t, steps, counts = numbers
    located = [*normal, *t, *steps]
    parts = (located, 0), (located, 1), (t, 2), (counts, 0), (counts, 1)
    plain = [first[j] + k for columns, k in parts for j in columns]
    return plain + [first[j + 1] - 1 for j in chain(*spiked)]


def codes_order(groups: Sequence[tuple[Sequence[int], int]], first: Sequence[int], bits: Sequence[bool]) -> list[int]:
    """Return places of logits, filled up; the first value of a bit has the logit zero."""
    nothing, beyond, found = first[-1], first[-1] + 1, list[int]()
    for columns, width in groups:
        for j in columns:
            own = [*([nothing] if bits[j] else []), *range(first[j], first[j + 1])]
            found += [*own, *[beyond] * (width - len(own))]
    return found


def places(order: Sequence[int], n: int) -> Tensor:
    """Return where each of the first ``n`` whole numbers stands in an order."""
    found = {j: i for i, j in enumerate(order)}
    return torch.tensor([found[j] for j in range(n)])


def packed(sizes: dict[int, int]) -> list[tuple[list[int], int]]:
    """Return groups of columns with the number of values that all of a group are filled up to.

    Example:
        >>> packed({0: 3, 1: 500, 2: 2})
        [([2, 0], 3), ([1], 500)]
    """
    groups: list[tuple[list[int], int]] = []
    filled = 0
    for j, size in sorted(sizes.items(), key=lambda pair: pair[1]):
        before, width = groups[-1] if groups else ([], size)
        filled += len(before) * (size - width)
        if before and filled <= FILLED:
            before.append(j)
            groups[-1] = (before, size)
        else:
            groups.append(([j], size))
            filled = 0
    return groups


def ends_of(cuts: Tensor) -> Tensor:
    """Return lower and upper end of each value and their distance, ``(3, d, values)``, of ``(d, values - 1)`` cuts.

    Example:
        >>> ends_of(torch.tensor([[0.0, 2.0]]))[2]
        tensor([[1.0000e+20, 2.0000e+00, 1.0000e+20]])
    """
    far = cuts.new_full((len(cuts), 1), FAR)
    lower, upper = torch.cat([-far, cuts], 1), torch.cat([torch.where(cuts >= WIDE, FAR, cuts), far], 1)
    return torch.stack([lower, upper, (upper - lower).clamp_min(1e-6)])
