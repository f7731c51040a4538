"""What a verb answers for the rows of a table or query, written to a table of a database, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..core.errors import InputError, OutputError, SettingError
from ..core.extras import need
from ..data.addresses import without_password
from ..data.frame_files import FrameWriter
from ..data.open import as_before
from ..data.options import parse
from ..runs import load
from .batches import BatchVerb

ROWS = 50_000
"""Rows of a chunk."""


def to_database(
    function: BatchVerb, source: object, to: str, table: str, *, options: Mapping[str, Any] | None = None,
    rows: int = ROWS, overwrite: bool = False,
) -> int:
    """Read rows chunk by chunk, do a verb with them, and write what it answers to a table; return the rows written.

    Answers are gathered in a temporary file first, since a database that is read may not be written to at that time.
    The table appears when all of it is written: until then it has a name of its own, which goes if anything fails.
    A query that is read twice must give the same rows twice: give it an order.

    Args:
        function: The verb, from :func:`map_batches`; name the key of the rows with its ``keep``.
        source: The rows: an address of a database with ``options={"query": ...}`` or ``{"table": ...}``, or a file.
        to: Address of the database that is written to.
        table: Name of the new table there.
        options: How the rows are read.
        rows: Rows of a chunk.
        overwrite: Replace a table of that name.

    Raises:
        SettingError: ``rows`` is below 1.
        OutputError: The table exists, or the database cannot be written.
        InputError: The rows cannot be read.

    Example:
        >>> import sqlite3, tempfile, numpy as np, pandas as pd
        >>> from senzai.distributed import map_batches
        >>> from senzai.runs import fit
        >>> place = tempfile.mkdtemp()
        >>> frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
        >>> with sqlite3.connect(f"{place}/shop.db") as shop:
        ...     frame.to_sql("orders", shop, index=False)
        60
        >>> run = fit(frame, steps=2, n_latent=1, out=f"{place}/run")
        >>> score = map_batches(run, "score", keep=["a"])
        >>> to_database(score, f"sqlite:///{place}/shop.db", f"sqlite:///{place}/shop.db", "scores",
        ...             options={"table": "orders"}, rows=25)
        60
    """
    if rows < 1:
        raise SettingError(f"A chunk has a row at least, but got rows={rows}.")
    alchemy = need("sqlalchemy", extra="table", to="write to a database")
    shown = without_password(to)
    try:
        engine = alchemy.create_engine(to)
        there = alchemy.inspect(engine).has_table(table)
    except Exception as err:  # every driver has exceptions of its own
        raise OutputError(f"The database {shown!r} must be reachable, but it is not. Check the address.") from err
    if there and not overwrite:
        raise OutputError(f"A new table needs a name of its own, but {shown!r} has {table!r}. Choose another name.")
    new = f"{table}__new"
    try:
        with TemporaryDirectory(prefix="senzai-") as place:
            answers = Path(place) / "answers.parquet"
            with FrameWriter(answers) as file:
                for chunk in _chunks(function, source, options, rows):
                    file.write(function(chunk))
            written = _write(engine, new, answers, rows)
        with engine.begin() as link:
            quoted = engine.dialect.identifier_preparer.quote
            if there:
                link.execute(alchemy.text(f"drop table {quoted(table)}"))
            link.execute(alchemy.text(f"alter table {quoted(new)} rename to {quoted(table)}"))
    except BaseException:
        with suppress(Exception), engine.begin() as link:
            link.execute(alchemy.text(f"drop table {engine.dialect.identifier_preparer.quote(new)}"))
        raise
    finally:
        engine.dispose()
    return written


def _chunks(function: BatchVerb, source: object, options: Mapping[str, Any] | None, rows: int) -> Iterator[Any]:
    """Yield frames of the rows as they are, without bringing all of them to memory."""
    run = load(function.path)
    kind = run.kind
    given = as_before(run.schema, kind.options, {"in_memory": False, **(options or {})})
    opened = kind.read(source, parse(kind.name, kind.options, given), run.schema)
    yield from kind.parts(opened.data, run.schema, rows)


def _write(engine: Any, table: str, answers: Path, rows: int) -> int:
    import pyarrow.parquet as pq

    written = 0
    if not answers.exists():
        raise InputError("A table is made of the answers for some rows, but there were none. Check what is read.")
    with pq.ParquetFile(answers) as file:
        for batch in file.iter_batches(batch_size=rows):
            try:
                batch.to_pandas().to_sql(table, engine, if_exists="append" if written else "replace", index=False)
            except Exception as err:
                why = str(err).partition("\n")[0][:200]
                raise OutputError(f"Answers must fit a table of the database, but: {why}. Keep other columns.") from err
            written += batch.num_rows
    return written
