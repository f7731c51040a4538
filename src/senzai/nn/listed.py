"""A list of modules of one kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from torch import nn

M = TypeVar("M", bound=nn.Module)


class ModulesOf(nn.ModuleList, Generic[M]):
    """Torch's list of modules, whose members a type checker knows: torch's own says ``Module`` of each.

    Example:
        >>> layers: ModulesOf[nn.Linear] = ModulesOf([nn.Linear(2, 3)])
        >>> layers[0].out_features
        3
    """

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[M]: ...

        @overload
        def __getitem__(self, idx: slice) -> Self: ...

        @overload
        def __getitem__(self, idx: int) -> M: ...

        def __getitem__(self, idx: int | slice) -> M | Self: ...
