"""What every request passes: limits, the token, its id, the log, the meters, and errors as problems."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any, TypeAlias

from .meters import LOG, Meters
from .problems import MEDIA, RequestError, problem, status_of
from .settings import LOOPBACK, ServeSettings

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OPEN = ("/health", "/ready")
"""Paths without a token: they say nothing about runs."""
LOGGER = logging.getLogger(LOG)
SAFE = (
    (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """The outermost layer of the application.

    Args:
        app: What is guarded.
        settings: Limits and token.
        meters: Where requests are counted.
    """

    def __init__(self, app: Any, settings: ServeSettings, meters: Meters) -> None:
        self.app, self.settings, self.meters = app, settings, meters
        self._process, self._numbers = secrets.token_hex(6), count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        sent = headers.get("x-request-id", "")
        own = f"{self._process}-{next(self._numbers)}"
        seen = _Seen(scope, sent if sent and REQUEST_ID.fullmatch(sent) else own, send)
        scope.setdefault("state", {})["request_id"] = seen.request_id
        self.meters.held.inc()
        try:
            self._admit(scope, headers)
            await self.app(scope, Slow(receive, self.settings, headers), seen)
        except Exception as err:  # whatever it is, an answer says so
            await seen.refuse(err)
        finally:
            self.meters.held.dec()
            self._note(seen)

    def _admit(self, scope: Scope, headers: dict[str, str]) -> None:
        """Refuse who may not ask, before anything of the body is read."""
        host = headers.get("host", "").rpartition(":")[0] if not headers.get("host", "").endswith("]") else ""
        host = host or headers.get("host", "")
        if self.settings.token is None and host not in LOOPBACK:
            raise RequestError("Without a token a server answers to localhost alone. Ask http://localhost.", 403)
        origin = headers.get("origin")
        own = origin is None or origin.partition("://")[2] == headers.get("host")
        if not own and origin not in self.settings.origins:
            raise RequestError("Pages of other origins may not ask. Start the server with --origin to allow one.", 403)
        preflight = scope["method"] == "OPTIONS" and origin in self.settings.origins
        if scope["path"] not in OPEN and not preflight and not self.settings.admits(headers.get("authorization")):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise RequestError("A token is asked for. Send it as `Authorization: Bearer TOKEN`.", 401, challenge)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > self.settings.body_bytes:
            raise _too_large(self.settings)

    def _note(self, seen: _Seen) -> None:
        route = seen.scope.get("route")
        path = str(getattr(route, "path", "(none)"))
        run = str(seen.scope.get("path_params", {}).get("run", "")) if seen.status not in (401, 403, 404) else ""
        took = time.perf_counter() - seen.began
        self.meters.saw(path, run, seen.status, took)
        if LOGGER.isEnabledFor(logging.INFO):
            told = {
                "request_id": seen.request_id, "method": seen.scope["method"], "path": path, "run": run,
                "status": seen.status, "ms": round(1000 * took, 2), "bytes": seen.bytes,
            }
            LOGGER.info("request", extra={"told": told})


class _Seen:
    """What was sent: passes messages on, with the headers that every answer has."""

    def __init__(self, scope: Scope, request_id: str, send: Send) -> None:
        self.scope, self.request_id, self.send = scope, request_id, send
        self.status, self.bytes, self.began, self.started = 0, 0, time.perf_counter(), False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message["headers"] = [*message.get("headers", ()), *SAFE, (b"x-request-id", self.request_id.encode())]
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self.send(message)

    async def refuse(self, err: Exception) -> None:
        """Answer with a problem; where an answer has begun already, it is cut off instead."""
        status = status_of(err)
        if status == 500:
            told = {"request_id": self.request_id, "error": type(err).__name__}
            LOGGER.error("bug", exc_info=err, extra={"told": told})
        if self.started:
            self.status = 500
            raise err
        body = json.dumps(problem(err, self.request_id)).encode()
        extra = [(k.lower().encode(), v.encode()) for k, v in getattr(err, "headers", {}).items()]
        headers = [(b"content-type", MEDIA.encode()), (b"content-length", str(len(body)).encode()), *extra]
        if status in (408, 413):
            headers.append((b"connection", b"close"))  # what is still coming is not waited for
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


class Slow:
    """The body as it comes: not more than the limit, and all of it within the time of a request."""

    def __init__(self, receive: Receive, settings: ServeSettings, headers: dict[str, str]) -> None:
        self._receive, self._settings, self._bytes = receive, settings, 0
        self._until: float | None = None
        self._whole = headers.get("content-length") == "0" or not {"content-length", "transfer-encoding"} & set(headers)

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            RequestError: The body is too large (413) or too slow (408).
        """
        if self._whole:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + self._settings.seconds
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._until - now))
        except TimeoutError:
            raise RequestError(f"A body comes within {self._settings.seconds:g} s. Send it in parts.", 408) from None
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > self._settings.body_bytes:
            raise _too_large(self._settings)
        return message


def _too_large(settings: ServeSettings) -> RequestError:
    return RequestError(f"A body has at most {settings.body_bytes:,} bytes, but this has more. Send it in parts.", 413)
