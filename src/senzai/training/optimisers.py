"""Optimisers by name: our AdamW, and those of ``torch.optim``, each with settings of its own and a state to save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from ..core.errors import SettingError
from ..core.registry import suggestion
from .adamw import AdamW, ParameterGroup
from .shares import held, is_divided, rejoined, share

CLASSES = {"adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop", "adamax": "Adamax"}
"""Classes of ``torch.optim``; ``adamw`` is our own."""

SETTINGS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "adam": {"betas": tuple[float, float], "eps": float, "amsgrad": bool},
    "sgd": {"momentum": float, "nesterov": bool, "dampening": float},
    "rmsprop": {"momentum": float, "alpha": float, "eps": float, "centered": bool},
    "adamax": {"betas": tuple[float, float], "eps": float},
}
"""Settings of each, with their types."""


class Optimiser(Protocol):
    """What the loop needs of an optimiser."""

    groups: list[ParameterGroup]

    def zero_grad(self) -> None:
        """Forget all gradients."""

    def step(self, *, broken: Tensor | None = None) -> None:
        """Move every parameter that has a gradient; not at all where ``broken`` is one."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is remembered, named ``parameter.what``."""

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put copies of tensors of :meth:`tensors` back."""


def checked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an optimiser, each of its type, and refuse what it does not take.

    Raises:
        SettingError: A setting is unknown to it, or has a value that it cannot have.

    Example:
        >>> checked("adam", {"betas": [0.5, 0.9]})
        {'betas': (0.5, 0.9)}
        >>> checked("sgd", {"momentun": 0.9})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: The optimiser sgd takes momentum, nesterov, dampening, but got 'momentun'. ...
    """
    takes, found = SETTINGS[name], {}
    for key, value in settings.items():
        if key not in takes:
            known = ", ".join(takes) or "no settings of its own"
            raise SettingError(f"The optimiser {name} takes {known}, but got {key!r}.{suggestion(key, list(takes))}")
        try:
            found[key] = TypeAdapter(takes[key]).validate_python(value)
        except ValidationError as err:
            raise SettingError(f"optimiser.{key}: {err.errors()[0]['msg']}, but got {value!r}.") from None
    if found:
        _made(name, [nn.Parameter(torch.zeros(1))], 1e-3, found)  # torch knows what values can be
    return found


def _made(name: str, params: list[nn.Parameter], lr: float, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    try:
        made: torch.optim.Optimizer = getattr(torch.optim, CLASSES[name])(params, lr=lr, **settings)
    except ValueError as err:
        raise SettingError(f"The optimiser {name} cannot have these settings: {err}. Got {dict(settings)!r}.") from None
    return made


def optimiser_of(groups: Sequence[ParameterGroup], name: str, settings: Mapping[str, Any]) -> Optimiser:
    """Return the optimiser of this name for some parameters."""
    return AdamW(groups) if name == "adamw" else FromTorch(groups, name, settings)


class FromTorch:
    r"""An optimiser of ``torch.optim`` with the groups, the weight decay and the saved state of our own.

    Weight decay is decoupled, as in AdamW: :math:`w \leftarrow w - \eta \lambda w` before the step, in proportion to
    the learning rate and not through the gradient.

    Args:
        groups: Parameters with their settings, in the order in which :meth:`tensors` counts them.
        name: One of ``CLASSES``.
        settings: Its own settings.

    Example:
        >>> w = nn.Parameter(torch.ones(2))
        >>> w.grad = torch.ones(2)
        >>> FromTorch([ParameterGroup([w], 0.1)], "sgd", {"momentum": 0.9}).step()
        >>> w.detach()
        tensor([0.9000, 0.9000])
    """

    def __init__(self, groups: Sequence[ParameterGroup], name: str, settings: Mapping[str, Any]) -> None:
        self.groups = list(groups)
        self.params = [p for g in self.groups for p in g.params]
        self.held = {p: nn.Parameter(held(p)) if is_divided(p) else p for p in self.params}
        self.inner = [_made(name, [self.held[p] for p in g.params], g.lr, settings) for g in self.groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self, *, broken: Tensor | None = None) -> None:
        """Move every parameter that has a gradient; not at all where ``broken`` is one, which is read here."""
        if broken is not None and bool(broken):
            return
        for group, inner in zip(self.groups, self.inner, strict=True):
            for settings in inner.param_groups:
                settings["lr"] = group.lr
            for p in group.params:
                self.held[p].grad = None if p.grad is None else held(p.grad)
            moved = [self.held[p] for p in group.params if p.grad is not None]
            if group.weight_decay and moved:
                torch._foreach_mul_(list[Tensor](moved), 1 - group.lr * group.weight_decay)
            inner.step()

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is remembered, named ``parameter.what``."""
        states = ((i, p, self._state(self.held[p])) for i, p in enumerate(self.params))
        return {f"{i}.{k}": rejoined(v, p) for i, p, state in states for k, v in state.items() if v is not None}

    def _state(self, p: nn.Parameter) -> dict[str, Any]:
        return next((dict(inner.state[p]) for inner in self.inner if p in inner.state), {})

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put copies of tensors of :meth:`tensors` back."""
        found: dict[nn.Parameter, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            index, _, key = name.partition(".")
            p = self.params[int(index)]
            device, kind = (value.device, value.dtype) if key == "step" else (p.device, p.dtype)
            mine = held(share(value.detach(), p))
            found.setdefault(self.held[p], {})[key] = mine.to(device, kind, copy=True)
        for group, inner in zip(self.groups, self.inner, strict=True):
            inner.state.clear()
            inner.state.update({p: found[p] for p in map(self.held.get, group.params) if p in found})
