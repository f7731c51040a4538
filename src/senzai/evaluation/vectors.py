"""Rows as vectors with a sensible distance: numbers as they are, categories as one-hot codes of half their length."""

from __future__ import annotations

from functools import singledispatch

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
    parts, owner = [], []
    cuts = iter(family.cuts)
    for j, (sort, size) in enumerate(zip(family.sorts, family.sizes, strict=True)):
        v = x[:, j].float()
        if sort == "category":
            part = one_hot_codes(v, min(size, MOST_CODES))
        elif sort == "steps":
            part = middles(next(cuts))[v.long().clamp(0, size - 1)][:, None]
        else:
            part = (torch.log1p(v.clamp_min(0)) if sort == "count" else v)[:, None]
        if mask is not None:
            part = torch.where(mask[:, j, None], part, torch.nan)
        parts.append(part)
        owner += [j] * part.shape[1]
    return torch.cat(parts, 1), torch.tensor(owner)


def middles(cuts: tuple[float, ...]) -> Tensor:
    """Return the normal quantile of the middle of each step's share."""
    inside = torch.sigmoid(torch.tensor(cuts, dtype=torch.float64))
    below = torch.cat([inside.new_zeros(1), inside, inside.new_ones(1)])
    middle: Tensor = torch.special.ndtri(((below[1:] + below[:-1]) / 2).clamp(1e-6, 1 - 1e-6)).float()
    return middle
