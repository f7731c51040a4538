"""Which precision networks compute in; densities and rates never leave single precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

_DTYPE: ContextVar[torch.dtype | None] = ContextVar("senzai_network_dtype", default=None)


def native_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices itself instead of emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("bf16"))
    return False


@contextmanager
def using_precision(dtype: torch.dtype | None) -> Iterator[None]:
    """Let networks inside the block compute in ``dtype``; ``None`` leaves them alone."""
    token = _DTYPE.set(dtype)
    try:
        yield
    finally:
        _DTYPE.reset(token)


def network_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a part runs its network (autocasting, or nothing)."""
    dtype = _DTYPE.get()
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)
