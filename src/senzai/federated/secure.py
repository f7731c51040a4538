"""Secure aggregation: the server learns a weighted mean of vectors, and of no vector anything; SecAgg+ is Flower's.

Each site hides its vector behind masks that cancel in the sum (Bell et al. 2020, on Bonawitz et al. 2017); shares of
the masks' seeds let the sum be found where sites drop out. Vectors are quantised: the mean is exact to a quantum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.app.user_config import UserConfig
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS
from flwr.compat.common import recorddict_compat as compat
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.serverapp import Grid
from numpy.typing import NDArray

from ..core.errors import InputError, SenzaiError, TrainingError
from .site import Site
from .wire import PROTOCOL, TALLY, TRAIN, Tensors, from_bytes, length, to_bytes

LEVELS = 2**22
"""Whole numbers that a vector's entry is quantised to."""
MODULUS = 2**32
Vector = NDArray[Any]


def is_secure(message: Message) -> bool:
    """Whether a message is a stage of secure aggregation."""
    return RECORD_KEY_CONFIGS in message.content.config_records


def quantum(reach: float, weights: list[float], largest: float) -> float:
    """Return how far a secure mean can be from the plain one, entry by entry.

    Every site rounds w x, with w = weight / largest, to a multiple of 2 reach / 2²², up or down; the mean divides the
    sum by Σ w. Its weights are rounded to 2⁻²², too, which moves the mean by less than the last term.

    Args:
        reach: Largest entry.
        weights: What sites count.
        largest: The most that a site can count.

    Example:
        >>> round(quantum(1.0, [1.0, 1.0, 1.0], 1.0) * 2**22)
        4
    """
    total = sum(weights) / largest
    return len(weights) * (2 * reach / LEVELS) / total + 2 * reach * len(weights) / (LEVELS * total)


# --- at a site ------------------------------------------------------------------------------------------------------
def answer_securely(site: Site, message: Message, context: Context) -> Message:
    """Return a site's answer to a stage of secure aggregation."""

    def trained(inner: Message, _: Context) -> Message:
        ins = compat.recorddict_to_fitins(inner.content, keep_input=True)
        body = json.loads(str(ins.config["json"]))
        if body.get("protocol") != PROTOCOL:
            raise InputError("Server and sites must speak one version of the protocol. Install the same senzai.")
        vector, weight = _vector(site, body, ins.parameters)
        told: Any = {"site": site.name, "spent": json.dumps(site.spent())}
        answer = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([vector]), weight, told)
        return Message(compat.fitres_to_recorddict(answer, keep_input=True), reply_to=inner)

    try:
        return secaggplus_mod(message, context, trained)
    except SenzaiError as err:
        site.error = err
        raise


def _vector(site: Site, body: Mapping[str, Any], parameters: Parameters) -> tuple[Vector, int]:
    reach = float(body["reach"])
    if body["what"] == TALLY:
        return np.clip(np.array(site.tallied(body)) / float(body["largest"]), 0, 1), 1
    weights = from_bytes(parameters.tensors[0], who="The server")
    after, rows, _ = site.trained(body, weights)
    change = {k: after[k] - weights[k] for k in sorted(weights)}
    bound, norm = body.get("bound"), length(change)
    factor = float(bound) / norm if isinstance(bound, int | float) and norm > bound else 1.0
    flat = torch.cat([v.reshape(-1).double() for v in change.values()]) * factor
    return flat.clamp(-reach, reach).numpy(), rows if body["weigh"] == "rows" else 1


# --- at the server --------------------------------------------------------------------------------------------------
@dataclass
class _Node:
    node_id: int


class _Asks:
    """What the protocol asks a strategy of Flower's: whom to ask what, and where the mean goes."""

    def __init__(self, nodes: list[int], parameters: Parameters, body: Mapping[str, Any]) -> None:
        self.nodes, self.parameters, self.body = nodes, parameters, body
        self.mean: Vector | None = None
        self.names: dict[int, str] = {}
        self.rows: dict[int, int] = {}
        self.spent: dict[int, dict[str, Any] | None] = {}
        self.failures: list[BaseException] = []

    def num_available(self) -> int:
        return len(self.nodes)

    def configure_fit(self, server_round: int, parameters: Parameters, client_manager: Any) -> list[Any]:
        told = FitIns(self.parameters, {"json": json.dumps({"protocol": PROTOCOL, **self.body})})
        return [(_Node(n), told) for n in self.nodes]

    def aggregate_fit(self, server_round: int, results: list[Any], failures: list[Any]) -> tuple[None, dict[str, Any]]:
        self.failures = failures
        for node, found in results:
            self.names[node.node_id] = str(found.metrics.get("site", node.node_id))
            self.rows[node.node_id] = int(found.num_examples)
            self.spent[node.node_id] = json.loads(str(found.metrics.get("spent", "null")))
            self.mean = parameters_to_ndarrays(found.parameters)[0]
        return None, {}


@dataclass
class SecureMean:
    """A mean that was found without its terms.

    Args:
        mean: The mean.
        names: Names of the sites that are in it, by node.
        rows: What each counts.
        spent: What the privacy of each one's rows has cost, as it says.
    """

    mean: Vector
    names: dict[int, str]
    rows: dict[int, int]
    spent: dict[int, dict[str, Any] | None]


def secure_mean(
    grid: Grid, nodes: list[int], body: Mapping[str, Any], *, number: int, reach: float, largest: float,
    timeout: float, tensors: Tensors | None = None,
) -> SecureMean:
    """Return the weighted mean of what sites compute.

    Args:
        grid: The way to the sites.
        nodes: Those that are asked.
        body: What they are told.
        number: Which round it is.
        reach: Largest entry of a vector.
        largest: The most that a site can count.
        timeout: Seconds that each of four stages may take.
        tensors: Weights that are sent along.

    Raises:
        TrainingError: Too many sites dropped out for the masks to be taken off.
    """
    asks = _Asks(nodes, Parameters([to_bytes(tensors or {"nothing": torch.zeros(1)})], "safetensors"), {
        **body, "reach": reach, "largest": largest, "round": number,
    })
    told = ConfigRecord({WorkflowKey.CURRENT_ROUND: number})
    state = RecordDict({MAIN_CONFIGS_RECORD: told, MAIN_PARAMS_RECORD: ArrayRecord()})
    plain = Context(run_id=1, node_id=1, node_config=UserConfig(), state=state, run_config=UserConfig())
    asked: Any = asks
    context = LegacyContext(plain, strategy=asked, client_manager=asked)
    flow = SecAggPlusWorkflow(
        num_shares=1.0, reconstruction_threshold=0.6, max_weight=float(largest) if body["what"] == TRAIN else 1.0,
        clipping_range=reach, quantization_range=LEVELS, modulus_range=MODULUS, timeout=timeout,
    )
    flow(grid, context)
    if asks.mean is None:
        raise TrainingError(
            f"Secure aggregation of {len(nodes)} sites needs six tenths of them to the end, but fewer stayed. "
            "Start more sites, or raise --timeout."
        )
    return SecureMean(np.array(asks.mean, dtype=float), asks.names, asks.rows, asks.spent)


def added(weights: Tensors, mean: Vector) -> Tensors:
    """Return weights that were moved by a mean change."""
    done, at = {}, 0
    for name in sorted(weights):
        n = weights[name].numel()
        change = torch.from_numpy(mean[at : at + n].copy()).reshape(weights[name].shape)
        done[name] = (weights[name].double() + change).to(weights[name].dtype)
        at += n
    return done
