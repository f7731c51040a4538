"""The view of `array`: reconstructions, samples, traversals and interpolations, column by column or as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
from torch import Tensor

from ....core.batch import Batch, Data
from ....data import Schema
from ... import words
from ...blocks import Block, Chart, Charts, Section, TableBlock
from ...findings import Findings, Scope
from ...numbers import number, own, plural
from ..base import VIEWS, View
from . import columns, traversals
from .columns import Grid


@final
class ArrayView(View):
    """Rows of numbers."""

    scope: ClassVar[Scope] = Scope(mapped=2000, samples=2000, compared=400)

    def lede(self, schema: Schema) -> str:
        """Say how many rows, and of which shape."""
        if len(schema.event_shape) == 1:
            return f"{plural(schema.n_rows, 'row')} of {plural(schema.event_shape[0], 'column')}"
        return f"{plural(schema.n_rows, 'row')} of the shape {' × '.join(map(str, schema.event_shape))}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the names and values of a row, or a curve where columns are many."""
        values = columns.as_columns(row, schema)
        grid = Grid.of(schema, values)
        if len(grid.names) <= columns.NAMED:
            rows = [(n, own(float(v))) for n, v in zip(grid.names, values[0], strict=True)]
            return TableBlock("", rows)
        return Charts([Chart(columns.profile(grid, values[0]), says="Values of a row by column", height=180)], 300)

    def sections(self, found: Findings) -> list[Section]:
        """Return reconstructions and samples."""
        grid = _grid(found)
        parts = [] if found.shown is None else [_reconstructions(found, grid)]
        return parts if found.samples is None else [*parts, _samples(found, grid, found.samples)]

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return what changes along latents, and between two rows."""
        if found.codes is None:
            return []
        grid = _grid(found)
        schema = found.schema
        moved = [traversals.traversal(grid, t, schema, words.rate_of(found, t.name)) for t in found.traversals]
        between = [traversals.interpolation(grid, p, schema) for p in found.paths]
        change, scale = _colour_words(grid)
        return [
            words.traversals(found, [*words.traversal_words(found), change],
                             _panels(grid, moved, "value", centred=True)),
            words.interpolations(found, [*words.interpolation_words(found), scale],
                                 _panels(grid, between, "position on the line", centred=grid.standardised)),
        ]


def _grid(found: Findings) -> Grid:
    return Grid.of(found.schema, columns.real_columns(found.mapped.batch, found.schema))


# --- reconstructions --------------------------------------------------------------------------------------------------
def _reconstructions(found: Findings, grid: Grid) -> Section:
    """Compare values with reconstructions: by column, or row by row where columns are a sequence without names."""
    assert found.shown is not None
    schema = found.schema
    if grid.sequence:
        said = words.reconstruction_words(found, "Grey: the row. Colour: its reconstruction.")
        return words.reconstructions([*said, columns.capped(schema)], [Charts(_profiles(found, grid), 300, LEGEND)])
    seen = found.shown.reconstructions if found.compared is None else found.compared
    n = len(Batch(seen))
    real = columns.real_columns(found.held.batch.take(slice(0, n)), schema)
    charts, r = columns.agreement(grid, real, columns.as_columns(seen, schema))
    said = [
        f"Horizontal: the value of a row. Vertical: its expected value under the model, given its code. "
        f"{plural(n, 'row')} ({found.held.name}); on the dotted line the two agree.", columns.capped(schema),
    ]
    if len(r) > len(charts):
        said.append(f"Shown are the {len(charts)} of {len(r)} columns with the weakest correlation r; "
                    f"its mean over all columns is {number(float(r.mean()), 2)}.")
    return words.reconstructions(said, [Charts(charts, 190)])


def _profiles(found: Findings, grid: Grid) -> list[Chart]:
    """Return a few rows as curves, each with its reconstruction."""
    assert found.shown is not None
    shown, schema = found.shown, found.schema
    real = grid.common(columns.real_columns(shown.batch, schema))
    seen = grid.common(columns.as_columns(shown.reconstructions, schema))
    if isinstance(shown.batch.lengths, Tensor):
        seen = np.where(np.isnan(real), np.nan, seen)
    charts = []
    for i in range(min(columns.PROFILES, len(real))):
        name, bound = f"row {int(shown.index[i])}", words.bound_of(found, i)
        note = f"{bound} nats" if bound else ""
        made = columns.profile(grid, real[i], seen[i])
        charts.append(Chart(made, name, note, height=180, says=f"{name} and its reconstruction"))
    return charts


# --- samples ----------------------------------------------------------------------------------------------------------
def _samples(found: Findings, grid: Grid, samples: Data) -> Section:
    """Compare the distribution of every column."""
    schema = found.schema
    real, made = columns.real_columns(found.mapped.batch, schema), columns.as_columns(samples, schema)
    charts, far = columns.histograms(grid, real, made)
    said = [
        f"{plural(len(made), 'new row')} drawn from the model beside {plural(len(real), 'row')} ({found.mapped.name}).",
        "KS is the Kolmogorov–Smirnov distance: 0 where two distributions are equal, 1 where they do not overlap. "
        f"Its mean over all columns is {far.mean():.2f}.", columns.capped(schema),
    ]
    blocks: list[Block] = []
    if len(far) > columns.FEW:
        blocks.append(Charts([columns.bands(grid, real, made, binary=schema.values == "binary")], 500, LEGEND))
        said += _band_words(grid, len(charts), len(far), binary=schema.values == "binary")
    blocks.append(Charts(charts, 190, () if blocks else LEGEND))
    return Section("samples", "Samples", said, blocks)


def _band_words(grid: Grid, shown: int, n: int, *, binary: bool) -> list[str]:
    middle = "mean" if binary else "median, with a band from the 10th to the 90th percentile"
    unit = grid.unit if grid.standardised else "units of the data"
    return [f"The wide chart shows the {middle}, in {unit}.",
            f"Below it are the {shown} of {n} columns with the largest distance."]


# --- the latent space -------------------------------------------------------------------------------------------------
def _panels(grid: Grid, panels: list[traversals.Panel], axis: str, *, centred: bool) -> list[Block]:
    """Return steps through the latent space: curves for a sequence, colours for columns."""
    if not panels:
        return []
    if grid.sequence:
        return [Charts([traversals.fan(p) for p in panels], 260)]
    return [Charts([traversals.heat(grid, panels, axis, centred=centred)], 500)]


def _colour_words(grid: Grid) -> tuple[str, str]:
    """Say what colours mean in traversals and in interpolations."""
    if grid.sequence:
        ends = "Each line is a step: blue at the first, orange at the last, faint in the middle."
        return ends, ends
    unit = "in standard deviations of the column" if grid.standardised else "in the units of the data"
    pale = ", palest at its mean" if grid.standardised else ""
    return f"Colour is the change from the middle step, {unit}.", f"Colour is the value, {unit}{pale}."


LEGEND = columns.LEGEND
VIEWS.add("array")(ArrayView())
