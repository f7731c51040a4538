"""Which rows train, which validate and which are kept for the test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from senzai.core.errors import InputError
from senzai.core.random import derive

from .schema import Split


def permutation(n: int, seed: int) -> NDArray[np.int64]:
    """Return a permutation of ``0 .. n - 1`` that is the same on every machine and with every version of numpy.

    It sorts the raw 64-bit stream of PCG64, which numpy promises to keep; ``Generator.permutation`` it does not.

    Example:
        >>> permutation(6, seed=0).tolist()
        [3, 5, 0, 1, 2, 4]
    """
    raw = np.random.PCG64(derive(seed, "split")).random_raw(n)
    return np.argsort(raw, kind="stable").astype(np.int64)


def split_indices(n: int, split: Split) -> dict[str, NDArray[np.int64]]:
    """Divide ``n`` rows into train, validation and test: disjoint, covering, each part in ascending order.

    A part whose fraction is above 0 gets at least one row; a fraction of 0 gives an empty part.

    Raises:
        InputError: There are fewer rows than parts.

    Example:
        >>> {name: len(index) for name, index in split_indices(100, Split()).items()}
        {'train': 80, 'validation': 10, 'test': 10}
    """
    if n < split.needs:
        raise InputError(
            f"Data to fit need at least {split.needs} rows, one for each of train, validation and test, but got {n}. "
            "Give more rows, or set the options validation=0 and test=0."
        )
    n_test = min(_part(n, split.test), n - 1 - (split.validation > 0))
    n_validation = min(_part(n, split.validation), n - 1 - n_test)
    order = permutation(n, split.seed)
    cuts = {"test": order[:n_test], "validation": order[n_test : n_test + n_validation]}
    parts: dict[str, NDArray[Any]] = {"train": order[n_test + n_validation :], **cuts}
    return {name: np.sort(parts[name]) for name in ("train", "validation", "test")}


def _part(n: int, fraction: float) -> int:
    return max(1, round(n * fraction)) if fraction > 0 else 0
