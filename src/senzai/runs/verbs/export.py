"""Export: a run as graphs that need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ...core.errors import OutputError
from ...core.files import user_path
from ...data import Schema
from ...models.base import LatentModel
from ...models.structured import Structured
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

SCORES = ("elbo", "nll", "reconstruction")


def needs_whole_rows(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows of one tensor, and a model of all of it."""
    if len(schema.fields) != 1:
        return f"A graph takes rows of one tensor, but these have {', '.join(schema.fields)}. Use the run itself."
    if isinstance(model, Structured):
        return "A graph takes whole rows, but this model predicts a part of a row from the rest. Use the run itself."
    return None


@verb("export", group="Use", takes="nothing", answers="file", unfit=needs_whole_rows, steered=False, own_hand=True)
def export(
    run: Trained, *, to: str = "onnx", path: str | Path | None = None, batch: int | None = None, static: bool = False,
) -> Path:
    """Write graphs that run without torch: for onnxruntime, in eight bits, as a web page, or for phones.

    Every graph is checked against the run before anything is written; what cannot be exported is refused.

    Args:
        run: The run.
        to: ``onnx``, ``int8``, ``web``, ``executorch``, or ``diffusers`` (weights of the recipe autoencoder-kl).
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
