"""Charts of traversals and interpolations for rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ....data import Schema
from ...blocks import Chart
from ...figures import Trace, figure, plain
from ...findings import Floats, Path, Traversal
from ...numbers import number
from .columns import NAMED, Grid, as_columns, column_ticks

SMALL = {"color": "var(--soft)", "size": 11}
MARGIN = {"l": 44, "r": 12, "t": 42, "b": 44}
DIVERGING = [[0, "var(--below)"], [0.5, "var(--panel)"], [1, "var(--above)"]]


@dataclass(frozen=True)
class Panel:
    """Columns over steps: ``values`` are ``(steps, columns)`` on the common scale, ``at`` is where the steps are."""

    title: str
    remark: str
    values: Floats
    at: Floats


def traversal(grid: Grid, found: Traversal, schema: Schema, remark: str) -> Panel:
    """Return the change of every column along one latent, from the middle step; a sequence as it is."""
    values = grid.common(as_columns(found.x, schema))
    change = values if grid.sequence else values - values[len(values) // 2]
    return Panel(f"z{found.name}", remark, change, found.values)


def interpolation(grid: Grid, found: Path, schema: Schema) -> Panel:
    """Return all columns on the line between two rows."""
    values = grid.common(as_columns(found.x, schema))
    return Panel(f"row {found.ends[0]} to {found.ends[1]}", "", values, np.linspace(0, 1, len(values)))


def fan(panel: Panel) -> Chart:
    """Return a sequence at every step as a line: one colour at each end, faint in the middle."""
    steps, middle = len(panel.at), (len(panel.at) - 1) / 2
    data = [
        go.Scatter(
            mode="lines", x=list(range(panel.values.shape[1])), y=plain(v), name=number(float(at), 3),
            hovertemplate="%{y:.3g}", opacity=0.2 + 0.8 * abs(i - middle) / middle,
            line={"width": 1.5, "color": "var(--below)" if i < middle else "var(--above)"},
        )
        for i, (at, v) in enumerate(zip(panel.at, panel.values, strict=True))
    ]
    made = figure(data, x={"title": "column"}, y={"nticks": 4})
    return Chart(made, panel.title, panel.remark, height=190, says=f"{panel.title}: a line for each of {steps} steps")


def heat(grid: Grid, panels: list[Panel], axis: str, *, centred: bool) -> Chart:
    """Return panels side by side with one scale of colours, palest at zero or in the middle of all values."""
    every = np.concatenate([p.values.ravel() for p in panels])
    low, high = (float(v) for v in np.quantile(every, [0.003, 0.997]))
    top = max(-low, high, 1e-6)
    ends = (-top, top) if centred else (low, max(high, low + 1e-6))
    data = [heatmap(grid, p, i, ends) for i, p in enumerate(panels)]
    share, gap = 1 / len(panels), 0.015
    first, *others = [
        {"domain": [i * share + gap, (i + 1) * share - gap], "nticks": 3, "showgrid": False, "fixedrange": True}
        for i in range(len(panels))
    ]
    title = {"text": axis, "font": {**SMALL, "size": 12}, "standoff": 8}
    plainly = {"zeroline": False, "tickfont": SMALL, "title": title}
    layout = {f"xaxis{i + 2}": {**plainly, **other} for i, other in enumerate(others)}
    titles = [
        {"x": (i + 0.5) * share, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center",
         "yanchor": "bottom", "showarrow": False, "text": f"<b>{p.title}</b><br>{p.remark}", "font": {"size": 12}}
        for i, p in enumerate(panels)
    ]
    y = {"autorange": "reversed", "showgrid": False, **column_ticks(grid)}
    made = figure(data, x={**first, "title": axis}, y=y, annotations=titles, **layout, margin=MARGIN)
    height = 130 + 17 * len(grid.names) if len(grid.names) <= NAMED else 400
    return Chart(made, height=height, says=f"Columns by steps: {len(panels)} panels", wide=True)


def heatmap(grid: Grid, panel: Panel, i: int, ends: tuple[float, float]) -> Trace:
    """Return one panel; the first carries the scale."""
    rows, named = list(range(len(grid.names))), len(grid.names) <= NAMED
    return go.Heatmap(
        x=plain(panel.at), y=rows, z=[plain(np.round(v, 3)) for v in panel.values.T],
        xaxis="x" if i == 0 else f"x{i + 1}", yaxis="y", zmin=ends[0], zmax=ends[1], xgap=1, ygap=1 if named else 0,
        showscale=i == 0, colorscale=DIVERGING, text=[[n] * len(panel.at) for n in grid.labels] if named else None,
        colorbar={"thickness": 7, "outlinewidth": 0, "nticks": 5, "tickfont": SMALL},
        hovertemplate=("%{text}" if named else "column %{y}") + "<br>%{z:.3g}<extra></extra>",
    )
