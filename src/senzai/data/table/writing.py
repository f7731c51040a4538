"""Writing frames piece by piece: csv, tsv, parquet, arrow, json lines and Excel, each whole or not at all."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing

from . import exact

FORMATS = (".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".jsonl", ".ndjson", ".xlsx")


def to_polars(frame: Any) -> Any:
    """Return a pandas frame as a polars frame."""
    polars = need("polars", extra="table", to="return polars frames")
    return polars.from_pandas(frame)


def to_pandas(frame: Any) -> Any:
    """Return any frame as a pandas frame."""
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    if hasattr(frame, "to_pandas"):
        return exact.framed(frame.to_arrow())
    return pd.DataFrame(frame)


def json_lines(frame: Any) -> Iterator[str]:
    r"""Yield a line for each row, every number with all its digits, and null where a value is missing.

    Example:
        >>> import pandas as pd
        >>> list(json_lines(pd.DataFrame({"a": [1.37e-12, None], "b": ["x", "y"]})))
        ['{"a":1.37e-12,"b":"x"}\n', '{"a":null,"b":"y"}\n']
    """
    names = [json.dumps(str(c), ensure_ascii=False) for c in frame.columns]
    cells = [[_json(v) for v in frame.iloc[:, i].astype(object)] for i in range(len(names))]
    for row in zip(*cells, strict=True):
        yield "{" + ",".join(f"{name}:{cell}" for name, cell in zip(names, row, strict=True)) + "}\n"


def _json(value: Any) -> str:
    import pandas as pd

    plain = value.item() if hasattr(value, "item") else value
    if plain is None or plain is pd.NA or plain != plain or plain in (float("inf"), float("-inf")):
        return "null"
    if isinstance(plain, decimal.Decimal):
        return f"{plain:f}"
    if isinstance(plain, bool | int | float | str | list | dict):
        return json.dumps(plain, ensure_ascii=False)
    if isinstance(plain, datetime.timedelta):
        return json.dumps(pd.Timedelta(plain).isoformat())
    return json.dumps(plain.isoformat() if hasattr(plain, "isoformat") else str(plain), ensure_ascii=False)


class Writer:
    r"""Writes frames one after the other to one file, which appears when all of them are written.

    Args:
        path: Where to; the suffix says how.

    Raises:
        InputError: The suffix is not one that is written.
        OutputError: The file cannot be written.

    Example:
        >>> import pandas as pd, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.csv"
        >>> with Writer(path) as writer:
        ...     writer.write(pd.DataFrame({"a": [1]}))
        ...     writer.write(pd.DataFrame({"a": [2]}))
        >>> path.read_text()
        'a\n1\n2\n'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        if self.suffix not in FORMATS:
            raise InputError(f"Tables are written as {', '.join(FORMATS)}, but got {self.path.name!r}. Choose one.")
        self._stack = ExitStack()
        self._target: Any = None
        self._rows: list[Any] = []
        self._first = True

    def __enter__(self) -> Writer:
        self._place = self._stack.enter_context(replacing(self.path))
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._finish()
            elif self._target is not None:
                self._target.close()
        except BaseException as err:
            self._stack.__exit__(type(err), err, err.__traceback__)
            raise
        self._stack.__exit__(*error)

    def write(self, frame: Any) -> None:
        """Add rows."""
        made = to_pandas(frame)
        if self.suffix in (".csv", ".tsv"):
            mark = "\t" if self.suffix == ".tsv" else ","
            made.to_csv(self._place, index=False, sep=mark, mode="w" if self._first else "a", header=self._first)
        elif self.suffix in (".jsonl", ".ndjson"):
            with self._place.open("w" if self._first else "a", encoding="utf-8") as file:
                file.writelines(json_lines(made))
        elif self.suffix == ".xlsx":
            self._rows.append(made)
        else:
            self._arrow(made)
        self._first = False

    def _arrow(self, frame: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from pyarrow import ipc

        names = frame.set_axis([str(c) for c in frame.columns], axis=1)
        if self._target is None:
            table = pa.Table.from_pandas(names, preserve_index=False)
            self._schema = table.schema
            make = pq.ParquetWriter if self.suffix in (".parquet", ".pq") else ipc.new_file
            self._target = make(str(self._place), table.schema)
        self._target.write_table(pa.Table.from_pandas(names, schema=self._schema, preserve_index=False))

    def _finish(self) -> None:
        if self._target is not None:
            self._target.close()
        if self.suffix == ".xlsx":
            self._excel()

    def _excel(self) -> None:
        """Write every text as text: one that begins with ``=`` would be run as a formula otherwise."""
        openpyxl = need("openpyxl", extra="table", to="write Excel files")
        import pandas as pd

        frame = pd.concat(self._rows, ignore_index=True) if self._rows else pd.DataFrame()
        book = openpyxl.Workbook(write_only=False)
        sheet = book.active
        sheet.append([str(c) for c in frame.columns])
        for r, row in enumerate(frame.astype(object).itertuples(index=False), 2):
            for c, value in enumerate(row, 1):
                if value is None or value is pd.NA or value != value:
                    continue
                cell = sheet.cell(r, c)
                plain = value.item() if hasattr(value, "item") else value
                if isinstance(plain, pd.Timestamp):  # Excel has no time zones: with one, the time is text
                    plain = plain.to_pydatetime() if plain.tzinfo is None else plain.isoformat()
                cell.value = plain
                if isinstance(plain, str):
                    cell.data_type = "s"
        with self._place.open("wb") as file:
            book.save(file)
