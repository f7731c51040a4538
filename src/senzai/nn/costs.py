"""What a part costs on the machine it stands for: gates, shots, circuits run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from torch import nn


class Costly(ABC):
    """A module that counts what it uses."""

    @abstractmethod
    def cost(self) -> Mapping[str, int | None]:
        """Return counts by name: of one use (``gates``, ``qubits``, ``shots``), and of all so far (``circuits``)."""


def costs_of(model: nn.Module) -> Iterator[tuple[str, Mapping[str, int | None]]]:
    """Yield the name and cost of every costly module of a model.

    Example:
        >>> list(costs_of(nn.Linear(2, 2)))
        []
    """
    for name, module in model.named_modules():
        if isinstance(module, Costly):
            yield name, module.cost()
