"""Gradients of log densities inside an inference, with or without gradients around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...core.errors import CombinationError


def slopes(function: Callable[..., Tensor], *values: Tensor) -> tuple[Tensor, ...]:
    """Return the gradient of a sum of log densities, each of which depends on its own row alone.

    Inside ``torch.no_grad`` gradients are enabled for this one computation and nothing of it is kept; else the result
    can be differentiated again.

    Args:
        function: From tensors ``(K, B, ...)`` or ``(B, ...)`` to log densities.
        values: Where to differentiate.

    Example:
        >>> with torch.no_grad():
        ...     slopes(lambda z: -0.5 * z.square().sum(-1), torch.ones(1, 2))
        (tensor([[-1., -1.]]),)
    """
    return values_and_slopes(function, *values)[1:]


def values_and_slopes(function: Callable[..., Tensor], *values: Tensor) -> tuple[Tensor, ...]:
    """Return the log densities themselves, without a gradient, and then what :func:`slopes` returns.

    Example:
        >>> values_and_slopes(lambda z: -0.5 * z.square().sum(-1), torch.ones(1, 2))[0]
        tensor([-1.])
    """
    if torch.compiler.is_compiling():
        raise CombinationError(
            "A graph computes forwards alone, but this posterior finds latents by gradients of log p(x, z). Use the "
            "run itself, or fit another posterior."
        )
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # views, so that only the ways through the function count and not those by which other tensors depend on values
        free = [v.view_as(v) if again and v.requires_grad else v.detach().requires_grad_() for v in values]
        each = function(*free)
        found: Sequence[Tensor] = torch.autograd.grad(each.sum(), free, create_graph=again)
    return each.detach(), *found
