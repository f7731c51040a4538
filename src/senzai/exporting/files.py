"""Files of an export: graphs, their description, and the page with the table of the check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.files import write_json, write_text
from ..runtime.model import MANIFEST
from .parts import GraphPart, Parts


def write_graphs(folder: Path, made: Parts, manifest: dict[str, Any]) -> None:
    """Write graphs, the description and the table."""
    for name, part in made.parts.items():
        (folder / f"{name}.onnx").write_bytes(part.blob)
    write_json(folder / MANIFEST, manifest)
    write_text(folder / "README.md", page_of(manifest))


def told_of(part: GraphPart) -> dict[str, Any]:
    """Return what the runtime needs to know of a graph."""
    graph = part.graph
    noise = {
        name: {"like": w.like, "shape": list(w.shape), "dtype": str(w.dtype).removeprefix("torch.")}
        for name, w in graph.noise.items()
    }
    plain = [name for name in graph.inputs if name not in noise]
    widths = {name: list(graph.inputs[name].shape[1:]) for name in plain}
    return {"file": f"{graph.name}.onnx", "inputs": plain, "widths": widths, "outputs": list(graph.outputs),
            "noise": noise}


def table_of(checked: list[Mapping[str, Any]]) -> str:
    """Return the table of a check in Markdown."""
    rows = ["| graph | size (KiB) | largest error | rows | p50 (ms) | p95 (ms) | run p50 (ms) | run p95 (ms) |",
            "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for found in checked:
        latency = found["latency_ms"] or {"": {}}
        for n, told in latency.items():
            times = [f"{told[k]:.3f}" if k in told else "" for k in ("p50", "p95", "eager_p50", "eager_p95")]
            size, error = f"{found['bytes'] / 1024:.0f}", f"{found['error']:.1e}"
            rows.append(f"| {' | '.join([found['graph'], size, error, str(n), *times])} |")
    return "\n".join(rows)


def page_of(manifest: Mapping[str, Any]) -> str:
    """Return the page that says what is in the folder."""
    missing = "".join(f"* {verb}: {why}\n" for verb, why in manifest["missing"].items())
    left_out = f"\n## Left out\n\n{missing}" if missing else ""
    size = "any number of rows" if manifest["batch"] is None else f"{manifest['batch']} rows"
    return f"""# An exported model

Recipe `{manifest["recipe"]}`, exported by senzai {manifest["senzai"]}. Graphs take {size}.

```python
from senzai import runtime  # or: import senzai_runtime as runtime

model = runtime.load("this folder")
model.verbs
```

## Checked

The largest error is the largest difference from the run, as a share of the largest value of an output (of one, where
all are smaller), on batch sizes that the graphs were not traced with. Times are of one thread, graph and run in turn.

{table_of(manifest["checked"])}
{left_out}"""
