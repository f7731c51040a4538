"""How a model is held while it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..nn.precision import using_precision


@contextmanager
def judging(model: nn.Module, precision: torch.dtype | None = None) -> Iterator[None]:
    """Switch to evaluation mode without gradients inside the block, and put every module back as it was.

    ``no_grad`` and not ``inference_mode``: parts may keep tensors for later, which training must be able to use.
    """
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), using_precision(precision):
            yield
    finally:
        for module, mode in before:
            module.training = mode
