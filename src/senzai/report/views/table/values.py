"""Values of a table as the user has them, and the rows that are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....core.batch import Batch
from ....data import Schema
from ....data.table import Column, amounts, codec, cuts_of, details_of
from ....distributions import MixedFamily
from ....evaluation.statistics import random_rows
from ...findings import Findings
from ...numbers import label, own

Known = NDArray[np.bool_]


def family_of(found: Findings) -> MixedFamily:
    """Return the types of the columns: those of the likelihood, or of the schema where the model has no such part."""
    family = getattr(getattr(found.model, "likelihood", None), "family", None)
    if isinstance(family, MixedFamily):
        return family
    table = details_of(found.schema)
    return MixedFamily(sorts=table.sorts, sizes=table.sizes, cuts=cuts_of(table))


def decoded(codes: Tensor, column: Column, schema: Schema) -> Any:
    """Return one column of model values as the user's, written amounts as numbers."""
    if amounts.is_form(column.format):
        column = column.model_copy(update={"format": None, "dtype": "float64"})
    return codec.decode(codes.double().cpu().numpy(), column, details_of(schema))


def column_of(schema: Schema, j: int) -> Column | None:
    """Return the column that feature ``j`` of the model is, or nothing: it may say that another one is missing."""
    columns = details_of(schema).modelled
    return columns[j] if j < len(columns) else None


def cell(batch: Batch, row: int, j: int, schema: Schema) -> str:
    """Return one cell of a batch as the user has it."""
    column = column_of(schema, j)
    if column is None or (batch.observed is not None and not bool(batch.observed[row, j])):
        return "missing"
    return own(decoded(batch.tensor[row : row + 1, j], column, schema).iloc[0])


def known(batch: Batch, j: int) -> Known:
    """Return where a column is observed."""
    return np.ones(len(batch), dtype=bool) if batch.observed is None else batch.observed[:, j].cpu().numpy()


def some_of(index: Any, most: int) -> Any:
    """Return at most so many row numbers, drawn at random, ascending: data are often sorted."""
    chosen = random_rows(len(index), most, 0)
    return index if chosen is None else index[chosen.numpy()]


def training_rows(found: Findings, most: int) -> Batch | None:
    """Return rows the model was trained on, drawn at random; nothing where other data were given."""
    if not found.held.own or len(found.dataset) < found.dataset.schema.split.needs:
        return None
    return found.dataset.batch(some_of(found.dataset.split_indices()["train"], most))


def completed(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return rows without missing values, or with the column's commonest value where hardly a row is complete."""
    if mask is None:
        return x
    whole = mask.all(1)
    if int(whole.sum()) >= 50:
        return x[whole]
    fill = torch.stack([x[mask[:, j], j].mode().values if bool(mask[:, j].any()) else x[0, j] * 0
                        for j in range(x.shape[1])])
    return torch.where(mask, x, fill)


def holed(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return rows with NaN where the data have missing values, those of one row after the other."""
    return x if mask is None else torch.where(mask[torch.arange(len(x)) % len(mask)], x, torch.nan)


def cut(value: Any, longest: int) -> str:
    """Return a user's word for the axis of a small chart."""
    text = " ".join(str(value).split())
    return label(text if len(text) <= longest else text[: longest - 1] + "…")
