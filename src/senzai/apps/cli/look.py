"""Commands that show and change nothing: info, recipes, kinds, verbs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from ...core.errors import SettingError
from .options import Json, Set
from .output import Document, plain, reply, table
from .settings import parse_set

if TYPE_CHECKING:
    from ...training.bundle import Spec

KNOWN_OF_MODELS = ("n_parameters", "graph", "graph_is", "verbs")


def info(
    target: Annotated[str, Argument(metavar="RUN|DATA", help="Folder of a run, or data.", show_default=False)],
    kind: Annotated[str | None, Option("--kind", help="Of data: name in `senzai kinds`; by default detected.")] = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Say what a run is, or what `fit` would make of data."""
    path = Path(os.path.expanduser(target))
    if any(os.path.exists(path / name) for name in ("spec.json", "weights.safetensors")) or _is_shared(target):
        if kind is not None:
            raise SettingError(f"Data have a kind to be named, but {target!r} is a run, which knows. Leave out --kind.")
        document, lines = _about_run(path)
    else:
        document, lines = _about_data(target, kind, settings or [])
    reply(as_json, document, *lines)


def _about_data(source: str, kind: str | None, settings: list[str]) -> tuple[Document, list[str]]:
    from ...data import describe, open_data
    from .describing import recognised

    dataset = open_data(source, kind=kind, options=parse_set(settings))
    about = {"what": "data", "source": source, **describe(dataset)}
    label = about["label"]
    named = [f"  [dim]label[/] {plain(label['name'])} with {len(label['classes'])} classes"] if label else []
    asked = [*(["--kind", kind] if kind else []), *(word for text in settings for word in ("--set", text))]
    fit = plain(shlex.join(["senzai", "fit", source, *asked, "--out", "runs/NAME"]))
    return about, [*recognised(dataset), *named, "[bold]Next[/]", f"  {fit}"]


def _is_shared(target: str) -> bool:
    """Whether a run is meant that is in an archive or on a hub; data may be in an archive too."""
    from ...sharing import hub_address

    return hub_address(target) is not None or _has_spec(target)


def _has_spec(target: str) -> bool:
    import zipfile

    if not target.lower().endswith(".zip") or not zipfile.is_zipfile(target):
        return False
    try:
        with zipfile.ZipFile(target) as archive:
            return any(name.rpartition("/")[2] == "spec.json" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _about_run(place: Path) -> tuple[Document, list[str]]:
    from ...sharing import at_hand

    with at_hand(place) as (folder, _):
        return _about_folder(folder, str(place))


def _about_folder(folder: Path, place: str) -> tuple[Document, list[str]]:
    from ...recipes import RECIPES
    from ...training import bundle
    from ...training.places import unfinished

    spec = bundle.read_spec(folder)
    finished = (folder / bundle.WEIGHTS).exists()
    document: Document = {
        "what": "run", "path": place, "state": "finished" if finished else "unfinished",
        "recipe": spec.recipe, "title": RECIPES[spec.recipe].title if spec.recipe in RECIPES else None,
        "settings": spec.settings, "training": spec.training.model_dump(mode="json"), "source": spec.source,
        "data": spec.data_schema, **(_loaded(folder) if finished else {"n_parameters": None, "verbs": None}),
        "metrics": bundle.read_metrics(folder), "step": _step(folder), "senzai": spec.senzai,
        "libraries": spec.libraries, "plugins": spec.plugins,
        "privacy": None if spec.privacy is None else spec.privacy.model_dump(mode="json"),
        "files": {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()},
    }
    if (new := unfinished(folder)) is not None:
        document["replacement"] = {"step": _step(new)}
    return document, _run_in_words(document, spec)


def _loaded(folder: Path) -> Document:
    """Return what is known of a run that was loaded: that weights and spec belong together, and what can be done."""
    from ...runs import load

    return {name: value for name, value in load(folder).info().items() if name in KNOWN_OF_MODELS}


def _step(folder: Path) -> int | None:
    from ...training import bundle
    from ...training.checkpoint import peek

    path = folder / bundle.CHECKPOINT
    return peek(path).step if path.is_file() else None


def _run_in_words(document: Document, spec: Spec) -> list[str]:
    from ...data import Schema
    from .describing import VALUES, likelihood, number

    data = Schema.model_validate(document["data"])
    facts: dict[str, object] = {
        "state": document["state"] + (f" at step {document['step']}" if document["step"] else ""),
        "recipe": f"{spec.recipe} ({document['title'] or 'not known to this version'})",
        "data": f"{data.n_rows:,} rows of the kind {data.kind}, each of shape {data.shape_words}, "
        f"{'; '.join(VALUES.get(f.support, f.support).format(f.n_levels) for f in data.fields.values())}",
        "source": spec.source, "likelihood": likelihood(spec),
        "settings": ", ".join(f"{k}={v}" for k, v in spec.settings.items()) or "all defaults",
    }
    if spec.privacy is not None:
        facts["privacy"] = spec.privacy.sentence()
    if document["n_parameters"] is not None:
        facts["parameters"] = f"{document['n_parameters']:,}"
    if "graph" in document:
        facts["graph"] = f"{document['graph']} ({document['graph_is']})"
    lines = [f"[bold]{plain(document['path'])}[/]", table(facts)]
    if spec.privacy is not None:
        lines += ["[bold]Ledger[/]", table({what: f"{how}: {why}" for what, how, why in spec.privacy.lines()})]
    for name, found in document["metrics"].items():
        shown = {k: number(v) for k, v in found.items() if isinstance(v, int | float)}
        lines += [f"[bold]{plain(name)}[/]", table(shown)]
    if document["verbs"] is not None:
        lines += _verbs_in_words(document["verbs"])
    if "replacement" in document:
        at = document["replacement"]["step"] or 0
        lines.append(f"A run that is to replace this one is unfinished, at step {at}.")
    if document["state"] == "unfinished" or "replacement" in document:
        lines += ["[bold]Next[/]", f"  senzai resume {plain(document['path'])}"]
    return [*lines, "[bold]Files[/]", table({k: f"{v:,} bytes" for k, v in document["files"].items()})]


def _verbs_in_words(verbs: dict[str, str | None]) -> list[str]:
    fit = [name for name, why in verbs.items() if why is None]
    others = [f"  [dim]{plain(name)}: {plain(why)}[/]" for name, why in verbs.items() if why is not None]
    return ["[bold]Verbs[/]", f"  {', '.join(fit)}", *(["[bold]Not for this run[/]", *others] if others else [])]


def recipes(
    name: Annotated[str | None, Argument(metavar="[NAME]", help="One recipe, in full.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List the named models, or say what one is made of: its paper, parts and settings."""
    from ...recipes import families

    if name is not None:
        _about_recipe(name, as_json)
        return
    found = families()
    width = max(len(r.name) for members in found.values() for r in members)
    lines = []
    for family, members in found.items():
        lines += ["", f"[bold]{plain(family)}[/]", *(f"  {r.name:<{width}}  [dim]{plain(r.title)}[/]" for r in members)]
    document = [
        {"name": r.name, "title": r.title, "paper": r.paper, "family": family}
        for family, members in found.items() for r in members
    ]
    reply(as_json, {"recipes": document}, *lines[1:], "", "[dim]More about one:[/] senzai recipes NAME")


def _about_recipe(name: str, as_json: bool) -> None:
    from ...recipes import about

    found = about(name)
    document: Document = {
        "name": name, "title": found.recipe.title, "paper": found.recipe.paper, "family": found.family,
        "parts": found.parts, "settings": found.settings,
    }
    shown = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in found.settings.items()}
    title, paper = plain(found.recipe.title), plain(found.recipe.paper)
    reply(
        as_json, document, f"[bold]{name}[/]", f"  {title}", f"  [dim]{paper}[/]",
        "[bold]Parts[/]", table(found.parts), "[bold]Settings and their defaults[/] [dim](--set name=value)[/]",
        table(shown),
        "[bold]Next[/]", f"  senzai fit DATA --out runs/NAME --recipe {name}",
    )


def kinds(as_json: Json = False) -> None:
    """List the kinds of data, and what can be set about each."""
    from ...data import KINDS

    document: Document = {"kinds": []}
    lines = []
    for name in sorted(KINDS):
        kind = KINDS[name]
        options = {k: f.get_default(call_default_factory=False) for k, f in kind.options.model_fields.items()}
        document["kinds"].append(
            {"name": name, "title": kind.title, "suffixes": list(kind.suffixes), "options": options}
        )
        lines.append(f"[bold]{name}[/]\n  {plain(kind.title)}\n  [dim]files {' '.join(kind.suffixes)}[/]")
        lines.append(f"  [dim]options {plain(', '.join(f'{k}={v}' for k, v in options.items()))}[/]")
    reply(as_json, document, *lines)


def verbs(as_json: Json = False) -> None:
    """List what can be done with a run, verbs that other packages register among it."""
    from ...runs.verbs.registry import every_verb

    found = every_verb()
    document = [
        {"name": v.name, "group": v.group, "summary": v.summary, "takes": v.takes, "answers": v.answers,
         "settings": {p.name: None if p.default is p.empty else p.default for p in v.parameters}, "package": v.package}
        for v in found.values()
    ]
    width, lines = max(map(len, found)), []
    for group in dict.fromkeys(v.group for v in found.values()):
        lines += ["", f"[bold]{plain(group)}[/]"]
        for v in (v for v in found.values() if v.group == group):
            foreign = "" if v.package == "senzai" else f" ({v.package})"
            lines.append(f"  {v.name:<{width}}  [dim]{plain(v.summary)}{plain(foreign)}[/]")
    reply(as_json, {"verbs": document}, *lines[1:], "", "[dim]Which of them fit a run:[/] senzai info RUN")
