"""Numbers as people write them, with decimal commas, thousands separators and currency signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from senzai.runtime.numbers import written as text_of

SIGNS = r"(?:[$€£¥₹₽₩₺₴฿₫]|CHF|EUR|USD|GBP|JPY)"
MARKS = ("", ",", ".", " ", "'", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{RIGHT SINGLE QUOTATION MARK}")
"""What stands between thousands."""
PREFIX = "number:"


@dataclass(frozen=True)
class NumberForm:
    """How a column's numbers are written.

    Args:
        decimal: Before the decimals.
        thousands: Between thousands; empty for nothing.
        before: Sign of currency in front, with the space after it.
        after: Sign of currency behind, with the space before it.
        optional: Whether a cell may be without its sign of currency.
        places: How many decimals every cell has; ``None`` where that differs.

    Example:
        >>> NumberForm(",", ".", "", " €", places=2).text(1234.5, None), NumberForm.of("number:,|.||||2")
        ('1.234,50 €', NumberForm(decimal=',', thousands='.', before='', after='', optional=False, places=2))
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""
    optional: bool = False
    places: int | None = None

    @property
    def name(self) -> str:
        """What a schema keeps."""
        return f"{PREFIX}{self.decimal}|{self.thousands}|{self.before}|{self.after}|{'?' if self.optional else ''}"\
            f"|{'' if self.places is None else self.places}"

    @classmethod
    def of(cls, name: str) -> NumberForm:
        """Return the form of a name."""
        decimal, thousands, before, after, optional, places = name.removeprefix(PREFIX).split("|")
        return cls(decimal, thousands, before, after, optional == "?", int(places) if places else None)

    @property
    def pattern(self) -> str:
        """A regular expression that every cell must match; a leading zero makes a code of it."""
        grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+|" if self.thousands else ""
        may = "?" if self.optional else ""
        before, after = (f"(?:{re.escape(sign)}){may}" if sign else "" for sign in (self.before, self.after))
        return rf"^[+-]?{before}(?:{grouped}0|[1-9]\d*)(?:{re.escape(self.decimal)}\d+)?{after}$"

    def bare(self, cells: Any) -> Any:
        """Return Arrow text cells without marks between thousands, and with a point before decimals."""
        import pyarrow.compute as pc

        for gone, new in ((self.thousands, ""), (self.decimal, ".")):
            cells = pc.replace_substring(cells, gone, new) if gone not in ("", new) else cells
        return cells

    def lengths(self, cells: Any) -> set[int]:
        """Return how many decimals Arrow text cells of this form have."""
        import pyarrow.compute as pc

        mark = re.escape(self.decimal)
        digits = pc.replace_substring_regex(cells, rf"^[^{mark}]*(?:{mark}(\d*).*)?$", r"\1")
        return set(pc.unique(pc.utf8_length(digits)).to_pylist())

    def numbers(self, cells: Any) -> Any:
        """Return Arrow text cells as float64; null where one is missing or no number of this form."""
        import pyarrow as pa
        import pyarrow.compute as pc

        bare = pc.if_else(pc.match_substring_regex(cells, self.pattern), cells, pa.scalar(None, cells.type))
        for sign in (self.before, self.after):
            bare = pc.replace_substring(bare, sign, "") if sign else bare
        return pc.cast(self.bare(bare), pa.float64())

    def text(self, value: float, decimals: int | None) -> str:
        """Return a number as the column writes it, with ``decimals`` where the form itself does not say how many."""
        return text_of(value, self, decimals)


def forms(cells: Sequence[str], *, decimal: str | None, thousands: str | None,
          currency: bool | None) -> list[NumberForm]:
    """Return the forms that a column may have, by its first cells and by what the user said."""
    before, after = _sign(cells) if currency is not False else ("", "")
    points = [decimal] if decimal else [d for d in (".", ",") if d != thousands]
    marks = ["", thousands] if thousands else MARKS
    return [NumberForm(d, t, before, after, bool(currency)) for d in points for t in marks if t != d]


def _sign(cells: Iterable[str]) -> tuple[str, str]:
    for cell in cells:
        if found := re.match(rf"^[+-]?({SIGNS}\s?)\d", cell):
            return found[1], ""
        if found := re.search(rf"\d(\s?{SIGNS})$", cell):
            return "", found[1]
    return "", ""


def settled(fitting: Sequence[NumberForm], used: str, *, comma: bool, asked: bool) -> list[NumberForm]:
    """Return those of the fitting forms that differ in what they make of a column.

    Args:
        fitting: Forms that every cell has.
        used: Marks that occur between digits.
        comma: Whether a comma alone may be the decimal mark, or separates something else, such as the cells of a line.
        asked: Whether the user named the mark between thousands.

    Example:
        >>> both = [NumberForm(","), NumberForm(".", ",")]  # what 1,234 could be
        >>> len(settled(both, ",", comma=True, asked=False)), settled(both, ",", comma=False, asked=False)
        (2, [NumberForm(decimal='.', thousands=',', before='', after='', optional=False, places=None)])
    """
    found = []
    for form in fitting:
        unused = form.thousands and form.thousands not in used  # it reads the cells as the form without thousands does
        other = form.decimal not in used and form.decimal != ("," if form.thousands == "." else ".")  # no decimals
        listed = form.decimal == "," and "," in used and not form.thousands and not comma
        phone = form.thousands.isspace() and form.decimal not in used and not (form.before or form.after or asked)
        if not (unused or other or listed or phone):
            found.append(form)
    return found


def written(values: Any, name: str, decimals: int | None, gone: Any = None) -> Any:
    """Return numbers as a Series of text in a column's form, missing where ``gone`` or no number."""
    import pandas as pd

    form = NumberForm.of(name)
    numbers = np.asarray(values, dtype=np.float64)
    lost = np.isnan(numbers) if gone is None else np.isnan(numbers) | np.asarray(gone)
    return pd.Series([None if g else form.text(v, decimals) for v, g in zip(numbers, lost, strict=True)], dtype="str")


def is_form(name: str | None) -> bool:
    """Whether what a schema keeps of a column's writing is a form of numbers."""
    return name is not None and name.startswith(PREFIX)


def plain(series: Any, name: str, *, strict: bool = True) -> Any:
    """Return a column of written numbers as numbers, whole ones as such; what is no text stays what it is.

    Raises:
        ValueError: A cell is no number of the form; otherwise, if not ``strict``, it is missing.
    """
    import pandas as pd
    import pyarrow as pa

    if series.dtype.kind in "iuf":
        return series
    values = series.tolist()
    told = pa.array([v if isinstance(v, str) else None for v in values], pa.string())
    found = NumberForm.of(name).numbers(told).to_numpy(zero_copy_only=False)
    numbers = np.array([v if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)
    found = np.where(np.isnan(found), numbers, found)
    if strict and (np.isnan(found) & ~series.isna().to_numpy()).any():
        raise ValueError(name)
    made = pd.Series(found, index=series.index, name=series.name)
    known = found[~np.isnan(found)]
    return made.astype("Int64") if (known % 1 == 0).all() and np.abs(known).max(initial=0) < 2**53 else made
