"""Exports of every recipe at a small size: what is refused, the largest error, and latency beside the model itself."""

from __future__ import annotations

import statistics
from typing import Any

from senzai.core.errors import UserError
from senzai.exporting.checking import check
from senzai.exporting.graphs import decoder, encoder, simulator
from senzai.exporting.onnx_files import onnx_of
from senzai.exporting.parts import need_whole_rows
from senzai.models.base import LatentModel
from senzai.models.modes import judging
from senzai.recipes import RECIPES
from senzai.testing.subject import subjects

ROWS = 13


def of_recipe(name: str) -> dict[str, Any]:
    """Return what the check of each graph of a recipe found, or why it is refused."""
    subject = next(iter(subjects(f"recipe/{name}")))
    model, _ = subject.fresh()
    batch = subject.batch(ROWS)
    found: dict[str, Any] = {"data": subject.example.data, "graphs": {}}
    try:
        with judging(model):
            need_whole_rows(model)
            makes = (encoder, decoder) if isinstance(model, LatentModel) else (simulator,)
            for make in makes:
                graph = make(model, batch)
                checked = check(graph, onnx_of(graph).SerializeToString())
                found["graphs"][checked.name] = checked.document()
    except UserError as err:
        found["refused"] = str(err)
    return found


def measure(*, quick: bool = False, recipes: list[str] | None = None) -> dict[str, Any]:
    """Export every recipe."""
    names = recipes or (["vae", "gan", "sa-vae"] if quick else sorted(RECIPES))
    found: dict[str, Any] = {}
    for name in names:
        found[name] = of_recipe(name)
        graphs = found[name]["graphs"].values()
        print(name, found[name].get("refused", [f"{g['graph']} {g['error']:.1e}" for g in graphs]), flush=True)
    return {"recipes": found, **summary(found)}


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return the largest error, and medians of latency as a share of the model's own."""
    graphs = [g for r in found.values() if "refused" not in r for g in r["graphs"].values()]
    ratio = {n: statistics.median(g["latency_ms"][n]["p50"] / g["latency_ms"][n]["eager_p50"] for g in graphs)
             for n in ("1", "64")}
    return {
        "exported": sum("refused" not in r for r in found.values()),
        "refused": sum("refused" in r for r in found.values()),
        "largest_error": max(g["error"] for g in graphs), "share_of_eager_latency": ratio,
        "slowest_share_at_1": max(g["latency_ms"]["1"]["p50"] / g["latency_ms"]["1"]["eager_p50"] for g in graphs),
    }
