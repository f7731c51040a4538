"""Databases: a SQLite file needs nothing, any other is reached by its address through SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError, UnknownNameError
from senzai.core.extras import need

from ..options import TableOptions

Pieces = Callable[[int], Iterator[Any]]


def of_sqlite(path: Path, options: TableOptions) -> Pieces:
    """Return what reads a table or query of a SQLite file, piece by piece."""

    def connect() -> Any:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    link = connect()
    try:
        tables = [str(r[0]) for r in link.execute("select name from sqlite_master where type in ('table','view')")]
    except Exception as err:  # a damaged file makes sqlite3 raise several types
        raise InputError(f"{str(path)!r} must be a whole SQLite file, but: {err}. Copy it again.") from err
    finally:
        link.close()
    return querying(connect, query_of(tables, options, str(path)), path)


def of_url(url: str, options: TableOptions) -> Pieces:
    """Return what reads a table or query of a database, piece by piece."""
    alchemy = need("sqlalchemy", extra="table", to="read a database")
    shown = url.split("@")[-1]
    try:
        engine = alchemy.create_engine(url)
        tables = alchemy.inspect(engine).get_table_names()
    except Exception as err:
        why = str(err)[:200]
        raise InputError(f"The database {shown!r} must be reachable, but: {why}. Check the address.") from err
    return querying(engine.connect, alchemy.text(query_of(tables, options, shown)), shown)


def query_of(tables: list[str], options: TableOptions, origin: str) -> str:
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
    quoted = name.replace('"', '""')
    return f'select * from "{quoted}"'


def querying(connect: Callable[[], Any], query: Any, where: object) -> Pieces:
    """Return what runs a query and yields frames of at most so many rows."""

    def pieces(rows: int) -> Iterator[Any]:
        import pandas as pd

        link = connect()
        try:
            yield from pd.read_sql(query, link, chunksize=rows)
        except Exception as err:
            raise InputError(f"The query must run on {str(where)!r}, but: {str(err)[:200]}. Correct it.") from err
        finally:
            link.close()

    return pieces
