"""Databases: a SQLite file needs nothing, any other is reached by its address through SQLAlchemy."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError, UnknownNameError
from senzai.core.extras import need

from ..addresses import HIDDEN, without_password
from ..options import TableOptions
from . import exact

Pieces = Callable[[int], Iterator[Any]]
def of_sqlite(path: Path, options: TableOptions) -> tuple[Pieces, str]:
    """Return what reads a table or query of a SQLite file, piece by piece, and the query, where there was a choice."""

    def connect() -> Any:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    link = connect()
    try:
        tables = [str(r[0]) for r in link.execute("select name from sqlite_master where type in ('table','view')")]
    except Exception as err:  # a damaged file makes sqlite3 raise several types
        raise InputError(f"{str(path)!r} must be a whole SQLite file, but: {err}. Copy it again.") from err
    finally:
        link.close()
    query = query_of(tables, options, str(path))
    return querying(connect, query, path), query if options.query or len(tables) > 1 else ""


def of_url(url: str, options: TableOptions) -> tuple[Pieces, str]:
    """Return what reads a table or query of a database, piece by piece, and the query, where there was a choice.

    Raises:
        InputError: It cannot be reached, or the address is one that was kept without its password.
    """
    alchemy = need("sqlalchemy", extra="table", to="read a database")
    shown = without_password(url)
    if HIDDEN in url:
        raise InputError(
            f"A name and a password are not kept with a run, and the database {shown!r} needs them. "
            "Give the whole address again, as data."
        )
    try:
        engine = alchemy.create_engine(url).execution_options(stream_results=True)  # rows come as they are asked for
        look = alchemy.inspect(engine)
        tables = [*look.get_table_names(), *look.get_view_names()]
    except Exception as err:
        raise InputError(
            f"The database {shown!r} must be reachable, but: {_unsaid(err, url)}. Check the address."
        ) from err
    query = query_of(tables, options, shown, engine.dialect.identifier_preparer.quote)
    part = query if options.query or len(tables) > 1 else ""
    return querying(engine.connect, alchemy.text(query.replace(":", r"\:")), shown), part


def _unsaid(err: Exception, url: str) -> str:
    """Return what went wrong without what only the user may know."""
    secret = re.match(r"[^:/@]*:([^@]*)@", url.partition("://")[2])
    text = str(err).partition("\n")[0][:200]
    return text.replace(secret[1], HIDDEN) if secret and secret[1] else text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def query_of(
    tables: list[str], options: TableOptions, origin: str, quoted: Callable[[str], str] = _quoted
) -> str:
    """Return the query to run: the user's, or everything of one table.

    Raises:
        UnknownNameError: There is no such table, or no single one.
    """
    if options.query:
        return options.query
    name = options.table or (tables[0] if len(tables) == 1 else None)
    if name is None or name not in tables:
        raise UnknownNameError(
            f"A database is read by table or query, and {origin!r} has the tables {', '.join(tables) or 'none'}. "
            "Choose with the option table=NAME or query='select ...'."
        )
    return f"select * from {quoted(name)}"


def querying(connect: Callable[[], Any], query: Any, where: object) -> Pieces:
    """Return what runs a query and yields frames of at most so many rows."""

    def pieces(rows: int) -> Iterator[Any]:
        link = connect()
        try:
            found = link.execute(query)
            names = list(found.keys()) if hasattr(found, "keys") else [d[0] for d in found.description or ()]
            if not names:
                raise ValueError("it returns no rows")
            empty = True
            while held := found.fetchmany(rows):
                empty = False
                yield _frame(held, names)
            if empty:
                yield _frame([], names)
        except Exception as err:
            why = str(err).partition("\n")[0][:200]
            raise InputError(f"The query must run on {str(where)!r}, but: {why}. Correct it.") from err
        finally:
            link.close()

    return pieces


def _frame(rows: Sequence[Any], names: list[str]) -> Any:
    import pandas as pd

    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame({i: exact.series_of(c) for i, c in enumerate(columns)}).set_axis(names, axis=1)
