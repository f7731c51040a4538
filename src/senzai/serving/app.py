"""The application: endpoints of all verbs for the runs of a shelf, and what a server says about itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from .. import __version__
from ..core.errors import SenzaiError
from ..runs.verbs.registry import fitting, served_verbs
from .endpoints import verb_router
from .guard import LOGGER, Guard
from .meters import Meters
from .openapi import describe, example_rows
from .problems import MEDIA, RequestError, problem, status_of
from .settings import ServeSettings
from .shelf import Shelf
from .work import Work

ABOUT = "Runs of senzai: every verb of a run is POST /v1/RUN/VERB. Errors are problem+json."


def create_app(shelf: Shelf, settings: ServeSettings | None = None) -> FastAPI:
    """Return the application that serves the runs of a shelf.

    Routes of one's own are added to it (``app.include_router``, ``app.mount``); they pass the same guard: token,
    limits, log and meters. ``app.state`` has the ``shelf``, the ``settings``, the ``work`` (threads that requests are
    worked on in) and the ``meters``.

    Args:
        shelf: The runs.
        settings: What is allowed.

    Example:
        >>> from fastapi.testclient import TestClient
        >>> with TestClient(create_app(Shelf({})), base_url="http://localhost") as client:
        ...     client.get("/v1").json()
        {'runs': []}
    """
    given = settings or ServeSettings()
    work, meters, verbs = Work(given), Meters(), dict(served_verbs())
    work.joined = meters.joined.observe
    app = FastAPI(
        title="senzai", version=__version__, description=ABOUT, docs_url=None, redoc_url=None, lifespan=_lifespan,
    )
    app.state.shelf, app.state.settings, app.state.work, app.state.meters = shelf, given, work, meters
    app.include_router(verb_router(shelf, work, given, verbs))
    _about(app, shelf, work, meters)
    _problems(app)
    if given.origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware, allow_origins=list(given.origins), allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"], expose_headers=["x-request-id"],
        )
    app.add_middleware(Guard, settings=given, meters=meters)
    app.openapi = lambda: describe(app, shelf, verbs)  # type: ignore[method-assign]  # as FastAPI documents it
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    LOGGER.info("started", extra={"told": {"senzai": __version__}})
    yield
    app.state.work.close()
    LOGGER.info("stopped", extra={"told": {}})


def _about(app: FastAPI, shelf: Shelf, work: Work, meters: Meters) -> None:
    @app.get("/health", tags=["Server"], operation_id="health")
    async def health() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/ready", tags=["Server"], operation_id="ready")
    async def ready() -> Response:
        """Say whether there is a run that can be asked."""
        there = bool(await work.one(shelf.names))
        return JSONResponse({"status": "ready" if there else "no run"}, 200 if there else 503)

    @app.get("/metrics", tags=["Server"], operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        """Give counters and times, as Prometheus reads them."""
        meters.runs.set(len(shelf.loaded()))
        return Response(meters.text(), media_type=meters.media)

    @app.get("/v1", tags=["Server"], operation_id="runs")
    async def runs() -> dict[str, Any]:
        """List the runs."""
        return {"runs": await work.one(shelf.about)}

    @app.get("/v1/{run}", tags=["Server"], operation_id="run")
    async def about(run: str) -> dict[str, Any]:
        """Say what a run takes: its kind, an example of its rows, and which verbs fit it, or why not."""
        return await work.one(lambda: about_run(shelf, run))


def about_run(shelf: Shelf, name: str) -> dict[str, Any]:
    """Return what a client has to know about a run.

    Raises:
        RequestError: There is no run of this name (404).
    """
    run = shelf.run(name)
    schema = run.schema
    whys = fitting(schema, run.model)
    return {
        "name": name, "recipe": run.spec.recipe, "kind": schema.kind, "shape": schema.shape_words,
        "columns": None if schema.columns is None else list(schema.columns), "example": example_rows(schema),
        "verbs": {
            name: {"takes": verb.takes, "inputs": [p.name for p in verb.inputs], "answers": verb.answers,
                   "summary": verb.summary, "why_not": whys[name]}
            for name, verb in served_verbs().items()
        },
    }


def _problems(app: FastAPI) -> None:
    """Let every error become a problem; those that are no error of the house pass to the guard, which notes them."""

    def told(request: Request, err: Exception) -> Response:
        found = problem(err, getattr(request.state, "request_id", ""))
        return JSONResponse(found, status_of(err), media_type=MEDIA, headers=getattr(err, "headers", None))

    def of_http(request: Request, err: Exception) -> Response:
        assert isinstance(err, HTTPException)
        said = {404: f"There is no {request.url.path[:80]!r} here. GET /openapi.json says what there is.",
                405: f"{request.method} is not what is done here. Use POST for a verb."}
        text = said.get(err.status_code, str(err.detail)[:200])
        return told(request, RequestError(text, err.status_code, err.headers))

    def of_words(request: Request, err: Exception) -> Response:
        return told(request, RequestError("A part of the address is not what it must be.", 422))

    app.add_exception_handler(SenzaiError, told)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_words)


def log_level(quiet: bool) -> int:
    """Return the level of the log."""
    return logging.WARNING if quiet else logging.INFO
