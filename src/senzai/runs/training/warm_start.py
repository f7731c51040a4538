"""Weights of another run to begin with: training goes from small pictures to large ones, or from many rows to few."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ...core.errors import CombinationError
from ...core.files import user_path
from ...parts.quantisers.vector import Quantiser

MOST_NAMED = 6


def start_from(model: nn.Module, path: str | Path) -> list[str]:
    """Put what fits of another run's weights into a model that is initialised; return the names of what does not.

    Tensors fit by name and shape. What describes the data (units, ranges) stays that of the data at hand.

    Args:
        model: What is about to be trained.
        path: The other run.

    Raises:
        BundleError: No run is there.
        CombinationError: Nothing fits.
    """
    from ..run import load

    other = dict(learned(load(user_path(path)).model))
    own = dict(learned(model))
    fits = {name for name, tensor in own.items() if name in other and other[name].shape == tensor.shape}
    if not fits:
        raise CombinationError(
            f"The weights of another run fit by name and shape, but none of {str(path)!r} do. Give both runs the same "
            "recipe and the same widths, or leave init_from out."
        )
    with torch.no_grad():
        for name in fits:
            own[name].copy_(other[name])
    return [name for name in own if name not in fits]


def learned(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield what training changes: parameters, and the tables of quantisers, which are averages."""
    yield from model.named_parameters()
    for prefix, module in model.named_modules():
        if isinstance(module, Quantiser):
            yield from module.named_buffers(prefix=prefix)


def begun_from(model: nn.Module, path: str | Path) -> None:
    """Start a model from another run, and warn of what that run has no weights for."""
    left = start_from(model, path)
    if left:
        named = ", ".join(left[:MOST_NAMED]) + (" …" if len(left) > MOST_NAMED else "")
        count = f"{len(left)} tensors, which start" if len(left) > 1 else "one tensor, which starts"
        warnings.warn(f"{path} has no weights for {count} anew: {named}.", stacklevel=3)
