"""Who had to do with what: a log of users, items and what is known of each line, from any file or frame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.registry import instead

from .. import sources, sparse
from ..addresses import without_password
from ..limits import guarded, need_no_holes, need_room
from ..rows import Array
from .options import InteractionOptions

TEXTS = (".csv", ".tsv", ".inter", ".dat", ".data")
SUFFIXES = (*TEXTS, ".parquet", ".npz")
NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "users", "customer", "customerid", "member", "memberid", "reviewerid",
             "visitorid", "account", "accountid", "client", "clientid", "reader", "listener"),
    "item": ("item", "itemid", "iid", "items", "movie", "movieid", "film", "product", "productid", "asin", "artist",
             "artistid", "song", "songid", "track", "trackid", "book", "bookid", "isbn", "article", "articleid",
             "business", "businessid", "game", "gameid", "anime", "animeid", "sku", "offer", "offerid", "poi"),
    "rating": ("rating", "ratings", "stars", "overall", "score", "bookrating"),
    "count": ("count", "counts", "plays", "playcount", "listens", "quantity", "qty", "weight", "clicks", "purchases"),
    "time": ("timestamp", "time", "date", "datetime", "ts", "unixreviewtime", "when"),
}
"""Names that columns usually have, in lower case and without signs between the letters."""
WHOLE = re.compile(r"0|-?[1-9]\d{0,18}")
LOOKED_AT = 1 << 16


@dataclass(frozen=True, slots=True)
class Log:
    """Lines of a log; users and items are numbers into the lists of their identifiers, in order of appearance.

    Args:
        user: Number of the user of each line.
        item: Number of the item of each line.
        users: Identifiers of the users, as the data have them.
        items: Identifiers of the items.
        rating: Rating of each line.
        count: Count of each line.
        time: Time of each line as a number.
        names: Names of the columns, by what they hold.
        origin: What the source is called.
        notes: What was chosen, one sentence each.
        beside: Columns of the lines that were asked for beside those, as a frame.
    """

    user: Array
    item: Array
    users: tuple[Any, ...]
    items: tuple[Any, ...]
    rating: Array | None = None
    count: Array | None = None
    time: Array | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    origin: str = "the data"
    notes: tuple[str, ...] = ()
    beside: Any = None

    def where(self, keep: Array) -> Log:
        """Return some of the lines."""
        marks: dict[str, Any] = {
            n: None if (v := getattr(self, n)) is None else v[keep] for n in ("rating", "count", "time")
        }
        return replace(self, user=self.user[keep], item=self.item[keep], **marks)


def column_for(role: str, names: Iterable[str]) -> str | None:
    """Return the column that usually holds the user, the item, the rating, the count or the time.

    Example:
        >>> column_for("user", ["userId", "movieId"]), column_for("item", ["userId", "movieId"])
        ('userId', 'movieId')
        >>> column_for("item", ["user_id:token", "item_id:token"])
        'item_id:token'
    """
    known = {re.sub(r"[^a-z]", "", str(n).partition(":")[0].lower()): n for n in reversed(list(names))}
    return next((known[n] for n in NAMES[role] if n in known), None)


# --- sources --------------------------------------------------------------------------------------------------------
def header_of(path: Path, delimiter: str | None = None) -> list[str]:
    """Return the cells of the first line of a text file."""
    first = first_line(path)
    mark = delimiter or mark_of(first)
    return [cell.strip().strip('"') for cell in first.split(mark)]


def first_line(path: Path) -> str:
    """Return the first line of a text file without its end."""
    with guarded(path), path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return file.readline(LOOKED_AT).rstrip("\r\n")


def mark_of(line: str) -> str:
    r"""Return what separates the cells of a line.

    Example:
        >>> mark_of("1::2::5"), mark_of("196\t242\t3")
        ('::', '\t')
    """
    return "::" if "::" in line else max("\t,;|", key=line.count)


def has_names(cells: list[str]) -> bool:
    """Whether a first line holds names of columns: a user and an item among them."""
    return column_for("user", cells) is not None and column_for("item", cells) is not None


def read_log(source: object, options: InteractionOptions, beside: Sequence[str] = ()) -> Log:
    """Read any source of interactions, with further columns of tables where they have them.

    Raises:
        InputError: It is none, or a line cannot be one.
    """
    if isinstance(source, Mapping):
        return of_lists(source.values(), list(source), "the mapping")
    if isinstance(source, list | tuple):
        return of_lists(source, None, "the list")
    if sparse.is_sparse(source):
        return of_matrix(sparse.of_scipy(source, f"the {type(source).__name__}"), f"the {type(source).__name__}")
    if isinstance(source, str) and "://" in source:
        return of_frame(_query(source, options), options, repr(without_password(source)), beside)
    path = sources.existing(source)
    if path is None:
        if not sources.is_frame(source):
            raise InputError(
                "Interactions are a table of users and items, a sparse matrix or lists of items, but got a "
                f"{type(source).__name__}. Give one of them."
            )
        return of_frame(source, options, "the DataFrame", beside)
    if path.is_dir():
        return of_matrix(sparse.Sparse.mapped(path), repr(str(path)))
    if sparse.is_sparse_file(path):
        return of_matrix(sparse.read_sparse(path), repr(str(path)))
    return of_frame(_frame(path, options), options, repr(str(path)), beside)


def _query(url: str, options: InteractionOptions) -> Any:
    import pandas as pd

    alchemy = need("sqlalchemy", extra="table", to="read a database")
    if options.query is None and options.table is None:
        raise InputError(f"A database is read by table or query, but got {without_password(url)!r} alone. Set one.")
    try:
        engine = alchemy.create_engine(url)
        with engine.connect() as link:
            if options.query:
                return pd.read_sql(alchemy.text(options.query), link)
            return pd.read_sql_table(str(options.table), link)
    except Exception as err:
        why = str(err).partition("\n")[0][:200]
        raise InputError(f"The query must run on {without_password(url)!r}, but: {why}. Correct it.") from err


def _frame(path: Path, options: InteractionOptions) -> Any:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        with guarded(path):
            return pd.read_parquet(path)
    need_no_holes(path)
    need_room(path.stat().st_size, path, "interactions as text")
    cells = header_of(path, options.delimiter)
    named = options.header if options.header is not None else has_names(cells) or options.user in cells
    mark = options.delimiter or mark_of(first_line(path))
    try:
        text: Any = path
        if mark == "::":  # read by another parser, it would take a minute for a million lines
            text, mark = StringIO(path.read_text(encoding="utf-8").replace("::", "\t")), "\t"
        return pd.read_csv(
            text, sep=mark, header=0 if named else None, dtype=str, na_filter=False, encoding="utf-8-sig"
        )
    except Exception as err:  # pandas raises a dozen types for a damaged file
        raise InputError(
            f"{str(path)!r} must be a table in UTF-8 with the same number of cells in every line, but: "
            f"{str(err)[:200]}. Check that line, or save the file again."
        ) from err


# --- to a log -------------------------------------------------------------------------------------------------------
def of_frame(frame: Any, options: InteractionOptions, origin: str, beside: Sequence[str] = ()) -> Log:
    """Return the log of a table with a column of users and one of items."""
    names = [str(n) for n in frame.columns]
    if names == [str(i) for i in range(len(names))] and 2 <= len(names) <= 4:  # no header: as in MovieLens
        frame = frame.set_axis(["user", "item", "rating", "timestamp"][: len(names)], axis=1)
        names = [str(n) for n in frame.columns]
    chosen = {role: _column(role, names, options, origin) for role in NAMES}
    by_name = {name: i for i, name in enumerate(names)}
    if not len(frame):
        raise InputError(f"Interactions need at least one line, but {origin} has none. Give lines of users and items.")
    columns = {role: frame.iloc[:, by_name[name]] for role, name in chosen.items() if name is not None}
    user, users = _numbered(columns["user"], "user", origin)
    item, items = _numbered(columns["item"], "item", origin)
    marks: dict[str, Array] = {r: _numbers(columns[r], r, origin) for r in ("rating", "count") if r in columns}
    if "time" in columns:
        marks["time"] = _times(columns["time"], origin)
    kept = {role: name.partition(":")[0] for role, name in chosen.items() if name is not None}
    kept_too = [n for n in names if n in beside]
    left = [n for n in names if n not in chosen.values() and n not in kept_too]
    told = f"Users are the column {kept['user']!r}, items {kept['item']!r}"
    notes: tuple[str, ...] = (f"{told}{''.join(f', the {r} {kept[r]!r}' for r in marks)}.",)
    notes += (f"Columns that say nothing here were left out: {', '.join(left[:5])}.",) if left else ()
    more = frame.iloc[:, [by_name[n] for n in kept_too]].reset_index(drop=True) if kept_too else None
    return Log(user, item, users, items, **marks, names=kept, origin=origin, notes=notes, beside=more)


def _column(role: str, names: list[str], options: InteractionOptions, origin: str) -> str | None:
    asked = getattr(options, role)
    if asked is not None:
        found = next((n for n in names if asked in (n, n.partition(":")[0])), None)
        if found is None:
            raise InputError(f"{origin} has no column {asked!r} for the {role}.{instead(asked, names)}")
        return found
    found = column_for(role, names)
    if found is None and role in ("user", "item"):
        raise InputError(
            f"Interactions need a column of {role}s, but {origin} has {', '.join(names[:8])}. "
            f"Name it with the option {role}=COLUMN."
        )
    return found


def _numbered(column: Any, role: str, origin: str) -> tuple[Array, tuple[Any, ...]]:
    """Return numbers of identifiers, and the identifiers as they were: whole numbers as such, all else as text."""
    import pandas as pd

    codes, found = pd.factorize(column)
    bad = (codes < 0) | np.isin(codes, [i for i, v in enumerate(found) if isinstance(v, str) and not v.strip()])
    if bad.any():
        first = int(np.flatnonzero(bad)[0]) + 1
        raise InputError(
            f"Every line needs a{'n' * (role == 'item')} {role}, but {int(bad.sum())} of {origin} have none, the first "
            f"of them line {first}. Remove them."
        )
    return codes.astype(np.int64), identifiers(found.tolist(), role, origin)


def identifiers(found: list[Any], role: str, origin: str) -> tuple[Any, ...]:
    """Return identifiers as a run can keep them: whole numbers, or text exactly as it is.

    Text of which every one is a whole number written as usual becomes numbers; leading zeros stay what they are.

    Example:
        >>> identifiers(["7", "12"], "item", "x"), identifiers(["007", "12"], "item", "x")
        ((7, 12), ('007', '12'))
    """
    if all(isinstance(v, str) for v in found):
        whole = all(WHOLE.fullmatch(v) and -(2**63) <= int(v) < 2**63 for v in found)
        return tuple(map(int, found)) if whole else tuple(map(str, found))
    if all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in found):
        return tuple(map(int, found))
    if all(isinstance(v, float) and v.is_integer() for v in found):
        return tuple(map(int, found))
    raise InputError(
        f"Identifiers are whole numbers or text, all of one sort, but the {role}s of {origin} are "
        f"{', '.join(sorted({type(v).__name__ for v in found}))}. Make them text."
    )


def _numbers(column: Any, role: str, origin: str) -> Array:
    import pandas as pd

    values: Array = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values) | ((values < 0) & (role == "count"))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"A {role} is a number{' from 0 up' if role == 'count' else ''}, but line {first + 1} of {origin} has "
            f"{str(column.iloc[first])[:40]!r}, and {int(bad.sum())} lines in all are none. Mend or remove them."
        )
    return values


def _times(column: Any, origin: str) -> Array:
    import pandas as pd

    plain = pd.to_numeric(column, errors="coerce") if not hasattr(column, "dt") else column
    try:
        dated = hasattr(column, "dt") or plain.isna().any()
        times = pd.to_datetime(column, utc=True, format="mixed") if dated else plain
    except (ValueError, TypeError) as err:
        raise InputError(f"Times must have an order, but those of {origin} have none: {err}. Mend them.") from err
    if times.isna().any():
        raise InputError(f"Every line needs a time, but {int(times.isna().sum())} lines of {origin} have none.")
    return np.asarray(times.astype("int64") if hasattr(times, "dt") else times.to_numpy(np.float64))


def of_lists(rows: Iterable[Any], users: list[Any] | None, origin: str) -> Log:
    """Return the log of users given as lists of their items; of a user with an empty one nothing is known."""
    import pandas as pd

    lists = list(rows)
    if any(isinstance(r, str | bytes) or not isinstance(r, Iterable) for r in lists):
        raise InputError(
            f"Users are given as lists of items, one list each, but {origin} has a bare item. Give [[item, item], ...]."
        )
    told: list[list[Any]] = [list(r) for r in lists if isinstance(r, Iterable)]  # all of them are
    if not told:
        raise InputError(f"There must be at least one user, but {origin} has none. Give lists of items.")
    user = np.repeat(np.arange(len(told)), [len(r) for r in told])
    flat = [item for r in told for item in r]
    codes, found = pd.factorize(np.array(flat, dtype=object)) if flat else (np.empty(0, np.int64), np.empty(0))
    names: list[Any] = users if users is not None else list(range(len(told)))
    return Log(
        user.astype(np.int64), codes.astype(np.int64), identifiers(names, "user", origin),
        identifiers(list(found), "item", origin), names={"user": "user", "item": "item"}, origin=origin,
    )


def of_matrix(matrix: sparse.Sparse, origin: str) -> Log:
    """Return the log of a matrix of users by items; both are called by their numbers, and a value is a count."""
    count = None if matrix.values is None else np.asarray(matrix.values, np.float64)
    if count is not None and bool((count < 0).any()):
        raise InputError(f"A count is a number from 0 up, but {origin} has {float(count.min())}. Mend or remove them.")
    user, users = np.unique(matrix.row, return_inverse=True)
    item, items = np.unique(np.asarray(matrix.indices), return_inverse=True)
    return Log(
        users.astype(np.int64), items.astype(np.int64), tuple(user.tolist()), tuple(item.tolist()), count=count,
        names={"user": "user", "item": "item", "count": "count"}, origin=origin,
        notes=("Users and items are called by their row and column, from 0.",),
    )
