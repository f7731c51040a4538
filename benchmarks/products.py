"""Linear layers: torch's own product beside the one that senzai takes on this processor, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from senzai.nn.products import linear, prefers_onednn

from .common import alternate, clock

SHAPES = {"100 rows, 784 to 512": (100, 784, 512), "100 rows, 512 to 784": (100, 512, 784),
          "256 rows, 256 to 256": (256, 256, 256), "5000 rows, 512 to 784": (5000, 512, 784)}


def trained(product: Callable[..., Tensor], rows: int, n_in: int, n_out: int, calls: int) -> float:
    """Return seconds of one product with the gradients of everything it is made of."""
    x, weight, bias = (torch.randn(s, requires_grad=True) for s in ((rows, n_in), (n_out, n_in), (n_out,)))
    slope = torch.randn(rows, n_out)

    def work() -> None:
        for _ in range(calls):
            torch.autograd.grad(product(x, weight, bias), (x, weight, bias), slope)

    work()
    return clock(work) / calls


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Compare both for some shapes."""
    found: dict[str, Any] = {"takes_onednn_here": prefers_onednn(), "threads": torch.get_num_threads(), "shapes": {}}
    for name, shape in SHAPES.items():
        print(name)
        calls = 2 if quick else max(10, 10_000_000_000 // (6 * shape[0] * shape[1] * shape[2]))
        seen = alternate(
            rounds, torch=lambda s=shape, c=calls: trained(F.linear, *s, c),
            senzai=lambda s=shape, c=calls: trained(linear, *s, c),
        )
        found["shapes"][name] = {**seen, "ratio": seen["torch"]["median"] / seen["senzai"]["median"]}
    return found
