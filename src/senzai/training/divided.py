"""A model that is divided over processes by torch's ``fully_shard``: asked as a whole, held in shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from .shares import is_divided

T = TypeVar("T")


class Ask(Protocol):
    """Calls a function that uses a model, in a place where the model can be used."""

    def __call__(self, question: Callable[..., T], *args: Any) -> T:
        """Return ``question(*args)``."""


def plainly(question: Callable[..., T], *args: Any) -> T:
    """Return ``question(*args)``: a model that every process holds whole can be used anywhere.

    Example:
        >>> plainly(max, 1, 2)
        2
    """
    return question(*args)


class Divided(nn.Module):
    """The root that torch divides: while it is called, and not otherwise, the model inside can be used.

    Losses call methods of a model, not the model. So what is called here is the question, and the answer is tensors
    from which gradients find their way back.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, question: Callable[..., T], *args: Any) -> T:
        """Return ``question(*args)``."""
        answer: T = _own(self, (), question(*args))
        return answer


def divide(model: nn.Module, names: Sequence[str], device: torch.device, world: int) -> Ask:
    """Divide a model in place, parameter by parameter along the first axis, and return what asks it.

    Parameters are other objects from then on. What is a single number, and all buffers, every process holds whole.

    Reference:
        PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel (Zhao et al., 2023).
        https://arxiv.org/abs/2304.11277

    Args:
        model: The model; where it is on the CPU, ``device`` holds one group of it at a time.
        names: Parts that are gathered apart, inner ones first.
        device: Where shares are to be.
        world: Number of processes.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    numbers = {p for p in model.parameters() if p.ndim == 0}
    for p in model.parameters():
        p.data = p.data.to(device) if p in numbers else p.data.contiguous()
    more: dict[str, Any] = {"ignored_params": numbers} if numbers else {}
    mesh = init_device_mesh(device.type, (world,))
    root = Divided(model)
    for name in names:
        part = model.get_submodule(name)
        part.register_forward_hook(_own)  # before the one of torch
        fully_shard(part, mesh=mesh, reshard_after_forward=True, **more)
    fully_shard(root, mesh=mesh, reshard_after_forward=True, **more)
    return root


def _own(module: nn.Module, args: Any, output: Any) -> Any:
    """Let no output be a view: torch would lose its hook if the view were changed in place."""
    if isinstance(output, Tensor):
        return output.clone() if output._is_view() else output
    if type(output) in (tuple, list):
        return type(output)(_own(module, args, v) for v in output)
    return {k: _own(module, args, v) for k, v in output.items()} if type(output) is dict else output


def average_numbers(parameters: Sequence[nn.Parameter], total: Callable[[Tensor], Tensor], world: int) -> None:
    """Average the gradients of parameters that are not divided; torch has done so with the others."""
    for p in parameters:
        if p.grad is not None and not is_divided(p):
            p.grad = total(p.grad) / world


@contextmanager
def mixed_with_wholes() -> Iterator[None]:
    """Let divided tensors meet others, of which every process has the same, inside the block."""
    from torch.distributed.tensor.experimental import implicit_replication

    with implicit_replication():
        yield
