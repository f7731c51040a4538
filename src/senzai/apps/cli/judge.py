"""Verbs that judge a run: evaluate, report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ...sharing.opening import need_folder
from .files import refuse_existing
from .loading import read_for, run_for
from .options import Factors, Json, Overwrite, OwnData, Reading, RunFolder, Seed, place
from .output import Document, plain, reply, table
from .settings import parse_set

if TYPE_CHECKING:
    from ...data import Dataset
    from ...runs import Run


def evaluate(
    run: RunFolder,
    data: OwnData = None,
    split: Annotated[
        str | None, Option("--split", help="train, validation, test or all; by default test, or all of other data.")
    ] = None,
    k: Annotated[int, Option("--k", min=1, help="Draws per row of the importance-weighted likelihood.")] = 500,
    rows: Annotated[int | None, Option("--rows", min=1, help="Use at most so many rows.")] = None,
    also: Annotated[
        str | None,
        Option("--also", metavar="NAMES", help="Measure these too: ais, bdmc, gaps, imputation, uncertainty; or all."),
    ] = None,
    only: Annotated[
        str | None, Option("--only", metavar="NAMES", help="Measure these and nothing else: probes,generation …")
    ] = None,
    features: Annotated[
        str,
        Option(
            "--features", metavar="NAMES",
            help="Compare samples in pca, random, entries, denoising, contrastive, classifier.",
        ),
    ] = "pca",
    against: Annotated[
        str | None, Option("--against", metavar="DATA", help="Other data, which should get higher anomaly scores.")
    ] = None,
    factors: Factors = None,
    anomaly: Annotated[
        str | None, Option("--anomaly", metavar="CLASS", help="The class whose rows are anomalies.")
    ] = None,
    shadows: Annotated[
        int, Option("--shadows", min=4, help="Runs to train for --also membership_shadows, an even number.")
    ] = 16,
    budget: Annotated[
        float | None, Option("--budget", metavar="SECONDS", min=0, help="Leave out measures that would take longer.")
    ] = None,
    settings: Reading = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure how good a model is on rows it was not trained on, in nats a row."""
    model = run_for("evaluate", run)
    found = model.evaluate(
        data_of(model, data, settings), split=split, k=k, rows=rows, seed=seed,
        only=None if only is None else names(only), also=names(also), features=names(features), against=against,
        factors=factors, anomaly=anomaly, shadows=shadows, budget=budget, announce=_announce,
    )
    asked = {*names(only), *names(also)}
    reply(as_json, found, *_measured(found, None if model.folder is None else run / "metrics.json", asked))


def names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas; ``all`` is every measure that trains nothing.

    Example:
        >>> names("ais, gaps"), names(None)
        (('ais', 'gaps'), ())
    """
    found = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if found == ("all",):
        from ...evaluation import MEASURES

        return tuple(name for name, found in MEASURES.items() if not found.trains)
    return found


def _announce(seconds: dict[str, float]) -> None:
    """Say on stderr beforehand how long it will take."""
    from .output import console

    whole = sum(seconds.values())
    most = [f"{name} {s:.0f} s" for name, s in sorted(seconds.items(), key=lambda i: -i[1]) if s >= 1]
    parts = f" ({', '.join(most)})" if len(most) > 1 else ""
    console(error=True).print(f"This takes about {max(1, round(whole))} s{parts}.", style="dim", markup=False)


def _latents(found: Document) -> dict[str, str]:
    """Say how the latents are used: codes, or real numbers."""
    from .describing import number

    if "code_perplexity" in found:
        return {
            "codes": f"perplexity {number(found['code_perplexity'])} of {found['n_codes']}, "
            f"{100 * found['codes_used']:.0f} % stand somewhere",
            "bits of codes": f"{number(found['code_bits'])}; {number(found['code_bits_uniform'])} if all were alike",
        }
    return {
        "active latents": f"{number(found['active_units'])} of {found['n_latent']}",
        "mutual information": f"{number(found['mutual_information'])} nats",
    }


def _not_measured(missed: dict[str, str], asked: set[str]) -> list[str]:
    """Return a line with the reason for each measure that was asked for, and one that names the others."""
    lines = [f"[dim]  not measured: {plain(name)}. {plain(why)}[/]" for name, why in missed.items() if name in asked]
    others = [plain(name) for name in missed if name not in asked]
    if others:
        lines.append(f"[dim]  not measured here: {', '.join(others)}. The report and --json say why.[/]")
    return lines


def _measured(found: Document, kept: Path | None, asked: set[str]) -> list[str]:
    from .describing import number

    facts: dict[str, object] = {"rows": f"{found['n']:,} ({found.get('split', 'all')})"}
    if "log_likelihood" in found:
        facts |= _base(found)
    facts |= {name: text for name, text in lines_of(found.get("measured") or {})}
    notes = found.get("notes") or []
    lines = [f"  {plain(n)}" for n in ([notes] if isinstance(notes, str) else notes)]
    missed = _not_measured(found.get("not_measured") or {}, asked)
    where = "Not kept, because the run is no folder" if kept is None else f"Kept in {plain(kept)}"
    return ["[bold]Measured[/], nats a row; a log density is better when higher", table(facts), *lines, *missed,
            f"[dim]{number(found['seconds'], 3)} s. {where}[/]"]


def _base(found: Document) -> dict[str, object]:
    from .describing import number

    error = found.get("log_likelihood_se")
    plus_minus = "" if error is None else f" ± {number(error, 2)} (standard error)"
    if "k" not in found:
        exact = ", exact" if found.get("exact") else ""
        return {
            "log p(x)": f"{number(found['log_likelihood'], 6)}{plus_minus}{exact}",
            "bits per dimension": number(found["bits_per_dim"]),
        }
    facts: dict[str, object] = {
        "log p(x)": f"{number(found['log_likelihood'], 6)}{plus_minus}, k = {found['k']}, "
        f"effective draws {number(found['ess'])}",
        "ELBO": f"{number(found['elbo'], 6)} = −(distortion {number(found['distortion'], 6)} + rate "
        f"{number(found['rate'], 6)})",
        "bits per dimension": number(found["bits_per_dim"]),
        **_latents(found),
    }
    if other := found.get("sampler"):
        facts[f"under the {other['name']}"] = (
            f"log p(x) {number(other['log_likelihood'], 6)}, ELBO {number(other['elbo'], 6)} (what is sampled)"
        )
    return facts


def lines_of(measured: Document) -> Iterator[tuple[str, str]]:
    """Yield name and text of every figure of the catalogue: value, error, and the floor of real rows beside it."""
    from ...evaluation.results import figures_of
    from .describing import number

    for measure, found in measured.items():
        floor = found.get("floor") or {}
        for name, figure in figures_of(found):
            value = figure.get("value")
            error = figure.get("se")
            text = number(value, 4) + ("" if error is None else f" ± {number(error, 2)}")
            beside = floor.get(name)
            yield f"{measure}: {name}", text + ("" if beside is None else f" (real rows: {number(beside['value'], 4)})")
        if "note" in found:
            yield measure, str(found["note"])


def report(
    run: RunFolder,
    data: OwnData = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="By default report.html in the run.", callback=place)
    ] = None,
    settings: Reading = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a report that opens in any browser: how training went, what the model learned, how good it is."""
    if output is not None:
        refuse_existing(output, overwrite)
    else:
        need_folder(run, to="keep a report in; name a file with -o, or make one")
    model = run_for("report", run)
    dataset = data_of(model, data, settings)
    from ...report import write_report

    path = write_report(model, dataset, output or run / "report.html")
    reply(as_json, {"out": str(path), "run": str(run), "rows": len(dataset)}, f"The report is in {plain(path)}")


def diagnose(
    run: RunFolder,
    data: OwnData = None,
    split: Annotated[
        str | None, Option("--split", help="train, validation, test or all; by default test, or all of other data.")
    ] = None,
    rows: Annotated[int, Option("--rows", min=30, help="Look at so many rows, at most.")] = 500,
    k: Annotated[int, Option("--k", min=2, help="Draws per row of the likelihood.")] = 64,
    factors: Factors = None,
    cure: Annotated[
        bool, Option("--cure", help="Train again with the first remedy, compare both runs, and name the better one.")
    ] = False,
    out: Annotated[
        Path | None,
        Option("--out", metavar="FOLDER", help="Folder of the cured run; by default RUN-cured.", callback=place),
    ] = None,
    settings: Reading = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a model: what was measured, why it is wrong, and which setting to change."""
    from .diagnosing import diagnosed, side_by_side

    model = run_for("diagnose", run)
    reading = parse_set(settings or [])
    source = model.source(data)
    options: dict[str, Any] = {"rows": rows, "k": k, "seed": seed, "factors": factors}
    found = model.diagnose(read_for(model, source, reading), split=split, **options)
    if not cure:
        reply(as_json, {"run": str(run), **found.document()}, *diagnosed(found.document()))
        return
    from ...runs import cure as again

    target = out or need_folder(run, to="write another beside it; name one with --out").with_name(f"{run.name}-cured")
    refuse_existing(target, False)
    second = again(model, source, out=target, before=found, reading=reading, **options)
    document = {"run": str(run), "cured": str(target), **second.document()}
    reply(as_json, document, *diagnosed(found.document()), *side_by_side(document))


def compare(
    runs: Annotated[list[Path], Argument(metavar="RUN RUN...", help="Runs on one data set.")],
    data: Annotated[
        str | None, Option("--data", metavar="DATA", help="Other data; by default held-out rows of their own.")
    ] = None,
    k: Annotated[int, Option("--k", min=1, help="Draws per row of the importance-weighted likelihood.")] = 100,
    rows: Annotated[int, Option("--rows", min=2, help="Use at most so many rows.")] = 2000,
    sampler: Annotated[
        str, Option("--sampler", help="Judge the density of the prior, or (auto) of what samples are drawn from.")
    ] = "prior",
    settings: Reading = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say which run is better: paired differences on the same held-out rows, with error bars."""
    from ...runs import compare as compare_runs
    from ...runs import load
    from .diagnosing import compared

    reading = parse_set(settings or [])
    found = compare_runs(
        [load(r) for r in runs], data, rows=rows, k=k, seed=seed, sampler=sampler, options=reading
    )
    reply(as_json, found.document(), *compared(found.document()))


def data_of(run: Run, data: str | None, settings: list[str] | None) -> Dataset:
    """Return the data that were given, else those the run was trained on, read as they are to be.

    Raises:
        InputError: They are not there any more.
    """
    return read_for(run, run.source(data), parse_set(settings or []))
