"""The sections of a page, in the order they are read: what is said, and what is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..data import KINDS, Dataset, Schema
from ..data.table import table_of
from ..training.bundle import Spec
from . import colouring, columns, figures, images, ways
from .blocks import Block, Charts, Code, Colouring, Empty, Listing, Pairs, Picture, Section, Strip, Strips, Table, Wall
from .columns import Grid
from .findings import PLACES, ROW_DRAWS, Findings, Floats, label_names
from .headline import Judged
from .images import Darkroom
from .numbers import count, number, plural, short, shown

ACTIVE = 0.01
NO_AXIS = "The latents of this model have no single axis to move along."
NO_PAIR = "This takes at least two rows."


def learning(history: Sequence[Mapping[str, Any]]) -> Section:
    """How the terms of the bound went during training."""
    charts = figures.learning(history)
    blocks: list[Block] = [Charts(charts, 260)]
    words = ["Thin lines are training batches, strong lines validation rows, which the model is not trained on."]
    if any(h.get("kind") == "validation" and h.get("best") for h in history):
        words.append("The dotted line marks the best validation; the weights of this model are from there.")
    recovered = sum(h.get("kind") == "recovered" for h in history)
    if recovered:
        words.append(f"{plural(recovered, 'red line')}: the loss was not finite, and the last good state was put back.")
    if not charts:
        words, blocks = [], [Empty("No learning curve was recorded: it is written where a run has a folder (out=…).")]
    return Section("learning", "Learning", words, blocks)


# --- pictures ---------------------------------------------------------------------------------------------------------
def seen_as_pictures(found: Findings, schema: Schema) -> list[Section]:
    """What the model does, in pictures."""
    dark = Darkroom.of(schema, found.shown.batch.tensor)
    pixelated = images.is_pixelated(schema)

    def pictures(x: Any, says: str) -> list[Picture]:
        return [Picture(uri, says) for uri in images.uris(dark.develop(x))]

    pairs = Pairs(picture_pairs(found, schema, dark), pixelated)
    wall = Wall(pictures(found.samples, "sample"), pixelated)
    moved = [
        Strip(f"z{t.name}", rate_of(found, t.name), pictures(t.x, f"latent {t.name} changed")) for t in found.traversals
    ]
    between = [
        Strip("", f"row {p.ends[0]} to row {p.ends[1]}", pictures(p.x, "step between two rows")) for p in found.paths
    ]
    mean = f"Each is the expected picture for a code drawn from the {found.source}; noise of single pixels is left out."
    two = reconstruction_words(found, "Top: the original. Bottom: what the model makes of it.")
    return [
        Section("reconstructions", "Reconstructions", two, [pairs]),
        Section("samples", "Samples", [f"{plural(len(found.samples), 'new picture')}, not chosen. {mean}"], [wall]),
        Section("traversals", "Traversals", traversal_words(found), strips_or_why(
            moved, ("1st percentile", "", "99th percentile"), pixelated, NO_AXIS)),
        Section("between", "Interpolations", way_words(), strips_or_why(
            between, ("from", "", "to"), pixelated, NO_PAIR)),
    ]


def picture_pairs(found: Findings, schema: Schema, dark: Darkroom) -> list[tuple[Picture, Picture]]:
    """Return originals with their reconstructions, captioned with label, row and cost."""
    names = label_names(found.held, schema) or [None] * len(found.held.batch)
    originals = images.uris(dark.develop(found.shown.batch.tensor))
    seen = images.uris(dark.develop(found.shown.reconstructions))
    return [
        (
            Picture(a, f"row {row}", f"row {row}" if name is None else short(name)),
            Picture(b, f"row {row}, reconstructed", number(float(-c), 3)),
        )
        for a, b, row, c, name in zip(originals, seen, found.shown.index, found.shown.nats, names, strict=False)
    ]


def strips_or_why(
    strips: list[Strip], scale: tuple[str, str, str], pixelated: bool, why: str
) -> list[Block]:
    """Return strips, or the reason why there are none."""
    return [Strips(strips, scale, pixelated)] if strips else [Empty(why)]


# --- columns ----------------------------------------------------------------------------------------------------------
def seen_as_columns(found: Findings, schema: Schema) -> list[Section]:
    """What the model does, column by column."""
    real = columns.real_columns(found.mapped.batch, schema)
    made = columns.as_columns(found.samples, schema)
    grid = Grid.of(schema, real)
    moved = [ways.traversal(grid, t, schema, rate_of(found, t.name)) for t in found.traversals]
    between = [ways.way(grid, p, schema) for p in found.paths]
    change, scale = colour_words(grid)
    return [
        reconstructions_by_column(found, schema, grid),
        samples_by_column(grid, real, made, found, schema),
        Section("traversals", "Traversals", [*traversal_words(found), change],
                [along(grid, moved, "value", centred=True) if moved else Empty(NO_AXIS)]),
        Section("between", "Interpolations", [*way_words(), scale],
                [along(grid, between, "share of the way", centred=grid.standardised) if between else Empty(NO_PAIR)]),
    ]


def along(grid: Grid, panels: list[ways.Panel], axis: str, *, centred: bool) -> Block:
    """Return ways through the latent space: lines for a sequence, colours for columns."""
    if grid.sequence:
        return Charts([ways.fan(p) for p in panels], 260)
    return Charts([ways.heat(grid, panels, axis, centred=centred)], 500)


def colour_words(grid: Grid) -> tuple[str, str]:
    """Say what colours mean in traversals and in interpolations."""
    if grid.sequence:
        ends = "Each line is a step: blue at the start of the way, orange at its end, faint in the middle."
        return ends, ends
    unit = "in standard deviations of the column" if grid.standardised else "in the units of the data"
    pale = ", palest at its mean" if grid.standardised else ""
    return f"Colour is the change from the middle of the way, {unit}.", f"Colour is the value, {unit}{pale}."


def reconstructions_by_column(found: Findings, schema: Schema, grid: Grid) -> Section:
    """Compare values with reconstructions: by column, or row by row where columns are a sequence without names."""
    title, id_ = "Reconstructions", "reconstructions"
    if grid.sequence:
        words = reconstruction_words(found, "Grey: the row. Colour: what the model makes of it.")
        return Section(id_, title, words, [Charts(columns.profiles(grid, found.shown, schema), 300, columns.LEGEND)])
    n = len(found.compared)
    real = columns.real_columns(found.held.batch.take(slice(0, n)), schema)
    charts, r = columns.agreement(grid, real, columns.as_columns(found.compared, schema))
    words = [
        f"Across: the value of a row. Up: what the model expects, given its code. {plural(n, 'row')} "
        f"({found.held.name}); on the dotted line the two agree.",
    ]
    if len(r) > len(charts):
        words.append(f"Shown are the {len(charts)} of {len(r)} columns with the weakest correlation r; "
                     f"its mean over all columns is {number(float(r.mean()), 2)}.")
    return Section(id_, title, words, [Charts(charts, 190)])


def samples_by_column(grid: Grid, real: Floats, made: Floats, found: Findings, schema: Schema) -> Section:
    """Compare the distribution of every column."""
    charts, far = columns.histograms(grid, real, made)
    words = [
        f"{plural(len(made), 'new row')} drawn from the model beside {plural(len(real), 'row')} ({found.mapped.name}).",
        "KS is the largest gap between the two cumulative distributions: 0 is alike, 1 is apart. "
        f"Over all columns its mean is {far.mean():.2f}.",
    ]
    blocks: list[Block] = []
    if len(far) > columns.FEW:
        middle = "mean" if schema.values == "binary" else "median, with a band from the 10th to the 90th percentile"
        unit = grid.unit if grid.standardised else "units of the data"
        words.append(f"The wide chart shows the {middle}, in {unit}.")
        words.append(f"Below are the {len(charts)} of {len(far)} columns with the largest gap.")
        blocks.append(Charts([columns.bands(grid, real, made, binary=schema.values == "binary")], 500, columns.LEGEND))
    blocks.append(Charts(charts, 190, () if blocks else columns.LEGEND))
    return Section("samples", "Samples", words, blocks)


# --- words both share -------------------------------------------------------------------------------------------------
def reconstruction_words(found: Findings, what: str) -> list[str]:
    """Say what is compared with what."""
    return [
        f"{what} Shown are {found.held.name}, drawn at random.",
        f"The number is the evidence lower bound of the row in nats, a mean over {plural(ROW_DRAWS, 'draw')}; "
        "higher is better.",
    ]


def traversal_words(found: Findings) -> list[str]:
    """Say what is moved, and how far."""
    order = "largest rate" if found.codes.rates is not None else "largest spread"
    n = found.codes.points.shape[1]
    first = f"Row {int(found.shown.index[0])} is encoded and decoded again while one latent takes {PLACES} values, "
    return [
        f"{first}from the 1st to the 99th percentile over {plural(len(found.mapped.batch), 'row')}.",
        f"Shown are the {len(found.traversals)} of {n} latents with the {order}." if n > len(found.traversals) else "",
    ]


def way_words() -> list[str]:
    """Say how the way is walked."""
    return [f"{PLACES} points on the straight line between the codes of two rows; the ends are their reconstructions."]


def rate_of(found: Findings, name: str) -> str:
    """Return the rate of a latent."""
    if found.codes.rates is None:
        return ""
    return f"{number(float(found.codes.rates[found.codes.names.index(name)]), 3)} nats"


# --- the latent space -------------------------------------------------------------------------------------------------
def latent_map(found: Findings, schema: Schema, dataset: Dataset | None = None) -> Section:
    """Where rows lie; with the data set of a table, coloured by any of its columns."""
    names = label_names(found.mapped, schema)
    xy, first, second, how = figures.project(found.codes)
    sprite = None
    if images.is_pictures(schema):
        sprite = images.sprite(Darkroom.of(schema, found.mapped.batch.tensor).develop(found.mapped.batch.tensor))
    by_column: tuple[Colouring, ...] = ()
    if dataset is not None and table_of(schema) is not None:
        by_column = colouring.colourings(found, schema, dataset, xy)
    chart = figures.latent_map(
        found.codes, xy, (first, second), names, found.mapped.index.tolist(), sprite, by_column
    )
    of = "" if found.mapped.total == len(xy) else f" of {count(found.mapped.total)}"
    by = "distortion (one draw a row)" if names is None or schema.label is None else f"“{short(schema.label.name)}”"
    coloured = map_words(by_column, schema) if by_column else f"Coloured by {by}."
    words = [f"Posterior means of {count(len(xy))}{of} {found.mapped.name}.", how, coloured]
    if not by_column and names is not None and len(set(names)) > figures.CLASSES:
        words.append(f"The {figures.CLASSES} largest classes have a colour, the others share one.")
    return Section("map", "Latent map", words, [Charts([chart], 500)])


def map_words(offered: Sequence[Colouring], schema: Schema) -> str:
    """Say what the map can be coloured by."""
    features = KINDS[schema.kind].features(schema)
    n = 0 if features is None else len(features.names)
    some = f"the {colouring.MOST} of {count(n)} columns that it separates best" if n > colouring.MOST else "any column"
    return (f"Choose above the map what it is coloured by: {some}, or the distortion of a row (one draw). It begins "
            "with the column that it separates best. Missing values are grey.")


def rates(found: Findings, judged: Judged) -> Section:
    """How the rate is divided among the latents."""
    title, codes = "Rate per latent", found.codes
    if codes.rates is None:
        why = "The posterior or the prior ties the latents together, so the rate cannot be divided among them."
        return Section("rates", title, [], [Empty(why)])
    given = judged.rates is not None and len(judged.rates) == len(codes.names)
    rows = plural(int(judged.get("n") or 0) if given else len(codes.points), "row")
    active = codes.variances > ACTIVE
    words = [
        f"Mean over {rows}: {number(float(codes.rates.sum()))} nats in all.",
        f"Strong bars are active: over {plural(codes.varied, 'row')} the variance of their posterior mean is above "
        f"{ACTIVE} ({int(active.sum())} of {len(active)}).",
        "" if active.all() else "The model left the pale ones at their prior: they carry next to nothing.",
    ]
    chart = figures.rate_bars(codes.rates, codes.names, active.tolist())
    return Section("rates", title, words, [Charts([chart], 500)])


# --- what it was made from --------------------------------------------------------------------------------------------
def decisions(schema: Schema) -> Section:
    """What was decided about the data."""
    items = list(schema.reasons)
    blocks: list[Block] = [Listing(items)] if items else [Empty("No decision was recorded.")]
    rows = [("rows", count(schema.n_rows)), ("shape of a row", " × ".join(map(str, schema.event_shape))),
            ("values", schema.values), ("dtype", schema.dtype), ("fingerprint", schema.fingerprint)]
    blocks.append(Table("Data", [(k, v) for k, v in rows if v]))
    return Section("data", "Data", ["What was decided about them, and why. All of it can be set by hand."], blocks)


def settings(spec: Spec, fit: Mapping[str, Any]) -> Section:
    """What was set, what was chosen, what it took."""
    given = [(k, shown(v)) for k, v in spec.settings.items()]
    blocks: list[Block] = [Table("Set by hand", given)] if given else [Empty("Nothing was set by hand: all defaults.")]
    said = ("out", "recipe", "kind", "sampler")
    took = [(k.replace("_", " "), shown(v)) for k, v in fit.items() if v is not None and k not in said]
    if took:
        blocks.append(Table("Training took", took))
    if sampler := fit.get("sampler"):
        blocks.append(Table("Samples", [("drawn from", sampler["chosen"]), ("why", sampler["why"])]))
    whole = [(k.replace("_", " "), shown(v)) for k, v in spec.training.model_dump().items()]
    blocks.append(Table("All training settings", whole, folded=True))
    blocks.append(Table("Versions", [("senzai", spec.senzai), *spec.libraries.items()], folded=True))
    return Section("settings", "Settings", ["Together with the data, these make the same model again."], blocks)


def use(folder: str) -> Section:
    """How to go on."""
    text = f"""import senzai

run = senzai.load({folder!r})

new = run.sample(100, seed=0)      # new rows
codes = run.encode(data)           # where rows lie
back = run.reconstruct(data)       # rows as the model sees them
logp = run.log_likelihood(data)    # nats per row; low is strange
"""
    return Section("use", "Use", ["Data go in, and come back, in the form the model was trained on."], [Code(text)])


def unseen(why: str) -> Section:
    """Say why there is nothing of the model's own to see."""
    return Section("seen", "Pictures of the model", [], [Empty(why)])
