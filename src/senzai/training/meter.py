"""Sums of what is logged, kept on the device and read only at logging steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .comms import Comms

Fine: TypeAlias = bool | Tensor
"""Whether all was finite: known on a CPU, on an accelerator a tensor that nobody has waited for."""


@dataclass
class Sums:
    """Sums of one player since the last logging step: names, sums over rows, and the number of rows."""

    names: tuple[str, ...]
    values: Tensor
    rows: int


class Meter:
    """Sums of all players since the last logging step, and whether everything was finite."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, step: int) -> None:
        """Forget everything; the next step is ``step``."""
        self.seen: dict[int, Sums] = {}
        self.norm: float | Tensor | None = None
        self.fine: Fine = True
        self._fine_steps: int | Tensor = 0
        self.rows = 0
        self._first, self._began = step, time.perf_counter()

    def add(self, player: int, names: tuple[str, ...], sums: Tensor, *, rows: int) -> None:
        """Add what one player saw in one step."""
        before = self.seen.get(player)
        if before is None:
            self.seen[player] = Sums(names, sums, rows)
        else:
            before.values, before.rows = before.values + sums, before.rows + rows

    def stepped(self, norm: float | Tensor, fine: Fine, *, rows: int) -> None:
        """End a step; ``fine`` also says whether all steps before it were."""
        self.norm, self.fine = norm, fine
        self._fine_steps = self._fine_steps + fine
        self.rows += rows

    def failed(self) -> bool:
        """Whether something was not finite since the last logging step (this synchronises)."""
        return not bool(self.fine)

    def failed_step(self) -> int:
        """Return the first step that was not finite."""
        return self._first + int(self._fine_steps)

    def gather(self, comms: Comms) -> None:
        """Let the first process hold the sums of all, so that its checkpoint is about all rows."""
        if comms.world > 1:
            for seen in self.seen.values():
                total = comms.sum(seen.values)
                seen.values = total if comms.is_main else torch.zeros_like(total)

    def read(self, comms: Comms) -> tuple[dict[str, float], float, float]:
        """Return means per row, the last gradient norm, and rows per second."""
        assert self.norm is not None  # called after at least one step
        found: dict[str, float] = {}
        for _, seen in sorted(self.seen.items()):
            found |= dict(zip(seen.names, (comms.sum(seen.values) / seen.rows).tolist(), strict=True))
        speed = self.rows / max(1e-9, time.perf_counter() - self._began)
        return found, float(self.norm), speed

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a resumed run needs to go on summing."""
        facts = {str(i): {"names": seen.names, "rows": seen.rows} for i, seen in self.seen.items()}
        return facts, {str(i): seen.values for i, seen in self.seen.items()}

    def resume(self, facts: dict[str, Any], tensors: dict[str, Tensor], step: int, comms: Comms) -> None:
        """Go on from :meth:`state`; only the first process holds sums."""
        self.reset(step)
        for i, said in facts.items():
            values = tensors[i] if comms.is_main else torch.zeros_like(tensors[i])
            self.seen[int(i)] = Sums(tuple(said["names"]), values, int(said["rows"]))
