"""Who may talk to the studio: the page it made, on the host it was started for, with its token."""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BODY = 8 * 2**20
"""Bytes of a request that is no upload."""
UPLOADS = "/api/data/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No script and no style but the page's own files, and nothing from elsewhere."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"), (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"), (b"cache-control", b"no-store"),
)
CLOSED = (
    "<!doctype html><meta charset=utf-8><title>senzai studio</title><p>This studio opens with the address that "
    "<code>senzai studio</code> printed when it was started; it ends in a token. Copy it from there."
)


def problem(status: int, title: str, detail: str) -> tuple[int, bytes, bytes]:
    """Return status, type and body of an error as problem+json."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return status, b"application/problem+json", json.dumps(body).encode()


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Gate:
    """Stands before the application: lets the page in by its cookie, and passes its token on to the server behind.

    Args:
        app: The application.
        token: What a request must know; ``None`` lets all in that reach it.
        host: What the server is bound to.
    """

    app: App
    token: str | None
    host: str = "127.0.0.1"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        if scope["path"] == "/" and (given := _asked(scope).get("token")):
            await self._let_in(send, given[0], headers)
            return
        if not self._knows(headers):
            page = scope["path"] == "/"
            refusal = problem(401, "Not allowed in", "This page belongs to another start of the studio. Open the "
                              "address that senzai studio printed.")
            await _answer(send, *((401, b"text/html; charset=utf-8", CLOSED.encode()) if page else refusal))
            return
        await self.app(self._known(scope), _limited(scope, receive), _with_headers(send))

    def _known(self, scope: Scope) -> Scope:
        """Return a request with the token as programs send it, which is how the server behind knows it."""
        if self.token is None:
            return scope
        others = [(k, v) for k, v in scope["headers"] if k.lower() != b"authorization"]
        return {**scope, "headers": [*others, (b"authorization", f"Bearer {self.token}".encode())]}

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, bytes, bytes] | None:
        """Return why a request is not even looked at: another host's name, another site's page, too much."""
        if not self._is_ours(headers.get("host", "")):
            return problem(421, "Another host", "This studio answers under the name it was started with.")
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["path"] != "/"
        if foreign or (origin is not None and urlsplit(origin).netloc != headers["host"]):
            return problem(403, "Another page", "Only the studio's own page may ask this.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or (int(length) > BODY and not is_upload(scope)):
            return problem(413, "Too large", f"A request has at most {BODY:,} bytes.")
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether the name a browser used is ours: a name of somebody else may lead to this address as well."""
        name = (urlsplit(f"//{host}").hostname or "") if host else ""
        if name in LOOPBACK or name == self.host.lower():
            return True
        if is_loopback(self.host):
            return False
        try:
            return ipaddress.ip_address(name) is not None
        except ValueError:
            return name == socket.gethostname().lower()

    def _cookie(self, headers: dict[str, str]) -> str:
        """Name of the cookie: one for each port, because browsers share cookies between the ports of a host."""
        return f"senzai-studio-{urlsplit('//' + headers['host']).port or 80}"

    def _knows(self, headers: dict[str, str]) -> bool:
        if self.token is None:
            return True
        pairs = (p.strip().partition("=") for p in headers.get("cookie", "").split(";"))
        cookies = {name: value for name, _, value in pairs}
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return any(same(given, self.token) for given in (cookies.get(self._cookie(headers), ""), bearer))

    async def _let_in(self, send: Send, given: str, headers: dict[str, str]) -> None:
        """Change the token in the address for a cookie, so that it stands in no history."""
        if self.token is not None and not same(given, self.token):
            await _answer(send, 401, b"text/html; charset=utf-8", CLOSED.encode())
            return
        cookie = f"{self._cookie(headers)}={self.token or ''}; HttpOnly; SameSite=Strict; Path=/"
        more = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await _answer(send, 303, b"text/plain", b"", more)


def same(given: str, token: str) -> bool:
    """Compare two tokens in a time that says nothing."""
    return hmac.compare_digest(given.encode(), token.encode())


def is_upload(scope: Scope) -> bool:
    """Whether a request brings data."""
    return bool(scope["method"] == "PUT" and scope["path"].startswith(UPLOADS))


def _asked(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Count what comes, for bodies that do not say their length."""
    if is_upload(scope):
        return receive
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY:
            return {"type": "http.disconnect"}
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {k.lower() for k, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(h for h in HEADERS if h[0] not in there)]
        await send(message)

    return told


async def _answer(
    send: Send, status: int, kind: bytes, body: bytes, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *HEADERS,
                            *(more or [])]})
    await send({"type": "http.response.body", "body": body})
