"""The meaning of values: their support, how they become model values, and the exact inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.later import Tensor, torch

from .details import numbers_of
from .facts import FLOAT32_MAX, ValueFacts, grid_table, refuse_unusable
from .rows import Array
from .schema import Schema, Values

FEW_LEVELS = 64
MANY_LEVELS = 2**16
GRID_EVIDENCE = 32
NARROW = 0.05
"""Range below which numbers between 0 and 1 are no shares but real numbers in a large unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the values are, how they are scaled, and why."""

    values: Values
    reason: str
    n_levels: int | None = None
    value_scale: float = 1.0
    grid: str | None = None


def recognise(facts: ValueFacts, dtype: str, *, image: bool, wanted: Values | None = None) -> Decision:
    """Decide what the values are.

    Args:
        facts: What all values have in common.
        dtype: The user's dtype.
        image: Images have levels where other arrays have counts.
        wanted: What the user says they are.

    Raises:
        InputError: The values are not what the user says they are.

    Example:
        >>> recognise(ValueFacts(low=0, high=16, whole=True), "uint8", image=True).n_levels
        17
    """
    decision = _wanted(facts, dtype, wanted) if wanted else _automatic(facts, dtype, image)
    if wanted:
        decision = replace(decision, reason=f"The option values={wanted!r} was given. {decision.reason}")
    return decision


def _automatic(facts: ValueFacts, dtype: str, image: bool) -> Decision:
    constant_bytes = image and facts.low == facts.high and dtype == "uint8"
    if facts.zero_one and not constant_bytes:
        return Decision(values="binary", n_levels=2, reason="Values are only 0 and 1, so the likelihood is Bernoulli.")
    if facts.zero_full and not constant_bytes:
        return _binary_bytes()
    if facts.grid and facts.on_grid >= (3 if image else GRID_EVIDENCE):
        return _grid(facts.grid)
    if facts.whole and facts.low >= 0:
        eight_bit = dtype == "uint8" or facts.high == 255
        return _levels(facts, dtype) if (image or eight_bit) and facts.high < MANY_LEVELS else _count(facts)
    if not facts.whole and facts.low >= 0 and facts.high <= 1 and facts.reach >= NARROW:
        return _unit(1.0, "Values are between 0 and 1 and not on the grid of 8-bit values")
    return _real(facts)


def _wanted(facts: ValueFacts, dtype: str, wanted: Values) -> Decision:
    eight_bit = facts.whole and facts.low >= 0 and facts.high <= 255
    ways: dict[str, tuple[bool, str, Callable[[], Decision]]] = {
        "binary": (
            facts.zero_one or facts.zero_full, "only 0 and 1 (or 0 and 255)",
            lambda: _automatic(facts, "bool", image=True),
        ),
        "unit": (
            eight_bit or (facts.low >= 0 and facts.high <= 1), "between 0 and 1 (or 8-bit)",
            lambda: _unit(1.0 if facts.high <= 1 else 1 / 255, "Values are used as numbers between 0 and 1"),
        ),
        "levels": (
            facts.grid is not None or (facts.whole and facts.low >= 0 and facts.high < MANY_LEVELS),
            f"whole numbers from 0 to below {MANY_LEVELS} (or floats k/255)",
            lambda: _grid(facts.grid) if facts.grid else _levels(facts, dtype),
        ),
        "count": (facts.whole and facts.low >= 0, "whole numbers from 0", lambda: _count(facts)),
        "real": (True, "", lambda: _real(facts)),
    }
    holds, rule, decide = ways[wanted]
    if not holds:
        raise InputError(
            f"For values={wanted!r} the data must be {rule}, but they go from {facts.low:g} to {facts.high:g}"
            f"{'' if facts.whole else ' with fractions'}. Convert the data, or leave the option out."
        )
    return decide()


def _binary_bytes() -> Decision:
    why = "Values are only 0 and 255, so they are black and white and the likelihood is Bernoulli."
    return Decision(values="binary", n_levels=2, value_scale=1 / 255, reason=why)


def _grid(grid: str | None) -> Decision:
    why = "Values are 8-bit data stored as k/255, so they are taken as the levels 0 to 255."
    return Decision(values="levels", n_levels=256, value_scale=255.0, grid=grid, reason=why)


def _levels(facts: ValueFacts, dtype: str) -> Decision:
    high = int(facts.high)
    n = 256 if high > FEW_LEVELS or high == 0 else high + 1
    if high > 255:
        n = 2 ** int(high).bit_length()
    why = f"Values are whole numbers from {int(facts.low)} to {high} ({dtype}), so they are taken as {n} levels."
    return Decision(values="levels", n_levels=n, reason=why)


def _unit(scale: float, why: str) -> Decision:
    return Decision(values="unit", value_scale=scale, reason=f"{why}, so the likelihood is continuous Bernoulli.")


def _count(facts: ValueFacts) -> Decision:
    why = f"Values are whole numbers from {facts.low:g} to {facts.high:g}, so they are taken as counts."
    return Decision(values="count", reason=why)


def _real(facts: ValueFacts) -> Decision:
    why = f"Values are numbers from {facts.low:g} to {facts.high:g}, so the likelihood is normal."
    return Decision(values="real", reason=why)


def is_discrete(schema: Schema) -> bool:
    """Whether the model's values are whole numbers."""
    return schema.values in ("binary", "levels", "count")


def model_dtype(schema: Schema) -> torch.dtype:
    """Return how model values are stored: uint8 for up to 256 levels, float32 otherwise."""
    return torch.uint8 if schema.values in ("binary", "levels") and (schema.n_levels or 0) <= 256 else torch.float32


def encode(x: Array, schema: Schema, *, start: int = 0) -> tuple[Tensor, Tensor | None]:
    """Turn the user's values into the model's values, refusing those that the schema does not allow.

    Returns:
        Model values of the same shape, and the mask of observed entries (``None`` where all are observed).

    Raises:
        InputError: A value is not finite, or not one that the model was made for.

    Example:
        >>> schema = Schema(kind="array", event_shape=(2,), dtype="bool", values="binary", n_levels=2, n_rows=1)
        >>> encode(np.array([[True, False]]), schema)[0]
        tensor([[1, 0]], dtype=torch.uint8)
    """
    refuse_unusable(x, start=start, columns=_names(x, schema), missing=numbers_of(schema).missing)
    target = model_dtype(schema)
    if x.dtype == np.uint8 and schema.n_levels == 256 and schema.value_scale == 1:
        return torch.from_numpy(np.array(x)), None
    gone = np.isnan(x) if x.dtype.kind == "f" else np.zeros((), dtype=bool)
    x = _counted(x, schema)
    v = _scaled(np.where(gone, 0, x) if gone.any() else x, schema)
    _refuse_foreign(v, schema, start)
    out = torch.from_numpy(np.ascontiguousarray(v.astype(np.uint8 if target == torch.uint8 else np.float32)))
    return out, torch.from_numpy(~gone) if gone.any() else None


def _names(x: Array, schema: Schema) -> tuple[str | int, ...] | None:
    return schema.columns if schema.columns and x.ndim == 2 and x.shape[1] == len(schema.columns) else None


def _counted(x: Array, schema: Schema) -> Array:
    """Count far-off features from where the schema says, before 32-bit numbers round them."""
    offset = numbers_of(schema).offset
    return x.astype(np.float64) - np.asarray(offset) if offset else x


def _scaled(x: Array, schema: Schema) -> Array:
    if schema.value_scale == 1:
        return x
    v = x.astype(np.float64) * schema.value_scale
    near = np.rint(v)
    slack = 0.13 if x.dtype.itemsize == 2 else 1e-3  # half precision is that coarse
    return np.where(np.abs(v - near) < slack, near, v) if is_discrete(schema) else v


def _refuse_foreign(v: Array, schema: Schema, start: int) -> None:
    """Refuse values outside the support that the model was made for."""
    if schema.values == "real":
        _refuse_huge(v)
        return
    top = {"binary": 1.0, "unit": 1.0, "count": np.inf}.get(schema.values, float((schema.n_levels or 1) - 1))
    bad = (v < 0) | (v > top)
    if is_discrete(schema) and v.dtype.kind == "f":
        bad |= v != np.rint(v)
    if not bad.any():
        return
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    got = v[where] / schema.value_scale
    kind = "whole numbers" if is_discrete(schema) else "numbers"
    end = "" if top == np.inf else f" to {top / schema.value_scale:g}"
    step = f" in steps of 1/{schema.value_scale:g}" if is_discrete(schema) and schema.value_scale > 1 else ""
    raise InputError(
        f"The model takes {kind if not step else 'numbers'} from 0{end}{step}, but got {got:g} in row "
        f"{where[0] + start} and {int(bad.sum()) - 1} more outside. "
        "Scale the data as those the model was fitted on, or fit again."
    )


def _refuse_huge(v: Array) -> None:
    if v.size and v.dtype.kind == "f" and float(np.abs(v).max()) > FLOAT32_MAX:
        raise InputError(
            f"Values must be within ±{FLOAT32_MAX:.1e} (32-bit numbers), but got {float(np.abs(v).max()):g}. "
            "Give them in the units of the data the model was fitted on."
        )


def decode(x: Array, schema: Schema, *, soft: bool = False) -> Array:
    """Turn model values back into the user's values and dtype: the exact inverse of :func:`encode`.

    Args:
        x: Model values, ``(N, *event)``.
        schema: What the user's data were.
        soft: Keep means as they are: nothing is rounded, and whole-number dtypes come back as float32.

    Example:
        >>> schema = Schema(kind="array", event_shape=(2,), dtype="uint8", values="levels", n_levels=17, n_rows=1)
        >>> decode(np.array([[3.4, 99.0]]), schema)
        array([[ 3, 16]], dtype=uint8)
    """
    dtype = user_dtype(schema.dtype)
    if not soft and x.dtype == np.uint8 == dtype and schema.value_scale == 1:
        return np.minimum(x, np.uint8((schema.n_levels or 256) - 1))
    grid = numbers_of(schema).grid
    if grid and not soft and dtype.kind == "f":
        codes = x if x.dtype == np.uint8 else np.clip(np.rint(x), 0, 255).astype(np.uint8)
        return np.asarray(grid_table(grid, dtype.name)[codes])
    v = x.astype(np.float64)
    if not soft and is_discrete(schema):
        v = np.clip(np.rint(v), 0, np.inf if schema.n_levels is None else schema.n_levels - 1)
    v = in_units(v, schema)
    if not soft:
        v = rounded(v, numbers_of(schema).decimals)
    return cast(v, np.dtype(np.float32) if soft and dtype.kind != "f" else dtype)


def user_dtype(name: str) -> np.dtype[Any]:
    """Return numpy's dtype for a name; bfloat16, which numpy lacks, is held as float32."""
    return np.dtype(np.float32 if name == "bfloat16" else name)


def in_units(v: Array, schema: Schema) -> Array:
    """Return model values, float64, in the user's units: neither rounded nor in the user's dtype."""
    scale = schema.value_scale
    inverse = round(1 / scale)
    v = v * inverse if inverse >= 1 and abs(1 / scale - inverse) < 1e-9 else v / scale
    offset = numbers_of(schema).offset
    return v + np.asarray(offset) if offset else v


def rounded(v: Array, decimals: Any) -> Array:
    """Round each column to the decimals its data had; ``None`` leaves a column as it is."""
    if not decimals:
        return v
    for d in {d for d in decimals if d is not None}:
        at = [i for i, other in enumerate(decimals) if other == d]
        v[:, at] = np.round(v[:, at], d)
    return v


def cast(v: Array, dtype: np.dtype[Any]) -> Array:
    """Convert to the user's dtype, rounding and clipping where it holds whole numbers only.

    Example:
        >>> cast(np.array([-1.0, 254.6, 300.0]), np.dtype("uint8"))
        array([  0, 255, 255], dtype=uint8)
    """
    if dtype.kind == "b":
        return np.asarray(v >= 0.5)
    if dtype.kind in "iu":
        if not np.isfinite(v).all():
            raise InputError(f"Only finite numbers fit into {dtype}, but the model gave others. Look at its training.")
        info = np.iinfo(dtype)
        top = float(info.max) if float(info.max) <= info.max else np.nextafter(float(info.max), 0)
        return np.asarray(np.clip(np.rint(v), float(info.min), top).astype(dtype))
    limit = float(np.finfo(dtype).max)
    return np.asarray((np.clip(v, -limit, limit) if limit < np.finfo(np.float64).max else v).astype(dtype))
