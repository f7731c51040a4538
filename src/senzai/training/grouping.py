"""Which parts of a model can be gathered apart: those whose weights nobody uses but in a call of the part itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

GROUPS = 16
"""A group has at least the so-manieth part of all parameters: fewer calls between processes than one for each layer."""
LONE = 256
"""The same of a part inside one that cannot be gathered apart: it stays alone."""
PLAIN = (bool, int, float, str, type(None))
UNREAD = {
    "device", "dtype", "shape", "ndim", "requires_grad", "is_leaf", "layout", "size", "dim", "numel",
    "is_floating_point",
}
"""What can be asked of a weight that is not there."""


def tensors_in(value: Any) -> Iterator[Tensor | None]:
    """Yield the tensors of nested tuples, lists and dictionaries; ``None`` for each thing that may hide others."""
    if isinstance(value, Tensor):
        yield value
    elif type(value) in (tuple, list):
        for v in value:
            yield from tensors_in(v)
    elif type(value) is dict:
        yield from tensors_in(list(value.values()))
    elif not isinstance(value, PLAIN):
        yield None


class Uses(TorchFunctionMode):
    """Notes, while it is active, within the calls of which modules each parameter is used.

    torch gathers the weights of a part when it is called, gives them back when the call has returned, and gathers them
    again when the gradient reaches what it returned. So a part is whole at the right times if

    - each of its weights is used at least once, and only during its calls, and is nobody else's too;
    - what it returns is tensors alone, of which one leads back to its weights, if these learn;
    - no gradient goes through it before the loss is there (a penalty on a slope, say), and no transform of functions.

    Args:
        model: What is looked at.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.names = {id(m): name for name, m in model.named_modules()}
        self.known = {id(p) for p in model.parameters()}
        self.calls: list[int] = []
        self.within: dict[int, frozenset[int]] = {}
        self.unfit: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch, and note whose weights it is given."""
        kwargs = kwargs or {}
        asked = getattr(getattr(func, "__self__", None), "__name__", "")  # of a property
        if asked not in UNREAD and getattr(func, "__name__", "") not in UNREAD:
            for t in tensors_in([list(args), kwargs]):
                if t is not None and id(t) in self.known:
                    now = frozenset(self.calls)
                    self.within[id(t)] = self.within.get(id(t), now) & now
        return func(*args, **kwargs)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follow every call inside the block."""
        with ExitStack() as stack:
            for m in self.model.modules():
                stack.callback(m.register_forward_pre_hook(self._enter).remove)
                stack.callback(m.register_forward_hook(self._leave, always_call=True).remove)
            stack.enter_context(self)
            yield

    def _enter(self, module: nn.Module, args: Any) -> None:
        self.calls.append(id(module))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.calls.pop()
        found = list(tensors_in(output))
        open_ends = [t for t in found if t is not None and t.requires_grad]
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in module.parameters())
        if None in [None if t is None else 0 for t in found] or (learns and not open_ends) or _transformed():
            self.unfit.add(id(module))
        for t in open_ends:
            t.register_hook(lambda g: self.unfit.add(id(module)))

    def fit(self, module: nn.Module) -> bool:
        """Whether a module can be gathered apart."""
        own = {id(p) for p in module.parameters()}
        inside = {id(m) for m in module.modules()}
        tied = any(id(p) in own for m in self.model.modules() if id(m) not in inside for p in m._parameters.values())
        return not tied and id(module) not in self.unfit and all(id(module) in self.within.get(i, ()) for i in own)


def _transformed() -> bool:
    return bool(torch._C._are_functorch_transforms_active())


def groups(model: nn.Module, trial: Callable[[], object], *, parts: int = GROUPS) -> list[str]:
    """Return the names of the parts of a model to gather apart, inner ones first; the rest is one more group.

    Args:
        model: The model, whole.
        trial: Computes all losses that training computes, for a few rows. Buffers are put back.
        parts: A group has at least the so-manieth part of all parameters.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 3))
        >>> class Model(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.net, self.scale = net, nn.Parameter(torch.ones(3))
        >>> model = Model()
        >>> groups(model, lambda: model.net(torch.ones(1, 3)) * model.scale)
        ['net.0', 'net.1']
        >>> groups(model, lambda: model.net(torch.ones(1, 3)) * model.scale, parts=1)
        ['net']
        >>> groups(model, lambda: model.net(torch.ones(1, 3)) @ net[0].weight.T)
        ['net.1']
    """
    buffers = [(b, b.clone()) for b in model.buffers()]
    uses = Uses(model)
    try:
        with uses.watching():
            trial()
    finally:
        for b, before in buffers:
            b.data.copy_(before)
    total = sum(p.numel() for p in model.parameters())
    chosen: list[str] = []

    def choose(module: nn.Module, n: int, share: int) -> int:
        """Make a group of a part that has so many numbers in no group yet, if it can be and is large enough."""
        if n == 0 or n * share < total or not uses.fit(module):
            return n
        chosen.append(uses.names[id(module)])
        return 0

    def left(module: nn.Module, seen: set[int]) -> int:
        """Choose groups within a module; return how many numbers are in none of them."""
        new = [p for p in module._parameters.values() if p is not None and id(p) not in seen]
        seen |= {id(p) for p in new}
        inside = [(m, left(m, seen)) for m in module.children()]
        if module is model or not uses.fit(module):
            return sum(p.numel() for p in new) + sum(choose(m, n, LONE) for m, n in inside)
        return choose(module, sum(p.numel() for p in new) + sum(n for _, n in inside), parts)

    left(model, set())
    return chosen
