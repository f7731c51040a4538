"""Predict: classes of rows, or a part of a row given the rest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...core.batch import cat
from ...core.row_noise import RowKeys
from ...models import verbs
from ...models.structured import Structured
from .fitness import needs_prediction
from .registry import verb
from .rows import in_form_of

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("predict", group="Use", takes="rows", answers="scores", unfit=needs_prediction, steered=False)
def predict(run: Trained, data: object, *, seed: int | None = None) -> Any:
    """Give the probability of each class of each row, or rows with the part predicted that the model is about."""
    dataset = run.dataset(data)
    if isinstance(run.model, Structured):
        keys = RowKeys()
        pieces = [verbs.complete(run.model, b, seed=seed, keys=keys) for _, b in run.pieces(dataset)]
        return dataset.decode(cat(pieces))
    found = torch.cat([verbs.classify(run.model, b) for _, b in run.pieces(dataset)]).exp()
    assert run.schema.label is not None  # a classifier needs one
    return in_form_of(dataset, found, [str(c) for c in run.schema.label.classes])
