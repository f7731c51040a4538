"""A site's connection by Flower's Fleet API: messages are pulled, put together, answered, taken apart, pushed.

It says what Flower's own SuperNode says, but a server that goes away or refuses is an error here and not the end of the
process, and no application is fetched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
from flwr.app import Context, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.app.user_config import UserConfig
from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
    UnregisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_confirm_message_received_fn_protobuf,
    make_pull_object_fn_protobuf,
    make_push_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents, pull_objects, push_objects
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from ..core.errors import InputError
from .grids import answered
from .site import Site

POLL = 0.2


@contextmanager
def connected(site: Site, server: str, ca: bytes | None, pair: Any) -> Iterator[Line]:
    """Yield a connection; the site is known to the server inside the block.

    Args:
        site: Who answers.
        server: Where the server is.
        ca: Certificate that signed the server's, as PEM; ``None`` without TLS.
        pair: Private and public key by which the server knows the site; ``None`` for new ones.

    Raises:
        InputError: The server does not let the site in.
    """
    private, public = pair or generate_key_pairs()
    data = public_key_to_bytes(public)
    interceptors: list[Any] = [
        RuntimeVersionHttpInterceptor(component_name="SuperNode"), NodeAuthHttpInterceptor(private, public),
    ]
    with FleetHttpClient.from_server_address(server, ca is None, ca, interceptors=interceptors) as client:
        try:
            if pair is None:
                client.RegisterNode(RegisterNodeFleetRequest(public_key=data))
            found = client.ActivateNode(
                ActivateNodeRequest(public_key=data, heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL))
        except httpx.HTTPStatusError as err:
            if err.response.status_code >= 500:
                raise
            raise InputError(
                f"The server {server} did not let the site {site.name!r} in. Where it knows its sites by their keys, "
                "give --key FILE, whose public key it has; where it does not, leave --key out."
            ) from err
        node = Node(node_id=found.node_id)
        beat = HeartbeatSender(lambda: _alive(client, node))
        beat.start()
        try:
            yield Line(site, client, node)
        finally:
            beat.stop()
            try:
                client.DeactivateNode(DeactivateNodeRequest(node_id=node.node_id))
                if pair is None:
                    client.UnregisterNode(UnregisterNodeFleetRequest(node_id=node.node_id))
            except (httpx.HTTPError, RuntimeError):
                pass  # the server is gone


def _alive(client: FleetHttpClient, node: Node) -> bool:
    """Tell the server that the site is there; whether it is, the next question shows."""
    try:
        told = SendNodeHeartbeatRequest(node=node, heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL)
        return bool(client.SendNodeHeartbeat(told).success)
    except (httpx.HTTPError, RuntimeError):
        return False


class Line:
    """A connection to a server.

    Args:
        site: Who answers.
        client: Flower's client.
        node: The number of the site at the server.
    """

    def __init__(self, site: Site, client: FleetHttpClient, node: Node) -> None:
        self.site, self.client, self.node = site, client, node
        self.context = Context(
            run_id=1, node_id=node.node_id, node_config=UserConfig(), state=RecordDict(), run_config=UserConfig()
        )

    def answer(self, announce: Callable[[str], None]) -> None:
        """Answer messages until the server says that all is done."""
        while not self.site.done:
            got = self.client.PullMessages(PullMessagesRequest(node=self.node))
            if not got.messages_list:
                time.sleep(POLL)
                continue
            began = time.perf_counter()
            message = self._whole(message_from_proto(got.messages_list[0]), got.message_object_trees[0])
            reply = answered(self.site, message, self.context)
            self._reply(reply, time.perf_counter() - began)
            announce(f"{message.metadata.message_type} {message.metadata.group_id}".strip())
            if self.site.error is not None and self.site.error.exit_code == 2:
                return

    def _whole(self, bare: Message, tree: Any) -> Message:
        run, name = bare.metadata.run_id, bare.metadata.message_id
        pull = make_pull_object_fn_protobuf(self.client.PullObject, self.node, run)
        contents = pull_objects([part.object_id for part in iterate_object_tree(tree)], pull_object_fn=pull)
        make_confirm_message_received_fn_protobuf(self.client.ConfirmMessageReceived, self.node, run)(name)
        message = cast(Message, inflate_object_from_contents(name, contents))
        message.metadata.__dict__["_message_id"] = name
        return message

    def _reply(self, reply: Message, seconds: float) -> None:
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            tree, objects = get_object_tree(reply), get_all_nested_objects(reply)
        bare = remove_content_from_message(reply) if reply.has_content() else reply
        told = self.client.PushMessages(PushMessagesRequest(
            node=self.node, messages_list=[message_to_proto(bare)], message_object_trees=[tree],
            clientapp_runtime_list=[seconds],
        ))
        push = make_push_object_fn_protobuf(
            self.client.PushObject, self.node, reply.metadata.run_id, told.session_id)
        push_objects(objects, push_object_fn=push, object_ids_to_push=set(told.objects_to_push))
