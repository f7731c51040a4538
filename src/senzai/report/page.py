"""The page: everything about a run, put together and laid out."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..core.files import write_text
from ..data import Dataset
from ..recipes import RECIPES
from ..training.trained import Trained
from . import diagnosed, headline, sections
from .blocks import Block, Cards, Charts, Section
from .findings import Findings, hold, measure
from .headline import Judged
from .judged import sections as judged_sections
from .numbers import number, plural
from .views import view_of


def write_report(run: Trained, dataset: Dataset | None, path: str | Path, *, seed: int = 0) -> Path:
    """Write the page to a file, atomically; see :func:`build_report`.

    Raises:
        OutputError: The file cannot be written.
    """
    target = Path(path)
    write_text(target, build_report(run, dataset, seed=seed))
    return target


def build_report(run: Trained, dataset: Dataset | None, *, seed: int = 0) -> str:
    """Return one HTML page about a run, complete in itself: it loads nothing.

    What was measured before (``run.metrics``, ``run.history``) is shown; what the pictures need is measured now, on at
    most 2000 rows. The page is the same for the same run, data and seed.

    Args:
        run: A trained run.
        dataset: Data to show: the training data (their test rows are used), or other data of the same kind. Without
            data there are no pictures of the model, and the page says so.
        seed: Seed of the rows and draws.
    """
    if run.spec.privacy is not None:
        dataset = None  # no real row is shown, and nothing is computed from one
    schema, scope = run.schema, view_of(run.schema).scope
    held = hold(dataset, schema, rows=scope.mapped, seed=seed) if dataset is not None and len(dataset) else None
    judged = headline.judged(run.model, run.metrics, held, schema, seed=seed)
    found = None
    if dataset is not None and held is not None:
        found = measure(
            run.model, dataset, schema, held, scope, rates=judged.rates, seed=seed, samplers=run.samplers
        )
    parts = all_sections(run, found, judged, dataset)
    recipe = RECIPES[run.spec.recipe]
    page: str = template().render(
        title="Untitled run" if run.folder is None else run.folder.resolve().name or "Run", version=run.spec.senzai,
        recipe=f"{recipe.name}: {recipe.title}", lede=lede(run), seed=seed, stats=headline.stats(judged),
        shares=headline.shares(judged), bar_words=bar_words(judged), measured=measured(judged), sections=parts,
        style=Markup(asset("style.css")), script=Markup(asset("page.js")),
        plotly=plotly() if any(draws(s.blocks) for s in parts) else "",
    )
    return page


def all_sections(run: Trained, found: Findings | None, judged: Judged, dataset: Dataset | None) -> list[Section]:
    """Return the sections in reading order."""
    view, parts = view_of(run.schema), [sections.learning(run.history)]
    if found is None:
        private = run.spec.privacy
        parts.append(sections.unseen(why_unseen(dataset)) if private is None else sections.privacy(private))
    else:
        parts += [*view.sections(found), sections.latent_map(found, view)]
        parts += [] if found.codes is None else [sections.rates(found, judged), *view.latent_sections(found)]
    fit = run.metrics.get("fit", {})
    folder = "path/to/this/run" if run.folder is None else str(run.folder)
    parts += [] if judged.here else [*view.judged(judged.numbers), *judged_sections(judged.numbers)]
    parts.append(diagnosed.section(run.metrics, run.history))
    infers = run.model.infers
    last = sections.use(folder, infers=infers, scores=infers or judged.get("log_likelihood") is not None)
    return [*parts, sections.decisions(run.schema), sections.settings(run.spec, fit), last]


def why_unseen(dataset: Dataset | None) -> str:
    """Say why a page shows no rows."""
    if dataset is None:
        return "The data were not at hand. With them the report shows reconstructions, samples and the latent space."
    return "The data have no rows."


def lede(run: Trained) -> Markup:
    """Return the data and the model in one sentence each."""
    schema, size = run.schema, sum(p.numel() for p in run.model.parameters())
    classes = "" if schema.label is None else f" in {plural(len(schema.label.classes), 'class', 'classes')}"
    return Markup("Trained on <strong>{}</strong>{}, read from {}. The model has {}.").format(
        view_of(schema).lede(schema), classes, run.spec.source, plural(size, "parameter")
    )


def draws(blocks: Sequence[Block]) -> bool:
    """Whether a chart is among blocks, so that the page needs Plotly's script."""
    inside = [c.blocks for b in blocks if isinstance(b, Cards) for c in b.cards]
    return any(isinstance(b, Charts) for b in blocks) or any(draws(inner) for inner in inside)


def bar_words(judged: Judged) -> Markup:
    """Return the equation that the bar shows."""
    elbo = judged.get("elbo")
    if elbo is None:
        return Markup("")
    text = Markup("<b>distortion + rate = {} nats</b>: the negative evidence lower bound.")
    return text.format(number(-elbo))


def measured(judged: Judged) -> Markup:
    """Return where the headline numbers come from."""
    if not judged.numbers:
        return Markup("Not evaluated yet: run <code>senzai evaluate RUN DATA</code>.")
    text = Markup("Measured on {}: {}. Errors are standard errors over rows.").format(judged.rows, judged.budget)
    text += "".join(f" {note}" for note in judged.numbers.get("notes", ()))
    if judged.here:
        text += Markup(" This is a first look, measured for this page; <code>senzai evaluate</code> measures more.")
    return text


@cache
def template() -> Any:
    """Return the page's template: everything that goes in is escaped, and nothing may be missing."""
    env = Environment(
        loader=PackageLoader("senzai.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    env.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "sort_keys": True}
    return env.get_template("template.html.j2")


def asset(name: str) -> str:
    """Return a file that lies beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@cache
def plotly() -> str:
    """Return the script that comes with Plotly, compressed to a third; the page unpacks it."""
    from plotly.offline import get_plotlyjs

    return b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
