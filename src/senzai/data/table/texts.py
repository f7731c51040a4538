"""Text cells to typed columns: numbers and truth values where every cell of a column is one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from senzai.core.errors import InputError

from ..options import TableOptions
from . import amounts

MISSING = (
    "", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?",
)
"""Texts that mean *not observed* in a text file."""

TRUTHS = (("false", "true"), ("False", "True"), ("FALSE", "TRUE"))
PLAIN_TRUTH = "truth:1"
"""Truth values as Python writes them: these are read as such, the others stay the text they were."""

CODE = r"^[+-]?0\d|^\+\d{6,}$|^[+-]?0[xX]|^\d+[eE]\d+$"
"""``00501``, ``+4930123456``, ``0x1F`` and ``12E4`` are codes and no numbers: as numbers they would not come back."""
TOO_LONG = r"^[+-]?\d{19,}$"
"""Whole numbers beyond 64 bits: as floating-point numbers they would lose digits."""

NAMIBIA = "NA"
COUNTRIES = frozenset(map("".join, zip(*2 * [iter(
    "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCY"
    "CZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISIT"
    "JEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNI"
    "NLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTK"
    "TLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW"
)], strict=True)))
"""The two-letter codes of ISO 3166-1."""
FEW_COUNTRIES = 5
"""Different codes beside ``NA`` from which ``NA`` is one of them, and not a mark of a missing value."""
WITH_NA = "text+NA"
"""How a column is read in which ``NA`` is a value."""


def missing(options: TableOptions) -> tuple[str, ...]:
    """Return the texts that mean *not observed*: the usual ones and the user's, without those that are to be kept."""
    return tuple(t for t in (*MISSING, *options.na) if t not in options.keep)


@dataclass
class Reading:
    """How the cells of one text column are read, while that is found out.

    Args:
        options: What the user set.
        as_asked: Whether the user set a type of numbers, so that codes are numbers too.
        candidates: What every cell so far could be.
        forms: Forms of written numbers that every cell so far has; ``None`` before the first.
        used: Marks between digits that occurred.
        places: How many decimals cells had, by the mark before them.
        countries: Different cells so far, while all of them are codes of countries.
        seen: Whether any cell had a value.
    """

    options: TableOptions = field(default_factory=lambda: TableOptions.model_validate({}))
    as_asked: bool = False
    candidates: list[str] = field(
        default_factory=lambda: ["int", "float", *(f"truth:{i}" for i in range(3))]
    )
    forms: list[amounts.NumberForm] | None = None
    used: str = ""
    places: dict[str, set[int]] = field(default_factory=lambda: {".": set(), ",": set()})
    countries: set[str] | None = field(default_factory=set)
    seen: bool = False

    def __post_init__(self) -> None:
        if self.options.decimal == ",":
            self.candidates = [c for c in self.candidates if c != "float"]
        if NAMIBIA in self.options.na:
            self.countries = None

    @property
    def kept(self) -> bool:
        """Whether the user said that ``NA`` is a value."""
        return NAMIBIA in self.options.keep

    @property
    def open(self) -> bool:
        """Whether another cell could still change how the column is read: once it is text, it stays text."""
        return bool(self.candidates or self.forms or self.forms is None or self.countries is not None)

    def see(self, cells: Any, gone: Sequence[str]) -> None:
        """Drop what some cell cannot be; ``cells`` is an Arrow array of text, ``gone`` what means a missing value."""
        import pyarrow.compute as pc

        trimmed = blank(cells, gone)
        if self.countries is not None:
            self._see_countries(blank(cells, [t for t in gone if t != NAMIBIA]).drop_null(), pc)
        known = trimmed.drop_null()
        if not len(known):
            return
        first, self.seen = not self.seen, True
        self.candidates = [c for c in self.candidates if _fits(c, known, pc, as_asked=self.as_asked)]
        if first:
            self.forms = amounts.forms(known.slice(0, 20).to_pylist(), decimal=self.options.decimal,
                                       thousands=self.options.thousands, currency=self.options.currency)
        if self.forms and "int" not in self.candidates:
            self._see_forms(known, pc)
        elif self.forms:
            for lengths in self.places.values():
                lengths.add(0)

    def _see_countries(self, cells: Any, pc: Any) -> None:
        if len(cells) and not pc.all(pc.match_substring_regex(cells, "^[A-Z]{2}$")).as_py():
            self.countries = None
        elif self.countries is not None:
            self.countries |= set(pc.unique(cells).to_pylist())
            self.countries = self.countries if self.countries <= COUNTRIES else None

    def _see_forms(self, cells: Any, pc: Any) -> None:
        plain = "float" in self.candidates
        few = cells.slice(0, 50)
        self.forms = [
            f for f in self.forms or () if (plain and f.decimal == ".") or all(
                pc.all(pc.match_substring_regex(c, f.pattern)).as_py() for c in (few, cells)
            )
        ]
        for form in {f.decimal: f for f in self.forms}.values():
            self.places[form.decimal] |= {-1} if plain else form.lengths(cells)  # not needed for plain numbers
        if self.forms and not plain:
            self.used += "".join(m for m in amounts.MARKS if m and m not in self.used and pc.any(
                pc.match_substring_regex(cells, rf"\d{re.escape(m)}\d")).as_py())

    def settled(self, *, comma: bool) -> list[amounts.NumberForm]:
        """Return the forms of written numbers that the column could have, if it could be nothing simpler."""
        if not self.seen or self.candidates or not self.forms:
            return []
        comma = comma or self.options.decimal == ","
        found = amounts.settled(self.forms, self.used, comma=comma, asked=self.options.thousands is not None)
        lengths = [self.places[f.decimal] for f in found]
        return [replace(f, places=max(n) if len(n) == 1 else None) for f, n in zip(found, lengths, strict=True)]

    @property
    def chosen(self) -> str:
        """What the column is read as, if its numbers are written plainly."""
        if self.candidates and self.seen:
            return self.candidates[0]
        countries = self.countries or set()
        return WITH_NA if NAMIBIA in countries and len(countries) > FEW_COUNTRIES else "text"


def settle(readings: Mapping[str | int, Reading], delimiter: str) -> tuple[dict[str | int, str], list[str]]:
    """Decide how all columns of a text table are read: what one column leaves open, the others may say.

    Args:
        readings: What was found out about each.
        delimiter: What separates the cells.

    Returns:
        How each is read, and what must be said about it.
    """
    could = {n: r.settled(comma=delimiter != ",") for n, r in readings.items()}
    marks = {f[0].decimal for f in could.values() if len(f) == 1 and (f[0].decimal != "." or f[0].thousands)}
    only = marks.pop() if len(marks) == 1 else None
    chosen: dict[str | int, str] = {}
    notes = []
    for name, reading in readings.items():
        forms = [f for f in could[name] if only in (None, f.decimal)] if len(could[name]) > 1 else could[name]
        chosen[name] = reading.chosen
        if len(forms) == 1 and replace(forms[0], places=None) != amounts.NumberForm():
            chosen[name] = forms[0].name
            notes.append(f"{name}: {_how(forms[0])}; it is written back alike.")
        elif len(forms) > 1:
            notes.append(f"{name}: its commas or points could be before decimals or between thousands, so it is text. "
                         "decimal=, or thousands=, says which.")
        elif NAMIBIA in (reading.countries or ()) and len(reading.countries or ()) > 1 and not reading.kept:
            what, way = ("the country", "na=NA takes it as missing") if chosen[name] == WITH_NA else (
                "missing", "keep=NA takes it as a value")
            notes.append(f"{name}: NA is {what}, among {len(reading.countries or ()) - 1} codes of countries; {way}.")
    return chosen, notes


def _how(form: amounts.NumberForm) -> str:
    marks = f"{form.decimal!r} before decimals" + (f", {form.thousands!r} between thousands" if form.thousands else "")
    sign = (form.before or form.after).strip()
    return f"numbers with {marks}" + (f", and {sign}" if sign else "")


def _fits(candidate: str, cells: Any, pc: Any, *, as_asked: bool = False) -> bool:
    import pyarrow as pa

    what, _, how = candidate.partition(":")
    if what == "truth":
        return bool(pc.all(pc.is_in(cells, value_set=pa.array(TRUTHS[int(how)]))).as_py())
    code = f"{CODE}|{TOO_LONG}" if what == "float" else CODE
    if not as_asked and pc.any(pc.match_substring_regex(cells, code)).as_py():
        return False
    try:
        pc.cast(cells, pa.int64() if what == "int" else pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def blank(cells: Any, gone: Sequence[str]) -> Any:
    """Return text cells without spaces around them, null where they are one of the texts that mean *not observed*."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    lost = pc.is_in(trimmed, value_set=pa.array(gone, pa.string()))
    return pc.if_else(lost, pa.scalar(None, pa.string()), trimmed)


def typed(cells: Any, how: str, name: object, *, start: int, origin: str, form: amounts.NumberForm) -> Any:
    """Return a text column as a pandas Series of its type; ``form`` is how the user said that numbers are written.

    Raises:
        InputError: A cell cannot be read as the others are; its row is named.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    what = how.partition(":")[0]
    cells = form.bare(cells) if what in ("int", "float") else cells
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
