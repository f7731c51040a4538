"""Conditions for generation: made from the user's values; values that are not given are drawn from the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.random import derive
from senzai.core.registry import suggestion

from .rows import Targets, one_hot
from .schema import Condition, Label, Schema

LABEL = "label"
"""What the label may be called, whatever its own name."""


def of_label(asked: tuple[str, ...], label: Label | None, targets: Targets, origin: str) -> Condition | None:
    """Return the condition of data with a label; ``None`` where none was asked for.

    Raises:
        SettingError: Something other than the label was named, or there is no label.

    Example:
        >>> label = Label(name="digit", classes=(3, 7))
        >>> of_label(("label",), label, Targets(torch.tensor([0, 1, 1, 1])), "x").shares
        (0.25, 0.75)
    """
    if not asked:
        return None
    if label is None or targets.y is None:
        raise SettingError(
            f"The option condition={','.join(asked)!r} needs a label, but {origin} has none. Give the labels as "
            "(X, y), or name them with the option label=..."
        )
    if len(asked) > 1 or asked[0] not in (LABEL, label.name):
        raise SettingError(
            f"Rows of one sort are conditioned on their label {label.name!r}, but got condition={','.join(asked)!r}. "
            "Write condition=label."
        )
    known = targets.y if targets.known is None else targets.y[targets.known]
    counts = torch.bincount(known, minlength=len(label.classes)).double()
    shares = (counts / counts.sum()).tolist()
    return Condition(
        names=(label.name,), width=len(label.classes), values=tuple((c,) for c in label.classes), shares=tuple(shares)
    )


def need_label(targets: Targets, schema: Schema, origin: str) -> Targets:
    """Return targets that carry the condition of a model, if it has one.

    Raises:
        InputError: The model is conditioned on the label, and the data have none.
    """
    if schema.condition is None:
        return targets
    if targets.y is None:
        raise InputError(
            f"The model is conditioned on the label {schema.condition.names[0]!r}, but {origin} has no labels. "
            "Give them as (X, y)."
        )
    return Targets(targets.y, targets.known, schema.condition.width)


def fill(given: Mapping[str, object], n: int, schema: Schema, *, seed: int) -> dict[str, list[Any]] | None:
    """Return ``n`` values for each name of the condition: those given, the others as they were seen with them.

    Raises:
        SettingError: A name is not conditioned on, or there are neither 1 nor ``n`` values.

    Example:
        >>> c = Condition(names=("a", "b"), width=2, values=((0, "x"), (1, "y")), shares=(0.5, 0.5))
        >>> schema = Schema(kind="table", event_shape=(1,), dtype="", values="real", n_rows=2, condition=c)
        >>> fill({"b": "y"}, 2, schema, seed=0)
        {'a': [1, 1], 'b': ['y', 'y']}
    """
    condition = schema.condition
    wanted = {_name(k, schema): v for k, v in given.items()}
    if condition is None:
        return None
    fixed = {k: row_by_row(k, v, n) for k, v in wanted.items()}
    drawn = _drawn(condition, fixed, n, np.random.default_rng(derive(seed, "condition")))
    return {name: fixed.get(name, [row[j] for row in drawn]) for j, name in enumerate(condition.names)}


def _name(name: str, schema: Schema) -> str:
    if schema.condition is None:
        raise SettingError(
            f"The model was fitted without a condition, but got {name!r}. Fit it with condition={name}, "
            "or draw without it."
        )
    names = schema.condition.names
    if name == LABEL and len(names) == 1 and schema.label is not None and schema.label.name == names[0]:
        return names[0]
    if name not in names:
        raise SettingError(
            f"The model is conditioned on {', '.join(names)}, but got {name!r}.{suggestion(name, list(names))}"
        )
    return name


def row_by_row(name: str, value: object, n: int) -> list[Any]:
    """Return ``n`` values: one for all rows, or one for each.

    Raises:
        SettingError: There are neither 1 nor ``n``.
    """
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return [value] * n
    many: Any = value
    found: list[Any] = many.tolist() if hasattr(many, "tolist") else list(many)
    if len(found) not in (1, n):
        raise SettingError(f"{name!r} takes one value, or one for each of {n} rows, but got {len(found)}. Give {n}.")
    return found * n if len(found) == 1 else found


def _drawn(condition: Condition, fixed: Mapping[str, list[Any]], n: int, rng: np.random.Generator) -> list[Any]:
    """Draw seen combinations that agree with what is fixed, row by row; any of them where none agrees."""
    shares = np.asarray(condition.shares)
    if len(fixed) == len(condition.names):
        return [condition.values[0]] * n
    at = {name: condition.names.index(name) for name in fixed}
    chances: dict[tuple[str, ...], np.ndarray[Any, Any]] = {}
    found = []
    for i in range(n):
        key = tuple(str(fixed[name][i]) for name in at)
        if key not in chances:
            agrees = [all(str(v[j]) == k for j, k in zip(at.values(), key, strict=True)) for v in condition.values]
            weight = shares * np.asarray(agrees) if any(agrees) else shares * _near(condition, list(at.values()), key)
            chances[key] = weight / weight.sum()
        found.append(condition.values[int(rng.choice(len(shares), p=chances[key]))])
    return found


def _near(condition: Condition, places: list[int], wanted: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return one for the twentieth of the rows that are nearest to numbers that are wanted; for words, for all."""
    try:
        seen = np.array([[float(str(row[j])) for j in places] for row in condition.values])
        apart = (((seen - np.array(wanted, float)) / seen.std(0).clip(1e-12)) ** 2).sum(1)
    except ValueError:
        return np.ones(len(condition.values))
    return np.asarray(apart <= np.quantile(apart, 0.05), dtype=float)


def encode_label(values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
    """Return the one-hot codes of classes, which may be written as text.

    Raises:
        SettingError: There is no such class.
    """
    label, condition = schema.label, schema.condition
    if label is None or condition is None:
        raise SettingError("Only a model that was fitted with condition=label can be conditioned on it.")
    number = {str(c): i for i, c in enumerate(label.classes)}
    asked = [str(v) for v in values[label.name]]
    if unknown := sorted(set(asked) - set(number)):
        known = ", ".join(map(str, label.classes[:20])) + (" ..." if len(label.classes) > 20 else "")
        raise SettingError(f"{label.name!r} has the classes {known}, but got {unknown[0]!r}. Choose one of them.")
    codes = one_hot(torch.tensor([number[v] for v in asked]), None, condition.width)
    return torch.zeros(0) if codes is None else codes
