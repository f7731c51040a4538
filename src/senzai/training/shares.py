"""Tensors that are divided over the processes of a run: the share that a process holds, and the whole."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_divided(t: Tensor) -> TypeGuard[DTensor]:
    """Whether a tensor is one of torch's that are divided over processes.

    Where nobody has loaded their module, which takes two seconds, there is none.

    Example:
        >>> is_divided(torch.zeros(2))
        False
    """
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(t, module.DTensor)


@torch.no_grad()
def held(t: Tensor) -> Tensor:
    """Return what this process holds of a tensor, in the same memory: its share, or all of one that is not divided."""
    return t.to_local() if is_divided(t) else t


@torch.no_grad()
def whole(t: Tensor) -> Tensor:
    """Return all of a tensor; of a divided one, a copy on the CPU.

    Every process has to ask for the same tensors in the same order.
    """
    return t.full_tensor().cpu() if is_divided(t) else t


@torch.no_grad()
def share(value: Tensor, like: Tensor) -> Tensor:
    """Return the share of ``value`` that this process has of ``like``; one that is divided already stays as it is.

    Args:
        value: A whole tensor. One of another shape than ``like`` (the number of steps, among moments) is not divided.
        like: How it is to be divided, if at all.
    """
    if not is_divided(like) or is_divided(value) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    placed = distribute_tensor(value.detach(), like.device_mesh, like.placements, src_data_rank=None)
    return placed.clone()  # a share alone, not a view of the whole


def shares(values: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the shares of tensors that this process has of those of the same names."""
    return {k: share(v, like[k]) if k in like else v for k, v in values.items()}


def rejoined(local: Tensor, like: Tensor) -> Tensor:
    """Undo :func:`held` for what was computed entry by entry from the share of ``like``."""
    if not is_divided(like) or local.shape != held(like).shape:
        return local
    from torch.distributed.tensor import DTensor

    made: Tensor = DTensor.from_local(
        local, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
    )
    return made
