"""What all routes share: the workspace, its runs and jobs, and work that is waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import JSONResponse

from .jobs import Jobs
from .library import Library, OpenRun
from .slow import Shop, SlowWork
from .workspace import Workspace

PATIENCE = 0.25
"""Seconds that a request waits for work before it says how far that is."""


@dataclass
class Desk:
    """What a studio works with."""

    workspace: Workspace
    jobs: Jobs = field(init=False)
    library: Library = field(init=False)
    shop: Shop = field(default_factory=Shop)

    def __post_init__(self) -> None:
        self.jobs, self.library = Jobs(self.workspace), Library(self.workspace)

    def open(self, name: str) -> OpenRun:
        """Return a run by its name."""
        return self.library.open(name)

    def close(self) -> None:
        """Stop what works for this desk; what trained is saved."""
        self.shop.close()
        self.jobs.close()


def waited(work: SlowWork[Any]) -> Any:
    """Return the answer of some work, or how far it is as a response with the status 202.

    Raises:
        Exception: What the work raised.
    """
    answer = work.wait(PATIENCE)
    return JSONResponse({"part": work.part}, 202) if answer is None and not work.ended else answer
