"""Verbs that hand a run on: pack, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ...core.errors import OutputError
from .files import refuse_existing
from .loading import run_for
from .options import Json, Overwrite, RunFolder, place
from .output import plain, reply


def pack(
    run: RunFolder,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help="A file *.zip; by default RUN.zip.", callback=place),
    ] = None,
    rows: Annotated[
        bool, Option("--rows/--no-rows", help="Also training rows that the run keeps to compare others with.")
    ] = True,
    checkpoint: Annotated[bool, Option("--checkpoint", help="Also the state of training, to resume it.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a run into one file, which every verb takes in place of a folder."""
    model = run_for("pack", run)
    if output is None and model.folder is None:
        raise OutputError(f"{str(run)!r} is no folder to write beside. Name a file: -o NAME.zip")
    target = output or Path(f"{run}.zip")
    refuse_existing(target, overwrite)
    made = model.pack(target, rows=rows, checkpoint=checkpoint)
    document = {"out": str(made), "bytes": made.stat().st_size, "rows": rows, "checkpoint": checkpoint}
    reply(
        as_json, document, f"The run is in {plain(made)}, {document['bytes']:,} bytes.",
        "[bold]Next[/]", f"  senzai info {plain(made)}",
    )


def push(
    run: RunFolder,
    name: Annotated[str, Argument(metavar="USER/NAME", help="Where to on the hub.", show_default=False)],
    public: Annotated[bool, Option("--public", help="A new repository can be read by everybody.")] = False,
    rows: Annotated[
        bool, Option("--rows/--no-rows", help="Also training rows that the run keeps to compare others with.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a run on the Hugging Face hub, with a card that has its measured numbers."""
    model = run_for("push", run)
    done = model.push(name, public=public, rows=rows)
    reply(
        as_json, {"run": str(run), **done}, f"The run is at {plain(done['url'])}",
        "[bold]Next[/]", f"  senzai info hf://{plain(name)}",
    )
