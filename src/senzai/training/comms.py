"""How processes of one run talk: nothing when alone, ``torch.distributed`` when launched by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Comms:
    """Rank and size of this process group.

    Example:
        >>> Comms().is_main, Comms().sum(torch.tensor([1.0]))
        (True, tensor([1.]))
    """

    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over all processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def wrap(self, module: nn.Module) -> nn.Module:
        """Let gradients of ``module`` be averaged over processes."""
        if self.world == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)

    def barrier(self) -> None:
        """Wait for every process."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def process_group() -> Iterator[Comms]:
    """Join the group that ``torchrun`` announced in the environment, or be alone."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Comms()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Comms(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
