"""torch, imported when it is first used: inspecting a file does not need it, and importing it takes a second.

``Tensor`` is for annotations only; :func:`is_tensor` tells whether a value is one.
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
    """Whether a value is a tensor; as long as torch is not imported, nothing is.

    Example:
        >>> is_tensor([1.0])
        False
    """
    return "torch" in sys.modules and isinstance(value, torch.Tensor)
