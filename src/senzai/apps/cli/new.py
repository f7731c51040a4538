"""The verb that begins a package of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ..scaffold import TEMPLATES, write_package
from .options import Json, place
from .output import plain, reply


def new(
    what: Annotated[str, Argument(metavar="|".join(TEMPLATES), help="What it adds to senzai.", show_default=False)],
    name: Annotated[str, Argument(metavar="NAME", help="What that is to be called.", show_default=False)],
    out: Annotated[
        Path | None, Option("--out", metavar="FOLDER", help="A new folder; by default senzai-NAME.", callback=place)
    ] = None,
    as_json: Json = False,
) -> None:
    """Begin a package of your own: a part, a recipe, a kind of data or a verb, small, installable and tested."""
    folder = write_package(what, name, out)
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    where = plain(str(folder))
    reply(
        as_json, {"what": what, "name": name, "folder": str(folder), "files": found},
        f"[bold]{where}[/]", *(f"  {plain(file)}" for file in found),
        "[bold]Next[/]", f"  pip install -e '{where}[dev]'".replace("[dev]", "\\[dev]"), f"  pytest {where}",
    )
