"""Ways to the sites, as Flower's strategies use them: a grid inside one process, and the wire around any grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.app.user_config import UserConfig
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from pydantic import ValidationError

from ..core.errors import InputError, SenzaiError, TrainingError
from ..training.privacy import SiteSpent
from .passing import Passing, asked_of
from .secure import answer_securely, is_secure
from .site import Site
from .wire import TRAIN, Tensors, checked, length, raise_told, read, record


class Inside(Grid):
    """Sites in this process, asked one after the other.

    Args:
        sites: The sites, in the order of their numbers from 1.
    """

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites = dict(enumerate(sites, 1))
        self.contexts = {
            n: Context(run_id=1, node_id=n, node_config=UserConfig(), state=RecordDict(), run_config=UserConfig())
            for n in self.sites
        }

    def set_run(self, run: Run) -> None:
        """Nothing to do: there is one run."""

    @property
    def run(self) -> Run:
        """An empty run."""
        return Run.create_empty(run_id=1)

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the numbers of the sites."""
        return list(self.sites)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Messages are answered at once: see :meth:`send_and_receive`."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Messages are answered at once: see :meth:`send_and_receive`."""
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Return the answers of the sites; an error of one is an answer, too."""
        found = []
        for message in messages:  # each site gets a copy: stages of secure aggregation take messages apart
            node = message.metadata.dst_node_id
            found.append(answered(self.sites[node], deepcopy(message), self.contexts[node]))
        return found


def answered(site: Site, message: Message, context: Context) -> Message:
    """Return a site's answer; what it could not do, without its text where that could tell of rows."""
    try:
        if is_secure(message):
            return answer_securely(site, message, context)
        return Message(site.answer(message), reply_to=message)
    except SenzaiError as err:
        site.error = err
        return Message(Error(code=0, reason=str(err)), reply_to=message)
    except Exception as err:
        return Message(Error(code=0, reason=f"{type(err).__name__} at the site"), reply_to=message)


@dataclass
class Heard:
    """What a site did in a round.

    Args:
        name: Its name.
        rows: Rows it trained on.
        norm: Length of its update, as it came.
        shortened: Whether the update was longer than the bound.
        loss: Its loss on held-out rows, where that is sent.
        sent: Bytes to it.
        received: Bytes from it.
        why: Why its update was left out.
        spent: What the privacy of its rows has cost, as it says.
    """

    name: str
    rows: int = 0
    norm: float = float("nan")
    shortened: bool = False
    loss: float | None = None
    sent: int = 0
    received: int = 0
    why: str = ""
    spent: dict[str, Any] | None = None


@dataclass
class Wire(Passing):
    """What a strategy of Flower's talks to: outwards tensors become safetensors, inwards every update is looked at.

    Args:
        inner: The grid that sends.
        body: What each site is told beside the weights.
        like: Parameters that are sent, for their names, shapes and dtypes.
        names: Names of the sites, by node.
        rows: Rows that a site said it has, by name: it cannot count for more.
        weigh: Whether sites count by ``rows``, or all ``sites`` alike.
        bound: Longest update, ``"auto"`` for three times the median, or ``None``.
        available: Nodes that are asked; by default all.
    """

    inner: Grid
    body: Mapping[str, Any]
    like: Tensors
    names: dict[int, str]
    rows: dict[str, int]
    weigh: str = "rows"
    bound: float | str | None = "auto"
    available: Callable[[], list[int]] | None = None
    heard: dict[int, Heard] = field(default_factory=dict)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are asked."""
        return self.available() if self.available is not None else list(self.inner.get_node_ids())

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Return the updates of a round as a strategy wants them, those that cannot be used left out."""
        asked = {m.metadata.dst_node_id: m for m in messages}
        if not asked:
            return []
        arrays: ArrayRecord = next(iter(asked.values())).content.array_records["arrays"]
        weights = {k: torch.from_numpy(np.array(a.numpy())) for k, a in arrays.items()}
        content = record(self.body, weights)
        size = sum(len(v) for v in content.config_records["senzai"].values() if isinstance(v, str | bytes))
        self.heard = {n: Heard(self.names.get(n, f"node {n}"), sent=size) for n in asked}
        sent = [Message(content, n, TRAIN, group_id=m.metadata.group_id) for n, m in asked.items()]
        found: dict[int, tuple[Tensors, int]] = {}
        for reply in self.inner.send_and_receive(sent, timeout=timeout):
            node = asked_of(reply, sent)
            if node not in self.heard:
                continue
            try:
                found[node] = self._looked_at(node, reply)
            except SenzaiError as err:
                self.heard[node].why = str(err)
        for node in set(asked) - set(found):
            self.heard[node].why = self.heard[node].why or "It did not answer in time."
        updates = self._shortened(weights, found)
        order = sorted(updates, key=lambda n: (self.heard[n].name, n))
        return [Message(self._record(updates[n], found[n][1]), reply_to=asked[n]) for n in order]

    def _looked_at(self, node: int, reply: Message) -> tuple[Tensors, int]:
        heard = self.heard[node]
        if reply.has_error():
            raise TrainingError(reply.error.reason)
        body, tensors, heard.received = read(reply, who=f"The site {heard.name!r}")
        heard.name = self.names[node] = str(body.get("site", heard.name))
        heard.spent = told_spent(body.get("spent"), who=f"The site {heard.name!r}")
        raise_told(body, who=f"The site {heard.name!r}")
        if tensors is None:
            raise InputError(f"The site {heard.name!r} must send its parameters, but sent none.")
        heard.rows = int(body.get("rows", 0))
        most = self.rows.get(heard.name, heard.rows)
        if not 1 <= heard.rows <= most:
            raise InputError(f"The site {heard.name!r} said it has {most} rows, and now trained on {heard.rows}.")
        heard.loss = body.get("loss")
        return checked(tensors, self.like, who=f"The site {heard.name!r}"), heard.rows

    def _shortened(self, weights: Tensors, found: dict[int, tuple[Tensors, int]]) -> dict[int, Tensors]:
        changes = {n: {k: v - weights[k] for k, v in t.items()} for n, (t, _) in found.items()}
        for node, change in changes.items():
            self.heard[node].norm = length(change)
        bound = limit(self.bound, [self.heard[n].norm for n in changes])
        done = {}
        for node, change in changes.items():
            heard = self.heard[node]
            heard.shortened = bound is not None and heard.norm > bound
            factor = bound / heard.norm if bound is not None and heard.shortened else 1.0
            after = {k: weights[k] + factor * v for k, v in change.items()} if heard.shortened else found[node][0]
            done[node] = {k: after[k] for k in weights}  # safetensors sorts names, and Flower's noise goes by place
        return done

    def _record(self, tensors: Tensors, rows: int) -> RecordDict:
        arrays = ArrayRecord({k: Array(v.numpy()) for k, v in tensors.items()})
        weight = rows if self.weigh == "rows" else 1
        return RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": weight})})


def told_spent(found: object, *, who: str) -> dict[str, Any] | None:
    """Return what a site says that the privacy of its rows has cost, if it can be.

    Raises:
        InputError: It cannot.
    """
    try:
        return None if found is None else SiteSpent.model_validate(found).model_dump(mode="json")
    except ValidationError as err:
        raise InputError(f"{who} must say what it spent by epsilon, delta and steps, but sent others ({err}).") from err


def limit(bound: float | str | None, norms: list[float]) -> float | None:
    """Return the longest update of a round; of fewer than three there is no median to go by.

    Example:
        >>> limit("auto", [1.0, 2.0, 100.0]), limit("auto", [1.0, 2.0]), limit(0.5, [1.0])
        (6.0, None, 0.5)
    """
    if isinstance(bound, float | int):
        return float(bound)
    return 3 * float(np.median(norms)) if bound == "auto" and len(norms) >= 3 else None
