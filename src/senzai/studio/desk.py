"""What all routes share: the workspace, its runs and jobs, and how an error becomes an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..core.errors import CombinationError, OutputError, SenzaiError, UnknownNameError, UserError
from .jobs import Jobs
from .library import Library, OpenRun
from .slow import Cancelled, Shop, Work
from .workspace import Workspace

PROBLEM = "application/problem+json"
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


def waited(work: Work[Any]) -> Any:
    """Return the answer of some work, or how far it is as a response with the status 202.

    Raises:
        Exception: What the work raised.
    """
    answer = work.wait(PATIENCE)
    return JSONResponse({"part": work.part}, 202) if answer is None and not work.ended else answer


# --- errors -----------------------------------------------------------------------------------------------------------
def status_of(err: Exception) -> int:
    """Return the status of an error: what the user can change is below 500."""
    if isinstance(err, UnknownNameError):
        return 404
    if isinstance(err, CombinationError | OutputError):
        return 409
    return 422 if isinstance(err, UserError) else 500


def _problem(status: int, title: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type=PROBLEM)


def handle_errors(app: FastAPI) -> None:
    """Answer errors in words, as problem+json."""

    @app.exception_handler(SenzaiError)
    async def ours(request: Request, err: SenzaiError) -> JSONResponse:
        return _problem(status_of(err), type(err).__name__, str(err))

    @app.exception_handler(Cancelled)
    async def cancelled(request: Request, err: Cancelled) -> JSONResponse:
        return _problem(409, "Stopped", "This was stopped. Ask again to begin anew.")

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, err: RequestValidationError) -> JSONResponse:
        first = err.errors()[0]
        place = ".".join(str(p) for p in first["loc"][1:])
        return _problem(422, "Not understood", f"{place or 'The request'}: {first['msg']}.")

    @app.exception_handler(HTTPException)
    async def known(request: Request, err: HTTPException) -> JSONResponse:
        return _problem(err.status_code, "Not here", str(err.detail))

    @app.exception_handler(Exception)
    async def bug(request: Request, err: Exception) -> JSONResponse:
        return _problem(500, "A bug", f"This is a bug in senzai: {type(err).__name__}. The terminal says more.")
