"""What a user may set when counts are read, and what a run keeps of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..covariates import Covariate
from ..options import Options
from ..schema import Frozen, Schema


class CountOptions(Options):
    """What the kind `counts` understands beyond the common options.

    ``label``, ``condition`` and ``groups`` name columns of ``obs``, the facts about the rows.

    Args:
        layer: Where the counts are: the name of a layer, ``X`` or ``raw``; by default the first that holds counts.
        genes: Whether genes are the "columns" or the "rows" of a text table.
        delimiter: What separates the cells of a text table.
        missing: At use, "keep" takes genes that the data lack as not observed; "error" refuses such data.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions

    layer: str | None = None
    genes: Literal["columns", "rows"] = "columns"
    delimiter: str | None = None


class CountDetails(Frozen):
    """What is known about counts beside the genes, which are the columns of the schema.

    Args:
        place: Where the counts were found.
        covariates: What the model is given of each row.
        usual_depth: Counts that a row has in all, the median.
        depth_spread: Standard deviation of their logarithm.
        density: Share of the entries that are not zero.
    """

    place: str = "X"
    covariates: tuple[Covariate, ...] = ()
    usual_depth: float = 1000.0
    depth_spread: float = 0.0
    density: float = 0.0


def details_of(schema: Schema) -> CountDetails:
    """Return what is known about the counts of a schema."""
    assert isinstance(schema.details, CountDetails)  # nobody else asks
    return schema.details
