"""Graphs as ONNX: made by torch's exporter, with what it lacks."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch.export import Dim

from ..core.errors import CombinationError, UserError
from ..core.extras import need
from .checking import inputs_of
from .graphs import Graph
from .translations import expm1, log1p, log_gamma, log_sigmoid, softplus

OPSET = 20


def onnx_of(graph: Graph, *, batch: int | None = None) -> Any:
    """Return a graph as an ONNX model.

    Args:
        graph: What is exported.
        batch: Number of rows that it takes; any number by default.

    Raises:
        CombinationError: Something in it has no counterpart, or depends on the numbers; the message says what.
        MissingExtraError: The packages of the extra ``export`` are not there.
    """
    for package in ("onnx", "onnxscript"):
        need(package, extra="export", to="write ONNX graphs")
    given = graph.inputs if batch is None else inputs_of(graph, batch)
    rows = None if batch is not None else Dim("n", min=1, max=1 << 30)
    axes = [graph.rows_axis(name) for name in graph.inputs]
    shapes = tuple({} if rows is None or axis is None else {axis: rows} for axis in axes)
    with _quietly():
        try:
            made = torch.onnx.export(
                graph.module.eval(), tuple(given.values()), dynamo=True, input_names=list(graph.inputs),
                output_names=list(graph.outputs), dynamic_shapes=(shapes,) if rows is not None else None,
                opset_version=OPSET, verbose=False, custom_translation_table=_translations(),
            )
        except Exception as err:  # whatever the exporter stumbles over, the graph cannot be exported
            raise CombinationError(_why(graph.name, err)) from err
    assert made is not None
    model = made.model_proto
    del model.graph.value_info[:]  # shapes of the example, which later tools take for those of every batch
    return model


def _why(name: str, err: BaseException) -> str:
    """Return the reason for a refusal: that of the innermost error, without the exporter's advice to its own users."""
    inner: BaseException = err
    while (before := inner.__cause__ or inner.__context__) is not None and not isinstance(inner, UserError):
        inner = before
    if isinstance(inner, UserError):
        return str(inner)
    said = next((line.strip() for line in str(inner).splitlines() if line.strip()), type(inner).__name__)
    return (
        f"The {name} of this model cannot be written as a graph: {said[:300]} Use the run itself, or fit another "
        "recipe; docs/exporting.md lists what can be exported."
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what the exporter says to people who develop it."""
    names = ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir", "torch")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _translations() -> dict[Any, Any]:
    """Return what the exporter lacks, in terms of what ONNX has."""
    aten = torch.ops.aten
    return {
        aten.lgamma.default: log_gamma, aten.softplus.default: softplus, aten.expm1.default: expm1,
        aten.log1p.default: log1p, aten.log_sigmoid.default: log_sigmoid,
    }
