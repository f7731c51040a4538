"""The command that begins a public schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Option

from .files import refuse_existing
from .options import Data, Json, Overwrite, Set, place
from .output import plain, reply
from .settings import parse_set


def schema(
    data: Data,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE.json", help="Where to.", callback=place)
    ] = None,
    settings: Set = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Begin a public schema of a table, for private training: a template from the names of its columns alone."""
    from ...core.files import write_text
    from ...data import public_template

    target = output or Path("schema.json")
    refuse_existing(target, overwrite)
    found = public_template(data, parse_set(settings or []))
    write_text(target, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    where = plain(target)
    reply(
        as_json, {"out": str(target), "columns": [c["name"] for c in found["columns"]]},
        f"{where} names {len(found['columns'])} columns; fill in what is known of them without the data.",
        "[bold]Next[/]", f"  senzai fit {plain(data)} --private epsilon=3 --schema {where} --out runs/NAME",
    )
