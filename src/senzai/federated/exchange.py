"""Questions to all sites before and after training."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

from ..core.errors import TrainingError
from .passing import asked_of
from .wire import Tensors, raise_told, read, record


@dataclass
class Exchange:
    """Questions to all sites before and after training.

    Args:
        grid: The grid that sends.
        timeout: Seconds that a site may take.
        sent: Bytes to sites so far.
        received: Bytes from sites so far.
    """

    grid: Grid
    timeout: float
    sent: int = 0
    received: int = 0
    names: dict[int, str] = field(default_factory=dict)

    def ask(
        self, what: str, body: Mapping[str, Any], nodes: Iterable[int], tensors: Tensors | None = None
    ) -> dict[int, dict[str, Any]]:
        """Return what the sites answer; what one of them cannot do is raised.

        Raises:
            SenzaiError: As the site said.
            TrainingError: A site did not answer.
        """
        content, asked = record(body, tensors), list(nodes)
        held = content.config_records["senzai"]
        self.sent += len(asked) * sum(len(v) for v in held.values() if isinstance(v, str | bytes))
        messages = [Message(content, n, what) for n in asked]
        replies = self.grid.send_and_receive(messages, timeout=self.timeout)
        found = {}
        for reply in replies:
            node = asked_of(reply, messages)
            who = f"The site {self.names.get(node, str(node))!r}"
            if reply.has_error():
                raise TrainingError(f"{who} broke down: {reply.error.reason}")
            answer, _, size = read(reply, who=who)
            self.received += size
            self.names[node] = str(answer.get("site", node))
            raise_told(answer, who=f"The site {self.names[node]!r}")
            found[node] = answer
        if lacking := set(asked) - set(found):
            some = ", ".join(self.names.get(n, str(n)) for n in sorted(lacking))
            raise TrainingError(f"A schema needs the answer of every site, but {some} did not answer in time.")
        return found


def wait_for(grid: Grid, n: int, seconds: float) -> list[int]:
    """Return the sites once there are ``n`` of them.

    Raises:
        TrainingError: There are fewer for too long.
    """
    end = time.monotonic() + seconds
    while len(found := sorted(grid.get_node_ids())) < n:
        if time.monotonic() > end:
            raise TrainingError(
                f"A federation of {n} sites needs {n} of them, but {len(found)} are there after {seconds:g} seconds. "
                "Start the others with `senzai federate client`, or lower min_sites."
            )
        time.sleep(0.1)
    return found


