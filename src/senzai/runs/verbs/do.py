"""Do: rows of the world in which something is set."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from ...data import KINDS, Schema
from .causes import cannot_intervene, causal, numbers_of, out_of_range, said
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


def notes(schema: Schema, model: nn.Module, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what rows of an intervention assume."""
    return (*causal(model).assumptions(), *out_of_range(schema, settings.get("set") or {}))


@verb("do", group="Use", takes="number", answers="rows", unfit=cannot_intervene, steered=False, notes=notes)
def do(
    run: Trained, n: int, *, set: Mapping[str, object] | None = None, seed: int | None = None,
) -> Any:
    """Make rows of the world in which something is set, by the graph of causes.

    The causes of what is set are cut, and what it causes follows; everything else is as the model draws it.

    Args:
        run: The run.
        n: How many rows.
        set: Value of each node that is set, by name.
        seed: Seed of the draws.
    """
    given, model, schema = set or {}, causal(run.model), run.schema
    values = numbers_of(schema, model, given)
    x = model.intervene(n, values, seed=secrets.randbits(62) if seed is None else seed)
    kind = KINDS[schema.kind]
    return said(shown(kind, x, schema, given), notes(schema, run.model, {"set": given}))


def shown(kind: Any, x: Any, schema: Schema, given: Mapping[str, object]) -> Any:
    """Return rows in the form of the data, with the values that are set as the user gave them."""
    features = kind.features(schema)
    if features is None:
        return kind.decode(x, schema)
    rows = kind.decode_given(x, schema, {name: [value] * len(x) for name, value in given.items()})
    return kind.with_set(rows, schema, given)
