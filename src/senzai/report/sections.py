"""The sections that every run has, whatever its data are: what is said, and what is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..data import Schema
from ..training.bundle import Spec
from ..training.privacy import Privacy
from . import colouring, figures
from .blocks import Block, Charts, Code, Colouring, Empty, Listing, Section, TableBlock
from .findings import Findings, label_names
from .headline import Judged
from .numbers import count, number, plural, short, shown
from .views import View

ACTIVE = 0.01


def learning(history: Sequence[Mapping[str, Any]]) -> Section:
    """Return the terms of the loss over the steps of training."""
    charts = figures.learning(history)
    blocks: list[Block] = [Charts(charts, 260)]
    words = ["Thin lines: training batches. Thick lines: validation rows, which the model is not trained on."]
    if any(h.get("kind") == "validation" and h.get("best") for h in history):
        words.append("The dotted line marks the step with the best validation loss, whose weights were kept.")
    recovered = sum(h.get("kind") == "recovered" for h in history)
    if recovered:
        words.append(f"{plural(recovered, 'red line')}: the loss was not finite, and the last good state was restored.")
    if not charts:
        words, blocks = [], [Empty("No learning curve was recorded. Runs with a folder (out=…) record one.")]
    return Section("learning", "Training", words, blocks)


# --- the latent space -------------------------------------------------------------------------------------------------
def latent_map(found: Findings, view: View) -> Section:
    """Return where rows lie, coloured by label or distortion, or by whatever the view of their kind knows of them."""
    schema, codes = found.schema, found.codes
    if codes is None:
        return Section("map", "Latent space", [], [Empty(found.missing["codes"])])
    names = label_names(found.mapped, schema)
    xy, first, second, how = figures.project(codes)
    known = view.colourings(found)
    by_column: tuple[Colouring, ...] = ()
    if known:
        by_column = colouring.offered([*colouring.by_label(found.mapped, schema), *known], xy, codes.distortion)
    chart = figures.latent_map(
        codes, xy, (first, second), names, found.mapped.index.tolist(), view.thumbnails(found), by_column
    )
    of = "" if found.mapped.total == len(xy) else f" of {count(found.mapped.total)}"
    words = [f"Posterior means of {count(len(xy))}{of} {found.mapped.name}.", how]
    words += [choice_words(len(known), codes.distortion is not None)] if by_column else colour_words(found, names)
    return Section("map", "Latent space", words, [Charts([chart], 500)])


def colour_words(found: Findings, names: Sequence[Any] | None) -> list[str]:
    """Say what the points of the map are coloured by."""
    assert found.codes is not None
    if names is None or found.schema.label is None:
        return [] if found.codes.distortion is None else ["Coloured by distortion (one draw a row)."]
    words = [f"Coloured by “{short(found.schema.label.name)}”."]
    if len(set(names)) > figures.CLASSES:
        words.append(f"The {figures.CLASSES} largest classes have a colour each, the others share one.")
    return words


def choice_words(n: int, costs: bool) -> str:
    """Say what the map can be coloured by."""
    or_cost = ", or the distortion of a row (one draw)" if costs else ""
    some = f"the {colouring.MOST} of {count(n)} columns that it separates best" if n > colouring.MOST else "any column"
    return (f"The menu above the map chooses what it is coloured by: {some}{or_cost}. At first it is the column that "
            "the map separates best. Missing values are grey.")


def rates(found: Findings, judged: Judged) -> Section:
    """Return how the rate is divided among the latents."""
    title, codes = "Rate per latent dimension", found.codes
    if codes is None:
        return Section("rates", title, [], [Empty(found.missing["codes"])])
    if codes.rates is None:
        why = "Posterior or prior are not independent over latent dimensions, so the rate is no sum over them."
        return Section("rates", title, [], [Empty(why)])
    given = judged.rates is not None and len(judged.rates) == len(codes.names)
    rows = plural(int(judged.get("n") or 0) if given else len(codes.points), "row")
    active = codes.variances > ACTIVE
    words = [
        f"KL from the prior to the posterior, mean over {rows}: {number(float(codes.rates.sum()))} nats in total.",
        f"Dark bars are active units: over {plural(codes.varied, 'row')} the variance of their posterior mean is above "
        f"{ACTIVE} ({int(active.sum())} of {len(active)}).",
        "" if active.all() else "Pale bars are collapsed to the prior and carry almost no information.",
    ]
    chart = figures.rate_bars(codes.rates, codes.names, active.tolist())
    return Section("rates", title, words, [Charts([chart], 500)])


# --- data and settings --------------------------------------------------------------------------------------------
def decisions(schema: Schema) -> Section:
    """Return what was decided about the data."""
    items = list(schema.reasons)
    blocks: list[Block] = [Listing(items)] if items else [Empty("No decisions were recorded.")]
    rows = [("rows", count(schema.n_rows))]
    for name, field in schema.fields.items():
        of = "" if len(schema.fields) == 1 else f" of {name}"
        rows += [(f"shape{of or ' of a row'}", " × ".join(map(str, field.shape))), (f"values{of}", field.support)]
    rows += [("dtype", schema.dtype), ("fingerprint", schema.fingerprint)]
    blocks.append(TableBlock("Data", [(k, v) for k, v in rows if v]))
    words = ["What was decided about the data, and why. Every decision can be overridden."]
    return Section("data", "Data", words, blocks)


def settings(spec: Spec, fit: Mapping[str, Any]) -> Section:
    """Return what was set, what was chosen, and what training took."""
    given = [(k, shown(v)) for k, v in spec.settings.items()]
    blocks: list[Block] = [TableBlock("Set by the user", given)] if given else [Empty("All settings are defaults.")]
    said = ("out", "recipe", "kind", "sampler")
    took = [(k.replace("_", " "), shown(v)) for k, v in fit.items() if v is not None and k not in said]
    if took:
        blocks.append(TableBlock("Training took", took))
    if sampler := fit.get("sampler"):
        blocks.append(TableBlock("Samples", [("drawn from", sampler["chosen"]), ("why", sampler["why"])]))
    whole = [(k.replace("_", " "), shown(v)) for k, v in spec.training.model_dump().items()]
    blocks.append(TableBlock("All training settings", whole, folded=True))
    versions = [("senzai", spec.senzai), *spec.libraries.items(), *spec.plugins.items()]
    blocks.append(TableBlock("Versions", versions, folded=True))
    return Section("settings", "Settings", ["With the same data, these settings reproduce the model."], blocks)


def use(folder: str, *, infers: bool, scores: bool) -> Section:
    """Return how to use the run in Python.

    Args:
        folder: Where it is saved.
        infers: Whether the model has codes of rows.
        scores: Whether it has a likelihood of rows.
    """
    lines = ["new = run.sample(100, seed=0)      # new rows"]
    if infers:
        lines.append("codes = run.encode(data)           # latent codes")
        lines.append("back = run.reconstruct(data)       # reconstructions")
    if scores:
        lines.append("logp = run.log_likelihood(data)    # nats per row; low values are unusual rows")
    text = "\n".join(["import senzai", "", f"run = senzai.load({folder!r})", "", *lines, ""])
    return Section("use", "Use", ["Data go in and come out in the form that the model was trained on."], [Code(text)])


def privacy(found: Privacy) -> Section:
    """Say what a private run guarantees, and how everything that could have seen the data was treated."""
    blocks: list[Block] = [TableBlock("Ledger", [(what, f"{how}: {why}") for what, how, why in found.lines()])]
    words = [found.sentence(), "No real row is shown, and nothing on this page was computed from one."]
    return Section("privacy", "Privacy", words, blocks)


def unseen(why: str) -> Section:
    """Say why no rows are shown."""
    return Section("seen", "Rows", [], [Empty(why)])
