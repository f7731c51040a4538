"""Graphs for phones and boards: ExecuTorch programs for one batch size, on the processor's XNNPACK."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.batch import Batch
from ..core.errors import CombinationError, UserError
from ..core.extras import need
from ..core.files import write_json, write_text
from ..models.base import LatentModel
from ..models.generative import Generative
from ..models.modes import judging
from ..runtime.model import MANIFEST
from .checking import difference, inputs_of, need_equal
from .files import table_of
from .graphs import Graph, decoder, encoder, prior, simulator
from .parts import need_whole_rows

EXTRA = "edge"


def write_edge(folder: Path, model: Generative, batch: Batch, about: dict[str, Any]) -> None:
    """Write one program for each graph, checked with ExecuTorch's own runtime.

    Args:
        folder: Where to.
        model: The model.
        batch: Rows to trace and check with.
        about: The description so far; its ``batch`` is the number of rows that programs take.

    Raises:
        CombinationError: The model cannot be exported.
        MissingExtraError: ExecuTorch is not installed.
    """
    need("executorch.exir", extra=EXTRA, to="write ExecuTorch programs")
    need_whole_rows(model)
    graphs: dict[str, Any] = {}
    checked: list[dict[str, Any]] = []
    with judging(model):
        for graph in _graphs(model, batch):
            blob = program_of(graph, about["batch"])
            error = error_of(graph, blob, about["batch"])
            need_equal(graph, error)
            (folder / f"{graph.name}.pte").write_bytes(blob)
            shapes = {name: list(v.shape) for name, v in inputs_of(graph, about["batch"]).items()}
            graphs[graph.name] = {"file": f"{graph.name}.pte", "inputs": shapes, "outputs": list(graph.outputs)}
            checked.append({"graph": graph.name, "bytes": len(blob), "error": error, "latency_ms": {}})
    missing = {"score": "Not written for ExecuTorch."}
    manifest = about | {"graphs": graphs, "checked": checked, "missing": missing}
    write_json(folder / MANIFEST, manifest)
    write_text(folder / "README.md", _page(manifest))


def _graphs(model: Generative, batch: Batch) -> list[Graph]:
    if not isinstance(model, LatentModel):
        return [simulator(model, batch)]
    found = [encoder(model, batch), decoder(model, batch)]
    try:
        return [*found, prior(model, batch)]
    except UserError:
        return found


def program_of(graph: Graph, rows: int) -> bytes:
    """Return a graph as an ExecuTorch program for so many rows."""
    exir = need("executorch.exir", extra=EXTRA, to="write ExecuTorch programs")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", extra=EXTRA, to="use XNNPACK")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(graph.module.eval(), tuple(inputs_of(graph, rows).values()), strict=False)
            lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
            blob: bytes = lowered.to_executorch().buffer
    except Exception as err:  # whatever it stumbles over, the graph cannot be exported
        raise CombinationError(
            f"The {graph.name} of this model cannot be written for ExecuTorch: {str(err).splitlines()[0][:200]} Export "
            "it to onnx."
        ) from err
    return blob


def error_of(graph: Graph, blob: bytes, rows: int) -> float:
    """Return the largest relative difference of a program from its model, on other rows."""
    runtime = need("executorch.runtime", extra=EXTRA, to="run ExecuTorch programs")
    method = runtime.Runtime.get().load_program(blob).load_method("forward")
    worst = 0.0
    for seed in (1, 2, 3):
        given = inputs_of(graph, rows, seed=seed)
        got = method.execute([given[name] for name in graph.inputs])
        told = graph.outcome(given)
        worst = max([worst, *(difference(t, g.numpy()) for t, g in zip(told, got, strict=True))])
    return worst


def _page(manifest: Mapping[str, Any]) -> str:
    return f"""# An exported model, for ExecuTorch

Recipe `{manifest["recipe"]}`, exported by senzai {manifest["senzai"]}. Programs take {manifest["batch"]} rows of model
values; `rows` in `{MANIFEST}` says how rows become such values and back.

{table_of(manifest["checked"])}
"""
