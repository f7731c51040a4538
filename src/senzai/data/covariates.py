"""Facts about rows, or about entries, as numbers that a model is given: batch, donor, genre, price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.random import derive
from senzai.core.registry import suggestion

from .rows import Array
from .schema import Condition, Frozen

MOST_CLASSES, MOST_COMBINATIONS = 200, 1000
FEW_WHOLE = 50
"""Different whole numbers up to which a fact is a class and not a number."""


class Covariate(Frozen):
    """A fact that a model is given: classes, or a number.

    Args:
        name: Column that it stands in.
        classes: Its values in ascending order, as text; ``None`` for a number.
        mean: Mean of a number.
        scale: Its standard deviation.
        span: Its least and its greatest value; ``None`` where they were not kept.
        mark: What stands between classes where one row may have several; ``None`` where it has one.
    """

    name: str
    classes: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    span: tuple[float, float] | None = None
    mark: str | None = None

    @property
    def width(self) -> int:
        """Numbers that it becomes."""
        return 1 if self.classes is None else len(self.classes)


def covariate_of(column: Any, name: str, origin: str) -> Covariate:
    """Decide what a fact about rows is: numbers with decimals are a number, all else are classes.

    Raises:
        InputError: Some rows have none, or there are too many classes.
    """
    import pandas as pd

    missing = int(column.isna().sum())
    if missing:
        raise InputError(
            f"What rows are conditioned on is known of every row, but {missing:,} rows of {origin} have no {name!r}. "
            "Fill it in, or leave those rows out."
        )
    number = is_number(column)
    parts = pd.api.types.is_float_dtype(column) and bool((column % 1 != 0).any())
    if number and (parts or column.nunique() > FEW_WHOLE):
        return number_of(column, name, origin)
    classes = sorted({text_of(v) for v in column.unique()})
    if len(classes) > MOST_CLASSES:
        raise InputError(
            f"Rows are conditioned on at most {MOST_CLASSES} classes, but {name!r} of {origin} has {len(classes):,}."
            " Choose another column."
        )
    return Covariate(name=name, classes=tuple(classes))


def is_number(column: Any) -> bool:
    """Whether a column of a frame holds numbers; what is true or false is none."""
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def number_of(column: Any, name: str, origin: str) -> Covariate:
    """Return a fact that is a number.

    Raises:
        InputError: Some are not finite.
    """
    values = column.to_numpy(np.float64)
    if not bool(np.isfinite(values).all()):
        raise InputError(f"Numbers that rows are conditioned on are finite, but {name!r} of {origin} is not.")
    span = (float(values.min()), float(values.max()))
    return Covariate(name=name, mean=float(values.mean()), scale=float(values.std()) or 1.0, span=span)


def text_of(value: Any) -> str:
    """Return a class as text; whole numbers without decimals.

    Example:
        >>> text_of(2.0), text_of("b")
        ('2', 'b')
    """
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def encode(covariates: Sequence[Covariate], values: Mapping[str, Sequence[Any]], *, gaps: bool = False) -> Tensor:
    """Return facts of rows as numbers, ``(N, width)``: classes as their one-hot codes, numbers standardised.

    Args:
        covariates: What the facts are.
        values: Values of each, by name.
        gaps: Whether a fact may be unknown (``None``, NaN, empty text): its numbers are zeros.

    Raises:
        SettingError: There is no such class, or a number is none.

    Example:
        >>> one = Covariate(name="batch", classes=("a", "b"))
        >>> encode([one], {"batch": ["b", "a"]}).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        >>> encode([one], {"batch": ["b", None]}, gaps=True).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    found = []
    for one in covariates:
        told = list(values[one.name])
        there = np.array([not (gaps and is_gap(v)) for v in told], bool)
        made = np.zeros((len(told), one.width), np.float32)
        if there.any():
            made[there] = _encoded(one, [v for v, known in zip(told, there, strict=True) if known])
        found.append(made)
    return torch.from_numpy(np.concatenate(found, 1))


def is_gap(value: Any) -> bool:
    """Whether nothing is known: ``None``, NaN, empty text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _encoded(one: Covariate, values: Sequence[Any]) -> Array:
    if one.classes is None:
        found = np.asarray([_finite(v, one.name) for v in values])
        return (((found - one.mean) / one.scale)[:, None]).astype(np.float32)
    number = {c: i for i, c in enumerate(one.classes)}
    asked = [parts_of(v, one.mark) for v in values]
    if unknown := sorted({c for parts in asked for c in parts} - set(number)):
        raise SettingError(
            f"{one.name!r} has the classes {', '.join(one.classes[:20])}, but got {unknown[0]!r}."
            f"{suggestion(unknown[0], list(number))} A model knows the classes that it was fitted with."
        )
    made = np.zeros((len(asked), one.width), np.float32)
    row = np.repeat(np.arange(len(asked)), [len(parts) for parts in asked])
    made[row, [number[c] for parts in asked for c in parts]] = 1
    return made


def _finite(value: Any, name: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not np.isfinite(found):
        raise SettingError(f"{name!r} is a finite number, but got {value!r}. Write {name}=2.5, or leave it out.")
    return found


def parts_of(value: Any, mark: str | None) -> list[str]:
    """Return the classes that a row has, as text.

    Example:
        >>> parts_of("Action|Comedy", "|"), parts_of(2.0, None)
        (['Action', 'Comedy'], ['2'])
    """
    return [text_of(value)] if mark is None else [part.strip() for part in str(value).split(mark) if part.strip()]


def condition_of(covariates: Sequence[Covariate], columns: Mapping[str, Any], seed: int) -> Condition:
    """Return what rows are conditioned on, with the combinations that were seen; of very many, some at random."""
    import pandas as pd

    frame = pd.DataFrame({one.name: _plain(one, columns[one.name]) for one in covariates})
    counts = frame.value_counts(sort=False, dropna=False)
    if len(counts) > MOST_COMBINATIONS:
        rng = np.random.default_rng(derive(seed, "combinations"))
        counts = counts.iloc[np.sort(rng.choice(len(counts), MOST_COMBINATIONS, replace=False))]
    values = tuple(
        tuple(None if is_gap(v) else v.item() if hasattr(v, "item") else v for v in key) for key in counts.index
    )
    shares = counts.to_numpy() / counts.to_numpy().sum()
    return Condition(
        names=tuple(one.name for one in covariates), width=sum(one.width for one in covariates), values=values,
        shares=tuple(shares.tolist()),
    )


def _plain(one: Covariate, column: Any) -> Any:
    """Return the values of a fact as they are kept: numbers, or classes as text."""
    if one.classes is None:
        return column.to_numpy(np.float64)
    return [None if is_gap(v) else text_of(v) for v in column]
