"""What a kind says of time: seasons, how long a row lasts, what comes after the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from senzai.core.batch import Batch
from senzai.core.errors import SettingError

from .returns import Returns
from .rows import Array, Rows
from .schema import Schema


class Arriving(Protocol):
    """The steps of one series as they come.

    Args:
        n: Steps that came.
        settled: Steps, from the first on, that no row to come will hold.
    """

    n: int

    @property
    def settled(self) -> int:
        """Steps, from the first on, that no row to come will hold."""

    def push(self, steps: object) -> Iterator[tuple[int, Batch]]:
        """Take further steps; yield the rows that they complete, each with the step it begins with."""

    def finish(self) -> Iterator[tuple[int, Batch]]:
        """Yield what rows are left at the end of the series."""

    def labelled(self, first: int, values: Array, *, name: str) -> Any:
        """Return numbers of steps from one on in the form of the user's data."""


class Timed:
    """The part of a kind that is about time; by default there is none."""

    name: ClassVar[str]

    def season(self, schema: Schema) -> int | None:
        """Return the steps after which rows along time repeat; ``None`` where there is no time, or no season."""
        return None

    def seconds(self, schema: Schema) -> float | None:
        """Return how long a row lasts; ``None`` where it is no stretch of time."""
        return None

    def returns(self, schema: Schema) -> Returns | None:
        """Return what is known of returns where rows are steps of prices or of returns, else ``None``."""
        return None

    def ahead(self, source: Any, schema: Schema, horizon: int, *, hold: bool = False) -> Rows:
        """Return rows whose last ``horizon`` steps lie behind the data, and are not observed.

        Args:
            source: What was read, as the kind keeps it.
            schema: What the data are.
            horizon: Steps.
            hold: Whether what is known beside the rows' values goes on with its last values where it is not given.

        Raises:
            SettingError: Rows of the kind have no time to go on in, or no row is long enough.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no time to go on in. Fit on dated series.")

    def unseen(self, source: Any, schema: Schema) -> dict[str, Array]:
        """Return which rows of other data than a model's own it cannot have seen, as "validation" and "test".

        What validates may have decided when training ended; what tests had no say in anything. By default nobody knows,
        and there is nothing.

        Args:
            source: What was read of the other data, as the kind keeps it.
            schema: What the model's own data were.
        """
        return {}

    def arriving(self, schema: Schema) -> Arriving:
        """Return what takes the steps of one series as they come, and gives the rows that are complete.

        Raises:
            SettingError: Rows of the kind have no steps in time.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no steps that could come. Fit on dated series.")

    def along(self, values: Array, schema: Schema, source: Any, *, name: str) -> Any:
        """Return numbers of the steps of all rows, ``(N, T)``, along time: means over the rows that share a step.

        Args:
            values: The numbers, NaN where there is none.
            schema: What the rows are.
            source: What was read, as the kind keeps it.
            name: What the numbers are called.

        Raises:
            SettingError: Rows of the kind have no steps in time.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no steps in time. Fit on dated series.")
