"""Linear layers that use the fastest kernels of the processor."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALL = 1 << 20
"""Multiplications below which the call of another kernel costs as much as it saves."""


@lru_cache(maxsize=1)
def prefers_onednn() -> bool:
    """Whether oneDNN multiplies single-precision matrices faster than the library that torch takes on this processor.

    MKL keeps to AVX2 on processors that are not Intel's; where they have AVX-512, oneDNN is up to twice as fast
    (``benchmarks/products.py`` measures it). It depends on the machine alone, so that a run repeats.
    """
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.mkl.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and "AuthenticAMD" in _vendor()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _vendor() -> str:
    about = Path("/proc/cpuinfo")
    if about.exists():
        return next((line for line in about.read_text().splitlines() if line.startswith("vendor_id")), "")
    return platform.processor()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, as ``torch.nn.functional.linear`` up to rounding.

    Args:
        x: ``(*lead, n_in)``.
        weight: ``(n_out, n_in)``.
        bias: ``(n_out,)``, or ``None``.

    Returns:
        ``(*lead, n_out)``.

    Example:
        >>> linear(torch.ones(3, 2), torch.ones(4, 2)).tolist()[0]
        [2.0, 2.0, 2.0, 2.0]
    """
    if not _worth_it(x, weight):
        return F.linear(x, weight, bias)
    flat = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    out: Tensor = _Product.apply(flat, weight, bias)  # type: ignore[no-untyped-call]  # torch's
    return out.reshape(*x.shape[:-1], weight.shape[0])


def _worth_it(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # checked first: traced code must not branch on sizes
        and x.dtype is torch.float32
        and weight.dtype is torch.float32
        and x.device.type == "cpu"
        and x.numel() * weight.shape[0] >= SMALL
        and prefers_onednn()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()  # vmap and other transforms support torch's own layer
    )


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias`` by oneDNN; its gradients are products of the same kind, so they have gradients too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (g,) = slopes
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            linear(g, weight.t()) if needs_x else None,
            linear(g.t(), x.t()) if needs_weight else None,
            g.sum(0) if needs_bias else None,
        )


@final
class Linear(nn.Linear):
    """``torch.nn.Linear`` with the product of :func:`linear`: same parameters, same names, same numbers up to rounding.

    Example:
        >>> Linear(2, 3)(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(*lead, n_out)``."""
        return linear(x, self.weight, self.bias)
