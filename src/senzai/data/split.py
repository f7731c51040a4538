"""Which rows train, which validate and which are kept for the test: by rows, by groups, by time, or by entries."""

from __future__ import annotations

from collections.abc import Mapping
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
    return np.argsort(_raw(n, seed), kind="stable").astype(np.int64)


def _raw(n: int, seed: int) -> NDArray[np.uint64]:
    return np.asarray(np.random.PCG64(derive(seed, "split")).random_raw(n), dtype=np.uint64)


def first_of_permutation(n: int, seed: int, counts: tuple[int, int]) -> NDArray[np.int8]:
    """Return for each row whether it is one of the first of :func:`permutation` (0), of the next (1) or neither (2).

    What sorting would tell, in a pass over the rows.

    Example:
        >>> first_of_permutation(6, 0, (1, 2)).tolist()
        [1, 2, 2, 0, 2, 1]
    """
    raw, ends = _raw(n, seed), (counts[0], counts[0] + counts[1])
    places = sorted({end - 1 for end in ends if end > 0})
    limits = dict(zip(places, np.partition(raw, places)[places], strict=True)) if places else {}
    found = np.full(n, 2, dtype=np.int8)
    for part in (1, 0):
        if ends[part] > 0:
            found[raw <= limits[ends[part] - 1]] = part
    if np.bincount(found, minlength=3)[:2].tolist() != list(counts):  # two rows drew one number: sort them
        found[:] = 2
        order = permutation(n, seed)
        found[order[: ends[1]]], found[order[: ends[0]]] = 1, 0
    return found


def split_indices(
    n: int, split: Split, groups: NDArray[Any] | None = None, order: NDArray[Any] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Divide ``n`` rows into train, validation and test: disjoint, each part in ascending order.

    A part whose fraction is above 0 gets at least one row (or group); a fraction of 0 gives an empty part. All rows
    are in one part, but for those in the gaps of a split by time. Where entries of rows are held out, every row trains
    and every row is the test, and none validates.

    Args:
        n: Number of rows.
        split: How they are divided.
        groups: Number of the group of each row, for a split by groups.
        order: Time of each row as an ascending number, for a split by time; equal times stay together.

    Raises:
        InputError: There are fewer rows or groups than parts, or nobody knows the groups or times.

    Example:
        >>> {name: len(index) for name, index in split_indices(100, Split()).items()}
        {'train': 80, 'validation': 10, 'test': 10}
        >>> parts = split_indices(6, Split(by="groups", validation=0.3, test=0), groups=np.array([0, 0, 1, 1, 2, 2]))
        >>> {name: index.tolist() for name, index in parts.items()}
        {'train': [2, 3, 4, 5], 'validation': [0, 1], 'test': []}
    """
    if split.by == "entries":
        return {"train": np.arange(n), "validation": np.empty(0, np.int64), "test": np.arange(n)}
    if split.by == "rows":
        found = _by_rows(n, split)
    elif split.by == "groups":
        found = _by_groups(_known(groups, n, split), split)
    else:
        found = _by_time(_known(order, n, split), split)
    parts = {name: np.sort(found[name]).astype(np.int64) for name in ("train", "validation", "test")}
    refuse_leaks(parts, split, groups if split.by == "groups" else order)
    return parts


def refuse_leaks(parts: dict[str, NDArray[np.int64]], split: Split, known: NDArray[Any] | None) -> None:
    """Refuse parts that share a group, or of which a later one has earlier rows.

    Raises:
        InputError: They do.

    Example:
        >>> parts = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([], dtype=int)}
        >>> refuse_leaks(parts, Split(by="groups", column="patient"), np.array([7, 8, 8]))
        Traceback (most recent call last):
        ...
        senzai.core.errors.InputError: Parts must not share a group of 'patient', but train and validation share 1.
    """
    if split.by == "rows" or known is None:
        return
    names = [name for name in ("train", "validation", "test") if len(parts[name])]
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = known[parts[first]], known[parts[second]]
            shared = len(np.intersect1d(a, b))
            if split.by == "groups" and shared:
                raise InputError(
                    f"Parts must not share a group of {split.column!r}, but {first} and {second} share {shared}."
                )
            if split.by == "time" and a.max() + split.span > b.min():
                must = "be earlier than those of" if split.span == 1 else "end before the first begins of"
                raise InputError(f"Rows of {first} must {must} {second}, but some are not.")


def _known(values: NDArray[Any] | None, n: int, split: Split) -> NDArray[Any]:
    if values is None or len(values) != n:
        raise InputError(
            f"Rows are divided by {split.by} of {split.column!r}, but these data have no such column. "
            "Add it, or fit without that option."
        )
    return values


def _need(n: int, split: Split, what: str) -> None:
    if n < split.needs:
        raise InputError(
            f"Data to fit need at least {split.needs} {what}, one for each of train, validation and test, but got {n}. "
            "Give more rows, or set the options validation=0 and test=0."
        )


def _by_rows(n: int, split: Split) -> dict[str, NDArray[Any]]:
    _need(n, split, "rows")
    n_test = min(_part(n, split.test), n - 1 - (split.validation > 0))
    n_validation = min(_part(n, split.validation), n - 1 - n_test)
    part = first_of_permutation(n, split.seed, (n_test, n_validation))
    return {name: np.flatnonzero(part == i) for i, name in enumerate(("test", "validation", "train"))}


def _by_groups(groups: NDArray[Any], split: Split) -> dict[str, NDArray[Any]]:
    """Whole groups, in a random order, go to the test and to validation until each has its share of the rows."""
    codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    _need(len(sizes), split, "groups")
    order = permutation(len(sizes), split.seed)
    taken, found, left = 0, {}, len(order) - 1
    for name, fraction in (("test", split.test), ("validation", split.validation)):
        wanted, count, rows = fraction * len(groups), 0, 0
        spare = left - (name == "test" and split.validation > 0)
        while fraction > 0 and count < spare and (count == 0 or rows + sizes[order[taken + count]] / 2 <= wanted):
            rows += sizes[order[taken + count]]
            count += 1
        found[name] = np.flatnonzero(np.isin(codes, order[taken : taken + count]))
        taken, left = taken + count, left - count
    found["train"] = np.flatnonzero(np.isin(codes, order[taken:]))
    return found


def _by_time(order: NDArray[Any], split: Split) -> dict[str, NDArray[Any]]:
    """The earliest rows train and the latest are the test; rows of one time are in one part, gaps in none.

    Rows that cover several units of time (``span``) and reach into the next part are in none either.
    """
    n = len(order)
    _need(len(np.unique(order)), split, "different times")
    rows = np.argsort(order, kind="stable")
    ascending = order[rows]

    def back(at: int) -> int:
        """The first row of the time that the row at this place is of."""
        return int(np.searchsorted(ascending, ascending[min(at, n - 1)])) if at < n else n

    def end(at: int) -> int:
        """The end of the rows that are over, and a gap besides, before the part that begins at this place."""
        if at >= n:
            return n
        over = int(np.searchsorted(ascending, ascending[at] - split.span, side="right"))
        return max(0, over - split.gap)

    test = back(n - _part(n, split.test))
    held = back(max(0, end(test) - _part(n, split.validation)))
    ends = {"train": end(held) if split.validation else end(test), "validation": end(test)}
    found = {
        "train": rows[: max(0, ends["train"])], "validation": rows[held : max(held, ends["validation"])],
        "test": rows[test:],
    }
    if split.validation == 0:
        found["validation"] = rows[:0]
    shares = {"train": 1.0, "validation": split.validation, "test": split.test}
    short = [name for name, share in shares.items() if share and not len(found[name])]
    if short:
        raise InputError(
            f"A split by time needs rows in every part, but with gap={split.gap}{_covering(split)} nothing is left for "
            f"{short[0]}. Lower {'the gap' if split.span == 1 else 'the span of a row'}, or hold out more."
        )
    return found


def _covering(split: Split) -> str:
    return "" if split.span == 1 else f" and rows of {split.span} units of time"


def _part(n: int, fraction: float) -> int:
    return max(1, round(n * fraction)) if fraction > 0 else 0


def marked(marks: Mapping[str, Any], split: Split, origin: str, n: int) -> dict[str, Any]:
    """Return the groups or times of all rows, by which they are divided, where they came with the data.

    Raises:
        InputError: There is not one for each row.
    """
    if split.column is None or split.column not in marks:
        return {}
    values = np.asarray(marks[split.column])
    if values.shape != (n,):
        raise InputError(
            f"There must be one of {split.column!r} for each of {n} rows of {origin}, but it has the shape "
            f"{values.shape}. Give one per row."
        )
    if split.by == "groups":
        return {"groups": numbered_groups(values)}
    return {"order": numbered_times(values, split.column)}


def numbered_groups(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of the group of each row; a row without one is a group of its own.

    Example:
        >>> numbered_groups(np.array(["a", None, "a", None], dtype=object)).tolist()
        [0, 1, 0, 2]
    """
    import pandas as pd

    codes, _ = pd.factorize(np.asarray(values))
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return np.asarray(codes, dtype=np.int64)


def numbered_times(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Return times as ascending numbers, equal ones for equal times.

    Raises:
        InputError: A row has no time, or one that cannot be put in order.

    Example:
        >>> numbered_times(np.array(["2024-02-01", "2023-01-01", "2024-02-01"], dtype=object), "day").tolist()
        [1, 0, 1]
    """
    import pandas as pd

    series = pd.Series(np.asarray(values)).infer_objects()
    try:
        times = pd.to_datetime(series, utc=True) if series.dtype == object or str(series.dtype) == "str" else series
        codes, _ = pd.factorize(times, sort=True)
    except (ValueError, TypeError) as err:
        raise InputError(f"Times must have an order, but values of {name!r} have none: {err}. Mend them.") from err
    if (codes < 0).any():
        raise InputError(
            f"A split by time needs the time of every row, but {int((codes < 0).sum())} rows of {name!r} have none."
        )
    return np.asarray(codes, dtype=np.int64)
