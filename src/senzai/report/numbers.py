"""Numbers as people read them: no more digits than were measured."""

from __future__ import annotations

from html import escape
from math import floor, isfinite, log10
from typing import Any

THIN = "\u202f"
LONGEST = 28


def number(value: float, digits: int = 4) -> str:
    """Return a number with ``digits`` significant digits, a real minus sign and narrow spaces between thousands.

    Example:
        >>> number(-88.7123), number(0.000123456), number(float("inf"))
        ('−88.71', '0.0001235', 'not finite')
        >>> number(1234567.0) == "1\u202f235\u202f000"
        True
    """
    if not isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    exponent = floor(log10(abs(value)))
    if not -5 <= exponent < 12:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return f"{_signed(mantissa)} × 10^{_signed(str(int(power)))}"
    return fixed(round(value, digits - 1 - exponent), max(0, digits - 1 - exponent))


def own(value: Any) -> str:
    """Return a value of the user's as it was: numbers without further zeros, days without an hour.

    Example:
        >>> own(50.0), own(-0.42), own("Ulm"), own("2026-01-31T00:00:00"), own(None)
        ('50', '−0.42', 'Ulm', '2026-01-31', 'missing')
    """
    if value is None or value != value:
        return "missing"
    if not isinstance(value, float):
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
        return text.removesuffix("T00:00:00")
    text = number(value, 5)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def fixed(value: float, decimals: int) -> str:
    """Return a number with so many decimals.

    Example:
        >>> fixed(-0.04, 1), fixed(-3.14159, 2)
        ('0.0', '−3.14')
    """
    text = f"{value:,.{decimals}f}".replace(",", THIN)
    return text.lstrip("-") if not any(c in "123456789" for c in text) else _signed(text)


def _signed(text: str) -> str:
    return text.replace("-", "−")


def with_error(value: float, error: float | None) -> tuple[str, str]:
    """Return a value and its standard error, both to the first digit of the error (the first two if it is a 1).

    Example:
        >>> with_error(-88.7123, 0.312), with_error(3.14159, 0.0123), with_error(2.5, None)
        (('−88.7', '0.3'), ('3.142', '0.012'), ('2.500', ''))
    """
    if error is None or not isfinite(error) or error <= 0 or not isfinite(value):
        return number(value), ""
    exponent = floor(log10(error))
    decimals = max(0, -exponent + (error / 10**exponent < 2))
    return (fixed(value, decimals), fixed(error, decimals)) if decimals <= 8 else (number(value), number(error, 2))


def count(n: int) -> str:
    """Return a whole number with narrow spaces between thousands.

    Example:
        >>> count(1797) == "1\u202f797"
        True
    """
    return f"{n:,}".replace(",", THIN)


def plural(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    Example:
        >>> plural(1, "row"), plural(3, "row"), plural(2, "class", "classes")
        ('1 row', '3 rows', '2 classes')
    """
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def shown(value: Any) -> str:
    """Return any plain value for a table."""
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items() if k != "type") or "none"
    return str(value)


def short(value: Any) -> str:
    r"""Return a user's word, cut where it is very long.

    Example:
        >>> short(" two\nwords "), short("a" * 99) == "a" * 27 + "…"
        ('two words', True)
    """
    text = " ".join(str(value).split()) or "(empty)"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def label(value: Any) -> str:
    """Return a user's word for inside a chart, where Plotly reads a little HTML.

    Example:
        >>> label("<b>")
        '&lt;b&gt;'
    """
    return escape(short(value), quote=False)
