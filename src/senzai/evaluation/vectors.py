"""Rows as vectors with a sensible distance: numbers as they are, categories as one-hot codes of half their length."""

from __future__ import annotations

from functools import lru_cache, singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from ..distributions import CategoricalFamily, Family, MixedFamily

MOST_CODES = 64
"""Categories beyond this many share the last place: they would be at equal distances anyway."""


@singledispatch
def vectors(family: Family, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return rows as vectors ``(N, D)`` and, for each of the D places, the feature it belongs to.

    Args:
        family: Likelihood of the rows; one whose features have types of their own registers a case here.
        x: Model values, ``(N, *event)``.
        mask: Where they are observed; other entries are NaN in the result.
    """
    flat = x.flatten(1).float()
    if mask is not None:
        flat = torch.where(mask.expand_as(x).flatten(1), flat, torch.nan)
    return flat, torch.arange(flat.shape[1])


@vectors.register(CategoricalFamily)
def _(family: CategoricalFamily, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    codes = x.flatten(1)
    n, width = min(family.n, MOST_CODES), codes.shape[1]
    made = one_hot_codes(codes, n)
    if mask is not None:
        made = torch.where(mask.expand_as(x).flatten(1).unsqueeze(-1), made, torch.nan)
    return made.flatten(1), torch.arange(width).repeat_interleave(n)


def one_hot_codes(codes: Tensor, n: int) -> Tensor:
    """Return classes as one-hot codes of half their length, ``(..., n)``; the last place is for all beyond ``n``."""
    made: Tensor = torch.nn.functional.one_hot(codes.nan_to_num().long().clamp(0, n - 1), n).float() * 0.5**0.5
    return made


@vectors.register(MixedFamily)
def _(family: MixedFamily, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    plan = _plan(tuple(family.sorts), tuple(family.sizes), tuple(family.cuts))
    v = x.float()
    out = v.new_zeros(len(v), len(plan.owner))
    out[:, plan.numbers[1]] = v[:, plan.numbers[0]]
    if len(plan.counts[0]):
        out[:, plan.counts[1]] = torch.log1p(v[:, plan.counts[0]].clamp_min(0))
    if len(plan.codes[0]):
        at = torch.minimum(v[:, plan.codes[0]].nan_to_num().long().clamp_min(0), plan.last) + plan.codes[1]
        out.scatter_(1, at, 0.5**0.5)
    for j, place, table in plan.steps:
        out[:, place] = table[v[:, j].long().clamp(0, len(table) - 1)]
    return (out if mask is None else torch.where(mask[:, plan.owner], out, torch.nan)), plan.owner


class _Plan(NamedTuple):
    """Columns of each sort, and where they stand in a vector: columns first, places next."""

    owner: Tensor
    numbers: tuple[Tensor, Tensor]
    counts: tuple[Tensor, Tensor]
    codes: tuple[Tensor, Tensor]
    last: Tensor
    steps: list[tuple[int, int, Tensor]]


@lru_cache(maxsize=32)
def _plan(sorts: tuple[str, ...], sizes: tuple[int, ...], cuts: tuple[tuple[float, ...], ...]) -> _Plan:
    """Return where the columns of a family stand in a vector, worked out once."""
    left, owner = iter(cuts), list[int]()
    found: dict[str, list[tuple[int, int]]] = {"category": [], "count": [], "steps": [], "number": []}
    steps: list[tuple[int, int, Tensor]] = []
    for j, (sort, size) in enumerate(zip(sorts, sizes, strict=True)):
        found[sort if sort in found else "number"].append((j, len(owner)))
        if sort == "steps":
            steps.append((j, len(owner), middles(next(left))))
        owner += [j] * (min(size, MOST_CODES) if sort == "category" else 1)
    pairs = {s: torch.tensor(p, dtype=torch.long).reshape(-1, 2).unbind(1) for s, p in found.items()}
    number, count, code = ((pairs[s][0], pairs[s][1]) for s in ("number", "count", "category"))
    last = torch.tensor([min(sizes[j], MOST_CODES) - 1 for j, _ in found["category"]], dtype=torch.long)
    return _Plan(torch.tensor(owner), number, count, code, last, steps)


def middles(cuts: tuple[float, ...]) -> Tensor:
    """Return the normal quantile of the middle of each step's share."""
    inside = torch.sigmoid(torch.tensor(cuts, dtype=torch.float64))
    below = torch.cat([inside.new_zeros(1), inside, inside.new_ones(1)])
    middle: Tensor = torch.special.ndtri(((below[1:] + below[:-1]) / 2).clamp(1e-6, 1 - 1e-6)).float()
    return middle
