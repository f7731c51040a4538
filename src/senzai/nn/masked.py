"""Linear layers with some connections cut, for networks whose outputs may depend on some inputs only."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from .products import linear


@final
class MaskedLinear(nn.Linear):
    """A linear layer whose weight counts only where a mask is True.

    Args:
        n_in: Width of the input.
        n_out: Width of the output.
        mask: Which outputs see which inputs, ``(n_out, n_in)``.
    """

    mask: Tensor

    def __init__(self, n_in: int, n_out: int, mask: Tensor) -> None:
        super().__init__(n_in, n_out)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` times the connections that are left, plus the bias."""
        return linear(x, self.weight * self.mask, self.bias)


def degrees(width: int, n: int) -> Tensor:
    """Return for each of ``width`` hidden units the last of ``n`` ordered inputs it sees, evenly spread from -1.

    Example:
        >>> degrees(4, 3)
        tensor([-1,  0,  1, -1])
    """
    return torch.arange(width) % n - 1
