"""The folder that an export is: graphs, the description of rows, and the table of what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.errors import SettingError
from ..core.files import replacing_folder
from ..core.plugins import version_of
from ..core.registry import suggestion
from ..data import KINDS
from ..data.sources import is_at_hand
from ..models.generative import Generative
from ..models.verbs import encode
from ..nn.kl_folder import write_folder
from ..runtime.model import FORMAT
from ..training.trained import Trained
from .examples import example_of
from .files import told_of, write_graphs
from .parts import Parts, Report, parts_of

Held = Mapping[str, list[float]]
SCALED_BY = 500
"""Training rows whose codes say how diffusion models scale them."""
FORMATS = ("onnx", "int8", "web", "executorch", "diffusers")


def export(
    run: Trained, path: Path, *, to: str = "onnx", batch: int | None = None, static: bool = False,
    held: Held | None = None, timed: bool = True, report: Report | None = None,
) -> Path:
    """Write an export of a run into a new folder; nothing is written unless every graph says what the run says.

    Args:
        run: The run.
        path: The folder, which must not be there.
        to: ``onnx``, ``int8``, ``web``, ``executorch``, or ``diffusers`` (weights of the recipe autoencoder-kl).
        batch: The one batch size of the graphs; any by default.
        static: For ``int8``: quantise what flows between layers by what it was for example rows, too.
        held: Scores of held-out rows by method, that new ones are compared with.
        timed: Measure how long graphs and run take.
        report: Told what is being done.

    Raises:
        CombinationError: The run cannot be exported; the message says why.
        SettingError: There is no such format, or no such batch size.
        MissingExtraError: The packages of the extra ``export`` are not there.
        OutputError: The folder is there, or cannot be written.
    """
    if to not in FORMATS:
        raise SettingError(f"Exports are {', '.join(FORMATS)}, but got {to!r}.{suggestion(to, list(FORMATS))}")
    if batch is not None and batch < 1:
        raise SettingError(f"`batch >= 1` must hold, but got batch={batch!r}. Leave it out for any number of rows.")
    if to == "diffusers":
        write_folder(run.model, path, scaling=code_scaling(run))
        return path
    if to == "web":
        from .web import need_runtime

        need_runtime()  # before minutes of work
    processing = KINDS[run.schema.kind].processing(run.schema)
    model: Generative = run.model
    if to == "executorch":
        from .edge import write_edge

        example = example_of(model, run.schema, processing)
        with replacing_folder(path) as tmp:
            write_edge(tmp, model, example, _about(run, processing, batch or 1))
        return path
    example = example_of(model, run.schema, processing)
    made = parts_of(
        model, example, sampled=run.samplers.apply_to(model), fixed=batch, timed=timed, draws=to != "web",
        scores=to == "onnx", report=report,
    )
    manifest = _about(run, processing, batch) | _of_parts(made, model) | {"held": dict(held or {})}
    with replacing_folder(path) as tmp:
        if to == "int8":
            from .int8 import write_int8

            write_int8(tmp, made, manifest, static=static)
        elif to == "web":
            from .web import write_web

            write_web(tmp, made, manifest)
        else:
            write_graphs(tmp, made, manifest)
    return path


def code_scaling(run: Trained) -> float:
    """Return one over the spread of the codes of some training rows; 1 where these are not at hand."""
    if not is_at_hand(run.spec.source):
        return 1.0
    dataset = run.dataset(run.source(None))
    (codes,) = encode(run.model, dataset.batch(run.part(dataset, "train")[:SCALED_BY]))
    return 1 / max(float(codes.std()), 1e-6)


def _about(run: Trained, processing: Mapping[str, Any], batch: int | None) -> dict[str, Any]:
    return {
        "format": FORMAT, "senzai": version_of("senzai"), "torch": torch.__version__, "recipe": run.spec.recipe,
        "shows": KINDS[run.schema.kind].shows, "batch": batch, "rows": dict(processing),
    }


def _of_parts(made: Parts, model: Generative) -> dict[str, Any]:
    graphs = {name: told_of(part) for name, part in made.parts.items()}
    if "prior" in graphs:
        graphs["prior"]["temperature"] = _has_temperature(model)
    return {
        "graphs": graphs, "missing": dict(made.missing),
        "checked": [part.checked.document() for part in made.parts.values()],
    }


def _has_temperature(model: Generative) -> bool:
    try:
        model.check_temperature(0.5)
    except ValueError:
        return False
    return True
