"""Rows that are parts of larger things: where patches that overlap start, and wholes blended from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .rows import Array


def starts_of(n: int, patch: int, stride: int) -> list[int]:
    """Return where patches start along an axis: every ``stride``, and one that ends where the axis ends.

    Example:
        >>> starts_of(10, 4, 2), starts_of(3, 4, 2), starts_of(7, 4, 2)
        ([0, 2, 4, 6], [0], [0, 2, 3])
    """
    last = max(0, n - patch)
    return [*range(0, last, stride), last]


def weights_of(patch: Sequence[int]) -> Array:
    """Return how much each place of a patch counts where patches overlap: most in the middle, something everywhere.

    Example:
        >>> weights_of((3, 1, 1)).ravel().tolist()
        [1.0, 2.0, 1.0]
    """
    ways = [np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)).astype(np.float32) for n in patch]
    made = ways[0]
    for way in ways[1:]:
        made = made[..., None] * way
    return made


def blended(patches: Array, starts: Array, weight: Array, shape: Sequence[int]) -> Array:
    """Return a whole from patches that cover it: means of those that overlap, by weight.

    Args:
        patches: Values ``(n, *patch)``.
        starts: Where each starts, ``(n, d)``.
        weight: What each place of a patch counts, ``patch``.
        shape: Of the whole; along an axis that is shorter than a patch, the rest of the patch is cut off.

    Example:
        >>> blended(np.ones((2, 2, 1, 1)), np.array([[0, 0, 0], [1, 0, 0]]), weights_of((2, 1, 1)), (3, 1, 1)).ravel()
        array([1., 1., 1.], dtype=float32)
    """
    total = np.zeros([max(n, w) for n, w in zip(shape, weight.shape, strict=True)], dtype=np.float64)
    heavy = np.zeros_like(total)
    for patch, start in zip(patches, starts.tolist(), strict=True):
        at = tuple(slice(s, s + n) for s, n in zip(start, weight.shape, strict=True))
        total[at] += patch.astype(np.float64) * weight
        heavy[at] += weight
    at = tuple(slice(0, n) for n in shape)
    return np.asarray((total[at] / heavy[at]).astype(np.float32))
