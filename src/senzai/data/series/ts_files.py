"""Files of labelled series (`.ts`): a line for each series, its columns between colons, and its class at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from ..limits import guarded, need_no_holes
from ..rows import Array

MISSING = ("?", "nan", "")
MOST = 100_000_000
"""Numbers at most."""


def read_ts(path: Path) -> tuple[Array, Array | None]:
    """Return series ``(N, T, d)``, NaN behind the end of short ones and where a value is missing, and their classes.

    Raises:
        InputError: The file is not of this form; the message names the line.
    """
    series, labels, labelled, data = [], [], False, False
    with guarded(path):
        need_no_holes(path)
        text = path.read_text(encoding="utf-8-sig")
    total = 0
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not data:
            word, *rest = line.lower().split()
            if word == "@classlabel" or word == "@targetlabel":
                labelled = bool(rest) and rest[0] == "true"
            if word == "@timestamps" and rest and rest[0] == "true":
                raise InputError(
                    f"A .ts file holds plain values here, but {path.name} has stamps in its series. Give a frame with "
                    "a column of times."
                )
            data = word == "@data"
            continue
        *columns, last = line.split(":") if labelled else [*line.split(":"), ""]
        made = [_numbers(c, path, number) for c in columns]
        if not made or len({len(c) for c in made}) > 1:
            raise InputError(f"Columns of a series are as long as each other, but line {number} of {path.name} has "
                             f"{[len(c) for c in made][:5]} values. Mend it.")
        total += sum(map(len, made))
        if total > MOST:
            raise InputError(f"A .ts file of {MOST:,} numbers at most is read, but {path.name} has more. Give .npz.")
        series.append(np.stack(made, 1))
        labels.append(last.strip())
    return _whole(series, path), np.array(labels) if labelled else None


def _numbers(text: str, path: Path, line: int) -> Array:
    try:
        return np.array([np.nan if v.strip().lower() in MISSING else float(v) for v in text.split(",")])
    except ValueError as err:
        raise InputError(f"Values are numbers between commas, but line {line} of {path.name}: {err}. Mend it.") from err


def _whole(series: list[Any], path: Path) -> Array:
    if not series or len({s.shape[1] for s in series}) > 1:
        widths = sorted({s.shape[1] for s in series})
        raise InputError(
            f"A .ts file has series after @data, all of as many columns, but {path.name} has {len(series)} of "
            f"{widths or 'no'} columns. Check the file."
        )
    made = np.full((len(series), max(map(len, series)), series[0].shape[1]), np.nan)
    for i, one in enumerate(series):
        made[i, : len(one)] = one
    return made
