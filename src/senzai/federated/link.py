"""Flower's link between server and sites over HTTP with TLS: its Fleet API in this process, and a grid on its state.

A SuperLink of Flower's hands sites an application to run. Here sites run senzai and nothing that a server sent: the
server answers Flower's Fleet API alone (registering, pulling, pushing), without the interface that takes applications.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from flwr.app import Message
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
from flwr.proto.task_pb2 import Task, TaskStatus
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.server.superlink.linkstate.in_memory_linkstate import RunRecord
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID
from flwr.supercore.date import now
from flwr.supercore.error import http_error_translator
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.translation import ProtobufTranslationMiddleware
from flwr.supercore.run import Run
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import InMemoryGrid
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.superlink.routers.fleet.router import router
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from ..core.errors import InputError, OutputError, SettingError
from .flower import as_server
from .wire import RUN, TASK

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Tls:
    """Where a server's certificate and key are, as PEM.

    Args:
        certificate: Certificate, with those that signed it.
        key: Its key.
    """

    certificate: Path
    key: Path


class Linked(InMemoryGrid):
    """The grid of a server whose sites come over HTTP: messages lie in the state of Flower's Fleet API.

    Args:
        factory: Of that state.
    """

    def __init__(self, factory: LinkStateFactory) -> None:
        super().__init__(factory)
        state: Any = self.state
        run = Run.create_empty(run_id=RUN)
        run.primary_task_id, run.federation_id = TASK, NOOP_FEDERATION_ID
        state.run_ids[RUN] = RunRecord(run=run)
        state.task_store[TASK] = Task(task_id=TASK, run_id=RUN, status=TaskStatus(status="running"))
        self.set_run(run)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Lay messages out for sites to pull, with what they hold."""
        from flwr.app.message import remove_content_from_message

        state, found = self.state, []
        for message in messages:
            with no_object_id_recompute():
                message.metadata.__dict__["_message_id"] = message.object_id
                tree, objects = get_object_tree(message), get_all_nested_objects(message)
            session = state.start_session(RUN)
            bare = remove_content_from_message(message)
            stored, missing = state.store_message_and_object_tree(bare, tree, session)
            for name in missing:
                state.store_object(RUN, session, name, objects[name].deflate())
            if stored:
                found.append(message.metadata.message_id)
        return found

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the answers that have come as a whole."""
        store, found = self.state.object_store, []
        for bare in self._answers(set(message_ids)):
            name = bare.metadata.message_id
            if bare.has_error():
                found.append(bare)
                continue
            wanted = [tree.object_id for tree in iterate_object_tree(store.get_object_tree(name))]
            contents = self._contents(wanted)
            if contents is None:
                continue
            message = cast(Message, inflate_object_from_contents(name, contents))
            message.metadata.__dict__["_message_id"] = name
            store.delete(name)
            found.append(message)
        self.state.delete_messages(message_ins_ids={m.metadata.reply_to_message_id for m in found})
        return found

    def _answers(self, asked: set[str]) -> list[Message]:
        """Return the answers that have come, without what they hold.

        Flower looks first whether a site is still there: of one that answered and left, it would drop the answer.
        """
        state: Any = self.state
        with state.lock:
            came = {name: state.message_ins_id_to_message_res_id.get(name) for name in asked}
            found = [state.message_res_store[reply] for reply in came.values() if reply is not None]
            found = [reply for reply in found if reply.metadata.delivered_at == ""]
            for reply in found:
                reply.metadata.delivered_at = now().isoformat()
            rest = {name for name, reply in came.items() if reply is None}
            return [*found, *state.get_message_res(message_ids=rest, run_id=RUN)]

    def _contents(self, names: list[str], seconds: float = 60.0) -> dict[str, bytes] | None:
        """Return the parts of a message; those on their way are waited for."""
        end, found = time.monotonic() + seconds, dict[str, bytes]()
        for name in names:
            while not (content := self.state.object_store.get(name)):
                if time.monotonic() > end:
                    return None
                time.sleep(0.02)
            found[name] = content
        return found


def application(allowed: Iterable[Path] = ()) -> tuple[FastAPI, LinkStateFactory]:
    """Return Flower's Fleet API as an application, and its state.

    Args:
        allowed: Public keys of the sites that may come, as PEM; without any, every site may.

    Raises:
        InputError: A key cannot be read.
    """
    manager = NoOpFederationManager()
    factory = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, manager, ObjectStoreFactory(FLWR_IN_MEMORY_DB_NAME))
    state = factory.state()
    app = FastAPI(title="senzai federate", docs_url=None, redoc_url=None, openapi_url=None, middleware=[
        Middleware(BaseHTTPMiddleware, dispatch=http_error_translator), Middleware(ProtobufTranslationMiddleware),
        Middleware(NodeAuthMiddleware),
    ])
    keys = [_public_key(path) for path in allowed]
    for key in keys:
        state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, 0)
    app.state.linkstate_factory, app.state.enable_supernode_auth = factory, bool(keys)
    app.include_router(router)
    return app, factory


def _public_key(path: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
        if not isinstance(key, EllipticCurvePublicKey):
            raise ValueError("it is of another sort")
    except (OSError, ValueError) as err:
        raise InputError(
            f"A site is known by its public key, elliptic and as PEM, but {str(path)!r} cannot be read as one ({err})."
        ) from err
    return public_key_to_bytes(key)


@contextmanager
def listening(
    host: str, port: int, tls: Tls | None, *, allowed: Iterable[Path] = ()
) -> Iterator[tuple[Linked, str]]:
    """Yield a grid whose sites come to an address, and that address.

    Raises:
        SettingError: Others than this machine could come without TLS.
        OutputError: The address is taken.
        InputError: Certificate or key cannot be read.
    """
    if tls is None and host not in LOOPBACK:
        raise SettingError(
            f"Parameters cross a network under TLS alone, but {host!r} is not this machine. "
            "Give --certificate and --key."
        )
    app, factory = application(allowed)
    try:
        made = socket.create_server((host, port))
    except OSError as err:
        raise OutputError(f"The address {host}:{port} cannot be had: {err.strerror}. Choose another --port.") from err
    with made:
        server = uvicorn.Server(_config(app, tls))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [made]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.02)
            as_server()
            yield Linked(factory), f"{host}:{made.getsockname()[1]}"
            time.sleep(0.5)  # for the answers that are on their way
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _config(app: FastAPI, tls: Tls | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key, lifespan="off", ws="none", timeout_graceful_shutdown=5,
    )
    try:
        config.load()
    except (OSError, ValueError) as err:
        raise InputError(f"Certificate and key must be a pair of PEM files, but they cannot be used: {err}") from err
    return config
