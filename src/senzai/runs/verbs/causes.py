"""What verbs about causes share: what is set, in the model's numbers; whether data reach there; what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ...core.errors import SettingError
from ...core.registry import suggestion
from ...data import KINDS, Schema
from ...models.causal import CausalModel, needs_causes


def cannot_intervene(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a graph of causes: what goes together is not called a cause."""
    return needs_causes(model)


def causal(model: nn.Module) -> CausalModel:
    """Return a model as one with a graph; the verb fits it."""
    assert isinstance(model, CausalModel)
    return model


def numbers_of(schema: Schema, model: CausalModel, given: Mapping[str, object]) -> dict[str, float]:
    """Return the model's number of each node that is set.

    Raises:
        SettingError: Nothing is set, a node is unknown, or it cannot have the value.
    """
    nodes = model.graph.nodes
    if not given:
        raise SettingError(f'Something must be set, but got nothing. Write --set "{nodes[0]}=VALUE".')
    found = {}
    for name, value in given.items():
        if name not in nodes:
            raise SettingError(
                f"What can be set is {', '.join(nodes[:20])}, but got {name!r}.{suggestion(name, list(nodes))}"
            )
        found[name] = _number(schema, name, value)
    return found


def _number(schema: Schema, name: str, value: object) -> float:
    quantity = next((q for q in schema.quantities if q.name == name), None)
    if quantity is not None:
        return (as_number(name, value) - quantity.mean) / quantity.scale
    features = KINDS[schema.kind].features(schema)
    assert features is not None  # a graph is over columns or over quantities
    code = features.encode(name, value)
    if code is None:
        raise SettingError(f"A value must be set for {name!r}, but got {value!r}. Give one that the data have.")
    return code


def as_number(name: str, value: object) -> float:
    """Return a value as a number.

    Raises:
        SettingError: It is none.
    """
    try:
        return float(str(value))
    except ValueError as err:
        raise SettingError(f"{name!r} is a number, but got {value!r}. Write {name}=2.5.") from err


def out_of_range(schema: Schema, given: Mapping[str, object]) -> tuple[str, ...]:
    """Say for each value that is set where no data are, what that means."""
    features, found = KINDS[schema.kind].features(schema), []
    for name, value in given.items():
        span = None if features is None else features.span(name)
        try:
            number = float(str(value))
        except ValueError:
            continue
        if span is not None and not span[0] <= number <= span[1]:
            found.append(
                f"{name}={number:g} is out of the range of the data, {span[0]:g} to {span[1]:g}: what follows is "
                "extrapolated, and nothing in the data speaks for it."
            )
    return tuple(found)


def said(rows: Any, notes: tuple[str, ...]) -> Any:
    """Return rows with what they assume, where their form has room for it (``attrs`` of a frame)."""
    if hasattr(rows, "attrs"):
        rows.attrs["assumptions"] = list(notes)
    return rows
