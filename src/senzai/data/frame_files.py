"""Writing frames piece by piece: csv, tsv, parquet, arrow, json lines and Excel, each whole or not at all."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing

from .dtypes import OBJECT, arrow_series, scale_of

EXCEL = 10**15
"""Whole numbers from which Excel rounds."""
FORMATS = (".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".jsonl", ".ndjson", ".xlsx")


def to_polars(frame: Any) -> Any:
    """Return a pandas frame as a polars frame; ordered categories of text are an Enum."""
    import pandas as pd

    polars = need("polars", extra="table", to="return polars frames")
    made = {}
    for i, name in enumerate(frame.columns):
        column = frame.iloc[:, i].reset_index(drop=True)
        kind = column.dtype
        if isinstance(kind, pd.CategoricalDtype) and kind.ordered and all(isinstance(c, str) for c in kind.categories):
            enum = polars.Enum(kind.categories.tolist())
            made[str(name)] = polars.Series(column.astype(object).where(column.notna(), None).tolist(), dtype=enum)
        else:
            made[str(name)] = polars.from_pandas(column.rename(str(name)))
    return polars.DataFrame(made)


def of_polars(frame: Any) -> Any:
    """Return a polars frame as a pandas frame of Arrow's types, which holds the same values of the same types.

    Raises:
        InputError: A type is one that Arrow does not have.
    """
    import pandas as pd

    polars = need("polars", extra="table", to="read polars frames")
    made = {}
    for name, kind in frame.schema.items():
        try:
            made[name] = frame[name].to_pandas(use_pyarrow_extension_array=True)
        except Exception as err:
            raise InputError(
                f"A polars column needs a type that Arrow has, but {name!r} is {kind}. Cast it to another, or drop it."
            ) from err
        if isinstance(kind, polars.Enum):
            names = pd.CategoricalDtype(kind.categories.to_list(), ordered=True)
            made[name] = made[name].astype(object).astype(names)
    return pd.DataFrame(made)


def to_pandas(frame: Any) -> Any:
    """Return any frame as a pandas frame."""
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame
    return of_polars(frame) if hasattr(frame, "to_pandas") else pd.DataFrame(frame)


class FrameWriter:
    r"""Writes frames one after the other to one file, which appears when all of them are written.

    Args:
        path: Where to; the suffix says how.

    Raises:
        InputError: The suffix is not one that is written.
        OutputError: The file cannot be written.

    Example:
        >>> import pandas as pd, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.csv"
        >>> with FrameWriter(path) as writer:
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

    def __enter__(self) -> FrameWriter:
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
        import pyarrow.parquet as pq
        from pyarrow import ipc

        if self._target is None:
            self._schema = arrow_table(frame, None).schema
            make = pq.ParquetWriter if self.suffix in (".parquet", ".pq") else ipc.new_file
            self._target = make(str(self._place), self._schema)
        self._target.write_table(arrow_table(frame, self._schema))

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
                cell.value = plain = excel_cell(value)
                if isinstance(plain, str):
                    cell.data_type = "s"
        with self._place.open("wb") as file:
            book.save(file)


# --- cells ----------------------------------------------------------------------------------------------------------
def excel_cell(value: Any) -> Any:
    """Return a value as Excel has it; as text, where it would lose a time zone, microseconds or digits there.

    Example:
        >>> import pandas as pd
        >>> excel_cell(pd.Timestamp("2026-01-01 10:00", tz="Europe/Berlin"))
        '2026-01-01T10:00:00+01:00'
    """
    import pandas as pd

    plain = value.item() if hasattr(value, "item") and not isinstance(value, pd.Timedelta) else value
    if isinstance(plain, datetime.datetime | datetime.time):
        fine = plain.microsecond % 1000 or getattr(plain, "nanosecond", 0)
        if plain.tzinfo is not None or fine:
            return plain.isoformat()
        return plain.to_pydatetime() if isinstance(plain, pd.Timestamp) else plain
    if isinstance(plain, int) and abs(plain) >= EXCEL:
        return str(plain)
    known = bool | int | float | str | decimal.Decimal | datetime.date | datetime.timedelta
    return plain if isinstance(plain, known) else written_out(plain)


def written_out(value: Any) -> str:
    """Return what JSON and Excel have no type for as text."""
    return value.hex() if isinstance(value, bytes) else value.isoformat() if hasattr(value, "isoformat") else str(value)


def json_lines(frame: Any) -> list[str]:
    r"""Return rows as lines of JSON; every number has all its digits.

    Example:
        >>> import pandas as pd
        >>> json_lines(pd.DataFrame({"a": [1.37e-12, None], "b": [2**60 + 1, 2]}))
        ['{"a":1.37e-12,"b":1152921504606846977}\n', '{"a":null,"b":2}\n']
    """
    cells = [[f"{json.dumps(str(c), ensure_ascii=False)}:{v}" for v in _json(frame.iloc[:, i])]
             for i, c in enumerate(frame.columns)]
    return ["{" + ",".join(row) + "}\n" for row in zip(*cells, strict=True)]


def _json(series: Any) -> list[str]:
    gone, values = series.isna().tolist(), series.astype(object).tolist()
    return ["null" if g is True or v is None else _json_cell(v) for g, v in zip(gone, values, strict=True)]


def _json_cell(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return "null"
    return json.dumps(plain, ensure_ascii=False, default=written_out)


def arrow_table(frame: Any, schema: Any) -> Any:
    """Return a frame as an Arrow table; decimals have 38 digits, after the point as many as the first rows need.

    Raises:
        InputError: A column holds values that Arrow has no type for.
    """
    import pandas as pd
    import pyarrow as pa

    made = frame.set_axis([str(c) for c in frame.columns], axis=1)
    for name, kind in made.dtypes.items():
        if isinstance(kind, pd.SparseDtype):
            made[name] = made[name].sparse.to_dense()
        there = made[name].dropna().tolist() if kind == OBJECT and schema is None else []
        if there and all(isinstance(v, pd.Timestamp) for v in there):  # Arrow would cut their nanoseconds off
            made[name] = made[name].infer_objects()
        elif there and all(isinstance(v, decimal.Decimal) for v in there):
            made[name] = arrow_series(made[name].where(made[name].notna(), None), pd.ArrowDtype(
                pa.decimal128(38, scale_of(there))))
    try:
        return pa.Table.from_pandas(made, schema=schema, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as err:
        raise InputError(
            f"Parquet and Arrow hold values of one type in each column, but: {str(err)[:200]}. Write .jsonl or .csv."
        ) from err


def columns_of(source: Any, path: Path | None) -> list[str]:
    """Return names of columns from the head of a frame, or of a file of comma- or tab-separated values."""
    if path is None:
        return [str(c) for c in source.columns] if hasattr(source, "columns") else []
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.readline(10_000)
        return head.strip().split(max("\t;,", key=head.count))
    return []
