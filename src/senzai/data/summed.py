"""What a kind says of rows that lie at several sites: a schema from sums, without a row leaving its site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, TypeAlias

from senzai.core.errors import SettingError

from .options import Options
from .rows import Array, Rows
from .schema import Schema

Outline: TypeAlias = dict[str, Any]
"""What a site says of its rows before anything is counted: plain values."""
Plan: TypeAlias = dict[str, Any]
"""What all sites count, in one order: plain values."""


class Summed:
    """The part of a kind that is about sites: outline, plan, tally and agree, in this order.

    Each site sends an :meth:`outline`; :meth:`plan` says from all of them what is counted; each site sends a
    :meth:`tally`, of which only the sum over sites is used (it may be :meth:`refined` and counted again); and
    :meth:`agreed` makes the schema. A kind that does not have these methods has no schema from sums.
    """

    name: ClassVar[str]

    def outline(self, opened: Any, options: Options) -> Outline:
        """Return what a site says of its rows: names, types and ranges, but no counts."""
        self._without_sums()

    def plan(self, outlines: Mapping[str, Outline], options: Options) -> Plan:
        """Return what is to be counted, from the outlines of all sites by their names.

        Raises:
            InputError: The sites do not have the same sort of rows.
        """
        self._without_sums()

    def tally(self, opened: Any, options: Options, plan: Plan) -> Array:
        """Return the counts of one site, ``(n,)``."""
        self._without_sums()

    def refined(self, plan: Plan, sums: Array) -> Plan:
        """Return a finer plan where the sums show that one is needed."""
        self._without_sums()

    def agreed(
        self, outlines: Mapping[str, Outline], plan: Plan, sums: Array, options: Options, *, rows: int, seed: int
    ) -> tuple[Schema, Rows]:
        """Return the schema, and rows that stand in for those of the sites: drawn from the sums, each entry by itself.

        Args:
            outlines: What the sites said.
            plan: What was counted.
            sums: The sum of the counts of all sites.
            options: What the user set.
            rows: How many rows to draw.
            seed: Seed of the draw.
        """
        self._without_sums()

    def marked(self, source: object, options: Options, name: str, value: str) -> object:
        """Return a source whose rows also say which site they are of."""
        self._without_sums()

    def _without_sums(self) -> NoReturn:
        raise SettingError(
            f"Sites agree on a schema by sums, but rows of the kind {self.name!r} have no such sums. "
            "Tables have them."
        )
