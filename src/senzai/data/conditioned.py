"""What a kind says of conditions: the values that rows of a conditional model are made under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from senzai.core.errors import SettingError
from senzai.core.later import Tensor

from . import conditioning, quantities
from .schema import Schema


class Conditioned:
    """The part of a kind that is about conditions; by default numbers of rows, or the label, are given."""

    name: ClassVar[str]

    def condition(self, given: Mapping[str, object], n: int, schema: Schema, *, seed: int = 0) -> Tensor | None:
        """Return the condition of ``n`` new rows, ``(n, width)``; ``None`` for a model without one.

        Args:
            given: What is wanted, by name: one value for all rows, or ``n`` values. What is not given is drawn from
                what was seen together with it in the data.
            n: How many rows.
            schema: Schema of the model.
            seed: Seed of what is drawn.

        Raises:
            SettingError: The model is not conditioned on a name, or has not seen a value.
        """
        values = conditioning.fill(given, n, schema, seed=seed)
        return None if values is None else self.encode_condition(values, schema)

    def placed(
        self, given: Mapping[str, object], n: int, schema: Schema, *, seed: int = 0
    ) -> tuple[Tensor | None, Mapping[str, Any]]:
        """Return what :meth:`condition` does, and what travels with rows that are made under it, for :meth:`decode`."""
        return self.condition(given, n, schema, seed=seed), {}

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the codes ``(n, width)`` of the user's values of what is conditioned on: numbers, or the label."""
        if quantities.is_about(schema.condition, schema.quantities):
            return quantities.encode_given(values, schema)
        return conditioning.encode_label(values, schema)

    def moved(self, c: Tensor, given: Mapping[str, object], schema: Schema) -> Tensor:
        """Return conditions of rows, ``(n, width)``, with some of what they are conditioned on replaced.

        Args:
            c: Their own.
            given: What replaces it, by name: one value for all rows, or one for each.
            schema: Schema of the model.

        Raises:
            SettingError: The model is not conditioned on a name, or has not seen a value.
        """
        values = conditioning.fill(given, len(c), schema, seed=0)
        assert values is not None and schema.condition is not None  # noqa: PT018  # it has a condition
        made, at = c.clone(), 0
        for name, width in zip(schema.condition.names, self.widths(schema), strict=True):
            if name in given or len(schema.condition.names) == 1:
                made[:, at : at + width] = self.encode_condition(values, schema)[:, at : at + width].to(c)
            at += width
        return made

    def widths(self, schema: Schema) -> tuple[int, ...]:
        """Return the width of the code of each name that rows are conditioned on; of one alone, the whole width.

        Raises:
            SettingError: Rows of the kind do not say which part of a condition belongs to which name.
        """
        if schema.condition is None or len(schema.condition.names) > 1:
            raise SettingError(f"Parts of a condition cannot be replaced in rows of the kind {self.name!r}. Give all.")
        return (schema.condition.width,)
