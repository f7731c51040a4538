"""Facts about users and items from tables beside the log: age and city of a user, genre and price of an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError
from senzai.core.registry import instead

from .. import sources
from ..covariates import MOST_CLASSES, Covariate, covariate_of, encode, is_gap, is_number, number_of, parts_of
from ..limits import guarded, need_no_holes, need_room
from ..rows import Array
from .log import column_for, first_line, mark_of

SEVERAL = "|"
"""What stands between classes in a cell that has several of them."""

COMMON = 2
"""Lines that a class has on average, at least; columns with fewer are names, which say nothing about others."""

PLENTY = 20
"""Lines on average from which whole numbers are classes; with fewer they are a number."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of facts, a line for each user or item.

    Args:
        frame: The facts, with identifiers as text for an index.
        origin: What the table is called.
        ids: Identifiers as the table has them.
    """

    frame: Any
    origin: str
    ids: tuple[Any, ...] = ()

    def of(self, ids: Sequence[Any]) -> Any:
        """Return the facts of some users or items in their order; those of whom nothing is known have gaps."""
        return self.frame.reindex([str(i) for i in ids])


def read_facts(source: str | Path, role: str, name: str) -> Facts:
    """Read a table of users or items: CSV, TSV or Parquet.

    Args:
        source: Where it is.
        role: What its lines are about, ``user`` or ``item``.
        name: What the log calls their column; else a usual name, else the first column holds the identifiers.

    Raises:
        InputError: It is no such table, or has two lines for one of them.
    """
    path = sources.existing(source)
    if path is None or path.is_dir():
        raise InputError(
            f"Facts about {role}s are a table in a file (csv, tsv, parquet), but {str(source)!r} is none. "
            f"Give its path: {role}s=PATH."
        )
    frame = _frame(path, role, name)
    column = _key(role, [str(c) for c in frame.columns], name)
    key = frame[column]
    empty = key.isna() | key.astype(str).str.strip().eq("")
    if empty.any():
        raise InputError(
            f"Every line of facts names its {role}, but {int(empty.sum())} lines of {str(path)!r} have no {column!r}. "
            "Remove them."
        )
    text = key.astype(str)
    if (twice := text[text.duplicated()]).size:
        raise InputError(
            f"Facts are one line for each {role}, but {str(path)!r} has several for {twice.iloc[0]!r}. Keep one."
        )
    return Facts(frame.drop(columns=column).set_axis(text.to_list()), repr(str(path)), tuple(key.tolist()))


def _frame(path: Path, role: str, name: str) -> Any:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        with guarded(path):
            return pd.read_parquet(path)
    need_no_holes(path)
    need_room(path.stat().st_size, path, "facts as text")
    first = first_line(path)
    cells = [cell.strip().strip('"') for cell in first.split(mark_of(first))]
    try:
        return pd.read_csv(
            path, sep=mark_of(first), encoding="utf-8-sig", dtype={_key(role, cells, name): str}, low_memory=False
        )
    except Exception as err:  # pandas raises a dozen types for a damaged file
        raise InputError(
            f"{str(path)!r} must be a table in UTF-8 with names of columns in its first line, but: {str(err)[:200]}. "
            "Check that line, or save the file again."
        ) from err


def _key(role: str, names: list[str], name: str) -> str:
    return name if name in names else column_for(role, names) or names[0]


def own_facts(columns: Any, user: Array, users: Sequence[Any], origin: str) -> Facts:
    """Return facts of users that stand in the log itself: they are the same in every line of a user.

    Args:
        columns: A frame with the facts of each line.
        user: Number of the user of each line.
        users: Identifiers of the users.
        origin: What the log is called.

    Raises:
        InputError: A user has two values.
    """
    import pandas as pd

    made = {}
    for name in columns.columns:
        column = columns[name]
        if column.map(lambda v: isinstance(v, str)).all():  # text files are read as text
            column = column.where(~column.str.strip().eq(""))
            numbers = pd.to_numeric(column, errors="coerce")
            column = numbers if bool((numbers.notna() == column.notna()).all()) else column
        several = column.groupby(user).nunique()
        if (several > 1).any():
            who = users[int(several.index[several > 1][0])]
            raise InputError(
                f"What users are conditioned on is the same in all lines of a user, but {name!r} of {who!r} has "
                f"{int(several[several > 1].iloc[0])} values in {origin}. Give a table of users with users=..."
            )
        made[name] = column.groupby(user).first().reindex(range(len(users))).to_list()
    return Facts(pd.DataFrame(made, index=[str(u) for u in users]), origin, tuple(users))


def decided(facts: Facts, names: Sequence[str], ids: Sequence[Any]) -> tuple[tuple[Covariate, ...], tuple[str, ...]]:
    """Decide what each fact is, from those of the training data alone, and say what was left out.

    Args:
        facts: The table.
        names: Columns that are wanted; all that can be used where none is named.
        ids: Users or items of the training data.

    Raises:
        InputError: A column is missing, a named one cannot be used, or the table knows nobody.
    """
    known = [str(c) for c in facts.frame.columns]
    for name in names:
        if name not in known:
            raise InputError(f"{facts.origin} has no column {name!r}.{instead(name, known)}")
    there = facts.of(ids)
    inside = int(there.index.isin(facts.frame.index).sum())
    if not inside:
        raise InputError(
            f"Facts are about users or items of the data, but {facts.origin} knows none of them, such as {ids[0]!r}. "
            "Check its first column."
        )
    found, left = [], []
    for name in names or known:
        one = _one(there[name], name, facts.origin, asked=bool(names))
        if one is None:
            left.append(name)
        else:
            found.append(one)
    told = ", ".join(c.name for c in found)
    notes: tuple[str, ...] = (f"{facts.origin} tells of {inside:,} of {len(ids):,}: {told}.",)
    if left:
        notes += (f"Columns without a few classes or numbers were left out: {', '.join(left[:5])}.",)
    return tuple(found), notes if found else notes[1:]


def _one(column: Any, name: str, origin: str, *, asked: bool) -> Covariate | None:
    """Return what a fact is; ``None`` where it says nothing: titles, links, a column with one value."""
    told = column[[not is_gap(v) for v in column]]
    text = bool(len(told)) and told.map(lambda v: isinstance(v, str)).all()
    try:
        if text and told.str.contains(SEVERAL, regex=False).any():
            classes = sorted({part for v in told for part in parts_of(v, SEVERAL)})
            fits = 1 < len(classes) <= MOST_CLASSES
            if fits or not asked:
                return Covariate(name=name, classes=tuple(classes), mark=SEVERAL) if fits else None
        if told.nunique() > 1:
            if is_number(told) and told.nunique() * PLENTY > len(told):
                return number_of(told, name, origin)
            found = covariate_of(told, name, origin)
            names_rows = found.classes is not None and COMMON * len(found.classes) > len(told)
            return None if names_rows and not asked else found
    except InputError:
        if asked:
            raise
        return None
    if asked:
        raise InputError(f"What a model is given differs between rows, but {name!r} of {origin} does not. Drop it.")
    return None


def encoded(facts: Facts | None, covariates: Sequence[Covariate], ids: Sequence[Any]) -> Any:
    """Return facts as numbers, ``(n, width)``; zeros of what is not known.

    Raises:
        InputError: A column is missing.
    """
    if facts is None:
        return encode(covariates, {one.name: [None] * len(ids) for one in covariates}, gaps=True)
    there = facts.of(ids)
    for one in covariates:
        if one.name not in there.columns:
            raise InputError(
                f"The model is given {one.name!r}, but {facts.origin} has no such column."
                f"{instead(one.name, [str(c) for c in there.columns])}"
            )
    columns = {one.name: [_known(one, v) for v in there[one.name].to_numpy(dtype=object)] for one in covariates}
    return encode(covariates, columns, gaps=True)


def strange(facts: Facts, covariates: Sequence[Covariate], ids: Sequence[Any]) -> tuple[str, ...]:
    """Say of each number which of some users or items it lies out of the range of the training data for."""
    found = []
    for one in covariates:
        if one.span is None:
            continue
        low, high = one.span
        told = zip(ids, facts.of(ids)[one.name].to_numpy(object), strict=True)
        if out := [(i, float(v)) for i, v in told if not (is_gap(v) or low <= float(v) <= high)]:
            some = ", ".join(f"{v:g} of {str(i)!r}" for i, v in out[:3]) + (" ..." if len(out) > 3 else "")
            found.append(
                f"The fact {one.name!r} goes from {low:g} to {high:g} in the training data, but {len(out)} of "
                f"{len(ids)} that are new lie outside ({some}): their shares are extrapolated, and may be far off."
            )
    return tuple(found)


def _known(one: Covariate, value: Any) -> Any:
    """Return a value without classes that the model was not fitted with: nothing is known of those."""
    if one.classes is None or is_gap(value):
        return value
    parts = [part for part in parts_of(value, one.mark) if part in set(one.classes)]
    return (one.mark or "").join(parts) or None
