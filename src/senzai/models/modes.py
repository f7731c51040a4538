"""The mode of a model while it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ..nn.precision import using_precision

_LOCK = Lock()
_HELD: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""Modules that were in training and are held in evaluation mode, with the number of blocks that hold them."""


@contextmanager
def judging(model: nn.Module, precision: torch.dtype | None = None) -> Iterator[None]:
    """Keep a model in evaluation mode without gradients inside the block, and restore every module afterwards.

    Modules that are in evaluation mode already are not touched. Several threads may be inside at once: a module goes
    back to training when the last of them leaves.

    ``no_grad`` and not ``inference_mode``: parts may keep tensors for later, which training must be able to use.
    """
    held = _hold(model)
    try:
        with torch.no_grad(), using_precision(precision):
            yield
    finally:
        _release(held)


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Hold a part of a model in evaluation mode inside the block, gradients and all, and put it back as it was."""
    held = _hold(module)
    try:
        yield
    finally:
        _release(held)


def _hold(model: nn.Module) -> list[nn.Module]:
    with _LOCK:
        held = [m for m in model.modules() if m.training or m in _HELD]
        for module in held:
            _HELD[module] = _HELD.get(module, 0) + 1
            module.training = False
        return held


def _release(held: list[nn.Module]) -> None:
    with _LOCK:
        for module in held:
            _HELD[module] -= 1
            if not _HELD[module]:
                del _HELD[module]
                module.training = True
