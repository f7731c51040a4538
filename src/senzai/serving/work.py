"""Where requests are worked on: a few threads, a limit of what waits, and small requests that are answered together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..core.memory import free_memory
from .problems import RequestError
from .settings import ServeSettings

Item = TypeVar("Item")
Found = TypeVar("Found")
AGAIN = {"Retry-After": "1"}


@dataclass
class _Waiting(Generic[Item]):
    item: Item
    done: asyncio.Future[Any]


class Work:
    """Threads that work on requests.

    :meth:`one` works on a request by itself. :meth:`together` hands over all requests of one key that wait when a
    thread is free: under load many are answered by one call, and without load nobody waits for others.

    Args:
        settings: How many at once, how many may wait, and how long.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.pool = ThreadPoolExecutor(settings.at_once, thread_name_prefix="senzai-serve")
        self.held = 0
        self.joined: Callable[[int], None] = _nobody
        self._queues: dict[Hashable, deque[_Waiting[Any]]] = {}
        self._busy: set[Hashable] = set()
        self._memory_at, self._memory = -1.0, float("inf")

    async def one(self, task: Callable[[], Found]) -> Found:
        """Do a task in a thread.

        Raises:
            RequestError: Too much is waiting, memory is short (503), or it took too long (504).
        """
        self._admit()
        loop = asyncio.get_running_loop()
        self.held += 1
        future = loop.run_in_executor(self.pool, task)
        future.add_done_callback(self._let_go)
        return await self._in_time(future)

    async def together(self, key: Hashable, item: Item, task: Callable[[Sequence[Item]], Sequence[Any]]) -> Any:
        """Do a task with this item and with others of its key that wait by then; an item's result may be an error.

        Raises:
            RequestError: Too much is waiting, memory is short (503), or it took too long (504).
        """
        self._admit()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.create_future())
        self.held += 1
        waiting.done.add_done_callback(self._let_go)
        self._queues.setdefault(key, deque()).append(waiting)
        if key not in self._busy:
            self._busy.add(key)
            self._next(key, task, loop)
        return await self._in_time(waiting.done)

    def close(self) -> None:
        """Take no new work, and wait for what is being done."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _next(self, key: Hashable, task: Callable[[Sequence[Any]], Sequence[Any]], loop: Any) -> None:
        queue = self._queues.get(key)
        some: list[_Waiting[Any]] = []
        while queue and len(some) < self.settings.join_rows:
            waiting = queue.popleft()
            if not waiting.done.done():  # else nobody is there any more
                some.append(waiting)
        if not some:
            self._busy.discard(key)
            self._queues.pop(key, None)
            return
        self.joined(len(some))
        future = loop.run_in_executor(self.pool, task, [w.item for w in some])
        future.add_done_callback(lambda f: self._give(key, task, loop, some, f))

    def _give(self, key: Hashable, task: Any, loop: Any, some: Sequence[_Waiting[Any]], done: Any) -> None:
        """Hand the results to those who wait, and go on with those who came in the meantime."""
        err = None if done.cancelled() else done.exception()
        results = [err] * len(some) if err is not None or done.cancelled() else done.result()
        for waiting, found in zip(some, results, strict=True):
            if waiting.done.done():
                continue
            if found is None or isinstance(found, BaseException):
                waiting.done.set_exception(found or stopping())
            else:
                waiting.done.set_result(found)
        self._next(key, task, loop)

    async def _in_time(self, future: asyncio.Future[Found]) -> Found:
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.settings.seconds)
        except TimeoutError:
            future.add_done_callback(_looked_at)
            raise RequestError(
                f"A request is answered within {self.settings.seconds:g} s, but this one was not. Send fewer rows, or "
                "ask for less.", 504,
            ) from None

    def _let_go(self, _: Any) -> None:
        self.held -= 1

    def _admit(self) -> None:
        if self.held >= self.settings.waiting:
            raise RequestError(
                f"At most {self.settings.waiting} requests are held at once. Ask again later.", 503, AGAIN
            )
        now = asyncio.get_running_loop().time()
        if now - self._memory_at > 0.5:
            self._memory_at, self._memory = now, free_memory()
        if self._memory < self.settings.free_bytes:
            raise RequestError("New work needs free memory, but too little is left. Ask again later.", 503, AGAIN)


def stopping() -> RequestError:
    """Return what those are told who still wait when the server stops."""
    return RequestError("The server is stopping. Ask again later.", 503, AGAIN)


def _nobody(_: int) -> None:
    """Count nothing."""


def _looked_at(future: asyncio.Future[Any]) -> None:
    """Take notice of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
