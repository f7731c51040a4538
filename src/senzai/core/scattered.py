"""Uniform numbers at places of rows: made where they are asked for, so that the places left out cost nothing."""

from __future__ import annotations

from .later import Tensor, torch
from .random import Noise

_GOLDEN, _FIRST, _SECOND = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_BITS = 24
"""Bits of a uniform number: as many as single precision has."""


def row_keys(noise: Noise, n_rows: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return a number of 48 bits for each row, ``(n_rows,)``, from which :func:`uniform_at` makes as many as wanted."""
    u = noise.uniform((n_rows, 2), row_dim=0, dtype=torch.float32, device=device)
    high, low = (u * 2**_BITS).long().unbind(1)
    key: Tensor = (high << _BITS) | low
    return key


def uniform_at(keys: Tensor, column: Tensor) -> Tensor:
    """Return uniform numbers in [0, 1) that follow from the key of a row and a column alone.

    A row's numbers are the same whichever of its columns, and whichever other rows, are asked for.

    Args:
        keys: Keys of rows; see :func:`row_keys`.
        column: Columns; both shapes broadcast.

    Returns:
        Numbers in single precision.

    Example:
        >>> keys = row_keys(Noise.seeded(0), 3)
        >>> whole = uniform_at(keys[:, None], torch.arange(5))
        >>> bool((uniform_at(keys[[2, 0]], torch.tensor([4, 1])) == whole[[2, 0], [4, 1]]).all())
        True
    """
    bits = _mixed(keys + (column + 1) * _GOLDEN) & (2**_BITS - 1)
    found: Tensor = bits.to(torch.float32) / 2**_BITS
    return found


def _mixed(x: Tensor) -> Tensor:
    """Return well-mixed 64-bit numbers (the finaliser of SplitMix64); torch shifts with the sign, so it is masked."""
    x = (x ^ ((x >> 30) & (2**34 - 1))) * _FIRST
    x = (x ^ ((x >> 27) & (2**37 - 1))) * _SECOND
    return x ^ ((x >> 31) & (2**33 - 1))
