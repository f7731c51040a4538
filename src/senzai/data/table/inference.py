"""What a table is, from one look at all of its rows: types of columns, combinations of conditions, a fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError

from ..dtypes import name_of
from ..fingerprint import WHOLE_BYTES
from ..kind import Opened
from ..options import TableOptions
from ..schema import Condition
from . import amounts, codec, shards
from . import labels as columns
from .column import Column, TableDetails
from .deciding import decide
from .rows import column_named
from .series import as_labels
from .source import ROWS, Source
from .survey import ColumnFacts
from .texts import PLAIN_TRUTH

COMBINATIONS = 1000


def surveyed(source: Source, options: TableOptions) -> tuple[list[ColumnFacts], Any]:
    """Return facts of every column, and rows that say what combinations of the condition there are."""
    import pandas as pd

    facts: list[ColumnFacts] = []
    kept: list[Any] = []
    readings = source.readings or {}
    for piece in source.pieces(ROWS * 4 if source.whole is None else max(len(source.whole), 1)):
        if not facts:
            facts = [ColumnFacts(name) for name in columns.names_of(piece.columns)]
        for i, fact in enumerate(facts):
            reading, series = readings.get(fact.name, ""), piece.iloc[:, i]
            fact.see(amounts.plain(series, reading) if amounts.is_form(reading) else series)
            fact.told["dtype"] = name_of(series.dtype) if amounts.is_form(reading) else fact.told["dtype"]
        if options.condition:
            kept.append(piece[[c for c in piece.columns if str(c) in options.condition]])
            if source.whole is None:
                kept[-1] = kept[-1].sample(min(len(piece), COMBINATIONS), random_state=0)
    return facts, pd.concat(kept) if kept else None


def decided(facts: ColumnFacts, options: TableOptions, n: int, reading: str, opened: Opened) -> Column:
    """Return what a column is, from what was seen of it and what the user set."""
    own = amounts.is_form(reading) or (reading.startswith("truth") and reading != PLAIN_TRUTH)
    written = reading if own else ""
    if options.label is not None and str(facts.name) == str(options.label) and opened.labels is not None:
        why = "It is the label, no part of a row."
        return Column(name=facts.name, type="dropped", dtype=facts.told["dtype"], reason=why)
    return decide(facts, options, n_columns=n, written=written)


def cuts_of(table: TableDetails) -> tuple[tuple[float, ...], ...]:
    """Return the cut points of the columns of steps: logits of their cumulative shares, half a row added to each."""
    found = []
    for column in table.modelled:
        if column.sort != "steps":
            continue
        shares = np.array(column.shares) + 0.5e-4 / len(column.shares)
        if column.spike is not None:  # what has a probability of its own is no part of the others'
            shares[int(column.spike)] = 0.5e-4 / len(column.shares)
        below = np.clip(np.cumsum(shares / shares.sum())[:-1], 1e-7, 1 - 1e-7)
        cuts = np.log(below) - np.log1p(-below)
        found.append(tuple(float(c) for c in np.maximum.accumulate(cuts + 1e-6 * np.arange(len(cuts)))))
    return tuple(found)


def condition_of(asked: tuple[str, ...], table: TableDetails, kept: Any) -> Condition | None:
    """Return what generation is conditioned on, with the combinations of values that were seen.

    Raises:
        SettingError: A column is not modelled.
    """
    if not asked:
        return None
    chosen = condition_columns(asked, table)
    return condition_from(asked, chosen, combinations(kept, {str(c.name): c.objects for c in chosen}))


def condition_columns(asked: tuple[str, ...], table: TableDetails) -> list[Column]:
    """Return the columns that generation is conditioned on.

    Raises:
        SettingError: One is not modelled.
    """
    chosen = [column_named(table, name) for name in asked]
    for column in chosen:
        if not column.modelled:
            raise SettingError(
                f"The column {str(column.name)!r} is not modelled ({column.reason}), so nothing can follow from it."
            )
    return chosen


def combinations(kept: Any, objects: dict[str, str]) -> dict[tuple[Any, ...], int]:
    """Return how often each combination of values was seen, the most frequent first; ``None`` is a missing one."""
    import pandas as pd

    rows = kept.set_axis([str(c) for c in kept.columns], axis=1)
    rows = pd.DataFrame({n: as_labels(rows[n], kind) for n, kind in objects.items()}, dtype=object)
    counts = rows.value_counts(dropna=False)[:COMBINATIONS]
    keys = [tuple(None if v != v else v for v in (key if isinstance(key, tuple) else (key,))) for key in counts.index]
    return dict(zip(keys, counts.tolist(), strict=True))


def condition_from(asked: tuple[str, ...], chosen: list[Column], counts: dict[tuple[Any, ...], int]) -> Condition:
    """Return what generation is conditioned on, from how often each combination was seen."""
    total = sum(counts.values())
    width = sum(codec.condition_width(c) for c in chosen)
    return Condition(
        names=tuple(asked), width=width, values=tuple(counts), shares=tuple(n / total for n in counts.values())
    )


def reasons_of(table: TableDetails, opened: Opened) -> list[str]:
    """Return what was decided about a table, one sentence each."""
    said = [f"{c.name}: {c.type}. {c.reason}" for c in table.columns[:60]]
    if len(table.columns) > 60:
        kinds = [c.type for c in table.columns[60:]]
        rest = ", ".join(f"{kinds.count(k)} {k}" for k in sorted(set(kinds)))
        said.append(f"{len(kinds)} further columns: {rest}.")
    n = sum(c.n_missing for c in table.modelled)
    if n:
        said.append(f"{n} entries are missing; they are masked, told to the encoder, and nothing depends on them.")
    learned = [str(c.name) for c in table.missingness]
    if learned:
        said.append(f"Which rows lack {', '.join(learned)} is part of the model (missing not at random).")
    large = [str(c.name) for c in table.modelled if c.ticks and c.high is not None and c.high - (c.low or 0) > 2**53]
    if large:
        said.append(f"Numbers that range beyond 2^53 steps are reconstructed to about 16 digits: {', '.join(large)}.")
    return said


def fingerprint_of(opened: Opened) -> str:
    """Hash a file's bytes (of very large ones, blocks of them), or the values of a frame; and which part it is."""
    if opened.data.shards is not None:
        return shards.fingerprint(opened.data.shards)
    path, part = opened.facts.get("path"), opened.data.part
    digest = hashlib.sha256(part.encode())
    if path is not None:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            step = max(1 << 20, size // 64) if size > WHOLE_BYTES else 1 << 20
            for at in range(0, size, step):
                file.seek(at)
                digest.update(file.read(1 << 20))
        return f"{'sha256-sample' if size > WHOLE_BYTES else 'sha256'}:{digest.hexdigest()}"
    import pandas as pd

    whole = opened.data.whole
    if whole is None:
        return f"sha256-sample:{hashlib.sha256(f'{part}{opened.origin} {opened.n_rows}'.encode()).hexdigest()}"
    digest.update(repr([str(c) for c in whole.columns]).encode())
    for i in range(len(whole.columns)):
        column = whole.iloc[:, i]
        try:
            hashed = pd.util.hash_pandas_object(column, index=False)
        except TypeError:
            hashed = pd.util.hash_pandas_object(column.astype(str), index=False)
        digest.update(hashed.to_numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def table_from(
    found: list[Column], options: TableOptions, origin: str, called: dict[str, Any] | None = None
) -> TableDetails:
    """Return a table of decided columns.

    Raises:
        InputError: None of them is modelled.
    """
    table = TableDetails(
        columns=tuple(found), labels=called, unknown=options.unknown, rare=options.rare, markers=options.na,
    )
    if not table.modelled:
        some = "; ".join(f"{c.name}: {c.reason}" for c in table.columns[:3])
        raise InputError(f"A table needs a column to learn from, but {origin} has none. {some}")
    return table
