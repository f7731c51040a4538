"""The studio as an application: its page, its routes and its guard, made by a function from a folder."""

from __future__ import annotations

import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from ..core.errors import SettingError
from ..serving.app import create_app
from ..serving.problems import MEDIA, RequestError, problem
from ..serving.settings import ServeSettings
from .desk import Desk
from .gate import Gate, is_loopback
from .library import KEPT
from .routes_data import data_routes
from .routes_explore import made_routes, map_routes, point_routes, strange_routes
from .routes_runs import judge_routes, run_routes
from .slow import Cancelled
from .workspace import Workspace

SECONDS = 900.0
"""How long a request may take: a large upload, a verb on many rows."""
PAGE = Path(__file__).parent / "page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".html": "text/html",
         ".svg": "image/svg+xml"}


def create_studio(
    folder: str | Path, *, token: str | None, host: str = "127.0.0.1", largest: int = 2 * 2**30
) -> Gate:
    """Return the studio of a folder as an ASGI application.

    Args:
        folder: Folder with runs, made if it is not there.
        token: What the page must know; ``None`` only where the host is this machine alone.
        host: What it will be bound to.
        largest: Bytes that may be uploaded at once.

    Raises:
        SettingError: It would be open to others without a token.
        OutputError: The folder cannot be written.

    Example:
        >>> import tempfile
        >>> create_studio(tempfile.mkdtemp(), token="a-token-of-16-letters").host
        '127.0.0.1'
    """
    if token is None and not is_loopback(host):
        raise SettingError(
            f"A studio without a token is for this machine alone, but it would be bound to {host!r}. "
            "Leave the token on."
        )
    importlib.import_module("pandas")  # here, in one thread: kinds ask whether it is there, and half of it is not
    desk = Desk(Workspace.of(Path(folder), largest=largest))

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=warm, daemon=True).start()
        desk.library.refresh()
        async with behind(app):
            yield
        desk.close()

    settings = ServeSettings(host=host, token=token, body_bytes=largest, seconds=SECONDS, keep=KEPT)
    app = create_app(desk.library.shelf, settings)
    behind = app.router.lifespan_context
    app.router.lifespan_context = life
    app.add_exception_handler(Cancelled, stopped)
    for routes in (data_routes, run_routes, judge_routes, map_routes, point_routes, made_routes, strange_routes):
        app.include_router(routes(desk))
    page_routes(app, desk)
    return Gate(app, token, host)


async def stopped(request: Request, err: Exception) -> Response:
    """Answer that somebody stopped what was asked for."""
    found = problem(RequestError("This was stopped. Ask again to begin anew.", 409))
    return JSONResponse(found, 409, media_type=MEDIA)


def warm() -> None:
    """Load what the first look at a run needs, while people still look at the page."""
    for name in ("sklearn.datasets", "senzai.runs.verbs.evaluate"):
        importlib.import_module(name)


def page_routes(app: FastAPI, desk: Desk) -> None:
    """Add the page itself, and the files that people fetch."""
    known = {p.relative_to(PAGE).as_posix(): p for p in PAGE.rglob("*") if p.suffix in TYPES}
    style = files("senzai.report").joinpath("style.css").read_text(encoding="utf-8")

    @app.get("/", response_model=None)
    def index() -> Response:
        """Return the page."""
        return FileResponse(known["index.html"], media_type="text/html; charset=utf-8")

    @app.get("/page/report.css", response_model=None)
    def report_style() -> Response:
        """Return the style sheet that reports have."""
        return Response(style, media_type="text/css")

    @app.get("/page/{name:path}", response_model=None)
    def page(name: str) -> Response:
        """Return a file of the page."""
        if name not in known:
            raise RequestError(f"The page has no file {name!r}. Load it again.", 404)
        return FileResponse(known[name], media_type=TYPES[known[name].suffix])

    @app.get("/exports/{name}", response_model=None)
    def fetch(name: str) -> Response:
        """Return a file that was written, to be kept and not to be opened here."""
        path = desk.workspace.own("exports", name)
        if not path.is_file():
            raise RequestError(f"There is no file {name!r} any more. Export again.", 404)
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)
