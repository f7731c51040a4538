"""Why a loss is not finite: which term, which entry of the data, which layer, which parameter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..dist.ops import elementwise
from ..models.base import LatentModel
from ..nn.inputs import as_float
from ..objectives.base import Player, Terms


def _bad(t: Tensor) -> bool:
    return bool(t.is_floating_point() and not torch.isfinite(t).all())


@contextmanager
def _first_bad_layer(model: nn.Module, found: list[str]) -> Iterator[None]:
    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and _bad(output):
                found.append(f"{name} ({type(module).__name__})")

        return hook

    handles = [m.register_forward_hook(look(n)) for n, m in model.named_modules() if n]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def explain(model: LatentModel, player: Player, batch: Batch, step: int) -> str:
    """Return one sentence or more about what is not finite when ``player`` sees ``batch``."""
    layers: list[str] = []
    facts: list[str] = []
    with _first_bad_layer(model, layers):
        terms = player.loss(model, batch, step)
    wrong = [k for k, v in terms.parts.items() if _bad(v)]
    if wrong:
        facts.append(f"the term {' and '.join(repr(w) for w in wrong)} is not finite")
        facts.extend(_rows(terms))
        facts.extend(_entries(model, batch))
    if layers:
        facts.append(f"the first layer with such numbers is {layers[0]}")
    weights = [n for n, p in model.named_parameters() if _bad(p)]
    if weights:
        facts.append(f"the parameter {weights[0]} is not finite itself")
    if not facts:
        facts.extend(_gradients(model, terms))
    return "; ".join(facts) or "the loss was finite when it was computed again, so the update itself overflowed"


def _rows(terms: Terms) -> list[str]:
    rows = (~torch.isfinite(terms.loss)).nonzero().flatten().tolist()
    return [f"in {len(rows)} of {len(terms.loss)} rows of the batch (first: {rows[0]})"] if rows else []


def _entries(model: LatentModel, batch: Batch) -> list[str]:
    if not isinstance(batch.x, Tensor):
        return []
    seen = model.infer(batch)
    try:
        log_p = elementwise(seen.likelihood, as_float(batch.x))
    except CombinationError:
        return []
    places = (~torch.isfinite(log_p)).nonzero()
    if not len(places):
        return []
    _, row, *entry = places[0].tolist()
    value = batch.x[(row, *entry)].item()
    return [f"the likelihood fails first at entry {tuple(entry)} (value {value:g}) of row {row}"]


def _gradients(model: LatentModel, terms: Terms) -> list[str]:
    model.zero_grad(set_to_none=True)
    terms.loss.mean().backward()  # type: ignore[no-untyped-call]
    names = [n for n, p in model.named_parameters() if p.grad is not None and _bad(p.grad)]
    model.zero_grad(set_to_none=True)
    return [f"the loss is finite but the gradient of {names[0]} is not"] if names else []
