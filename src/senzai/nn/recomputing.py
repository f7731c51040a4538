"""Gradient checkpointing: what a block computed inside is forgotten, and computed again on the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

_ON: ContextVar[bool] = ContextVar("senzai_gradient_checkpointing", default=False)


class Recomputable(nn.Module):
    """A network with blocks that go through :func:`sparingly`."""


@contextmanager
def gradient_checkpointing(on: bool) -> Iterator[None]:
    """Let blocks inside forget what they computed, if ``on``."""
    token = _ON.set(on)
    try:
        yield
    finally:
        _ON.reset(token)


def sparingly(block: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Return what a block makes of its inputs; inside :func:`gradient_checkpointing` only the inputs are kept.

    Random numbers (dropout) and precision of the second time are those of the first, so that gradients are the same.

    Reference:
        Training Deep Nets with Sublinear Memory Cost (Chen et al., 2016). https://arxiv.org/abs/1604.06174

    Args:
        block: A module or function of tensors.
        given: Its inputs.
        named: Further ones.

    Example:
        >>> with gradient_checkpointing(True):
        ...     x = torch.ones(2, requires_grad=True)
        ...     sparingly(torch.exp, x).sum().backward()
        >>> x.grad
        tensor([2.7183, 2.7183])
    """
    if not (_ON.get() and torch.is_grad_enabled()):
        return block(*given, **named)
    from torch.utils.checkpoint import checkpoint

    return checkpoint(block, *given, use_reentrant=False, **named)
