"""Export: a run as graphs that need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import OutputError
from ...core.files import user_path
from ...models.base import LatentModel
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

SCORES = ("elbo", "nll", "reconstruction")


@verb("export", group="Use", takes="nothing", answers="file", steered=False)
def export(
    run: Trained, *, to: str = "onnx", path: str | Path | None = None, batch: int | None = None, static: bool = False,
) -> Path:
    """Write graphs that run without torch: for onnxruntime, in eight bits, as a web page, or for phones.

    Every graph is checked against the run before anything is written; what cannot be exported is refused.

    Args:
        to: ``onnx``, ``int8``, ``web`` or ``executorch``.
        path: A new folder; by default ``export-FORMAT`` in the folder of the run.
        batch: The one number of rows that graphs take at a time; any by default.
        static: For ``int8``: quantise what flows between layers, too.
    """
    from ...exporting.folder import export as write

    if path is None and run.folder is None:
        raise OutputError("An export needs a place, but this run has no folder. Give a path, or save the run first.")
    target = user_path(path, output=True) if path is not None else Path(str(run.folder)) / f"export-{to}"
    if target.exists():
        raise OutputError(f"An export is a new folder, but {str(target)!r} is there. Remove it, or give another path.")
    return write(run, target, to=to, batch=batch, static=static, held=_held(run))


def _held(run: Trained) -> dict[str, list[float]]:
    """Return the scores of held-out rows that the run keeps."""
    from .score import kept_reference

    kept = kept_reference(run) if isinstance(run.model, LatentModel) else None
    return {} if kept is None else {name: kept.held[name].double().tolist() for name in SCORES if name in kept.held}
