"""The command that measures families of models on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from .options import Data, Json, Overwrite, Quiet, place
from .output import plain, reply, say

PAGE, NUMBERS = "families.html", "families.json"


def families(
    data: Data,
    out: Annotated[Path, Option("--out", "-o", metavar="FOLDER", help="Where page and numbers go.", callback=place)],
    minutes: Annotated[float, Option("--minutes", help="Time for everything together.")] = 10.0,
    seeds: Annotated[int, Option("--seeds", min=1, help="Runs of each family.")] = 3,
    only: Annotated[str | None, Option("--only", metavar="NAMES", help="Some families, with commas.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train VAE, GAN, autoencoder, flow and diffusion for equal seconds on your data, and measure six aspects."""
    from ...core.files import write_json
    from ...report.families_page import write_families
    from ...runs.families import compare_families
    from .files import refuse_existing

    for name in (PAGE, NUMBERS) if out.is_dir() else ():
        refuse_existing(out / name, overwrite)
    names = tuple(part.strip() for part in (only or "").split(",") if part.strip())
    found = compare_families(
        data, minutes=minutes, seeds=seeds, only=names,
        announce=lambda said: None if quiet or as_json else say(plain(said)),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / NUMBERS, found)
    write_families(found, str(data), out / PAGE)
    lines = [f"{one['claim']} {'It holds' if one['holds'] else 'It does not hold'} here: {one['because']}."
             for one in found["words"]]
    document = {"out": str(out), **found}
    reply(as_json, document, *(plain(line) for line in lines), f"The table: {plain(out / PAGE)}")
