"""Grids of Flower's that hand on to another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run


class Passing(Grid):
    """A grid that hands everything on to another one; what extends it changes a part.

    Args:
        inner: The other one.
    """

    def __init__(self, inner: Grid) -> None:
        self.inner = inner

    def set_run(self, run: Run) -> None:
        """Pass on."""
        self.inner.set_run(run)

    @property
    def run(self) -> Run:
        """The run of the other one."""
        return self.inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the other one."""
        return self.inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Pass on."""
        return self.inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pass on."""
        return self.inner.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Pass on."""
        return self.inner.send_and_receive(messages, timeout=timeout)


class Counting(Passing):
    """A grid that counts the bytes that cross, by node.

    Args:
        inner: The grid that sends.
    """

    def __init__(self, inner: Grid) -> None:
        super().__init__(inner)
        self.sent: dict[int, int] = {}
        self.received: dict[int, int] = {}

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Pass on, and count."""
        asked = list(messages)
        for message in asked:
            node = message.metadata.dst_node_id
            self.sent[node] = self.sent.get(node, 0) + size_of(message.content)
        found = list(self.inner.send_and_receive(asked, timeout=timeout))
        for reply in found:
            node = reply.metadata.src_node_id
            size = size_of(reply.content) if reply.has_content() else 0
            self.received[node] = self.received.get(node, 0) + size
        return found


def size_of(content: RecordDict) -> int:
    """Return the bytes of all texts, keys and arrays of a message; numbers count eight."""

    def size(value: Any) -> int:
        if isinstance(value, list):
            return sum(size(v) for v in value)
        return len(value) if isinstance(value, str | bytes) else 8

    found = sum(size(v) for held in content.config_records.values() for v in held.values())
    found += sum(size(v) for held in content.metric_records.values() for v in held.values())
    return found + sum(len(a.data) for arrays in content.array_records.values() for a in arrays.values())


def asked_of(reply: Message, sent: Iterable[Message]) -> int:
    """Return which node a reply is about; where a node is gone, Flower answers for it, in the server's own name."""
    asked = {m.metadata.message_id: m.metadata.dst_node_id for m in sent if m.metadata.message_id}
    return asked.get(reply.metadata.reply_to_message_id, reply.metadata.src_node_id)
