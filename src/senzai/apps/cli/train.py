"""Verbs that train: fit, resume, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from ...core.errors import SettingError
from ...core.files import user_path
from .options import (
    Data,
    Json,
    NewRun,
    NoReport,
    Overwrite,
    Private,
    PublicSchema,
    Quiet,
    RunFolder,
    Set,
    Track,
    place,
)
from .output import Document, console, plain, reply, say, table, warn
from .settings import parse_set, private_settings, read_config

if TYPE_CHECKING:
    from ...data import Dataset
    from ...runs import Run
    from ...training.bundle import Spec


def fit(
    data: Data,
    out: NewRun = None,
    recipe: Annotated[str | None, Option("--recipe", help="Name in `senzai recipes`; by default by the data.")] = None,
    kind: Annotated[str | None, Option("--kind", help="Name in `senzai kinds`; by default detected.")] = None,
    settings: Set = None,
    config: Annotated[
        Path | None, Option("--config", metavar="FILE.toml", help="Settings from a file.", callback=place)
    ] = None,
    condition: Annotated[
        str | None, Option("--condition", metavar="NAMES", help="What to generate by: columns, or `label`.")
    ] = None,
    devices: Annotated[int, Option("--devices", min=1, help="Processes to train with, one per device.")] = 1,
    private: Private = None,
    schema: PublicSchema = None,
    restarts: Annotated[
        int, Option("--restarts", min=0, help="How often devices start again, from the last checkpoint, after a kill.")
    ] = 0,
    skip_bad: Annotated[bool, Option("--skip-bad", help="Leave out, and count, unreadable files.")] = False,
    overwrite: Overwrite = False,
    tensorboard: Annotated[bool, Option("--tensorboard", help="The same as --track tensorboard.")] = False,
    track: Track = None,
    no_report: NoReport = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model on a file, a folder or a built-in data set; the run is a folder."""
    top, chosen = read_config(config) if config else ({}, {})
    chosen |= parse_set(settings or [])
    if skip_bad:
        chosen["skip_bad"] = True
    if condition:
        chosen["condition"] = condition
    chosen |= private_settings(private or [])
    if schema is not None:
        chosen["public"] = str(schema)
    folder = out or (user_path(top["out"], output=True) if "out" in top else None)
    if folder is None:
        raise SettingError("A run needs a folder to be kept in. Name one: --out runs/NAME")
    from ... import runs
    from ...models.causal import told
    from ...training.comms import is_main

    teller = _Teller(silent=quiet or as_json or not is_main())

    run = runs.fit(
        data, recipe=recipe or top.get("recipe"), out=folder, kind=kind or top.get("kind"), settings=chosen,
        overwrite=overwrite, progress=False if quiet else None, tensorboard=tensorboard,
        track=track or (), devices=devices, restarts=restarts, announce=teller.hear,
    )
    if not is_main():  # the first of the processes that torchrun started says it
        return
    if teller.dataset is None:  # other processes trained
        teller.hear(run.dataset(data), run.spec)
    report = None if no_report else write_report(run, teller.dataset, folder / "report.html")
    document = {**run.metrics["fit"], **told(run.model), "report": report}
    say_sampler(document, quiet=quiet)
    reply(as_json, document, *trained(document, data))


class _Teller:
    """Keeps what ``fit`` understood, and says it before training."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.dataset: Dataset | None = None

    def hear(self, dataset: Dataset, spec: Spec) -> None:
        from .describing import recognised

        self.dataset = dataset
        if not self.silent:
            for line in recognised(dataset, spec):
                say(line)


def resume(
    run: RunFolder,
    data: Annotated[str | None, Option("--data", help="The same data, where they are somewhere else now.")] = None,
    settings: Set = None,
    track: Track = None,
    no_report: NoReport = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped, or train a finished one for longer."""
    more = parse_set(settings or [])
    from ... import runs
    from ...models.causal import told
    from ...sharing.opening import need_folder

    need_folder(run, to="train in")
    from ...training.comms import is_main

    done = runs.resume(run, data=data, progress=False if quiet else None, track=track or (), **more)
    if not is_main():
        return
    source = data or done.spec.source
    report = None if no_report else write_report(done, done.dataset(source), run / "report.html")
    document = {**done.metrics["fit"], **told(done.model), "report": report}
    say_sampler(document, quiet=quiet)
    reply(as_json, document, *trained(document, source))


def demo(
    out: Annotated[
        Path | None, Option("--out", metavar="RUN", help="A new folder; by default runs/demo.", callback=place)
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train, judge and report on handwritten digits, offline, in about a minute."""
    from .. import demo as show

    if not quiet:
        console(error=True).print("Training on handwritten digits; this takes about half a minute ...")
    found = show.run(out, progress=False if quiet else None)
    reply(as_json, found, *(plain(line) for line in show.told(found)))


def write_report(run: Run, dataset: Any, path: Path) -> str | None:
    """Write the report of a run; a report that cannot be made is a warning, because the run is whole without it."""
    try:
        from ...report import write_report as write

        return str(write(run, dataset, path))
    except Exception as err:
        warn(
            f"The run is complete, but its report could not be written: {type(err).__name__}: {err}. "
            f"Try again with: senzai report {path.parent}"
        )
        return None


def say_sampler(document: Document, *, quiet: bool) -> None:
    """Say on stderr what samples are drawn from, and why."""
    if not quiet and "sampler" in document:
        console(error=True).print(document["sampler"]["why"], markup=False)


def trained(document: Document, data: str) -> list[str]:
    """Return what to say after training."""
    from ...data.addresses import without_password

    out = document["out"]
    best = {k: v for k, v in document.items() if k.startswith("validation_") and v is not None}
    facts = {
        "took": f"{document['seconds']:.1f} s, {document['steps']:,} steps, {document['epochs']:.1f} epochs, "
        f"{document['samples_per_second']:,.0f} rows/s",
    }
    for name, value in best.items():
        unit = " nats a row" if name in ("validation_elbo", "validation_log_likelihood") else ""
        what = name.replace("elbo", "ELBO").replace("_", " ")
        facts[what] = f"{value:.2f}{unit}, best at step {document['best_step']:,}"
    if document.get("epsilon") is not None:
        facts["privacy"] = f"epsilon {document['epsilon']:.3g}, delta {document['delta']:.3g} for one row; see `info`"
    if document.get("control"):
        from ...runs.training.controls import words

        facts |= words(document["control"])
    if "graph" in document:
        facts["graph"] = f"{document['graph']} ({document['graph_is']})"
    facts["run"] = str(out)
    if document.get("report"):
        facts["report"] = str(document["report"])
    where, source = plain(out), plain(without_password(data))
    from ...data import KINDS

    new = f"new{KINDS[document['kind']].suffix}"
    return [
        "[bold]Trained[/]", table(facts), "[bold]Next[/]",
        f"  senzai evaluate {where} {source}", f"  senzai sample {where} -n 100 -o {new}",
    ]
