"""Facts about rows as numbers that a model is given: batch, donor, share of mitochondrial reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch
from senzai.core.random import derive
from senzai.core.registry import suggestion

from ..rows import Array
from ..schema import Condition
from .options import Covariate

MOST_CLASSES, MOST_COMBINATIONS = 200, 1000
FEW_WHOLE = 50
"""Different whole numbers up to which a fact is a class and not a number."""


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
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    parts = pd.api.types.is_float_dtype(column) and bool((column % 1 != 0).any())
    if number and (parts or column.nunique() > FEW_WHOLE):
        values = column.to_numpy(np.float64)
        if not bool(np.isfinite(values).all()):
            raise InputError(f"Numbers that rows are conditioned on are finite, but {name!r} of {origin} is not.")
        return Covariate(name=name, mean=float(values.mean()), scale=float(values.std()) or 1.0)
    classes = sorted({text_of(v) for v in column.unique()})
    if len(classes) > MOST_CLASSES:
        raise InputError(
            f"Rows are conditioned on at most {MOST_CLASSES} classes, but {name!r} of {origin} has {len(classes):,}."
            " Choose another column."
        )
    return Covariate(name=name, classes=tuple(classes))


def text_of(value: Any) -> str:
    """Return a class as text; whole numbers without decimals.

    Example:
        >>> text_of(2.0), text_of("b")
        ('2', 'b')
    """
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def encode(covariates: Sequence[Covariate], values: Mapping[str, Sequence[Any]]) -> Tensor:
    """Return facts of rows as numbers, ``(N, width)``: classes as their one-hot codes, numbers standardised.

    Raises:
        SettingError: There is no such class, or a number is none.

    Example:
        >>> one = Covariate(name="batch", classes=("a", "b"))
        >>> encode([one], {"batch": ["b", "a"]}).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return torch.from_numpy(np.concatenate([_encoded(one, values[one.name]) for one in covariates], 1))


def _encoded(one: Covariate, values: Sequence[Any]) -> Array:
    if one.classes is None:
        try:
            found = np.asarray([float(v) for v in values])
        except (TypeError, ValueError) as err:
            raise SettingError(f"{one.name!r} is a number, but got {next(iter(values))!r}.") from err
        return (((found - one.mean) / one.scale)[:, None]).astype(np.float32)
    number = {c: i for i, c in enumerate(one.classes)}
    asked = [text_of(v) for v in values]
    if unknown := sorted(set(asked) - set(number)):
        raise SettingError(
            f"{one.name!r} has the classes {', '.join(one.classes[:20])}, but got {unknown[0]!r}."
            f"{suggestion(unknown[0], list(number))} A model knows the classes that it was fitted with."
        )
    made = np.zeros((len(asked), one.width), np.float32)
    made[np.arange(len(asked)), [number[v] for v in asked]] = 1
    return made


def condition_of(covariates: Sequence[Covariate], columns: Mapping[str, Any], seed: int) -> Condition:
    """Return what rows are conditioned on, with the combinations that were seen; of very many, some at random."""
    import pandas as pd

    frame = pd.DataFrame({
        one.name: [text_of(v) for v in columns[one.name]] if one.classes else columns[one.name].to_numpy(np.float64)
        for one in covariates
    })
    counts = frame.value_counts(sort=False)
    if len(counts) > MOST_COMBINATIONS:
        rng = np.random.default_rng(derive(seed, "combinations"))
        counts = counts.iloc[np.sort(rng.choice(len(counts), MOST_COMBINATIONS, replace=False))]
    values = tuple(tuple(v.item() if hasattr(v, "item") else v for v in key) for key in counts.index)
    shares = counts.to_numpy() / counts.to_numpy().sum()
    return Condition(
        names=tuple(one.name for one in covariates), width=sum(one.width for one in covariates), values=values,
        shares=tuple(shares.tolist()),
    )
