"""What is measured between two looks: sums on the device, read only when somebody looks."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from .comms import Comms


class Meter:
    """Sums of what is watched since the last look, and whether everything was finite."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, step: int) -> None:
        """Forget everything; the next step is ``step``."""
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None
        self.norm: Tensor | None = None
        self.fine: Tensor | None = None
        self._fine_steps: Tensor | None = None
        self.rows = self._timed_rows = 0
        self._first, self._began = step, time.perf_counter()

    def add(self, names: tuple[str, ...], sums: Tensor, norm: Tensor, fine: Tensor, *, rows: int) -> None:
        """Add what the players saw in one step; ``fine`` also says whether all steps before it were."""
        self.names, self.norm, self.fine = names, norm, fine
        self.sums = sums if self.sums is None else self.sums + sums
        self._fine_steps = fine.int() if self._fine_steps is None else self._fine_steps + fine
        self.rows += rows
        self._timed_rows += rows

    def failed(self) -> bool:
        """Whether something was not finite since the last look (this synchronises)."""
        return self.fine is not None and not bool(self.fine)

    def failed_step(self) -> int:
        """Return the first step that was not finite."""
        return self._first + (0 if self._fine_steps is None else int(self._fine_steps))

    def gather(self, comms: Comms) -> None:
        """Let the first process hold the sums of all, so that its checkpoint is about all rows."""
        if comms.world > 1 and self.sums is not None:
            total = comms.sum(self.sums)
            self.sums = total if comms.is_main else torch.zeros_like(total)

    def read(self, comms: Comms) -> tuple[dict[str, float], float, float]:
        """Return means per row, the last gradient norm, and rows per second."""
        assert self.sums is not None  # called after at least one step
        assert self.norm is not None
        means = (comms.sum(self.sums) / self.rows).tolist()
        speed = self._timed_rows / max(1e-9, time.perf_counter() - self._began)
        return dict(zip(self.names, means, strict=True)), float(self.norm), speed

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a resumed run needs to go on summing."""
        return {"names": self.names, "rows": self.rows}, {} if self.sums is None else {"sums": self.sums}

    def resume(self, facts: dict[str, Any], tensors: dict[str, Tensor], step: int, comms: Comms) -> None:
        """Go on from :meth:`state`; only the first process holds sums."""
        self.reset(step)
        if "sums" in tensors:
            self.names, self.rows = tuple(facts["names"]), int(facts["rows"])
            self.sums = tensors["sums"] if comms.is_main else torch.zeros_like(tensors["sums"])
