"""Named entries of a row that a user can set and read one by one; kinds whose rows have such entries say how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.core.later import torch

from .rows import Array


@dataclass(frozen=True, slots=True)
class Scale:
    """What the model's numbers of a feature are in the units of the data.

    Args:
        model: Ascending numbers of the model; ``None`` where they are the middles of the likelihood's steps.
        data: The numbers of the data that belong to them.
        weight: Share of the rows that each has, up to a factor.
    """

    model: Array | None
    data: Array
    weight: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntry:
    """A named entry of a row whose type a user may correct when the data are read.

    Args:
        name: What the user calls it.
        type: What it was taken for.
        types: What it could be.
        reason: Why it was taken for that, in one sentence.
        setting: Name of the option that says otherwise.
        missing: Rows that lack it.
    """

    name: str
    type: str
    types: tuple[str, ...]
    reason: str
    setting: str
    missing: int = 0


class RowFeatures(ABC):
    """The features of a row in the order of the model's values ``(N, d)``.

    Args:
        names: What the user calls them. The model may have further entries behind them.
        width: Number of entries of a row in the model.
    """

    names: tuple[str | int, ...]
    width: int

    @abstractmethod
    def place(self, name: str) -> int:
        """Return the place of a feature in the row.

        Raises:
            SettingError: There is none of that name.
        """

    @abstractmethod
    def encode(self, name: str, value: object) -> float | None:
        """Return the model's number for a value of a feature, ``None`` for a missing one.

        Raises:
            SettingError: The feature cannot have that value.
        """

    @abstractmethod
    def decode(self, place: int, values: Array) -> list[Any]:
        """Return the user's values for numbers of the model."""

    @abstractmethod
    def scale(self, place: int) -> Scale | None:
        """Return the units of a feature; ``None`` where it has no numbers."""

    def span(self, name: str) -> tuple[float, float] | None:
        """Return the least and the greatest value of a feature of numbers in the data, in the user's unit."""
        return None

    def evidence(self, given: Mapping[str, object]) -> Batch:
        """Return one row in which only the given features are observed.

        Raises:
            SettingError: There is no such feature, or it cannot have the value.
        """
        x, seen = np.zeros((1, self.width)), np.zeros((1, self.width), dtype=bool)
        for name, value in given.items():
            at, code = self.place(name), self.encode(name, value)
            if code is None:
                raise SettingError(f"A value must be given for {name!r}, but got {value!r}. Leave it out instead.")
            x[0, at], seen[0, at] = code, True
        return Batch(torch.from_numpy(x), mask=torch.from_numpy(seen))
