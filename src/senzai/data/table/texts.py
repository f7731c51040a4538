"""Text cells to typed columns: numbers, truth values and dates where every cell of a column is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from senzai.core.errors import InputError

MISSING = (
    "", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?",
)
"""Texts that mean *not observed* in a text file."""

TRUTHS = (("false", "true"), ("False", "True"), ("FALSE", "TRUE"))
PLAIN_TRUTH = "truth:1"
"""Truth values as Python writes them: these are read as such, the others stay the text they were."""

DATES = (
    (r"^\d{4}-\d{2}-\d{2}$", "%Y-%m-%d"),
    (r"^\d{4}/\d{2}/\d{2}$", "%Y/%m/%d"),
    (r"^\d{2}\.\d{2}\.\d{4}$", "%d.%m.%Y"),
    (r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$", "%Y-%m-%d %H:%M"),
    (r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$", "%Y-%m-%d %H:%M:%S"),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$", "%Y-%m-%dT%H:%M:%S"),
    (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$", "%Y-%m-%dT%H:%M:%SZ"),
)
LEADING_ZERO = r"^[+-]?0\d"
"""``00501`` is a code and no number: as a number it would not come back."""


@dataclass
class Reading:
    """How the cells of one text column are read, while that is found out.

    Args:
        candidates: What every cell so far could be.
        seen: Whether any cell had a value.
    """

    candidates: list[str] = field(
        default_factory=lambda: ["int", "float", *(f"truth:{i}" for i in range(3)), *(f"date:{f}" for _, f in DATES)]
    )
    seen: bool = False

    def see(self, cells: Any) -> None:
        """Drop what some cell cannot be; ``cells`` is an Arrow array of text, null where missing."""
        import pyarrow.compute as pc

        cells = cells.drop_null()
        if not len(cells):
            return
        self.seen = True
        self.candidates = [c for c in self.candidates if _fits(c, cells, pc)]

    @property
    def chosen(self) -> str:
        """What the column is read as."""
        return self.candidates[0] if self.candidates and self.seen else "text"


def _fits(candidate: str, cells: Any, pc: Any) -> bool:
    import pyarrow as pa

    what, _, how = candidate.partition(":")
    if what == "truth":
        return bool(pc.all(pc.is_in(cells, value_set=pa.array(TRUTHS[int(how)]))).as_py())
    if what == "date":
        pattern = next(p for p, f in DATES if f == how)
        return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py()) and _is_date(cells, how)
    if bool(pc.any(pc.match_substring_regex(cells, LEADING_ZERO)).as_py()):
        return False
    try:
        pc.cast(cells, pa.int64() if what == "int" else pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _is_date(cells: Any, form: str) -> bool:
    import pandas as pd

    try:
        pd.to_datetime(cells.to_pandas(), format=form)
    except (ValueError, OverflowError):
        return False
    return True


def blank(cells: Any, markers: tuple[str, ...]) -> Any:
    """Return text cells without spaces around them, null where they mean *not observed*."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    gone = pc.is_in(trimmed, value_set=pa.array([*MISSING, *markers]))
    return pc.if_else(gone, pa.scalar(None, pa.string()), trimmed)


def typed(cells: Any, how: str, name: object, *, start: int, origin: str) -> Any:
    """Return a text column as a pandas Series of its type.

    Raises:
        InputError: A cell cannot be read as the others are; its row is named.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    what = how.partition(":")[0]
    try:
        if what == "int" and (whole := _whole(cells)) is not None:
            return whole
        if how == PLAIN_TRUTH:
            return _bools(cells)
        if what in ("int", "float"):
            return pd.Series(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype="float64")
    except pa.ArrowInvalid:
        raise _not_a_number(cells, name, start, origin) from None
    return _text(cells)


def _text(cells: Any) -> Any:
    """Return text cells as pandas' own text, without a Python object for each."""
    import pandas as pd

    kind: Any = pd.Series(dtype="str").dtype
    return pd.Series(kind.__from_arrow__(cells)) if hasattr(kind, "__from_arrow__") else pd.Series(
        cells.to_pylist(), dtype="str"
    )


def _bools(cells: Any) -> Any:
    import pandas as pd
    import pyarrow.compute as pc

    kind: Any = pd.BooleanDtype()
    found = pd.Series(kind.__from_arrow__(pc.equal(cells, "True")))
    unknown = cells.null_count < len(cells) and not pc.all(pc.is_in(cells.drop_null(), value_set=_pair(1))).as_py()
    if unknown:
        return _text(cells)
    return found if found.isna().any() else found.astype("bool")


def _pair(i: int) -> Any:
    import pyarrow as pa

    return pa.array(TRUTHS[i])


def _whole(cells: Any) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        numbers = pc.cast(cells, pa.int64())
    except pa.ArrowInvalid:
        return None
    if not numbers.null_count:
        return pd.Series(numbers.to_numpy(zero_copy_only=False), dtype="int64")
    return pd.Series(pd.array(numbers.to_pandas(integer_object_nulls=True), dtype="Int64"))


def _not_a_number(cells: Any, name: object, start: int, origin: str) -> InputError:
    for i, cell in enumerate(cells.to_pylist()):
        try:
            _ = cell is None or float(cell)
        except ValueError:
            return InputError(
                f"The column {name!r} holds numbers, but {origin} has {cell!r} there in row {start + i} (from 0). "
                "Correct that cell, or fit again with other types."
            )
    return InputError(
        f"The column {name!r} holds whole numbers of up to 64 bits, but {origin} has others after row {start}. "
        "Round them, or fit again."
    )
