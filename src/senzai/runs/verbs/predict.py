"""Predict: classes of rows, or a part of a row given the rest of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ...core.batch import cat
from ...core.row_noise import RowKeys
from ...data import Schema
from ...models import verbs
from ...models.structured import Structured
from .fitness import needs_prediction
from .registry import unless_seeded, verb
from .rows import in_form_of

if TYPE_CHECKING:
    from ...training.trained import Trained


def by_row(schema: Schema, model: Any, settings: Mapping[str, Any]) -> bool:
    """Say so of classes; rows with a part predicted are made by the kind, which looks at all of them."""
    return not isinstance(model, Structured) and unless_seeded(schema, model, settings)


@verb("predict", group="Use", takes="rows", answers="scores", unfit=needs_prediction, steered=False, by_row=by_row)
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
