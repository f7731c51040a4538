"""Counterfactual: rows as they would have been, had something been set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...core.random import derive
from ...data import Schema
from .causes import cannot_intervene, causal, numbers_of, out_of_range, said
from .do import shown
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


def notes(schema: Schema, model: nn.Module, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what counterfactuals assume."""
    return (*causal(model).assumptions(counterfactual=True), *out_of_range(schema, settings.get("set") or {}))


@verb(
    "counterfactual", group="Use", takes="rows", answers="rows", unfit=cannot_intervene, steered=False, notes=notes,
)
def counterfactual(
    run: Trained, data: object, *, set: Mapping[str, object] | None = None, seed: int = 0,
) -> Any:
    """Give each row as it would have been, had something been set.

    Abduction, action, prediction: the noise of a row is found, what is set is set, and the row follows from both. What
    does not follow from what is set stays as it is.

    Args:
        run: The run.
        data: Rows, none of which lacks an entry.
        set: Value of each node that is set, by name.
        seed: Seed of what rows leave open about their noise: that of categories, counts and ordered values.
    """
    given, model, dataset = set or {}, causal(run.model), run.dataset(data)
    values = numbers_of(run.schema, model, given)
    found = [
        model.counterfactual(batch, values, seed=derive(seed, "rows", start)).cpu()
        for start, batch in run.pieces(dataset)
    ]
    rows = shown(dataset.kind, torch.cat(found), dataset.schema, given)
    return said(rows, notes(run.schema, run.model, {"set": given}))
