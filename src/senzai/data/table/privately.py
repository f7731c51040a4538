"""A private table: what its schema may be made of, and a fingerprint that says nothing of its values."""

from __future__ import annotations

from typing import Any

from senzai.core.errors import CombinationError, SettingError

from ..budgeted import Budget
from ..kind import Opened
from ..options import TableOptions
from ..private_kinds import hidden
from .column import TableDetails
from .public import PublicSchema, columns_of, read_public


def private_columns(opened: Opened, options: TableOptions, budget: Budget) -> TableDetails:
    """Return the columns of a table from its public schema and noisy counts.

    Raises:
        SettingError: There is no public schema.
        CombinationError: Something was asked for that would look at values.
    """
    public = public_of(options)
    looks = {
        "condition": bool(options.condition), "label": options.label is not None or opened.labels is not None,
        "missingness": bool(options.missingness), "schema": bool(options.schema_),
        "groups": options.groups is not None, "time": options.time is not None,
    }
    if asked := [name for name, there in looks.items() if there]:
        raise CombinationError(
            f"Private training takes a table by its public schema alone, but {', '.join(asked)} would be decided by "
            "looking at values. Leave it out; a label can be a column like others."
        )
    frame = opened.data.whole
    if frame is None:
        import pandas as pd

        frame = pd.concat(list(opened.data.pieces(200_000)), ignore_index=True)
    table = TableDetails(
        columns=columns_of(public, frame, options, budget), unknown=options.unknown,
        rare=options.rare, markers=options.na,
    )
    if not table.modelled:
        raise SettingError("A public schema has a column to learn from, but this one drops all of them.")
    return table


def public_of(options: TableOptions) -> PublicSchema:
    """Return the public schema that options name.

    Raises:
        SettingError: There is none, or it cannot be read.
    """
    if options.public is None:
        raise SettingError(
            "Private training needs to know the columns without looking at them, but there is no public schema. "
            "Write one (senzai schema DATA writes a template from the names alone), and give it: --schema FILE.json."
        )
    return read_public(options.public)


def blank_frame(options: TableOptions) -> Any:
    """Return a row with the columns of the public schema, and nothing in them.

    Raises:
        SettingError: There is no public schema.
    """
    import pandas as pd

    return pd.DataFrame({c.name: [None] for c in public_of(options).columns}, dtype=object)


def public_fingerprint(table: TableDetails, n: int, part: str) -> str:
    """Return a fingerprint of names, types and the number of rows: a hash of values would tell them to who can guess.

    Example:
        >>> public_fingerprint(TableDetails(columns=()), 3, "")[:14]
        'public-sha256:'
    """
    return hidden(repr([(str(c.name), c.type, c.size) for c in table.columns]) + f" {n} {part}")
