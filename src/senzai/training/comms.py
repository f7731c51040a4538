"""Communication between the processes of one run: none for a single process, else ``torch.distributed``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from ..core.errors import TrainingError


class PeerLost(TrainingError):
    """Another process of this run ended before its time; ``torchrun`` may start all of them again."""


@dataclass(frozen=True)
class Comms:
    """Rank and size of this process group.

    Args:
        rank: This process.
        world: Number of processes.
        local_rank: This process among those of its machine, which is the number of its device.

    Example:
        >>> Comms().is_main, Comms().sum(torch.tensor([1.0]))
        (True, tensor([1.]))
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

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

    def gather(self, text: str) -> list[str]:
        """Return the value of every process."""
        if self.world == 1:
            return [text]
        found = [""] * self.world
        dist.all_gather_object(found, text)
        return found

    def decided(self, *, by_first: bool) -> bool:
        """Return what the first process decided."""
        return bool(self.sum(torch.tensor([float(by_first and self.is_main)])) > 0)

    def every(self, holds: bool) -> bool:
        """Whether something holds in every process."""
        return bool(self.sum(torch.tensor([float(not holds)])) == 0)

    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the first one's values."""
        if self.world > 1:
            for t in tensors:
                dist.broadcast(t, 0)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Let gradients of ``module`` be averaged over processes."""
        if self.world == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        from torch.nn.parallel import DistributedDataParallel

        known = signature(DistributedDataParallel).parameters  # torch 2.13 gave the argument a new name
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        apart: dict[str, Any] = {name: False}
        return DistributedDataParallel(module, gradient_as_bucket_view=True, **apart)

    def barrier(self) -> None:
        """Wait for every process."""
        if self.world > 1:
            dist.barrier()


def is_main() -> bool:
    """Whether this process is alone, or the first of those that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def process_group() -> Iterator[Comms]:
    """Join the group that ``torchrun`` announced in the environment, or be alone."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Comms()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if dist.is_initialized():  # whoever joined it leaves it
        yield Comms(dist.get_rank(), dist.get_world_size(), local)
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    # Counts and metrics are on the CPU even when models are not, so both kinds of memory need a way.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Comms(dist.get_rank(), dist.get_world_size(), local)
    except RuntimeError as err:
        if not isinstance(err, dist.DistError) and "gloo" not in str(err).lower():
            raise
        raise PeerLost(
            f"All processes of a run must live while it trains, but another one ended: {str(err)[:90]} What it said is "
            "above. Go on with the same command under torchrun --max-restarts and --rdzv-id, or with senzai resume."
        ) from err
    finally:
        dist.destroy_process_group()
