"""Messages of Flower's Fleet API at a site: pulled, put together, answered, taken apart, pushed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from flwr.app import Context, Message, RecordDict
from flwr.app.user_config import UserConfig
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents, pull_objects, push_objects

from .grids import answered
from .site import Site

POLL = 0.2


class Line:
    """A connection to a server.

    Args:
        site: Who answers.
        parts: What Flower's connection gives: the node's number, and how to receive, send, pull and push.
    """

    def __init__(self, site: Site, parts: tuple[Any, ...]) -> None:
        self.site = site
        self.node, self.receive, self.send, _, _, self.pull, self.push, self.confirm = parts
        self.context = Context(
            run_id=1, node_id=self.node, node_config=UserConfig(), state=RecordDict(), run_config=UserConfig()
        )

    def answer(self, announce: Callable[[str], None]) -> None:
        """Answer messages until the server says that all is done."""
        while not self.site.done:
            got = self.receive()
            if got is None:
                time.sleep(POLL)
                continue
            began = time.perf_counter()
            message = self._whole(*got)
            reply = answered(self.site, message, self.context)
            self._reply(reply, time.perf_counter() - began)
            announce(f"{message.metadata.message_type} {message.metadata.group_id}".strip())
            if self.site.error is not None and self.site.error.exit_code == 2:
                return

    def _whole(self, bare: Message, tree: Any) -> Message:
        run = bare.metadata.run_id
        names = [part.object_id for part in iterate_object_tree(tree)]
        contents = pull_objects(names, pull_object_fn=lambda name: self.pull(run, name))
        self.confirm(run, bare.metadata.message_id)
        message = cast(Message, inflate_object_from_contents(bare.metadata.message_id, contents))
        message.metadata.__dict__["_message_id"] = bare.metadata.message_id
        return message

    def _reply(self, reply: Message, seconds: float) -> None:
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            tree, objects = get_object_tree(reply), get_all_nested_objects(reply)
        run = reply.metadata.run_id
        wanted, session = self.send(reply, tree, seconds)
        push_objects(
            objects, push_object_fn=lambda name, content: self.push(run, session, name, content),
            object_ids_to_push=wanted,
        )
