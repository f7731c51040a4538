"""Rows to trace and check graphs with: made by the model itself, so that no data have to be at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..data import KINDS, Schema
from ..models import verbs
from ..models.generative import Generative

ROWS = 13
"""Rows of an example: none of the batch sizes of a check."""
SEEN = 0.8
"""Share of entries that are observed, where some may be missing."""


def example_of(model: Generative, schema: Schema, processing: Mapping[str, Any]) -> Batch:
    """Return rows drawn from a model, some entries of them missing where data may lack some.

    Raises:
        CombinationError: Rows are of several tensors.
    """
    c = KINDS[schema.kind].condition({}, ROWS, schema, seed=0)
    x = verbs.sample(model, ROWS, seed=0, c=c)
    if isinstance(x, dict):
        raise CombinationError(f"A graph takes rows of one tensor, but these have {', '.join(x)}. Use the run itself.")
    own = torch.Generator().manual_seed(0)
    may_lack = processing["form"] == "columns" or processing.get("missing")
    mask = torch.rand(x.shape, generator=own) < SEEN if may_lack else None
    return Batch(x if mask is None else torch.where(mask, x, torch.zeros_like(x)), c=c, mask=mask)
