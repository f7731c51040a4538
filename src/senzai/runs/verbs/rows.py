"""Numbers of rows in the form of the data they belong to."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...data import Dataset
from ...data.frame_files import to_polars


def in_form_of(dataset: Dataset, z: Tensor, names: list[str] | None = None) -> Any:
    """Return numbers of rows in the form of the data they belong to; by default the columns are those of codes."""
    form = dataset.schema.form
    if form == "torch":
        return z
    if form not in ("pandas", "table", "polars"):
        return z.numpy()
    import pandas as pd

    columns = names or [f"z{i}" for i in range(z.shape[1])]
    made = pd.DataFrame(z.numpy(), index=dataset.index, columns=columns)
    return to_polars(made) if form == "polars" else made
