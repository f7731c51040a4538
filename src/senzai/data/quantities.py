"""Numbers that rows have, given or computed: what is conditioned on, and what codes are to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.registry import suggestion

from .rows import Array, Targets
from .schema import Condition, Quantity, Schema

MOST = 64
"""Numbers of a row, at most, that are learned."""
SEEN = 1000
"""Rows that are kept to draw from what is not given."""


def need_known(names: Sequence[str], known: Sequence[str], origin: str) -> None:
    """Refuse names of numbers that nobody has or can compute.

    Raises:
        SettingError: There is such a one, or there are too many.

    Example:
        >>> need_known(["logq"], ["logp", "qed"], "x.smi")
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: x.smi has no number 'logq'. Did you mean 'logp'? There are logp, qed.
    """
    if len(names) > MOST:
        raise SettingError(
            f"Up to {MOST} numbers of a row are learned, but got {len(names):,}. Name those that matter."
        )
    for name in names:
        if name not in known:
            listed = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
            raise SettingError(f"{origin} has no number {name!r}.{suggestion(name, list(known))} There are {listed}.")


def numbers_of(values: Any, name: str, origin: str) -> Array:
    """Return a column as numbers, NaN where it has none.

    Raises:
        InputError: A value is no number.

    Example:
        >>> numbers_of(["1.5", "", None], "logp", "x.csv").tolist()
        [1.5, nan, nan]
    """
    found = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            found[i] = float(value)
        except (TypeError, ValueError) as err:
            raise InputError(
                f"{name!r} of {origin} must be numbers, but row {i} (from 0) has {str(value)[:30]!r}. Correct it, or "
                "leave the cell empty."
            ) from err
    return np.where(np.isfinite(found), found, np.nan)


def decided(values: Mapping[str, Array], train: Array) -> tuple[Quantity, ...]:
    """Return mean and deviation of each number in the training rows.

    Raises:
        InputError: A number is the same in all of them, or in none.

    Example:
        >>> decided({"a": np.array([1.0, 3.0, 9.0])}, np.array([0, 1]))[0].mean
        2.0
    """
    found = []
    for name, column in values.items():
        known = column[train][np.isfinite(column[train])]
        if len(known) < 2 or known.std() == 0:
            raise InputError(
                f"A number that is learned must differ between training rows, but {name!r} "
                f"{'is known of none' if not len(known) else f'is {known[0]:g} in all'}. Leave it out."
            )
        found.append(Quantity(name=name, mean=float(known.mean()), scale=float(known.std())))
    return tuple(found)


def encoded(values: Mapping[str, Array], told: Sequence[Quantity]) -> Tensor:
    """Return standardised numbers of rows, ``(N, P)``, NaN where they are not known."""
    columns = [(np.asarray(values[q.name], dtype=float) - q.mean) / q.scale for q in told]
    return torch.from_numpy(np.stack(columns, 1)).to(torch.float32)


def condition_of(asked: Sequence[str], values: Mapping[str, Array], train: Array) -> Condition:
    """Return the condition on some numbers, with what was seen of them together."""
    rows = np.stack([values[name] for name in asked], 1)[train]
    rows = rows[np.isfinite(rows).all(1)]
    kept = rows[:: -(-len(rows) // SEEN)] if len(rows) else rows
    return Condition(
        names=tuple(asked), width=len(asked), values=tuple(tuple(row) for row in kept.tolist()),
        shares=(1 / max(1, len(kept)),) * len(kept),
    )


def is_about(condition: Condition | None, told: Sequence[Quantity]) -> bool:
    """Whether a condition is on numbers, and not on a label."""
    return condition is not None and bool(told) and set(condition.names) <= {q.name for q in told}


def targets(known: Targets, schema: Schema, values: Mapping[str, Array], origin: str) -> Targets:
    """Return what is known of rows, with their numbers, and with the condition where it is on some of them.

    Raises:
        InputError: The model is conditioned on a number that a row does not have.
    """
    if not schema.quantities:
        return known
    numbers = encoded(values, schema.quantities)
    if not is_about(schema.condition, schema.quantities):
        return Targets(known.y, known.known, known.n_classes, known.c, numbers)
    assert schema.condition is not None
    place = [[q.name for q in schema.quantities].index(name) for name in schema.condition.names]
    c = numbers[:, place]
    if bool(c.isnan().any()):
        row, column = (int(v[0]) for v in c.isnan().nonzero(as_tuple=True))
        raise InputError(
            f"The model is conditioned on {schema.condition.names[column]!r}, but row {row} (from 0) of {origin} has "
            "none. Add it, or leave the row out."
        )
    return Targets(known.y, known.known, 0, c, numbers)


def encode_given(values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
    """Return the condition ``(n, width)`` of numbers that were asked for.

    Raises:
        SettingError: One of them is no number.
    """
    columns = {}
    for name, given in values.items():
        try:
            columns[name] = np.array([float(v) for v in given])
        except (TypeError, ValueError) as err:
            raise SettingError(f"{name!r} is a number, but got {str(given[0])[:30]!r}. Write {name}=2.5.") from err
        if not np.isfinite(columns[name]).all():
            raise SettingError(f"{name!r} is a number, but got {given[0]!r}. Write {name}=2.5.")
    by_name = {q.name: q for q in schema.quantities}
    return encoded(columns, [by_name[name] for name in (schema.condition.names if schema.condition else ())])
