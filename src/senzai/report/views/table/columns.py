"""Every column of a table, and every pair of columns: the data beside the model, in the user's own values."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from ....data import Schema
from ....data.table import Column, codec, details_of
from ....evaluation import quality
from ...blocks import Chart, Charts, Section
from ...figures import Trace, figure, plain
from ...findings import Findings, Floats
from ...numbers import label, number, plural, short
from ..array.columns import LEGEND, MODEL, REAL, outlines
from .values import cut, decoded, known

SHOWN = 24
LEVELS = 14
BINS = 28
MAPPED = 40
SCALE = [[0, "var(--paper)"], [1, "var(--model)"]]
APART = [[0, "var(--below)"], [0.5, "var(--paper)"], [1, "var(--above)"]]
MARGIN = {"l": 34, "r": 6, "t": 4, "b": 40}


def columns(found: Findings, samples: Tensor, shapes: Floats) -> Section:
    """Return the distribution of every column; ``shapes`` says how similar data and model are, column by column."""
    schema, batch = found.schema, found.mapped.batch
    modelled = details_of(schema).modelled
    charts = []
    for j in np.sort(np.argsort(shapes[: len(modelled)], kind="stable")[:SHOWN]).tolist():
        real, made = (decoded(x[:, j], modelled[j], schema) for x in (batch.tensor, samples))
        charts.append(one(modelled[j], real[known(batch, j)], made, float(shapes[j])))
    words = [
        f"Bars: {found.mapped.name}. Line: {plural(len(samples), 'new row')} drawn from the model. The number is the "
        f"similarity of the two, 1 where they agree; its mean is {number(float(shapes.mean()), 3)}.",
    ]
    if len(modelled) > len(charts):
        words.append(f"Shown are the {len(charts)} of {len(modelled)} columns that differ most.")
    return Section("samples", "Columns", words, [Charts(charts, 220, LEGEND)])


def one(column: Column, real: Any, made: Any, alike: float) -> Chart:
    """Return one column: levels where it has few, else a histogram."""
    few = column.sort == "steps" and len(column.levels) <= LEVELS
    name, note = short(str(column.name)), f"{alike:.2f}"
    if few or column.sort in ("category", "binary"):
        return levels(name, note, column, real.astype(str), made.astype(str))
    return histogram(name, note, column, *(codec.on_axis(v, column) / 10.0**column.scale for v in (real, made)))


def levels(name: str, note: str, column: Column, real: Any, made: Any) -> Chart:
    """Return the shares of levels, the most frequent ones."""
    order = codec.level_names(column)
    if len(order) > LEVELS:
        frequent = set(real.value_counts().index[:LEVELS])
        order = [v for v in order if v in frequent]
    shares = [[float((v == level).mean()) for level in order] for v in (real, made)]
    labels, at = [cut(v, 14) for v in order], list(range(len(order)))
    text: dict[str, Any] = {"text": [label(v) for v in order], "hovertemplate": "%{text}: %{y:.1%}"}
    data: list[Trace] = [
        go.Bar(x=at, y=shares[0], marker={"color": REAL}, opacity=0.55, name="data", textposition="none", **text),
        go.Scatter(x=at, y=shares[1], mode="markers", name="model", **text, marker={
            "color": MODEL, "size": 9, "symbol": "line-ew", "line": {"color": MODEL, "width": 3}}),
    ]
    narrow = len(order) * max(map(len, labels)) > 20
    axis = {"tickvals": at, "ticktext": labels, "tickangle": -40 if narrow else 0, "nticks": 0}
    made_figure = figure(data, x=axis, y={"tickformat": ".0%", "nticks": 3, "rangemode": "tozero"}, bargap=0.25,
                         margin=MARGIN)
    return Chart(made_figure, name, note, height=170, says=f"Shares of the values of {name}, data and model")


def histogram(name: str, note: str, column: Column, real: Any, made: Any) -> Chart:
    """Return a histogram of numbers or dates."""
    both = np.concatenate([real, made]) if len(real) + len(made) else np.array([0.0, 1.0])
    low, high = (float(v) for v in np.quantile(both, [0.002, 0.998]))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    heights = [np.histogram(v, edges)[0] / max(len(v), 1) for v in (real, made)]
    axis: dict[str, Any] = {"nticks": 4}
    at: list[Any] = plain(middles)
    if column.type == "date":
        at = [str(v)[:10] for v in middles.astype("int64").astype(f"datetime64[{column.unit or 'ns'}]")]
        axis = {"type": "date", "nticks": 3}
    made_figure = figure(outlines(at, heights, "%{x}"), x=axis, y={"tickformat": ".0%", "nticks": 3}, bargap=0,
                         margin=MARGIN)
    return Chart(made_figure, name, note, height=170, says=f"Histogram of {name}, data and model")


# --- pairs ------------------------------------------------------------------------------------------------------------
def associations(schema: Schema, mapped: quality.PairAssociations) -> Section:
    """Return the associations of columns in the data, in the model, and the difference."""
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
        "Each cell is the association of two columns: Cramér's V of ten bins a column, corrected for sample size. "
        "0 means that they are independent, 1 that one determines the other. "
        "Where the model agrees with the data, the left map is symmetric and the right one is empty.",
    ]
    if len(names) > MAPPED:
        drawn = "" if len(names) == len(every) else f" ({len(names)} drawn from {plural(len(every), 'column')})"
        words.append(f"Shown are the {MAPPED} of {len(names)} columns{drawn} that differ most.")
    return Section("associations", "Pairwise associations", words, [Charts(charts, 320)])


def heat(title: str, values: Any, names: list[str], scale: Any, low: float) -> Chart:
    """Return one map."""
    values = values.copy()
    np.fill_diagonal(values, np.nan)
    data = go.Heatmap(
        z=[plain(row) for row in values], x=names, y=names, zmin=low, zmax=0.5 if low < 0 else 1.0, colorscale=scale,
        xgap=1, ygap=1, hoverongaps=False, hovertemplate="%{x} and %{y}: %{z:.2f}<extra></extra>",
        colorbar={"thickness": 6, "outlinewidth": 0, "nticks": 3, "tickfont": {"size": 10}},
    )
    small = {"tickfont": {"size": 10, "color": "var(--soft)"}, "showgrid": False}
    made = figure([data], x={**small, "tickangle": -50, "nticks": len(names)},
                  y={**small, "autorange": "reversed", "nticks": len(names)})
    return Chart(made, title, height=max(300, 120 + 13 * len(names)), says=f"Associations of columns: {title}")
