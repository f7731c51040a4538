"""What a table kind does beyond one open table: private ones, and tables at several sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.later import torch

from ..budgeted import Budget
from ..kind import Kind, Opened
from ..options import Options, TableOptions
from ..private_kinds import PrivateKinds
from ..rows import Array, Rows
from ..schema import Schema
from ..summed import Outline, Plan, Summed
from . import labels as columns
from . import sites
from .column import TableDetails
from .numbers import needs_double
from .privately import blank_frame, private_columns, public_fingerprint, public_of
from .public import made_up, template
from .source import Source


def table_options(options: Options) -> TableOptions:
    """Return options as those of a table."""
    return options if isinstance(options, TableOptions) else TableOptions(**options.model_dump())


def details_of(schema: Schema) -> TableDetails:
    """Return the columns of a table.

    Raises:
        InputError: The schema is not that of a table.
    """
    if not isinstance(schema.details, TableDetails):
        raise InputError("The schema is not that of a table. Open the data with the model's own schema.")
    return schema.details


class PrivateTables(PrivateKinds):
    """Tables of which nothing is known but a public schema, and noisy counts."""

    def infer_private(self, opened: Opened, options: Options, budget: Budget) -> Schema:
        """Take what the public schema says, and noisy counts where they are paid for."""
        set_, source = table_options(options), opened.data
        table = private_columns(opened, set_, budget)
        return Schema(
            kind=self.name, event_shape=(len(table.sorts),), dtype="mixed", values="mixed", columns=table.features,
            form=opened.form, details=table, n_rows=opened.n_rows, split=set_.split,
            fingerprint=public_fingerprint(table, opened.n_rows, source.part),
            reasons=tuple(f"{c.name}: {c.type}. {c.reason}" for c in table.columns),
        )

    def public_schema(self, options: Options) -> dict[str, Any]:
        """Return the public schema that options name.

        Raises:
            SettingError: There is none, or it cannot be read.
        """
        return public_of(table_options(options)).model_dump(mode="json")

    def blank(self, options: Options, n: int) -> Opened:
        """Return a table with the columns of the public schema, and nothing in them.

        Raises:
            SettingError: There is no public schema.
        """
        opened = cast(Kind, self).read(blank_frame(table_options(options)), options)
        return replace(opened, n_rows=n)

    def template(self, opened: Opened) -> dict[str, Any]:
        """Return a public schema with the names of the columns."""
        source: Source = opened.data
        first = source.whole if source.whole is not None else next(iter(source.pieces(1)))
        return template([str(name) for name in columns.names_of(first.columns)])

    def made_up(self, schema: Schema, n: int, seed: int) -> Batch:
        """Return rows whose columns are independent and as the schema has them."""
        table = details_of(schema)
        x, seen = (torch.from_numpy(a) for a in made_up(table, n, seed))
        return Batch(x if needs_double(table) else x.float(), mask=None if bool(seen.all()) else seen)


class TablesAtSites(Summed):
    """Tables that several sites hold."""

    def outline(self, opened: Opened, options: Options) -> Outline:
        """Return names, types and ranges of all columns, and the values of those that have few."""
        return sites.outline(opened, table_options(options))

    def plan(self, outlines: Mapping[str, Outline], options: Options) -> Plan:
        """Return which values, and numbers in which intervals, are counted."""
        return sites.plan(outlines, table_options(options))

    def tally(self, opened: Opened, options: Options, plan: Plan) -> Array:
        """Return the counts of one site."""
        return sites.tally(opened, table_options(options), plan)

    def refined(self, plan: Plan, sums: Array) -> Plan:
        """Return intervals with about as many numbers in each."""
        return sites.refined(plan, sums)

    def agreed(
        self, outlines: Mapping[str, Outline], plan: Plan, sums: Array, options: Options, *, rows: int, seed: int
    ) -> tuple[Schema, Rows]:
        """Decide the type of every column as for one table, from the sums of all sites."""
        return sites.agreed(self.name, outlines, plan, sums, table_options(options), rows=rows, seed=seed)

    def marked(self, source: object, options: Options, name: str, value: str) -> object:
        """Return a frame with a column more.

        Raises:
            InputError: The table has a column of this name.
        """
        opened = cast(Kind, self).read(source, options)
        return sites.marked(opened, name, value)
