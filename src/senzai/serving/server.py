"""The server as a process: its address, its log, and how it stops."""

from __future__ import annotations

import errno
import gc
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.errors import SettingError
from ..core.extras import need
from .meters import log_to_stderr
from .settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

BACKLOG = 256
STOPPING = 30
"""Seconds that requests have to end when the server stops."""


def listen(settings: ServeSettings) -> socket.socket:
    """Return a socket at the address of a server, before anything is loaded.

    Raises:
        SettingError: The port is in use, or may not be opened; or it is no address of this machine; or others could
            reach it without a token.
    """
    settings.need_safe_address()
    shown = f"{settings.host}:{settings.port}"
    try:
        family, kind, proto, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as err:
        raise SettingError(f"A server listens on an address of its machine, but {shown!r} is none: {err}.") from None
    made = socket.socket(family, kind, proto)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except OSError as err:
        made.close()
        raise SettingError(f"A server needs an address of its own, but {shown!r} {_why(err)}") from None
    made.setblocking(False)
    return made


def _why(err: OSError) -> str:
    if err.errno == errno.EADDRINUSE:
        return "is in use. Stop who uses it, or give another --port (0 takes one that is free)."
    if err.errno in (errno.EACCES, errno.EPERM):
        return "may not be opened by this user. Give a --port above 1023."
    return f"cannot be opened: {err.strerror}. Give another --host or --port."


def serve(
    app: FastAPI, made: socket.socket, settings: ServeSettings, *, started: Callable[[str], None] | None = None
) -> None:
    """Serve an application until a signal (SIGINT, SIGTERM) ends it; requests that are being answered are finished.

    Args:
        app: The application.
        made: Where it listens; see :func:`listen`.
        settings: Its settings.
        started: Called with its address once it answers.
    """
    uvicorn = need("uvicorn", extra="serve", to="serve runs")
    log_to_stderr()
    logging.getLogger("uvicorn.error").handlers = []
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, backlog=BACKLOG, ws="none",
        timeout_keep_alive=int(max(5, min(75, settings.seconds))), timeout_graceful_shutdown=STOPPING,
        h11_max_incomplete_event_size=2**16, limit_concurrency=max(1000, 4 * settings.waiting),
    )
    server = uvicorn.Server(config)
    startup = server.startup

    async def told(*given: Any, **named: Any) -> None:
        await startup(*given, **named)
        gc.freeze()  # what is loaded stays; to look at it again and again would stop requests
        if started is not None:
            started(address_of(made))

    server.startup = told
    with made:
        server.run(sockets=[made])


def address_of(made: socket.socket) -> str:
    """Return the address of a server that listens."""
    host, port = made.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
