"""What a kind says in numbers: of each row, and of new rows beside those that were learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from senzai.core.errors import SettingError

from .rows import Array
from .schema import Schema


class Numbered:
    """The part of a kind that is about numbers; by default there are none."""

    name: ClassVar[str]
    quantities: ClassVar[Mapping[str, str]] = {}
    """Numbers that this kind can compute of a row, by name, and what each is."""

    def quantity(self, decoded: Any, name: str, schema: Schema) -> Array:
        """Return one of :attr:`quantities` of rows in the user's form, ``(N,)``; NaN where a row has none.

        Raises:
            SettingError: There is no such number.
        """
        raise SettingError(f"Rows of the kind {self.name!r} have no numbers of their own, but got {name!r}.")

    def coder(self, schema: Schema) -> Callable[[Array], Array] | None:
        """Return what gives the length of each row, ``(N, *event)`` model values, in a lossless code, nats, ``(N,)``.

        ``None`` where rows of this kind have no code of their own.
        """
        return None

    def row_figures(self, rows: Any, made: Any, schema: Schema) -> Mapping[str, Array]:
        """Return what this kind says of each row beside its reconstruction, both in the user's form; nothing here."""
        return {}

    def sample_figures(self, made: Any, known: Any, schema: Schema, *, seed: int = 0) -> Mapping[str, float]:
        """Return what this kind says of new rows beside training rows, both in the user's form; nothing by default."""
        return {}

    def sample_distance(self, made: Any, known: Any, schema: Schema) -> Mapping[str, float]:
        """Return distances of new rows to training rows that take long or an extra; nothing by default."""
        return {}
