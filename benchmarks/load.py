"""Requests as fast as connections take them, or at a rate, from a process of its own: what comes back, and how soon.

Every connection has a row of its own and knows the codes of it, so that an answer that belongs to another is counted as
wrong. ``python -m benchmarks.load PORT PATH ROWS.json CONNECTIONS SECONDS [RATE]`` prints one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CLOSE = 1e-4


class Client(asyncio.Protocol):
    """One connection that asks the same again and again."""

    def __init__(self, request: bytes, expected: list[float], until: float, pause: float) -> None:
        self.request, self.expected, self.until, self.pause = request, expected, until, pause
        self.held = b""
        self.took: list[float] = []
        self.failed = self.wrong = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.next = time.perf_counter() + pause * np.random.default_rng(hash(request) % 2**32).random()

    def connection_made(self, transport: Any) -> None:
        """Ask the first time."""
        self.transport = transport
        self._wait()

    def _wait(self) -> None:
        late = self.next - time.perf_counter()
        if self.pause and late > 0:
            asyncio.get_running_loop().call_later(late, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        self.next += self.pause
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, and ask again."""
        self.held += data
        head, found, body = self.held.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length"))
        if len(body) < length:
            return
        self.held = b""
        now = time.perf_counter()
        self.took.append(now - self.asked)
        if b" 200 " not in head[:20]:
            self.failed += 1
        elif np.abs(np.array(json.loads(body)["codes"][0]) - self.expected).max() > CLOSE:
            self.wrong += 1
        if now < self.until:
            self._wait()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count an end that nobody asked for."""
        if not self.done.done():
            self.failed += 1
            self.done.set_result(None)


async def load(port: int, path: str, rows: list[dict[str, Any]], connections: int, seconds: float, rate: float) -> Any:
    """Return how many answers came, how soon, and how many were wrong."""
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    clients = []
    for row in (rows[i % len(rows)] for i in range(connections)):
        body = json.dumps({"data": [row["row"]]}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        made = (request, row["codes"], until, connections / rate if rate else 0.0)
        _, client = await loop.create_connection(lambda m=made: Client(*m), "127.0.0.1", port)
        clients.append(client)
    began = time.perf_counter()
    await asyncio.gather(*(c.done for c in clients))
    took = time.perf_counter() - began
    times = np.sort(np.concatenate([c.took for c in clients]))
    for c in clients:
        c.transport.abort()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "requests": len(times), "per_second": len(times) / took, "failed": sum(c.failed for c in clients),
        "wrong": sum(c.wrong for c in clients), "client_processor_seconds": used.ru_utime + used.ru_stime,
        **{f"p{q}_ms": 1000 * float(np.percentile(times, q)) for q in (50, 95, 99)},
    }


if __name__ == "__main__":
    port_, path_, file, connections_, seconds_, *rate_ = sys.argv[1:]
    given = json.loads(Path(file).read_text())
    print(json.dumps(asyncio.run(
        load(int(port_), path_, given, int(connections_), float(seconds_), float(rate_[0]) if rate_ else 0.0)
    )))
