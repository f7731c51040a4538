"""The view of `table`: columns, associations, quality, missing values, outliers, and what latents change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

from torch import Tensor

from ....core.batch import Batch, Data
from ....data import Schema
from ....data.table import details_of
from ....evaluation import quality as measures
from ...blocks import Block, Colouring, Empty, Section, TableBlock
from ...findings import Findings, Scope
from ...numbers import count, plural, short
from ..base import VIEWS, View
from . import colouring, columns, quality, traversals
from .values import cell, family_of


@final
class TableView(View):
    """Rows of mixed columns."""

    scope: ClassVar[Scope] = Scope(mapped=2000, samples=2000)

    def lede(self, schema: Schema) -> str:
        """Say how many rows and columns, and how many of them are modelled."""
        table = details_of(schema)
        every, modelled = len(table.columns), len(table.modelled)
        some = "" if every == modelled else f", {count(modelled)} of them modelled"
        return f"{plural(schema.n_rows, 'row')} of {plural(every, 'column')}{some}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the record: names and values of its columns."""
        if not isinstance(row, Tensor):
            return None
        names = [short(str(c.name)) for c in details_of(schema).modelled]
        return TableBlock("", [(name, short(cell(Batch(row), 0, j, schema))) for j, name in enumerate(names)])

    def sections(self, found: Findings) -> list[Section]:
        """Return columns, associations, quality, missing values and outliers."""
        batch, made = found.mapped.batch, found.samples
        parts = []
        if isinstance(made, Tensor):
            family = family_of(found)
            shapes = measures.shapes(batch.tensor, made, family, batch.observed)
            pairs = measures.pairs(batch.tensor, made, family, mask=batch.observed)
            parts += [columns.columns(found, made, shapes), columns.associations(found.schema, pairs)]
            parts.append(quality.measured(found, made, shapes, pairs))
        else:
            parts.append(Section("samples", "Columns", [], [Empty(found.missing["samples"])]))
        if batch.observed is not None:
            parts.append(quality.missing(found.schema, batch.observed))
        return parts if found.codes is None else [*parts, quality.outliers(found)]

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return what changes along latents, and between two rows."""
        return [] if found.codes is None else [traversals.traversals(found), traversals.interpolations(found)]

    def colourings(self, found: Findings) -> Sequence[Colouring]:
        """Return a colouring for every column."""
        return colouring.colourings(found)


VIEWS.add("table")(TableView())
