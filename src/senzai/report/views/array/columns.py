"""Charts for rows of numbers, column by column: the data beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from torch import Tensor

from ....core.batch import Batch, Data
from ....data import Schema
from ....data.values import in_units
from ....evaluation.quality import kolmogorov_smirnov
from ...blocks import Chart
from ...figures import Trace, figure, plain
from ...findings import Floats
from ...numbers import count, fixed, label, short

FEW = 12
PROFILES = 6
NAMED = 40
CHARTED = 1000
"""Columns that charts show at most; of more, so many evenly spaced ones."""
BINS = 24
REAL, MODEL = "var(--real)", "var(--model)"
LEGEND = (("data", REAL), ("model", MODEL))


@dataclass(frozen=True)
class Grid:
    """Columns with their names and, for charts that show many at once, one scale for all.

    Args:
        names: Name of each column.
        centre: What is subtracted from a column on the common scale.
        spread: What it is divided by.
        standardised: Whether the common scale is other than the user's.
        whole: Whether values are whole numbers.
        named: Whether columns have names that there is room for.
        sequence: Whether columns are many and nameless: drawn as lines, in their order.
    """

    names: tuple[str, ...]
    centre: Floats
    spread: Floats
    standardised: bool
    whole: bool
    named: bool
    sequence: bool

    @classmethod
    def of(cls, schema: Schema, real: Floats) -> Grid:
        """Decide the common scale: standard deviations, unless columns have no names and vary alike."""
        with np.errstate(all="ignore"):
            spread = np.nan_to_num(np.nanstd(real, axis=0)) if len(real) else np.ones(real.shape[1])
            centre = np.nan_to_num(np.nanmean(np.where(np.isnan(real).all(0), 0.0, real), axis=0))
        used = spread[spread > 0]
        alike = schema.columns is None and (len(used) == 0 or used.max() < 10 * np.median(used))
        spread = np.where(spread > 0, spread, 1.0)
        if alike and real.shape[1] > FEW:
            centre, spread = np.zeros_like(centre), np.ones_like(spread)
        names, nameless = column_names(schema), schema.columns is None
        return cls(
            names, centre, spread, not (alike and len(names) > FEW), schema.values in ("binary", "levels", "count"),
            not nameless and len(names) <= NAMED, nameless and len(names) > FEW,
        )

    @property
    def labels(self) -> list[str]:
        """Names for inside a chart."""
        return [label(n) for n in self.names]

    @property
    def unit(self) -> str:
        """What the common scale is called."""
        return "standard deviations" if self.standardised else "value"

    def common(self, values: Floats) -> Floats:
        """Return values on the common scale."""
        return np.asarray((values - self.centre) / self.spread)


def charted(n: int) -> NDArray[np.int64]:
    """Return which of ``n`` columns are charted: all, or evenly spaced ones.

    Example:
        >>> charted(3).tolist(), len(charted(10_000)), int(charted(10_000)[-1])
        ([0, 1, 2], 1000, 9999)
    """
    return np.arange(n) if n <= CHARTED else np.linspace(0, n - 1, CHARTED).round().astype(np.int64)


def capped(schema: Schema) -> str:
    """Say how many columns are charted, where these are not all."""
    n = int(np.prod(schema.event_shape))
    return "" if n <= CHARTED else f"Charts show {count(CHARTED)} of {count(n)} columns, evenly spaced."


def column_names(schema: Schema) -> tuple[str, ...]:
    """Return the user's names of the charted columns, or their numbers."""
    size = int(np.prod(schema.event_shape))
    at = charted(size)
    if schema.columns is not None and len(schema.columns) == size:
        return tuple(short(schema.columns[i]) for i in at)
    if len(schema.event_shape) == 1:
        return tuple(f"column {i}" for i in at)
    places = np.stack(np.unravel_index(at, schema.event_shape), 1)
    return tuple(f"column {', '.join(map(str, i))}" for i in places.tolist())


def as_columns(x: Data, schema: Schema) -> Floats:
    """Return model values ``(n, *event)`` in the user's numbers, ``(n, charted columns)``."""
    assert isinstance(x, Tensor)  # a view of several modalities is another view
    values = np.asarray(in_units(x.double().cpu().numpy(), schema), dtype=float).reshape(len(x), -1)
    return values[:, charted(values.shape[1])]


def real_columns(batch: Batch, schema: Schema) -> Floats:
    """Return the rows of a batch; what was not observed, or lies behind the end of a sequence, is NaN."""
    values, seen = as_columns(batch.x, schema), batch.observed
    if seen is None:
        return values
    there = seen.flatten(1).cpu().numpy()
    return np.where(there[:, charted(there.shape[1])], values, np.nan)


# --- samples ----------------------------------------------------------------------------------------------------------
def histograms(grid: Grid, real: Floats, made: Floats) -> tuple[list[Chart], Floats]:
    """Return a histogram of each column, at most twelve, those that differ most; and the distance of all columns."""
    far = np.array([kolmogorov_smirnov(real[:, j], made[:, j]) for j in range(real.shape[1])])
    chosen = np.sort(np.argsort(-far, kind="stable")[:FEW]) if len(far) > FEW else np.arange(len(far))
    return [histogram(grid, real[:, j], made[:, j], int(j), float(far[j])) for j in chosen], far


def histogram(grid: Grid, real: Floats, made: Floats, j: int, far: float) -> Chart:
    """Return one column of the data as bars and of the model as a line, both as fractions."""
    edges = bins(np.concatenate([real, made]), whole=grid.whole)
    middles = (edges[:-1] + edges[1:]) / 2
    heights = [np.histogram(v[np.isfinite(v)], edges)[0] / max(1, np.isfinite(v).sum()) for v in (real, made)]
    data = outlines(plain(middles), heights, "%{x:.4g}", width=float(edges[1] - edges[0]))
    name = grid.names[j]
    small = {"l": 30, "r": 6, "t": 4, "b": 24}
    made_figure = figure(data, x={"nticks": 4}, y={"tickformat": ".0%", "nticks": 3}, bargap=0, margin=small)
    return Chart(made_figure, name, f"KS {far:.2f}", height=130, says=f"Histogram of {name}, data and model")


def outlines(at: list[Any], heights: Sequence[Floats], value: str, **bars: Any) -> list[Trace]:
    """Return two histograms over the same bins: the data as bars, the model as a line."""
    says = f"{value}: %{{y:.1%}}"
    return [
        go.Bar(x=at, y=plain(heights[0]), name="data", marker={"color": REAL}, opacity=0.55, hovertemplate=says,
               **bars),
        go.Scatter(mode="lines", x=at, y=plain(heights[1]), name="model", hovertemplate=says,
                   line={"color": MODEL, "width": 1.8, "shape": "hvh"}),
    ]


def bins(values: Floats, *, whole: bool) -> Floats:
    """Return edges: one bin per whole number where they are few, else of equal width over all but the far tails."""
    good = values[np.isfinite(values)]
    if not len(good):
        return np.array([0.0, 1.0])
    low, high = float(good.min()), float(good.max())
    if whole and high - low < 2 * BINS:
        return np.asarray(np.arange(np.floor(low), np.ceil(high) + 2) - 0.5)
    low, high = (float(v) for v in np.quantile(good, [0.002, 0.998]))
    return np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])


def bands(grid: Grid, real: Floats, made: Floats, *, binary: bool) -> Chart:
    """Return the middle of all columns and where most values lie, data and model on one scale."""
    draw = ranges if grid.named else ribbons
    data = [t for name in ("real", "model") for t in draw(grid, real if name == "real" else made, name, binary=binary)]
    made_figure = figure(data, x=column_axis(grid), y={"title": grid.unit})
    return Chart(made_figure, height=400 if grid.named else 300, says="All columns, data and model",
                 wide=grid.named)


def quartiles(values: Floats, *, binary: bool) -> tuple[Floats, Floats, Floats]:
    """Return the 10th percentile, the middle and the 90th percentile of each column; the mean alone where binary."""
    v = np.where(np.isnan(values).all(0), 0.0, values)
    if binary:
        mean = np.nanmean(v, axis=0)
        return mean, mean, mean
    low, middle, high = np.nanquantile(v, [0.1, 0.5, 0.9], axis=0)
    return low, middle, high


def ribbons(grid: Grid, values: Floats, name: str, *, binary: bool) -> list[Trace]:
    """Return columns in their order as a line in a band."""
    at = list(range(values.shape[1]))
    low, middle, high = quartiles(grid.common(values), binary=binary)
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": at}
    return [
        go.Scatter(y=plain(low), **edge),
        go.Scatter(y=plain(high), fill="tonexty", fillcolor=f"var(--{name}-wash)", **edge),
        go.Scatter(mode="lines", x=at, y=plain(middle), name=name, text=grid.labels,
                   line={"color": f"var(--{name})", "width": 1.8}, hovertemplate="%{text}: %{y:.3g}"),
    ]


def ranges(grid: Grid, values: Floats, name: str, *, binary: bool) -> list[Trace]:
    """Return columns by name, each a point in a range, data to the left of the model."""
    low, middle, high = quartiles(grid.common(values), binary=binary)
    shift = -0.14 if name == "real" else 0.14
    colour = f"var(--{name})"
    return [go.Scatter(
        mode="markers", x=[j + shift for j in range(len(middle))], y=plain(middle), name=name, text=grid.labels,
        marker={"color": colour, "size": 7}, hovertemplate="%{text}: %{y:.3g}",
        error_y={
            "type": "data", "symmetric": False, "array": plain(high - middle), "arrayminus": plain(middle - low),
            "color": colour, "thickness": 2.5, "width": 0,
        },
    )]


def column_axis(grid: Grid) -> dict[str, Any]:
    """Return an axis of columns: with names where there is room."""
    return {**column_ticks(grid), "tickangle": -60} if grid.named else {"title": "column"}


def column_ticks(grid: Grid) -> dict[str, Any]:
    """Return the names of columns for an axis, where there is room."""
    if len(grid.names) > NAMED:
        return {"title": "column"}
    return {"tickvals": list(range(len(grid.names))), "ticktext": grid.labels, "nticks": 0}


# --- reconstructions --------------------------------------------------------------------------------------------------
def agreement(grid: Grid, real: Floats, seen: Floats) -> tuple[list[Chart], Floats]:
    """Return a chart of each column, at most twelve, those that agree least; and the correlations of all columns."""
    r = np.array([correlation(real[:, j], seen[:, j]) for j in range(real.shape[1])])
    chosen = np.sort(np.argsort(r, kind="stable")[:FEW])
    return [agree(grid.names[j], real[:, j], seen[:, j], float(r[j])) for j in chosen], r


def correlation(a: Floats, b: Floats) -> float:
    """Return the correlation of what is finite in both; 0 where one of them does not vary.

    Example:
        >>> round(correlation(np.array([0.0, 1.0, 2.0, np.nan]), np.array([1.0, 3.0, 5.0, 7.0])), 6)
        1.0
    """
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    varies = len(a) > 2 and a.std() > 0 and b.std() > 1e-9 * a.std()
    return float(np.corrcoef(a, b)[0, 1]) if varies else 0.0


def agree(name: str, real: Floats, seen: Floats, r: float) -> Chart:
    """Return one column against its reconstruction; on the diagonal the two are equal."""
    both = np.isfinite(real) & np.isfinite(seen)
    a, b = real[both], seen[both]
    note = f"r {fixed(r, 2)}"
    low, high = (float(min(a.min(), b.min())), float(max(a.max(), b.max()))) if len(a) else (0.0, 1.0)
    data = [
        go.Scatter(mode="lines", x=[low, high], y=[low, high], hoverinfo="skip",
                   line={"color": "var(--soft)", "width": 1, "dash": "dot"}),
        go.Scatter(mode="markers", x=plain(a), y=plain(b), hovertemplate="%{x:.4g} → %{y:.4g}<extra></extra>",
                   marker={"color": MODEL, "size": 4, "opacity": 0.6, "line": {"width": 0}}),
    ]
    small = {"l": 34, "r": 6, "t": 4, "b": 24}
    made = figure(data, x={"nticks": 4, "showgrid": True}, y={"nticks": 4}, margin=small)
    return Chart(made, name, note, height=150, says=f"{name}: value against reconstruction, {note}")


def profile(grid: Grid, real: Floats, seen: Floats | None = None) -> dict[str, Any]:
    """Return the columns of one row as a line, with its reconstruction where that is given."""
    line: dict[str, Any] = {
        "mode": "lines", "x": list(range(len(real))), "text": grid.labels, "hovertemplate": "%{text}: %{y:.3g}",
    }
    data = [go.Scatter(y=plain(real), name="data", line={"color": REAL, "width": 2}, **line)]
    if seen is not None:
        data.append(go.Scatter(y=plain(seen), name="model", line={"color": MODEL, "width": 1.5}, **line))
    return figure(data, x={"title": "column"}, y={"nticks": 4})
