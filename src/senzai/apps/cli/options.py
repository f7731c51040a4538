"""Arguments and options that several verbs share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from typer import Argument, Option

from ...core.files import user_path


def place(value: Path | None) -> Path | None:
    """Return a path as the user means it, or refuse it before anything is done."""
    return None if value is None else user_path(value)


RunFolder: TypeAlias = Annotated[
    Path, Argument(metavar="RUN", help="Folder of a run, a packed run (run.zip), or hf://user/name.", callback=place)
]
Data: TypeAlias = Annotated[
    str, Argument(metavar="DATA", help="File, folder or built-in name (`digits`).", show_default=False)
]
OwnData: TypeAlias = Annotated[
    str | None,
    Argument(metavar="DATA", help="File, folder or built-in name; by default the run's own.", show_default=False),
]
Json: TypeAlias = Annotated[bool, Option("--json", help="Print one JSON document on stdout and nothing else there.")]
File: TypeAlias = Annotated[
    Path, Option("--output", "-o", metavar="FILE", help="Where to; the suffix says how.", callback=place)
]
NewRun: TypeAlias = Annotated[
    Path | None, Option("--out", metavar="RUN", help="A new folder for the run.", callback=place)
]
Factors: TypeAlias = Annotated[
    Path | None,
    Option("--factors", metavar="FILE", help="Known factors, a row of numbers for each row of data.", callback=place),
]
Overwrite: TypeAlias = Annotated[bool, Option("--overwrite", help="Replace what is there already.")]
Quiet: TypeAlias = Annotated[bool, Option("--quiet", "-q", help="No progress bar, no explanations.")]
NoReport: TypeAlias = Annotated[bool, Option("--no-report", help="Do not write report.html at the end.")]
Set: TypeAlias = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="A setting, such as lr=0.01 or hidden=300,300; repeat for more."),
]
Private: TypeAlias = Annotated[
    list[str] | None,
    Option("--private", metavar="KEY=VALUE",
           help="Train with differential privacy: epsilon=3, also delta, clip, accountant, schema_share; repeatable."),
]
PublicSchema: TypeAlias = Annotated[
    Path | None,
    Option("--schema", metavar="FILE.json", callback=place,
           help="What is known of a table without its values, for --private; see `senzai schema`."),
]
Track: TypeAlias = Annotated[
    list[str] | None,
    Option("--track", metavar="NAME", help="Also write for tensorboard, mlflow or wandb; repeat for more."),
]
Reading: TypeAlias = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="How the data are read, such as sheet=2020; else as `fit` read."),
]
Given: TypeAlias = Annotated[
    list[str] | None, Option("--given", metavar="NAME=VALUE", help="A value to condition on; repeat for more.")
]
Decoding: TypeAlias = Annotated[
    list[str] | None,
    Option("--decoding", metavar="NAME=VALUE", help="How symbols are chosen: temperature, top_p, beam; repeatable."),
]
PointSeed: TypeAlias = Annotated[
    int | None, Option("--seed", min=0, help="Draw with this seed instead of giving the model's best single answer.")
]
Seed: TypeAlias = Annotated[int, Option("--seed", min=0, help="Seed of the draws.")]
