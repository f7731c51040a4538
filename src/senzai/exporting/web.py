"""A folder that is a page: the model in a browser, opened from disk or from any static host."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ..core.errors import MissingExtraError
from ..core.files import write_text
from .files import write_graphs
from .parts import Parts

HERE = Path(__file__).parent
VENDOR = HERE / "vendor"
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
PAGE = ("index.html", "app.js", "rows.js", "style.css")
USED = ("encoder", "decoder", "prior", "simulator")


def need_runtime() -> None:
    """Refuse to write a page where the browser's runtime is not there.

    Raises:
        MissingExtraError: It is not.
    """
    lacking = [name for name in (*RUNTIME, "LICENSE") if not (VENDOR / name).is_file()]
    if lacking:
        raise MissingExtraError(
            f"A page runs its model with onnxruntime-web, but {lacking[0]} is not in this installation. Wheels of "
            "senzai bring it; in a checkout, fetch it once with scripts/vendor-web (it needs npm)."
        )


def write_web(folder: Path, made: Parts, manifest: dict[str, Any]) -> None:
    """Write the page, the graphs and the runtime, all of them as scripts: a page from disk may not fetch files."""
    missing = {**made.missing, "score": "A page has no scores. Export it to onnx.",
               "drawer": "A page shows expected rows. Export it to onnx."}
    used = Parts({n: p for n, p in made.parts.items() if n in USED}, missing)
    graphs_told = {n: told for n, told in manifest["graphs"].items() if n in USED}
    manifest = manifest | {"graphs": graphs_told, "missing": missing}
    write_graphs(folder, used, manifest)
    for name in PAGE:
        write_text(folder / name, (HERE / "page" / name).read_text(encoding="utf-8"))
    graphs = {name: _text(part.blob) for name, part in used.parts.items()}
    write_text(folder / "model.js", f"window.SENZAI = {_script({'manifest': manifest, 'graphs': graphs})};\n")
    runtime = {name: _text((VENDOR / name).read_bytes()) for name in RUNTIME}
    write_text(folder / "runtime.js", f"window.ORT_FILES = {_script(runtime)};\n")
    write_text(folder / "LICENSE-onnxruntime-web.txt", (VENDOR / "LICENSE").read_text(encoding="utf-8"))


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")


def _script(value: Any) -> str:
    """Return JSON that nothing in it can end: no tag of a page, no separator that scripts take for a line end."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
