"""Verbs that judge a run: evaluate, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from .files import refuse_existing
from .options import Json, Overwrite, OwnData, RunFolder, Seed
from .output import Document, plain, reply, table

if TYPE_CHECKING:
    from ...face import Run


def evaluate(
    run: RunFolder,
    data: OwnData = None,
    split: Annotated[
        str | None, Option("--split", help="train, validation, test or all; by default test, or all of other data.")
    ] = None,
    k: Annotated[int, Option("--k", min=1, help="Draws per row of the importance-weighted likelihood.")] = 500,
    rows: Annotated[int | None, Option("--rows", min=1, help="Use at most so many rows.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure how good a model is on rows it was not trained on, in nats a row."""
    from ...face import load

    model = load(run)
    found = model.evaluate(source_of(model, data), split=split, k=k, rows=rows, seed=seed)
    reply(as_json, found, *_measured(found, run))


def _measured(found: Document, run: Path) -> list[str]:
    from .describing import number

    error = found.get("log_likelihood_se")
    plus_minus = "" if error is None else f" ± {number(error, 2)} (standard error)"
    facts: dict[str, object] = {
        "rows": f"{found['n']:,} ({found.get('split', 'all')})",
        "log p(x)": f"{number(found['log_likelihood'], 6)}{plus_minus}, k = {found['k']}, "
        f"effective draws {number(found['ess'])}",
        "ELBO": f"{number(found['elbo'], 6)} = −(distortion {number(found['distortion'], 6)} + rate "
        f"{number(found['rate'], 6)})",
        "bits per dimension": number(found["bits_per_dim"]),
        "active latents": f"{number(found['active_units'])} of {found['n_latent']}",
        "mutual information": f"{number(found['mutual_information'])} nats",
    }
    if other := found.get("sampler"):
        facts[f"under the {other['name']}"] = (
            f"log p(x) {number(other['log_likelihood'], 6)}, ELBO {number(other['elbo'], 6)} (what is sampled)"
        )
    notes = found.get("notes") or []
    lines = [f"  {plain(n)}" for n in ([notes] if isinstance(notes, str) else notes)]
    return ["[bold]Measured[/], nats a row; a log density is better when higher", table(facts), *lines,
            f"[dim]Kept in {plain(run / 'metrics.json')}[/]"]


def report(
    run: RunFolder,
    data: OwnData = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="By default report.html in the run.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a report that opens in any browser: how training went, what the model learned, how good it is."""
    from ...face import load

    if output is not None:
        refuse_existing(output, overwrite)
    model = load(run)
    dataset = model.dataset(source_of(model, data))
    from ...report import write_report

    path = write_report(model, dataset, output or run / "report.html")
    reply(as_json, {"out": str(path), "run": str(run), "rows": len(dataset)}, f"The report is in {plain(path)}")


def source_of(run: Run, data: str | None) -> str:
    """Return the data that were given, else those the run was trained on.

    Raises:
        InputError: They are not there any more.
    """
    from ...core.errors import InputError
    from ...data.sources import is_built_in

    source = data or run.spec.source
    if data is None and not Path(source).exists() and not is_built_in(source):
        raise InputError(f"The run was trained on {source!r}, which is not here. Give the data after the run.")
    return source
