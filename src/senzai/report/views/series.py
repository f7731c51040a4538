"""The view of `series`: windows as dated curves in the user's units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from ...core.batch import Data
from ...data import Schema
from ...data.series import dates_of, series_of, stamps, units
from ...evaluation.temporal import autocorrelation
from .. import words
from ..blocks import Block, Chart, Charts, Empty, Section
from ..figures import Trace, figure, plain
from ..findings import Findings, Floats, Scope
from ..numbers import plural
from .base import VIEWS, View

COLUMNS, ROWS, CURVES = 4, 4, 12
"""Columns that are drawn of a window, windows that are drawn beside their reconstruction, new ones in a chart."""
REAL, MODEL = "var(--real)", "var(--model)"
LEGEND = (("data", REAL), ("model", MODEL))


def dated(schema: Schema, about: Mapping[str, Any] | None, n: int) -> list[list[Any]]:
    """Return the times of windows as a chart takes them."""
    told = series_of(schema)
    times = dates_of(schema, about, n, schema.event_shape[0])
    if told.calendar.unit == "number":
        found: list[list[Any]] = times.tolist()
        return found
    return [[str(t) for t in stamps(row, told.calendar).tz_localize(None)] for row in times]


def names_of(schema: Schema) -> list[str]:
    """Return what columns are called."""
    return [str(c) for c in schema.columns] if schema.columns else [f"x{j}" for j in range(schema.event_shape[1])]


def line(x: list[Any], y: Floats, colour: str, name: str, *, faint: bool = False) -> Trace:
    """Return one curve."""
    return go.Scatter(mode="lines", x=x, y=plain(y), name=name, opacity=0.35 if faint else 1.0,
                      line={"color": colour, "width": 1.2 if faint else 1.8}, hovertemplate="%{x}<br>%{y:.5g}")


@final
class SeriesView(View):
    """Curves over time: windows beside their reconstructions, new windows, and autocorrelations."""

    scope: ClassVar[Scope] = Scope(mapped=1000, samples=200)

    def lede(self, schema: Schema) -> str:
        """Say how many windows of how many steps, and how often there is one."""
        told, (steps, columns) = series_of(schema), schema.event_shape
        what = plural(columns, "column")
        return f"{plural(schema.n_rows, 'window')} of {steps} steps {told.calendar.words}, with {what}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return one chart for each of the first few columns."""
        assert isinstance(row, Tensor)  # series are one tensor
        values, times = units(row, schema, about)[0], dated(schema, about, 1)[0]
        return Charts([
            Chart(figure([line(times, values[:, j], MODEL, name)], x={"nticks": 3}, y={"nticks": 4}), name, height=120,
                  says=f"{name} over {len(times)} steps")
            for j, name in enumerate(names_of(schema)[:COLUMNS])
        ])

    def sections(self, found: Findings) -> list[Section]:
        """Return windows with their reconstructions, new windows, and autocorrelations of both."""
        return [*self._shown(found), *self._new(found)]

    def _shown(self, found: Findings) -> list[Section]:
        if found.shown is None:
            return []
        shown, schema = found.shown, found.dataset.schema
        index = shown.index[:ROWS]
        about = found.dataset.rows.about(index)
        some = shown.batch.take(slice(0, len(index)))
        seen = None if some.observed is None else some.observed.cpu().numpy()
        real = units(some.tensor, schema, about)
        real = real if seen is None else np.where(seen, real, np.nan)
        assert isinstance(shown.reconstructions, Tensor)  # series are one tensor
        made, times = units(shown.reconstructions[: len(index)], schema, about), dated(schema, about, len(index))
        charts = [
            Chart(figure([line(times[i], real[i, :, j], REAL, "data"), line(times[i], made[i, :, j], MODEL, "model")],
                         x={"nticks": 3}, y={"nticks": 4}),
                  f"{name}, row {row}", words.bound_of(found, i) if j == 0 else "", height=150,
                  says=f"{name} of row {row} and its reconstruction")
            for i, row in enumerate(index) for j, name in enumerate(names_of(schema)[:COLUMNS])
        ]
        said = words.reconstruction_words(found, "Each window beside its reconstruction, in the units of the data.")
        return [words.reconstructions(said, [Charts(charts, least=260, legend=LEGEND)])]

    def _new(self, found: Findings) -> list[Section]:
        if not isinstance(found.samples, Tensor):
            return [Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        schema, steps = found.dataset.schema, list(range(found.schema.event_shape[0]))
        held = found.mapped.batch
        seen = None if held.observed is None else held.observed.cpu().numpy()
        real = units(held.tensor, schema, found.dataset.rows.about(found.mapped.index))
        real = real if seen is None else np.where(seen, real, np.nan)
        made = units(found.samples, schema, None)
        charts = [
            Chart(figure([*(line(steps, v[:, j], REAL, "data", faint=True) for v in real[:CURVES]),
                          *(line(steps, v[:, j], MODEL, "model", faint=True) for v in made[:CURVES])],
                         x={"title": "step of the window"}, y={"nticks": 5}),
                  name, f"{CURVES} of each", height=200, says=f"{name} of windows and of new ones")
            for j, name in enumerate(names_of(schema)[:COLUMNS])
        ]
        said = words.sample_words(found, plural(len(made), "new window"))
        return [Section("samples", "Samples", [said], [
            Charts(charts, least=300, legend=LEGEND), Charts(_repeats(real, made, schema), least=300, legend=LEGEND),
        ])]


def _repeats(real: Floats, made: Floats, schema: Schema) -> list[Chart]:
    """Return the autocorrelation of each of the first columns, data and model."""
    lags = max(1, real.shape[1] // 2)
    found = [autocorrelation(x, lags) for x in (real, made)]
    return [
        Chart(figure([line(list(range(lags + 1)), found[0][:, j], REAL, "data"),
                      line(list(range(lags + 1)), found[1][:, j], MODEL, "model")],
                     x={"title": "lag, steps"}, y={"nticks": 4}),
              f"{name}, autocorrelation", height=180, says=f"Autocorrelation of {name}, data and model")
        for j, name in enumerate(names_of(schema)[:COLUMNS])
    ]


VIEWS.add("series")(SeriesView())
