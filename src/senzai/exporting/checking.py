"""A graph against the model it was made from: other rows, other batch sizes, and how long both take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import CombinationError
from ..core.extras import need
from .graphs import Graph

TOLERANCE = 1e-5
"""Largest difference, as a share of the largest value of an output, or of one where all are smaller."""
SIZES = (1, 2, 7, 64)
"""Batch sizes of the check; graphs are traced with another."""
TIMED = (1, 64)
CALLS = 60


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Args:
        name: Name of the graph.
        bytes: Size of its file.
        error: Largest difference from the model, relative as ``TOLERANCE`` is.
        latency: By batch size: milliseconds of graph and model, median and 95th percentile each.
    """

    name: str
    bytes: int
    error: float
    latency: Mapping[int, Mapping[str, float]]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"graph": self.name, "bytes": self.bytes, "error": self.error, "latency_ms": {
            str(n): dict(found) for n, found in self.latency.items()}}


def session_of(blob: bytes, *, threads: int = 1) -> Any:
    """Return what runs a graph."""
    runtime = need("onnxruntime", extra="export", to="run ONNX graphs")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return runtime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])


def inputs_of(graph: Graph, n: int, *, seed: int = 1) -> dict[str, Tensor]:
    """Return inputs of ``n`` rows: those of the example in turn, in another order, with other noise."""
    found: dict[str, Tensor] = {}
    for i, (name, example) in enumerate(graph.inputs.items()):
        if name in graph.noise:
            found[name] = graph.noise[name].example(n, 1000 * seed + i)
        else:
            found[name] = example[(torch.arange(n) * 5 + seed) % len(example)]
    return found


def difference(told: Tensor, got: np.ndarray[Any, Any]) -> float:
    """Return the largest difference of two outputs, as a share of the largest value, or of one where all are smaller.

    Values that are not finite must be the same.

    Example:
        >>> difference(torch.tensor([100.0, 2.0]), np.array([100.0, 2.5]))
        0.005
    """
    a, b = told.detach().double().numpy(), np.asarray(got, dtype=np.float64)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    there = np.isfinite(a)
    if not there.any():
        return 0.0
    return float(np.abs(a[there] - b[there]).max() / max(1.0, np.abs(a[there]).max()))


def error_of(graph: Graph, session: Any, sizes: tuple[int, ...]) -> float:
    """Return the largest relative difference of a graph from its model."""
    worst = 0.0
    for n in sizes:
        given = inputs_of(graph, n, seed=n)
        try:
            got = session.run(None, arrays_for(session, given))
        except Exception as err:  # the runtime has no class of its own for what it refuses
            raise CombinationError(
                f"A graph takes any number of rows, but the {graph.name} made from this model fails with {n}: "
                f"{str(err)[:200]} Export it for one batch size (batch=...), or use the run itself."
            ) from err
        told = graph.outcome(given)
        worst = max([worst, *(difference(t, g) for t, g in zip(told, got, strict=True))])
    return worst


def need_equal(graph: Graph, error: float) -> None:
    """Refuse a graph that says something else than its model.

    Raises:
        CombinationError: It does.
    """
    if not error <= TOLERANCE:
        raise CombinationError(
            f"An exported graph must say what the model says up to {TOLERANCE:g} of the largest value, but the "
            f"{graph.name} differs by {error:.2g}. Use the run itself, and report it with the recipe."
        )


def check(graph: Graph, blob: bytes, *, batch: int | None = None, timed: bool = True) -> Checked:
    """Compare a graph with its model, for batch sizes that it was not traced with, and time both.

    Args:
        graph: What was exported.
        blob: The ONNX file.
        batch: The batch size it was made for, if for one.
        timed: Measure how long both take.

    Raises:
        CombinationError: It says something else than the model.
    """
    session = session_of(blob)
    error = error_of(graph, session, SIZES if batch is None else (batch,))
    need_equal(graph, error)
    sizes = TIMED if batch is None else (batch,)
    return Checked(graph.name, len(blob), error, {n: latency(graph, session, n) for n in sizes} if timed else {})


def latency(graph: Graph, session: Any, n: int) -> dict[str, float]:
    """Return milliseconds of graph and model in turn, one thread each, median and 95th percentile."""
    given = inputs_of(graph, n)
    arrays = arrays_for(session, given)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours, eager = _in_turn(lambda: session.run(None, arrays), lambda: graph.outcome(given), CALLS)
    finally:
        torch.set_num_threads(threads)
    told = {"p50": ours, "eager_p50": eager}
    return {name: float(np.percentile(v, 50)) for name, v in told.items()} | {
        name.replace("50", "95"): float(np.percentile(v, 95)) for name, v in told.items()}


def _in_turn(a: Callable[[], object], b: Callable[[], object], calls: int) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    for i in range(calls + 5):
        for work, times in zip((a, b), found, strict=True):
            start = time.perf_counter()
            work()
            if i >= 5:
                times.append(1e3 * (time.perf_counter() - start))
    return found


def arrays_for(session: Any, given: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return inputs as arrays, those that a graph has."""
    known = {i.name for i in session.get_inputs()}
    return {name: value.numpy() for name, value in given.items() if name in known}
