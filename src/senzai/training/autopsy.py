"""Explains a loss that is not finite: which term, entry of the data, layer and parameter were first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..distributions.ops import elementwise
from ..models.base import LatentModel
from ..models.generative import Generative
from ..nn.inputs import as_float
from ..objectives.base import Player, Terms
from .divided import Ask, plainly
from .shares import held

Repeat = Callable[[], AbstractContextManager[Any]]
"""Opens a block in which the draws of the failed step are made again."""


def _bad(t: Tensor) -> bool:
    return bool(t.is_floating_point() and not torch.isfinite(held(t)).all())


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


def bad_parameters(model: nn.Module) -> list[str]:
    """Return the names of parameters that are not finite, as far as this process holds them."""
    return [n for n, p in model.named_parameters() if _bad(p)]


def explain(
    model: Generative, player: Player, batch: Batch, step: int, repeat: Repeat, columns: Sequence[str | int] = (),
    ask: Ask = plainly,
) -> str:
    """Say what is not finite when ``player`` sees ``batch``, most telling fact first; nothing if all is finite.

    Every process asks a divided model the same questions, whatever it finds.

    Args:
        model: The model as it was when the step failed.
        player: Whose loss it is.
        batch: What it saw.
        step: When, 0-based.
        repeat: Makes the draws of that step again.
        columns: Names of the entries of a row, where they have names.
        ask: Asks the model.
    """
    layers: list[str] = []
    facts: list[str] = []
    with repeat(), _first_bad_layer(model, layers):
        terms = ask(lambda: _alone(player.loss(model, batch, step)))
    wrong = [k for k, v in terms.parts.items() if _bad(v)] or (["loss"] if _bad(terms.loss) else [])
    entries = ask(_entries, model, batch, repeat, columns) if wrong or ask is not plainly else []
    if wrong:
        facts.append(f"the term {' and '.join(repr(w) for w in wrong)} is not finite")
        facts.extend([*_rows(terms), *entries])
    if layers:
        facts.append(f"the first layer with such numbers is {layers[0]}")
    weights = bad_parameters(model)
    if weights:
        facts.append(f"the parameter {weights[0]} is not finite itself")
    return "; ".join(facts)


def _alone(terms: Terms) -> Terms:
    """Return terms without the way back to their weights, which nobody will go."""
    parts, watch = ({k: v.detach() for k, v in found.items()} for found in (terms.parts, terms.watch))
    return Terms(terms.loss.detach(), parts, watch)


def _rows(terms: Terms) -> list[str]:
    rows = (~torch.isfinite(terms.loss)).nonzero().flatten().tolist()
    return [f"in {len(rows)} of {len(terms.loss)} rows of the batch (first: {rows[0]})"] if rows else []


def _entries(model: Generative, batch: Batch, repeat: Repeat, columns: Sequence[str | int]) -> list[str]:
    if not isinstance(batch.x, Tensor) or not isinstance(model, LatentModel):
        return []
    try:
        with repeat():
            log_p = elementwise(model.infer(batch).likelihood, as_float(batch.x))
    except CombinationError:
        return []
    wrong = (~torch.isfinite(log_p)).any(0)
    if not wrong.any():
        return []
    strangest = torch.where(wrong, strangeness(as_float(batch.x)), -1.0).argmax()
    row, *entry = (int(i) for i in torch.unravel_index(strangest, wrong.shape))
    value, others = batch.x[(row, *entry)].item(), int(wrong[row].sum()) - 1
    where = f"column {columns[entry[0]]!r}" if columns and len(entry) == 1 else f"entry {tuple(entry)}"
    also = f", the strangest of {others + 1} entries there that fail" if others else ""
    return [f"the likelihood fails at {where} (value {value:g}) of row {row}{also}"]


def strangeness(x: Tensor) -> Tensor:
    """Return how far each entry is from the median of its column, in median distances; infinite for what is no number.

    Example:
        >>> strangeness(torch.tensor([[1.0], [2.0], [3.0], [40.0]])).flatten().tolist()
        [1.0, 0.0, 1.0, 38.0]
    """
    distance = (x - x.median(0).values).abs()
    scale = distance.median(0).values.clamp_min(1e-6 * distance.nan_to_num().max(0).values)
    return (distance / torch.where(scale > 0, scale, 1.0)).nan_to_num(torch.inf)


def explain_gradients(
    model: Generative, player: Player, batch: Batch, step: int, repeat: Repeat, columns: Sequence[str | int] = (),
    ask: Ask = plainly,
) -> str:
    """Say which gradient is not finite, where all else was; see :func:`explain`."""
    model.zero_grad(set_to_none=True)
    with repeat():
        loss: Tensor = ask(lambda: player.loss(model, batch, step).loss.mean())
    loss.backward()
    names = [n for n, p in model.named_parameters() if p.grad is not None and _bad(p.grad)]
    model.zero_grad(set_to_none=True)
    return f"the loss is finite but the gradient of {names[0]} is not" if names else ""
