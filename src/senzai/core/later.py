"""torch, loaded when something of it is first used: looking at a file needs none of it, and it takes a second.

``Tensor`` is for annotations alone; :func:`is_tensor` asks what a value is.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import torch as torch
    from torch import Tensor as Tensor
else:

    class _Later(ModuleType):
        """A module whose first use imports it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self.__name__), name)

    torch = _Later("torch")
    Tensor = Any


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether a value is a tensor; where nobody has loaded torch, nothing is.

    Example:
        >>> is_tensor([1.0])
        False
    """
    return "torch" in sys.modules and isinstance(value, torch.Tensor)
