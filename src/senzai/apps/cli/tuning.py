"""The command that searches settings: tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from ...core.errors import SettingError
from .options import Data, Json, Quiet, Seed, Set, place
from .output import console, plain, reply, table
from .settings import KEY, parse_set, parse_value


def tune(
    data: Data,
    out: Annotated[Path, Option("--out", metavar="FOLDER", help="Folder of the study, new or old.", callback=place)],
    trials: Annotated[int, Option("--trials", min=1, help="How many runs in all.")] = 50,
    recipe: Annotated[str | None, Option("--recipe", help="Name in `senzai recipes`; by default by the data.")] = None,
    kind: Annotated[str | None, Option("--kind", help="Name in `senzai kinds`; by default detected.")] = None,
    space: Annotated[
        list[str] | None,
        Option("--space", metavar="NAME=RANGE", help="LOW..HIGH, LOW..HIGH:log or A|B|C; by default by the recipe."),
    ] = None,
    measure: Annotated[
        str, Option("--measure", help="log_likelihood, elbo, or MEASURE.FIGURE of `senzai evaluate`.")
    ] = "log_likelihood",
    maximise: Annotated[
        bool | None, Option("--maximise/--minimise", help="Whether more of the measure is better.")
    ] = None,
    processes: Annotated[int, Option("--processes", min=1, help="How many work at once.")] = 1,
    seconds: Annotated[float | None, Option("--seconds", min=0, help="Begin no run after so long.")] = None,
    storage: Annotated[
        str | None, Option("--storage", help="A database for the trials, such as sqlite:///study.db.")
    ] = None,
    settings: Set = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search for the settings with which a recipe does best on validation rows; the best run is kept."""
    from ...tuning import tune as search

    err = console(error=True)

    def hear(number: int, state: str, value: float | None) -> None:
        told = state if value is None else f"{measure} {value:.5g}"
        if not quiet:
            err.print(f"trial {number}: {told}", style="dim", markup=False)

    found = search(
        data, out=out, trials=trials, recipe=recipe, kind=kind, space=parse_space(space), measure=measure,
        maximise=maximise, processes=processes, seconds=seconds, storage=storage, seed=seed,
        settings=parse_set(settings or []), announce=hear,
    )
    document = found.document()
    facts: dict[str, object] = {measure: f"{found.value:.6g} on validation rows (trial {found.number})"}
    if found.default is not None:
        facts["with defaults"] = f"{found.default:.6g}"
    facts |= {"settings": ", ".join(f"{k}={v}" for k, v in found.settings.items())}
    most = sorted(found.importance.items(), key=lambda item: -item[1])[:3]
    facts |= {"what mattered": ", ".join(f"{k} {100 * v:.0f} %" for k, v in most) or "too few trials to say"}
    facts |= {"run": document["best"], "report": document["report"]}
    reply(
        as_json, document, f"[bold]Tuned[/], {len(found.trials)} trials", table(facts),
        "[bold]Next[/]", f"  senzai evaluate {plain(document['best'])} {plain(data)}",
    )


def parse_space(given: Sequence[str] | None) -> dict[str, Any] | None:
    """Return ranges as they were typed; ``None`` where none was.

    Raises:
        SettingError: One is no range.

    Example:
        >>> parse_space(["lr=1e-4..0.01:log", "n_latent=2..32", "hidden=64,64|128,128"])
        {'lr': (0.0001, 0.01, 'log'), 'n_latent': (2, 32), 'hidden': [[64, 64], [128, 128]]}
    """
    if not given:
        return None
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value or not KEY.fullmatch(name):
            raise SettingError(f"--space is written NAME=RANGE, but got {text!r}. Write --space n_latent=2..32.")
        found[name] = _range(value)
    return found


def _range(text: str) -> Any:
    low, dots, high = text.partition("..")
    if not dots:
        return [parse_value(part.strip()) for part in text.split("|")]
    high, colon, log = high.partition(":")
    return (parse_value(low), parse_value(high), *((log,) if colon else ()))
