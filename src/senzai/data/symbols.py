"""What kinds of rows of symbols share: numbers one after another that end by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from senzai.core.batch import Data
from senzai.core.later import torch

from . import deciding
from .proposal import Choice, Proposal
from .rows import MemoryRows, Targets
from .schema import Axis, Field

END, UNKNOWN = 0, 1
"""Numbers of the symbol that ends a row, and of the one for what has none."""
NAMES = ("<end>", "<unknown>")
MOST = 256
"""Symbols of a row beyond which it is cut, unless the user says how many there may be."""


def symbol_field(n: int, most: int) -> Field:
    """Return the field of rows of up to so many symbols, and their end, of ``n`` different ones.

    Example:
        >>> symbol_field(10, 4).shape
        (5,)
    """
    return Field(axes=(Axis(name="symbol", size=most + 1, ragged=True),), support="category", n_levels=n)


def symbol_rows(
    coded: Sequence[Sequence[int]], most: int, targets: Targets | None = None, about: Mapping[str, Any] | None = None
) -> MemoryRows:
    """Return rows ``(most + 1,)`` with their end, which counts as a step; longer ones are cut.

    Example:
        >>> rows = symbol_rows([[5, 6], [7, 8, 9, 4]], 3)
        >>> rows.take([0, 1]).x.tolist(), rows.lengths.tolist()
        ([[5.0, 6.0, 0.0, 0.0], [7.0, 8.0, 9.0, 0.0]], [3, 4])
    """
    x = torch.zeros(len(coded), most + 1)
    for i, codes in enumerate(coded):
        kept = codes[:most]
        x[i, : len(kept)] = torch.tensor(kept, dtype=x.dtype)
    return MemoryRows(x, targets, lengths=torch.tensor([min(len(codes), most) + 1 for codes in coded]), about=about)


def codes_of(x: Data, n: int) -> list[list[int]]:
    """Return the symbols of rows up to their ends.

    Example:
        >>> codes_of(torch.tensor([[2.0, 0.0, 3.0]]), 4)
        [[2]]
    """
    codes = deciding.one_tensor(x).detach().cpu().round().long().clamp(0, n - 1)
    return [list(_until_end(row)) for row in codes.tolist()]


def _until_end(codes: Sequence[int]) -> Iterator[int]:
    for code in codes:
        if code == END:
            return
        yield int(code)


def symbol_proposal(n: int, *, nonempty: bool = False) -> Proposal:
    """Suggest a recurrent encoder and decoder for ``n`` symbols, and a bound that keeps the code in use.

    Args:
        n: Different symbols.
        nonempty: Whether every row has a symbol before its end.

    Example:
        >>> symbol_proposal(5).recipe
        'text-vae'
    """
    chosen = Choice("recurrent_tokens", {"n": n})
    told = Choice("recurrent_tokens", {"n": n, "nonempty": True}) if nonempty else chosen
    return Proposal(
        likelihood=told, encoder=chosen, recipe="text-vae", training={"lr": 3e-3},
        reason="Symbols follow one another, and a code is told to each of them.",
    )


def length_words(coded: Sequence[Sequence[int]], most: int) -> str:
    """Say how long rows are, and how many of them are cut."""
    lengths = sorted(map(len, coded))
    cut = sum(n > most for n in lengths)
    told = f"Rows have {lengths[0]} to {lengths[-1]} symbols, {lengths[len(lengths) // 2]} in the middle."
    return told + (f" {cut:,} of them are cut after {most} (max_tokens=... sets another number)." if cut else "")
