"""A table in parts, as if it lay at several sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import SettingError
from ..core.random import derive
from ..core.registry import suggestion
from ..data import open_data


@dataclass(frozen=True)
class SitePart:
    """The rows of one site.

    Args:
        name: What the site is called.
        data: Its rows.
    """

    name: str
    data: Any


def parts(data: object, sites: int, *, by: str | None = None, seed: int = 0) -> list[SitePart]:
    """Return a table in parts: rows dealt at random, or the values of a column dealt by their frequency.

    Args:
        data: The table.
        sites: How many parts.
        by: Column whose values are dealt, the most frequent first, each to the site that has the fewest rows so far;
            so every site has values that no other has.
        seed: Seed of the deal.

    Raises:
        SettingError: There are fewer rows, or values, than sites; or no such column.

    Example:
        >>> import pandas as pd
        >>> found = parts(pd.DataFrame({"job": ["a", "a", "a", "b", "b", "c"], "x": range(6)}), 2, by="job")
        >>> [sorted(set(p.data["job"])) for p in found]
        [['a'], ['b', 'c']]
    """
    frame = frame_of(data)
    if by is None:
        if sites > len(frame):
            raise SettingError(f"Each site needs a row, but {len(frame)} rows were to be divided into {sites} sites.")
        order = np.random.default_rng(derive(seed, "sites")).permutation(len(frame))
        groups = [np.sort(part) for part in np.array_split(order, sites)]
    else:
        groups = _by_value(frame, by, sites)
    return [SitePart(f"site-{i}", frame.iloc[at].reset_index(drop=True)) for i, at in enumerate(groups, 1)]


def frame_of(data: object) -> Any:
    """Return a table as a frame.

    Raises:
        SettingError: It is none.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    opened = open_data(data)
    frame = opened.kind.originals(opened.source, np.arange(len(opened)))
    if not isinstance(frame, pd.DataFrame):
        raise SettingError("A simulation divides a table. Give the data of each site as a list for other kinds.")
    return frame


def _by_value(frame: Any, by: str, sites: int) -> list[Any]:
    names = [str(c) for c in frame.columns]
    if by not in names:
        raise SettingError(f"The table has no column {by!r}.{suggestion(by, names)} It has {', '.join(names)}.")
    column = frame.iloc[:, names.index(by)].astype(str)
    counts = column.value_counts()
    if len(counts) < sites:
        raise SettingError(
            f"Sites differ by the values of {by!r}, but {len(counts)} values cannot be dealt to {sites} sites. "
            f"Give --sites {len(counts)}, or another column."
        )
    held: list[list[str]] = [[] for _ in range(sites)]
    rows = [0] * sites
    for value, n in counts.items():
        at = rows.index(min(rows))
        held[at].append(str(value))
        rows[at] += int(n)
    return [np.flatnonzero(column.isin(values).to_numpy()) for values in held]
