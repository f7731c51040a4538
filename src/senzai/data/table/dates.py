"""Dates as text and as numbers: which form all values of a column have, and both ways between form and time.

A form is written as :func:`time.strftime` has it, perhaps with two parts in braces behind it. ``{.3}`` is three digits
after the seconds, ``{.03}`` the same but left out where they are zero, ``{.~6}`` up to six without zeros at their end.
``{+09:00}`` is the offset from UTC that all values have; where they differ, results are written with that of UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ISO = (
    r"^\d{4}-\d{2}-\d{2}(?:(?P<gap>[T ])\d{2}:\d{2}(?P<seconds>:\d{2})?(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?$"
)
TIMES = {"": "", " %H:%M": r" \d{2}:\d{2}", " %H:%M:%S": r" \d{2}:\d{2}:\d{2}"}
DAYS = {
    "%Y/%m/%d": r"\d{4}/\d{2}/\d{2}", "%d.%m.%Y": r"\d{2}\.\d{2}\.\d{4}",
    "%m/%d/%Y": r"\d{2}/\d{2}/\d{4}", "%d/%m/%Y": r"\d{2}/\d{2}/\d{4}",
    "%-m/%-d/%Y": r"[1-9]\d?/[1-9]\d?/\d{4}", "%-d/%-m/%Y": r"[1-9]\d?/[1-9]\d?/\d{4}",
}
NUMBERS = {
    "%Y%m%d": r"(?:19|20)\d{6}", "%Y%m%d%H%M": r"(?:19|20)\d{10}", "%Y%m%d%H%M%S": r"(?:19|20)\d{12}",
    "%Y%m": r"(?:19|20)\d{4}",
}
"""Whole numbers that may be dates; the months' form is looked at last."""
OTHERS = {f"{day}{time}": f"^{a}{b}$" for day, a in DAYS.items() for time, b in TIMES.items()} | {
    form: f"^{pattern}$" for form, pattern in NUMBERS.items()
}
ENOUGH = 12
"""Different values from which numbers that are all dates are taken for dates: by chance it is one in 10^11."""
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def _no_parts() -> dict[str, set[str]]:
    return {k: set() for k in ("gap", "seconds", "fraction", "zone")}


@dataclass
class Written:
    """Which forms all cells so far have.

    Args:
        seen: Whether there were any.
        forms: Forms other than ISO 8601 that they all have, the likeliest first: the month before the day.
        parts: What the parts of ISO 8601 were; ``None`` once a cell was not written so.
    """

    seen: bool = False
    forms: list[str] = field(default_factory=lambda: list(OTHERS))
    parts: dict[str, set[str]] | None = field(default_factory=_no_parts)

    def see(self, cells: Any) -> None:
        """Look at text cells, a Series without missing entries."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not len(cells) or not self.alive:
            return
        self.seen, texts = True, pa.array(cells.astype("str"), pa.string())
        if self.parts is not None:
            self._iso(texts, cells, pc)
        self.forms = [
            f for f in self.forms if bool(pc.all(pc.match_substring_regex(texts, OTHERS[f])).as_py()) and _is(cells, f)
        ]

    def _iso(self, texts: Any, cells: Any, pc: Any) -> None:
        pattern = re.sub(r"\?P<\w+>", "", ISO)
        if not bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py()) or not _is(cells, ""):
            self.parts = None
            return
        found = pc.extract_regex(texts, ISO)
        assert self.parts is not None
        for name, values in self.parts.items():
            told = pc.struct_field(found, name)
            values.update(pc.unique(pc.utf8_length(told).cast("string") if name == "fraction" else told).to_pylist())

    @property
    def alive(self) -> bool:
        """Whether they may all be dates."""
        return self.parts is not None or bool(self.forms)

    @property
    def form(self) -> str | None:
        """The form of all cells; ``None`` where they are no dates."""
        if not self.seen:
            return None
        if self.parts is not None:
            return _iso_form(**{k: sorted(v) for k, v in self.parts.items()})
        return self.forms[0] if self.forms else None


def _is(cells: Any, form: str) -> bool:
    try:
        read(cells, form)
    except (ValueError, OverflowError):
        return False
    return True


def _iso_form(gap: list[str], seconds: list[str], fraction: list[str], zone: list[str]) -> str | None:
    gaps = [g for g in gap if g]  # pandas writes midnight without a time where a whole piece has none
    if len(gaps) > 1 or ("" in zone and len(zone) > 1):
        return None
    if not gaps:
        return "%Y-%m-%d"
    form = f"%Y-%m-%d{gaps[0]}%H:%M" + (":%S" if ":" in "".join(seconds) else "")
    digits = [int(n) for n in fraction]
    if max(digits):
        same, left_out = len(digits) == 1, len(digits) == 2 and min(digits) == 0
        form += f"{{.{'' if same else '0' if left_out else '~'}{max(digits)}}}"
    if zone == [""]:
        return form
    utc = "Z" if "Z" in zone else re.sub(r"\d", "0", max(zone, key=len)).replace("-", "+")
    return f"{form}{{{zone[0] if len(zone) == 1 else utc}}}"


def parts(form: str) -> tuple[str, str, str]:
    """Return what strftime writes, the fraction of a second, and the offset from UTC.

    Example:
        >>> parts("%Y-%m-%d %H:%M:%S{.06}{+09:00}")
        ('%Y-%m-%d %H:%M:%S', '06', '+09:00')
    """
    found = re.fullmatch(r"([^{]*)(?:\{\.([^}]*)\})?(?:\{([^}]*)\})?", form)
    assert found is not None
    return found[1], found[2] or "", found[3] or ""


def is_number(form: str | None) -> bool:
    """Whether a form is that of a whole number."""
    return form in NUMBERS


def needs_nanoseconds(form: str) -> bool:
    """Whether microseconds are too coarse for a form."""
    return parts(form)[1][-1:] > "6"


def read(cells: Any, form: str) -> Any:
    """Return texts as times in UTC without a zone; ISO 8601 in any of its spellings where the form is one of them.

    Raises:
        ValueError: One is no date.
    """
    import pandas as pd

    if form and not form.startswith("%Y-%m-%d"):
        return pd.to_datetime(cells, format=form.replace("%-", "%"))
    return pd.to_datetime(cells, format="ISO8601", utc=True).dt.tz_localize(None)


def write(times: Any, form: str) -> Any:
    """Return times in UTC as texts.

    Example:
        >>> import pandas as pd
        >>> write(pd.Series(pd.to_datetime(["2026-01-01 23:00:00.5"])), "%Y-%m-%d %H:%M:%S{.03}{+09:00}").tolist()
        ['2026-01-02 08:00:00.500+09:00']
    """
    import pandas as pd

    base, fraction, zone = parts(form)
    if found := re.fullmatch(r"([+-])(\d\d):?(\d\d)?", zone):
        minutes = (int(found[2]) * 60 + int(found[3] or 0)) * (1 if found[1] == "+" else -1)
        times = times + pd.Timedelta(minutes=minutes)
    text = times.dt.strftime(base).astype("str")
    if fraction:
        text = text + _fractions(times, fraction)
    return text + zone if zone else text


def _fractions(times: Any, how: str) -> Any:
    import pandas as pd

    digits = int(how.lstrip("~0"))
    per = PER_SECOND[np.datetime_data(times.dtype)[0]]
    ticks = times.astype("int64") % per
    told = (ticks * (10**9 // per) // 10 ** (9 - digits)).astype("str").str.zfill(digits)
    told = "." + told
    if how.startswith("~"):
        told = told.str.rstrip("0").str.removesuffix(".")
    elif how.startswith("0"):
        told = told.mask(ticks == 0, "")
    return pd.Series(told, index=times.index).mask(times.isna(), None)
