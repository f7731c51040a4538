"""What a report shows of a table: columns, associations, quality, missing values, and the strangest rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SenzaiError
from ..data import Dataset, Schema
from ..data.table import Column, amounts, codec, details_of, table_of
from ..data.table import column as data_columns
from ..distributions import MixedFamily
from ..evaluation import quality
from ..evaluation.scores import make_reference, score
from ..evaluation.statistics import random_rows
from ..evaluation.units import units_of
from ..models.base import LatentModel
from .blocks import Block, Chart, Charts, Empty, Section, Table
from .columns import LEGEND, MODEL, REAL
from .figures import Trace, figure, plain
from .findings import Findings
from .numbers import label, number, own, plural, short

SHOWN = 24
LEVELS = 14
BINS = 28
STRANGE = 10
MAPPED = 40
SCALE = [[0, "rgba(0,0,0,0)"], [1, "var(--model)"]]
APART = [[0, "var(--model)"], [0.5, "rgba(0,0,0,0)"], [1, "var(--real)"]]


def sections(found: Findings, schema: Schema, dataset: Dataset, model: LatentModel) -> list[Section]:
    """Return the sections of a table."""
    family = getattr(getattr(model, "likelihood", None), "family", None)
    if table_of(schema) is None or not isinstance(family, MixedFamily):
        return []
    batch = found.mapped.batch
    made = found.samples
    shapes = quality.shapes(batch.tensor, made, family, batch.observed)
    mapped = quality.pairs(batch.tensor, made, family, mask=batch.observed)
    parts = [columns(found, schema, shapes), associations(schema, mapped)]
    parts.append(judged(found, schema, dataset, family, shapes, mapped))
    if batch.observed is not None:
        parts.append(missing(schema, batch.observed))
    return [*parts, strange(found, schema, dataset, model)]


def some_of(index: Any, most: int) -> Any:
    """Return at most so many row numbers, drawn at random, ascending: data are often sorted."""
    chosen = random_rows(len(index), most, 0)
    return index if chosen is None else index[chosen.numpy()]


def completed(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return rows without holes, or holes filled with the column's commonest value where hardly a row is whole."""
    if mask is None:
        return x
    whole = mask.all(1)
    if int(whole.sum()) >= 50:
        return x[whole]
    fill = torch.stack([x[mask[:, j], j].mode().values if bool(mask[:, j].any()) else x[0, j] * 0
                        for j in range(x.shape[1])])
    return torch.where(mask, x, fill)


def holed(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return rows with NaN where the data have holes, those of one row after the other."""
    return x if mask is None else torch.where(mask[torch.arange(len(x)) % len(mask)], x, torch.nan)


def cut(value: Any, longest: int) -> str:
    """Return a user's word for the axis of a small chart."""
    text = label(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


# --- columns ----------------------------------------------------------------------------------------------------------
def columns(found: Findings, schema: Schema, shapes: Any) -> Section:
    """Every column, the data beside the model, in the user's own values."""
    table = table_of(schema)
    assert table is not None
    batch = found.mapped.batch
    places = np.argsort(shapes[: len(table.modelled)], kind="stable")[:SHOWN]
    charts = []
    for j in np.sort(places):
        column = table.modelled[int(j)]
        there = np.ones(len(batch), bool) if batch.observed is None else batch.observed[:, int(j)].numpy()
        real, made = (decoded(x[:, int(j)], column, table) for x in (batch.tensor, found.samples))
        charts.append(one(column, real[there], made, float(shapes[int(j)])))
    words = [
        f"Bars: {found.mapped.name}. Line: {plural(len(found.samples), 'new row')} drawn from the model. "
        f"The number is the likeness of the two, 1 where they agree; its mean is {number(float(shapes.mean()), 3)}.",
    ]
    if len(table.modelled) > len(charts):
        words.append(f"Shown are the {len(charts)} of {len(table.modelled)} columns that differ most.")
    return Section("samples", "Columns", words, [Charts(charts, 220, LEGEND)])


def decoded(codes: Tensor, column: Column, table: data_columns.TableDetails) -> Any:
    """Return one column of model values as the user's."""
    if amounts.is_form(column.format):
        column = column.model_copy(update={"format": None, "dtype": "float64"})
    return codec.decode(codes.double().cpu().numpy(), column, table)


def one(column: Column, real: Any, made: Any, alike: float) -> Chart:
    """Return one column: levels where it has few, else a histogram."""
    few = column.sort in ("category", "binary", "steps") and len(column.levels) <= LEVELS
    name, note = short(str(column.name)), f"{alike:.2f}"
    if few or (column.sort in ("category", "binary")):
        return levels(name, note, column, real.astype(str), made.astype(str))
    return histogram(name, note, column, *(codec.on_axis(v, column) / 10.0**column.scale for v in (real, made)))


def levels(name: str, note: str, column: Column, real: Any, made: Any) -> Chart:
    """Return the shares of levels, the most frequent ones."""
    order = codec.level_names(column)
    if len(order) > LEVELS:
        frequent = set(real.value_counts().index[:LEVELS])
        order = [v for v in order if v in frequent]
    shares = [[float((v == level).mean()) for level in order] for v in (real, made)]
    labels = [cut(v, 14) for v in order]
    data: list[Trace] = [
        {"type": "bar", "x": list(range(len(order))), "y": shares[0], "marker": {"color": REAL}, "opacity": 0.55,
         "name": "data", "text": order, "textposition": "none", "hovertemplate": "%{text}: %{y:.1%}"},
        {"type": "scatter", "mode": "markers", "x": list(range(len(order))), "y": shares[1], "name": "model",
         "marker": {"color": MODEL, "size": 9, "symbol": "line-ew", "line": {"color": MODEL, "width": 3}},
         "text": order, "hovertemplate": "%{text}: %{y:.1%}"},
    ]
    axis = {"tickvals": list(range(len(order))), "ticktext": labels, "tickangle": -40 if len(order) > 3 else 0}
    made_figure = figure(data, x=axis, y={"tickformat": ".0%", "nticks": 3, "rangemode": "tozero"}, bargap=0.25,
                         margin={"l": 34, "r": 6, "t": 4, "b": 40})
    return Chart(made_figure, name, note, height=170, says=f"Shares of the values of {name}, data and model")


def histogram(name: str, note: str, column: Column, real: Any, made: Any) -> Chart:
    """Return a histogram of numbers or dates."""
    both = np.concatenate([real, made]) if len(real) + len(made) else np.array([0.0, 1.0])
    low, high = (float(v) for v in np.quantile(both, [0.002, 0.998]))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    heights = [np.histogram(v, edges)[0] / max(len(v), 1) for v in (real, made)]
    axis: dict[str, Any] = {"nticks": 4}
    at: Any = plain(middles)
    if column.type == "date":
        at = [str(v)[:10] for v in middles.astype("int64").astype(f"datetime64[{column.unit or 'ns'}]")]
        axis = {"type": "date", "nticks": 3}
    data: list[Trace] = [
        {"type": "bar", "x": at, "y": plain(heights[0]), "marker": {"color": REAL}, "opacity": 0.55, "name": "data",
         "hovertemplate": "%{x}: %{y:.1%}"},
        {"type": "scatter", "mode": "lines", "x": at, "y": plain(heights[1]), "name": "model",
         "line": {"color": MODEL, "width": 1.8, "shape": "hvh"}, "hovertemplate": "%{x}: %{y:.1%}"},
    ]
    made_figure = figure(data, x=axis, y={"tickformat": ".0%", "nticks": 3}, bargap=0,
                         margin={"l": 34, "r": 6, "t": 4, "b": 40})
    return Chart(made_figure, name, note, height=170, says=f"Histogram of {name}, data and model")


# --- pairs ------------------------------------------------------------------------------------------------------------
def associations(schema: Schema, mapped: quality.Pairs) -> Section:
    """How columns hang together, in the data, in the model, and the difference."""
    every = schema.columns or ()
    names = [cut(every[j], 18) for j in mapped.columns]
    chosen = np.arange(len(names))
    if len(names) > MAPPED:
        gap = np.nansum(np.abs(mapped.real - mapped.made), 0)
        chosen = np.sort(np.argsort(-gap)[:MAPPED])
    below = np.tril(np.ones((len(names), len(names)), bool))
    panels = [("Data below the diagonal, model above", np.where(below, mapped.real, mapped.made), SCALE, 0.0),
              ("Data minus model", mapped.real - mapped.made, APART, -0.5)]
    charts = [heat(title, m[np.ix_(chosen, chosen)], [names[i] for i in chosen], scale, low)
              for title, m, scale, low in panels]
    words = [
        "Each cell is the association of two columns (Cramér's V of ten bins a column, corrected for sample size): "
        "0 where one says nothing about the other, 1 where one decides the other. "
        "A model that has learned them all gives a map that is its own mirror image, and a pale difference.",
    ]
    if len(names) > MAPPED:
        drawn = "" if len(names) == len(every) else f" ({len(names)} drawn from {plural(len(every), 'column')})"
        words.append(f"Shown are the {MAPPED} of {len(names)} columns{drawn} that differ most.")
    return Section("associations", "Associations", words, [Charts(charts, 320)])


def heat(title: str, values: Any, names: list[str], scale: Any, low: float) -> Chart:
    """Return one map."""
    values = values.copy()
    np.fill_diagonal(values, np.nan)
    top = 0.5 if low < 0 else 1.0
    data: list[Trace] = [{
        "type": "heatmap", "z": [plain(row) for row in values], "x": names, "y": names, "zmin": low, "zmax": top,
        "colorscale": scale, "xgap": 1, "ygap": 1, "hoverongaps": False,
        "colorbar": {"thickness": 6, "outlinewidth": 0, "nticks": 3, "tickfont": {"size": 10}},
        "hovertemplate": "%{x} and %{y}: %{z:.2f}<extra></extra>",
    }]
    small = {"tickfont": {"size": 10, "color": "var(--soft)"}, "showgrid": False}
    made = figure(data, x={**small, "tickangle": -50, "nticks": len(names)},
                  y={**small, "autorange": "reversed", "nticks": len(names)})
    return Chart(made, title, height=max(300, 120 + 13 * len(names)), says=f"Associations of columns: {title}")


# --- quality ----------------------------------------------------------------------------------------------------------
def judged(
    found: Findings, schema: Schema, dataset: Dataset, family: MixedFamily, shapes: Any, mapped: quality.Pairs
) -> Section:
    """Numbers that say how far generated rows can stand in for real ones."""
    held, made = completed(found.held.batch.tensor, found.held.batch.observed), found.samples
    own = found.held.own and len(dataset) >= dataset.schema.split.needs
    index = dataset.split_indices()["train"] if own else np.arange(len(dataset))
    batch = dataset.batch(some_of(index, 2000))
    train = completed(batch.tensor, batch.observed)
    d = len(shapes)
    off = ~np.eye(len(mapped.columns), dtype=bool)
    rows = [("column shapes", f"{shapes.mean():.3f} (mean of {plural(d, 'column')}; lowest {shapes.min():.3f})")]
    if d > 1:
        alike = mapped.alike[off]
        some = "" if len(mapped.columns) == d else f" of {len(mapped.columns)} columns, drawn at random"
        there = alike[~np.isnan(alike)]
        if len(there):
            some += "" if len(there) == len(alike) else f" known together in {quality.TOGETHER} rows"
            rows.append(("pair trends", f"{there.mean():.3f} (mean over pairs{some}; lowest {there.min():.3f})"))
    limited = "" if d <= quality.JUDGED else f"; it sees {quality.JUDGED} columns"
    if min(len(held), len(made)) >= 60:
        told = found.held.batch
        area = quality.judge(holed(told.tensor, told.observed), holed(made, told.observed))
        same = "" if told.observed is None else "; generated rows were given the same holes"
        rows.append(("judge", f"AUROC {area:.3f} of a classifier that tells real from generated; "
                              f"0.5 cannot tell{limited}{same}"))
    target = next((j for j in reversed(range(d)) if family.sorts[j] in ("category", "binary")
                   and 2 <= family.sizes[j] <= 10), None)
    use = None if target is None or len(held) < 60 else quality.useful(train, made[: len(train)], held, target)
    if use is not None and target is not None:
        name = str((schema.columns or ())[target])
        rows.append((f"predicting {short(name)}", f"AUROC {use[1]:.3f} learned from generated rows, {use[0]:.3f} from "
                                                  "real ones, both on held-out rows"))
    ours, theirs = quality.nearest(made, train, family), quality.nearest(held, train, family)
    closer = float((ours < np.quantile(theirs, 0.05)).mean())
    rows.append(("closest training row", f"generated rows {number(float(np.median(ours)), 3)}, held-out rows "
                                         f"{number(float(np.median(theirs)), 3)} away (medians, standard deviations)"))
    rows.append(("too close", f"{100 * closer:.1f} % of generated rows are nearer to a training row than 95 % of "
                              "held-out rows are; about 5 % is expected, far more means copies"))
    words = ["Column shapes and pair trends are likenesses from 0 to 1. Rows with missing values are left out of the "
             "other measures where enough are whole."]
    return Section("quality", "Quality of generated rows", words, [Table("", rows)])


# --- missing values ---------------------------------------------------------------------------------------------------
def missing(schema: Schema, mask: Tensor) -> Section:
    """Which columns have holes."""
    shares = 1 - mask.double().mean(0).numpy()
    order = [int(j) for j in np.argsort(-shares, kind="stable") if shares[j] > 0][:MAPPED]
    names = [cut((schema.columns or ())[j], 24) for j in order]
    data: list[Trace] = [{
        "type": "bar", "orientation": "h", "y": names, "x": plain(shares[order]), "marker": {"color": REAL},
        "hovertemplate": "%{y}: %{x:.1%} missing<extra></extra>",
    }]
    y = {"autorange": "reversed", "nticks": 2 * len(names)}
    made = figure(data, x={"tickformat": ".0%", "rangemode": "tozero"}, y=y, bargap=0.35)
    whole = float(mask.all(1).double().mean())
    words = [f"Share of missing entries by column. {100 * whole:.0f} % of the rows are whole. Missing entries are "
             "masked: the model is neither trained nor judged on them."]
    return Section("missing", "Missing values", words,
                   [Charts([Chart(made, height=70 + 22 * len(names), says="Missing entries by column")], 420)])


# --- strange rows -----------------------------------------------------------------------------------------------------
def strange(found: Findings, schema: Schema, dataset: Dataset, model: LatentModel) -> Section:
    """The strangest of the held-out rows, and the columns to blame."""
    title, held = "Strangest rows", found.held
    own = held.own and len(dataset) >= dataset.schema.split.needs
    train = dataset.batch(some_of(dataset.split_indices()["train"], 1000)) if own else held.batch
    try:
        reference = make_reference(model, train, held.batch, units=units_of(model, schema))
        scores = score(model, held.batch, "auto", reference=reference)
    except SenzaiError as err:
        return Section("strange", title, [], [Empty(str(err))])
    order = torch.argsort(-scores.values)[:STRANGE].tolist()
    names = [str(c) for c in schema.columns or ()]
    least = min(0.05, 3 / max(len(names), 1))  # of very many columns none has a large share
    rows = []
    for i in order:
        blame = torch.argsort(-scores.shares[i, : len(names)])[:3].tolist()
        why = [f"{short(names[j])} = {short(told(held.batch, i, j, schema))} ({number(100 * share, 2)} %)"
                for j in blame if (share := float(scores.shares[i, j] / scores.values[i].clamp_min(1e-9))) > least
                and _column(schema, j) is not None]
        rows.append((f"row {int(held.index[i])}, score {number(float(scores.values[i]), 3)}", "; ".join(why)))
    words = [f"Of {plural(len(held.batch), 'row')} ({held.name}), those with the highest score (“auto”), and the "
             "columns with the largest shares of it. A high score says unusual, not wrong."]
    blocks: list[Block] = [Table("", rows)]
    return Section("strange", title, words, blocks)


def told(batch: Batch, row: int, j: int, schema: Schema) -> str:
    """Return one cell of a batch as the user has it."""
    column = _column(schema, j)
    if column is None or table_of(schema) is None or (batch.observed is not None and not bool(batch.observed[row, j])):
        return "missing"
    value = decoded(batch.tensor[row : row + 1, j], column, details_of(schema)).iloc[0]
    return own(value)


def _column(schema: Schema, j: int) -> Column | None:
    table = table_of(schema)
    return table.modelled[j] if table is not None and j < len(table.modelled) else None
