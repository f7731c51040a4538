"""The page: everything about a run, put together and laid out."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from torch import Tensor

from ..core.files import write_text
from ..data import Dataset, Schema
from ..models.base import latent_model
from ..models.generative import Generative, needs_inference
from ..recipes import RECIPES
from ..training.bundle import Spec
from ..training.samplers import Samplers
from . import diagnosed, headline, images, sections, table_ways, tables
from .blocks import Charts, Section
from .findings import Findings, hold, measure, rows_of
from .headline import Judged
from .judged import sections as judged_sections
from .numbers import number, plural


class RunLike(Protocol):
    """What a report needs to know about a run."""

    @property
    def spec(self) -> Spec:
        """What was trained, and on what."""

    @property
    def model(self) -> Generative:
        """The trained model."""

    @property
    def schema(self) -> Schema:
        """What the training data are."""

    @property
    def samplers(self) -> Samplers:
        """What its samples are drawn from."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Numbers measured so far: ``fit`` and ``evaluate``."""

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """Progress and validations of training."""

    @property
    def folder(self) -> Path | None:
        """Where the run is saved, if it is."""


def write_report(run: RunLike, dataset: Dataset | None, path: str | Path, *, seed: int = 0) -> Path:
    """Write the page to a file, atomically; see :func:`build_report`.

    Raises:
        OutputError: The file cannot be written.
    """
    target = Path(path)
    write_text(target, build_report(run, dataset, seed=seed))
    return target


def build_report(run: RunLike, dataset: Dataset | None, *, seed: int = 0) -> str:
    """Return one HTML page about a run, complete in itself: it loads nothing.

    What was measured before (``run.metrics``, ``run.history``) is shown; what the pictures need is measured now, on at
    most 2000 rows. The page is the same for the same run, data and seed.

    Args:
        run: A trained run.
        dataset: Data to show: the training data (their test rows are used), or other data of the same kind. Without
            data there are no pictures of the model, and the page says so.
        seed: Seed of the rows and draws.
    """
    schema = run.schema
    shows = run.model.infers and dataset is not None and len(dataset) and isinstance(dataset.batch([0]).x, Tensor)
    usable = dataset if shows else None
    held = None if usable is None else hold(usable, schema, rows=rows_of(schema), seed=seed)
    judged = headline.judged(run.model, run.metrics, held, schema, seed=seed)
    found = None
    if usable is not None and held is not None:
        model = latent_model(run.model)
        found = measure(model, usable, schema, held, rates=judged.rates, seed=seed, samplers=run.samplers)
    parts = all_sections(run, found, judged, dataset)
    recipe = RECIPES[run.spec.recipe]
    page: str = template().render(
        title="Untitled run" if run.folder is None else run.folder.resolve().name or "Run", version=run.spec.senzai,
        recipe=f"{recipe.name}: {recipe.title}", lede=lede(run), seed=seed, stats=headline.stats(judged),
        shares=headline.shares(judged), bar_words=bar_words(judged), measured=measured(judged), sections=parts,
        style=Markup(asset("style.css")), script=Markup(asset("page.js")),
        plotly=plotly() if any(isinstance(b, Charts) for s in parts for b in s.blocks) else "",
    )
    return page


def all_sections(run: RunLike, found: Findings | None, judged: Judged, dataset: Dataset | None) -> list[Section]:
    """Return the sections in reading order."""
    parts = [sections.learning(run.history)]
    if found is None:
        parts.append(sections.unseen(needs_inference(run.model) or why_unseen(dataset)))
    else:
        in_space = [sections.latent_map(found, run.schema, dataset), sections.rates(found, judged)]
        of_table = [] if dataset is None else tables.sections(found, run.schema, dataset, latent_model(run.model))
        if of_table:
            parts += [*of_table, *in_space, table_ways.traversals(found), table_ways.between(found)]
        else:
            see = sections.seen_as_pictures if images.is_pictures(run.schema) else sections.seen_as_columns
            reconstructions, samples, traversals, between = see(found, run.schema)
            parts += [reconstructions, samples, *in_space, traversals, between]
    fit = run.metrics.get("fit", {})
    folder = "path/to/this/run" if run.folder is None else str(run.folder)
    parts += [] if judged.here else judged_sections(judged.numbers)
    parts.append(diagnosed.section(run.metrics, run.history))
    return [*parts, sections.decisions(run.schema), sections.settings(run.spec, fit), sections.use(folder)]


def why_unseen(dataset: Dataset | None) -> str:
    """Say why a page shows no rows."""
    if dataset is None:
        return "The data were not at hand. Give them to see reconstructions, samples and the latent map."
    if not len(dataset):
        return "The data have no rows."
    return f"Rows of the kind {dataset.schema.kind!r} have no picture in a report yet."


def lede(run: RunLike) -> Markup:
    """Return the data and the model in one sentence each."""
    schema, size = run.schema, sum(p.numel() for p in run.model.parameters())
    shape = " × ".join(map(str, schema.event_shape))
    if images.is_pictures(schema):
        channels, height, width = schema.event_shape
        colours = {1: "grey", 3: "colour", 4: "transparent colour"}[channels]
        what = f"{plural(schema.n_rows, f'{colours} picture')} of {width} × {height} pixels"
    elif len(schema.event_shape) == 1:
        what = f"{plural(schema.n_rows, 'row')} of {plural(schema.event_shape[0], 'column')}"
    else:
        what = f"{plural(schema.n_rows, 'row')} of the shape {shape}"
    classes = "" if schema.label is None else f" in {plural(len(schema.label.classes), 'class', 'classes')}"
    return Markup("Learned from <strong>{}</strong>{}, read from {}. The model has {}.").format(
        what, classes, run.spec.source, plural(size, "parameter")
    )


def bar_words(judged: Judged) -> Markup:
    """Return the equation that the bar shows."""
    elbo = judged.get("elbo")
    if elbo is None:
        return Markup("")
    text = Markup("<b>distortion + rate = {} nats</b>: minus the evidence lower bound, what training makes small.")
    return text.format(number(-elbo))


def measured(judged: Judged) -> Markup:
    """Return where the headline numbers come from."""
    if not judged.numbers:
        return Markup("Not evaluated yet: run <code>senzai evaluate RUN DATA</code>.")
    text = Markup("Measured on {}: {}. Errors are standard errors over rows.").format(judged.rows, judged.budget)
    text += "".join(f" {note}" for note in judged.numbers.get("notes", ()))
    if judged.here:
        text += Markup(" This is a first look, taken for this page; <code>senzai evaluate</code> measures more.")
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
    """Return Plotly's own script, compressed to a third: the page unpacks it."""
    from plotly.offline import get_plotlyjs

    return b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
