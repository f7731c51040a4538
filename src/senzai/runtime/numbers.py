"""Numbers of a column of a table: to those of the model and back, and as people write them."""

from __future__ import annotations

import hashlib
import re
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

NEAR = 1e-6
"""Numbers of the model so near to that of a spike are the spike."""


def to_places(x: Array, knots: Array, places: Array) -> Array:
    """Map data to the normal scale, piecewise straight; a repeated value goes to the middle of its places.

    Beyond the ends the map goes on with its average slope, so that outliers stay outliers.

    Example:
        >>> knots, places = np.array([0.0, 0.0, 1.0, 3.0]), np.array([-2.0, 0.0, 1.0, 2.0])
        >>> to_places(np.array([0.0, 0.5, 2.0, 6.0]), knots, places)
        array([-1. ,  0.5,  1.5,  6. ])
    """
    z = np.interp(x, knots, places)
    values, middle = repeated(knots, places)
    if len(values):
        at = np.clip(np.searchsorted(values, x), 0, len(values) - 1)
        z = np.where(values[at] == x, middle[at], z)
    slope = (places[-1] - places[0]) / (knots[-1] - knots[0])
    z = np.where(x < knots[0], places[0] + (x - knots[0]) * slope, z)
    return np.asarray(np.where(x > knots[-1], places[-1] + (x - knots[-1]) * slope, z))


def repeated(knots: Array, places: Array) -> tuple[Array, Array]:
    """Return the values that stand several times among the knots, and the middle of the places of each."""
    values = np.unique(knots[:-1][knots[1:] == knots[:-1]])
    first, last = np.searchsorted(knots, values, "left"), np.searchsorted(knots, values, "right") - 1
    return values, (places[first] + places[last]) / 2


def beside_the_spike(x: Array, places: Array, column: Any) -> Array:
    """Return the spike's number for its value, and for no other value however near it lies."""
    assert column.spike is not None
    assert column.spike_value is not None
    side = np.where(x > column.spike_value, 1.0, -1.0)
    apart = np.where(np.abs(places - column.spike) < 2 * NEAR, column.spike + 2 * NEAR * side, places)
    return np.where(x == column.spike_value, column.spike, apart)


def nearest_levels(x: Array, column: Any) -> Array:
    """Return the places of ordered numbers; one that is none of them counts as the nearest.

    Args:
        x: Numbers, of counted columns from the first level on.
        column: Its levels, and whether they are counted (``ticks``).
    """
    return np.searchsorted(middles_of(column), x, side="right").astype(np.float64)


def middles_of(column: Any) -> Array:
    """Return the numbers half-way between the ordered values of a column, counted from the first where it counts."""
    known: list[Any] = list(column.levels)
    first = known[0] if column.ticks else 0  # so that whole numbers of 64 bits stay distinct
    levels = np.array([v - first for v in known], dtype=np.float64)
    return np.asarray((levels[1:] + levels[:-1]) / 2)


def allowed(x: Array, column: Any) -> tuple[Array, str]:
    """Return which numbers the transform of a column can take, and what they are called."""
    if column.transform == "quantile":
        return np.ones(len(x), dtype=bool), "numbers"
    if column.sort == "count":
        return (x >= 0) & (x == np.rint(x)), "whole numbers from 0 up"
    if column.transform == "log":
        return x > 0, "numbers above 0"
    low, high = column.knots
    return (x > low) & (x < high), f"numbers between {column.low:g} and {column.high:g}"


def forward(x: Array, column: Any) -> Array:
    """Return the model's numbers for those of the data, all of them allowed."""
    if column.transform == "quantile":
        places = to_places(x, np.array(column.knots), np.array(column.places))
        return places if column.spike is None else beside_the_spike(x, places, column)
    if column.sort == "count":
        return x
    if column.transform == "log":
        mean, sd = column.knots
        return np.asarray((np.log(np.where(x > 0, x, 1.0)) - mean) / sd)
    low, high = column.knots
    share = np.clip((x - low) / (high - low), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(share) - np.log1p(-share))


def backward(z: Array, column: Any) -> Array:
    """Return the user's numbers for the model's, rounded as the column is; what is counted, in steps."""
    if column.transform == "quantile":
        x = np.interp(z, np.array(column.places), np.array(column.knots))
        if column.spike is not None:
            x = np.where(np.abs(z - column.spike) < NEAR, column.spike_value, x)
    elif column.transform == "log":
        mean, sd = column.knots
        x = np.exp(np.minimum(z * sd + mean, 700.0))
    elif column.transform == "logit":
        low, high = column.knots
        x = np.clip(low + (high - low) / (1 + np.exp(-np.clip(z, -700, 700))), column.low, column.high)
    else:
        x = np.maximum(np.rint(z), 0)
    if column.decimals is not None:
        x = np.round(x, column.decimals)
    if column.transform == "log" and column.low is not None:
        x = np.maximum(x, np.nextafter(0, 1) if not column.decimals else 10.0**-column.decimals)
    return np.asarray(x)


def exact_ticks(x: Array, column: Any) -> list[int]:
    """Return the ticks of the model's steps, none beyond the range of the data."""
    low, high = int(column.low or 0), int(column.high or 0)
    bound = column.sort != "count"
    steps = [min(max(int(v), low), high) if bound else int(v) for v in np.rint(x).tolist()]
    return [s * column.step + column.origin for s in steps]


def normal_quantiles(p: Array) -> Array:
    """Return the standard normal's quantiles of a few probabilities.

    Example:
        >>> normal_quantiles(np.array([0.5, 0.975])).round(2).tolist()
        [0.0, 1.96]
    """
    return np.array([NormalDist().inv_cdf(v) for v in p])


def condition_code(codes: Array, seen: Array, column: Any) -> Array:
    """Return the condition of a column: one-hot codes, or a number of about unit size and whether it is there."""
    if column.sort in ("category", "binary"):
        out = np.zeros((len(codes), column.size), dtype=np.float32)
        rows = np.flatnonzero(seen)
        out[rows, codes[rows].astype(np.int64)] = 1
        return out
    x = codes
    if column.sort == "steps":
        below = np.cumsum([0.0, *column.shares])
        middle = np.clip((below[1:] + below[:-1]) / 2, 1e-6, 1 - 1e-6)
        x = normal_quantiles(middle)[codes.astype(np.int64)]
    elif column.sort == "count":
        x = np.log1p(codes)
    return np.stack([np.where(seen, x, 0), seen], 1).astype(np.float32)


# --- as people write them -------------------------------------------------------------------------------------------
def written(value: float, form: Any, decimals: int | None) -> str:
    """Return a number with its marks between thousands, its decimal mark and its sign of currency.

    Args:
        value: The number.
        form: Has ``decimal``, ``thousands``, ``before``, ``after`` and ``places``.
        decimals: How many decimals, where the form does not say.
    """
    decimals = form.places if form.places is not None else decimals
    told = f"{abs(value):,.{decimals}f}" if decimals is not None else _all_digits(abs(value))
    whole, point, rest = told.partition(".")
    minus = "-" if value < 0 and any(c in "123456789" for c in told) else ""
    return f"{minus}{form.before}{whole.replace(',', form.thousands)}{point and form.decimal}{rest}{form.after}"


def _all_digits(value: float) -> str:
    whole, point, rest = np.format_float_positional(value, trim="-").partition(".")
    return f"{int(whole):,}{point}{rest}"


def unwritten(text: str, form: Any) -> float:
    """Return the number that a text of a form is.

    Raises:
        ValueError: It is none.
    """
    bare = text.strip()
    for sign in (form.before, form.after):
        bare = bare.replace(sign, "") if sign else bare
    bare = bare.replace(form.thousands, "") if form.thousands else bare
    bare = bare.replace(form.decimal, ".")
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", bare):
        raise ValueError(text)
    return float(bare)


def seed_of(codes: Array) -> int:
    """Return a seed that codes give by themselves, so that the same ones are always answered alike."""
    return int.from_bytes(hashlib.sha256(codes.tobytes()).digest()[:8], "big")
