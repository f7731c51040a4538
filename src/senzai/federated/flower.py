"""The one place where Flower is asked for, and made quiet."""

from __future__ import annotations

import logging
from typing import Any

from ..core.extras import need
from .wire import RUN, TASK


def flower() -> None:
    """Make sure that Flower is there; it says nothing of its own, because senzai does.

    Raises:
        MissingExtraError: It is not installed.
    """
    need("flwr", extra="federated", to="train at several sites")
    logging.getLogger("flwr").setLevel(logging.CRITICAL)


def as_server(run_id: int = RUN) -> None:
    """Let messages that are made in this process be those of the server of a federation."""
    from flwr.common.constant import SUPERLINK_NODE_ID
    from flwr.supercore.task_identity import TaskIdentity

    identity: Any = TaskIdentity
    identity.task_id, identity.run_id, identity.node_id = TASK, run_id, SUPERLINK_NODE_ID
