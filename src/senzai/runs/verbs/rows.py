"""Numbers of rows in the form of the data they belong to."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...data import Dataset
from ...data.frame_files import to_polars

CODES = "X_senzai"
"""What codes are called where they stand beside the rows."""


def in_form_of(dataset: Dataset, z: Tensor, names: list[str] | None = None, *, called: str = CODES) -> Any:
    """Return numbers of rows in the form of the data they belong to; by default the columns are those of codes.

    Args:
        dataset: The rows.
        z: The numbers, rows first.
        names: Names of their columns, where they are no codes.
        called: What they are called where they stand beside the rows.
    """
    form, kind = dataset.schema.form, dataset.kind
    if form in kind.forms_beside:
        return kind.with_numbers(dataset.source, dataset.schema, z.numpy(), name=called, columns=names)
    if form == "torch":
        return z
    if form not in ("pandas", "table", "polars"):
        return z.numpy()
    import pandas as pd

    columns = names or [f"z{i}" for i in range(z.shape[1])]
    made = pd.DataFrame(z.numpy(), index=dataset.index, columns=columns)
    return to_polars(made) if form == "polars" else made
