"""Invertible networks: zuko's transforms, made so that they start as the identity."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from torch import nn
from torch.distributions import Distribution

from ..core.errors import SettingError

Flow: TypeAlias = Literal["realnvp", "maf", "nsf"]


def flows() -> Any:
    """Return ``zuko.flows``."""
    return zuko("flows")


def zuko(name: str) -> Any:
    """Return a module of zuko, imported without what its import does to torch: it stops all checks of arguments."""
    checked, constraints = Distribution._validate_args, Distribution.__dict__["arg_constraints"]
    found = importlib.import_module(f"zuko.{name}")
    Distribution._validate_args = checked
    Distribution.arg_constraints = constraints  # type: ignore[method-assign]  # a property, put back
    return found


def invertible(
    kind: Flow, n: int, *, n_condition: int = 0, n_transforms: int = 3, hidden: tuple[int, ...] = (64, 64)
) -> nn.Module:
    """Return a module that, called with a condition or ``None``, gives an invertible map of vectors.

    It starts as the identity: the last layer of every network in it is zero.

    Args:
        kind: ``realnvp`` (affine coupling: quick both ways), ``maf`` (affine, autoregressive) or ``nsf`` (rational
            quadratic splines on [-5, 5], autoregressive); the autoregressive ones invert dimension by dimension.
        n: Length of a vector.
        n_condition: Width of the condition.
        n_transforms: How many follow each other, in turning order.
        hidden: Widths of the hidden layers of each.

    Raises:
        SettingError: There is no such flow, or not one transform.

    Example:
        >>> import torch
        >>> f = invertible("nsf", 2)(None)
        >>> f(torch.ones(1, 2))
        tensor([[1.0000, 1.0000]], grad_fn=...)
    """
    made: dict[str, Callable[..., Any]] = {"realnvp": flows().RealNVP, "maf": flows().MAF, "nsf": flows().NSF}
    if kind not in made or n_transforms < 1:
        raise SettingError(
            f"A flow is one of {', '.join(made)} with `n_transforms >= 1`, but got {kind!r} with {n_transforms!r}."
        )
    transform: nn.Module = made[kind](n, n_condition, transforms=n_transforms, hidden_features=tuple(hidden)).transform
    for part in transform.modules():
        start_as_identity(part)
    return transform


def start_as_identity(part: nn.Module) -> None:
    """Make the numbers that a transform is made of zero, whatever it is called with."""
    if isinstance(hyper := getattr(part, "hyper", None), nn.Sequential):
        for p in [m for m in hyper if list(m.parameters())][-1].parameters():
            nn.init.zeros_(p)
    if isinstance(phi := getattr(part, "phi", None), nn.ParameterList):  # one dimension, and no condition
        for p in phi.parameters():
            nn.init.zeros_(p)
