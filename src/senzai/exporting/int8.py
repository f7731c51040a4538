"""Graphs with weights of eight bits: a quarter of the size, and what that costs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.extras import need
from .checking import arrays_for, inputs_of, latency, session_of
from .files import write_graphs
from .graphs import Graph
from .parts import GraphPart, Parts

QUANTISED = ("encoder", "decoder")
CALIBRATION = 64
"""Rows that ranges are taken from."""


def write_int8(folder: Path, made: Parts, manifest: dict[str, Any], *, static: bool) -> None:
    """Write the export with encoder and decoder quantised, and the accuracy of both ways beside their sizes."""
    both = {way: {n: _quantised(made.parts[n], way) for n in QUANTISED if n in made.parts}
            for way in ("dynamic", "static")}
    chosen = both["static" if static else "dynamic"]
    parts = {name: replace(part, blob=chosen.get(name, part.blob)) for name, part in made.parts.items()}
    manifest["missing"] = {**made.missing, "score": "Scores need single precision. Export it to onnx."}
    manifest["int8"] = {
        "way": "static" if static else "dynamic",
        "measured": [_measured(made.parts[n], blob, way) for way, found in both.items() for n, blob in found.items()],
    }
    write_graphs(folder, Parts(parts, manifest["missing"]), manifest)
    page = folder / "README.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n" + accuracy(manifest["int8"]), encoding="utf-8")


def accuracy(told: Mapping[str, Any]) -> str:
    """Return the table of sizes and accuracies in Markdown."""
    head = f"""## Eight bits

This folder holds the {told["way"]} graphs. The error is the root mean square of the difference from single precision,
as a share of the standard deviation of the output; the worst output of a graph counts.

| graph | way | size (KiB) | of single precision | error | p50 of one row (ms) | single precision (ms) |
|---|---|---:|---:|---:|---:|---:|
"""
    return head + "".join(
        f"| {m['graph']} | {m['way']} | {m['bytes'] / 1024:.0f} | {m['share']:.0%} | {m['error']:.2%} "
        f"| {m['p50']:.3f} | {m['full_p50']:.3f} |\n" for m in told["measured"]
    )


def _measured(part: GraphPart, blob: bytes, way: str) -> dict[str, Any]:
    full, small = session_of(part.blob), session_of(blob)
    given = arrays_for(full, inputs_of(part.graph, CALIBRATION, seed=3))
    pairs = zip(full.run(None, given), small.run(None, given), strict=True)
    n = 1 if 1 in part.checked.latency or not part.checked.latency else next(iter(part.checked.latency))
    return {
        "graph": part.graph.name, "way": way, "bytes": len(blob), "share": len(blob) / len(part.blob),
        "error": max(_share(a, b) for a, b in pairs), "p50": latency(part.graph, small, n)["p50"],
        "full_p50": latency(part.graph, full, n)["p50"],
    }


def _share(full: Any, small: Any) -> float:
    return float(np.sqrt(np.square(full - small).mean()) / max(1e-6, float(full.std())))


def _quantised(part: GraphPart, way: str) -> bytes:
    """Return a graph with weights, and for ``static`` what flows between layers, in eight bits."""
    tools = need("onnxruntime.quantization", extra="export", to="quantise graphs")
    with tempfile.TemporaryDirectory() as tmp, _quiet_advice():
        source, target = Path(tmp, "full.onnx"), Path(tmp, "small.onnx")
        source.write_bytes(part.blob)
        if way == "dynamic":
            tools.quantize_dynamic(source, target, weight_type=tools.QuantType.QUInt8)
        else:
            tools.quantize_static(
                source, target, _Rows(part.graph, part.blob), quant_format=tools.QuantFormat.QDQ, per_channel=True,
                activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8,
            )
        return target.read_bytes()


@contextmanager
def _quiet_advice() -> Iterator[None]:
    """Leave out the advice to prepare graphs first: that step fails on what torch exports."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Rows:
    """Rows that the ranges of numbers between layers are taken from, as onnxruntime asks for them."""

    def __init__(self, graph: Graph, blob: bytes) -> None:
        session = session_of(blob)
        self._batches: Iterator[dict[str, Any]] = iter(
            [arrays_for(session, inputs_of(graph, CALIBRATION // 4, seed=10 + i)) for i in range(4)])

    def get_next(self) -> dict[str, Any] | None:
        """Return some rows, or ``None`` at the end."""
        return next(self._batches, None)
