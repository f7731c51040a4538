"""What was evaluated besides the headline: one section for each part of the catalogue, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..evaluation import MEASURES
from ..evaluation.results import figures_of
from .blocks import Block, Chart, Charts, Empty, Listing, Section, TableBlock
from .figures import figure
from .numbers import number, plural, shown, with_error

PARTS = {
    "likelihood": ("Likelihood estimates", ("convergence", "ais", "bdmc", "gaps")),
    "representation": (
        "Representation",
        ("dependence", "probes", "map", "disentanglement", "numbers", "code_use", "symbols", "topics"),
    ),
    "generation": ("Sample quality", ("generation", "new_rows", "kind_distance")),
    "modalities": ("Modalities", ("modalities", "crossings", "modal_coherence")),
    "batches": ("Batches and labels", ("mixing", "conservation")),
    "reconstruction": ("Reconstructions", ("reconstructions", "code_rate")),
    "time": ("Rows along time", ("autocorrelation", "spectrum", "context_frechet", "discriminative", "predictive")),
    "returns": ("Returns", ("stylised",)),
    "recommendation": ("Recommendation", ("recommendation",)),
    "uncertainty": ("Calibration and uncertainty", ("imputation", "uncertainty")),
    "detection": ("Anomaly detection", ("detection", "paradox")),
    "privacy": ("Membership", ("membership", "membership_shadows")),
}
"""Sections of the page, and the measures that each shows."""


def sections(numbers: Mapping[str, Any]) -> list[Section]:
    """Return a section for each part of which something was measured, and one about what was not.

    Args:
        numbers: As ``evaluate`` gives them.
    """
    measured, missed = numbers.get("measured") or {}, numbers.get("not_measured") or {}
    found = [_part(f"judged-{key}", title, names, measured) for key, (title, names) in PARTS.items()]
    rest = [name for name in measured if not any(name in names for _, names in PARTS.values())]
    found += [_part(f"judged-{name}", name, (name,), measured) for name in rest]
    kept = [s for s in found if s is not None]
    if missed:
        lines = [f"{heading_of(n)}: {why}" for n, why in missed.items()]
        kept.append(Section("not-measured", "Not measured", ["And the reason for each."], [Listing(lines)]))
    return kept


def _part(key: str, title: str, names: tuple[str, ...], measured: Mapping[str, Any]) -> Section | None:
    here = [name for name in names if name in measured]
    if not here:
        return None
    blocks: list[Block] = []
    for name in here:
        blocks += _blocks(name, measured[name])
    words = ["Values with their standard errors. The page “Evaluating” of the documentation defines each."]
    return Section(key, title, words, blocks)


def _blocks(name: str, found: Mapping[str, Any]) -> list[Block]:
    heading = heading_of(name)
    if of := found.get("of"):
        heading += f" ({plural(int(of['n']), 'row')}, {of.get('split', 'all')})"
    rows = table_rows(found)
    blocks: list[Block] = [TableBlock(heading, rows)] if rows else []
    if isinstance(found.get("table"), Mapping):
        blocks.append(TableBlock(heading, side_by_side(found["table"])))
    if name == "convergence":
        blocks.append(Charts([curve(found)], 300))
    if "map" in found and isinstance(found["map"], list):
        drawn = heat(found["map"])
        blocks += [] if drawn is None else [Charts([drawn], 260)]
    if found.get("note"):
        blocks.append(Empty(str(found["note"])))
    return blocks


def heading_of(name: str) -> str:
    """Return what a measure measures, as a heading.

    Example:
        >>> heading_of("gaps")
        'Amortisation and approximation gap'
    """
    title = MEASURES[name].title if name in MEASURES else name
    return title[:1].upper() + title[1:]


def table_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts of the figures of a measure, each beside what real rows reach, where that is known."""
    floor = found.get("floor") or {}
    rows = []
    for name, one in figures_of(found):
        text = figure_text(one)
        if name in floor:
            text += f"; real rows: {figure_text(floor[name])}"
        rows.append((name.replace("_", " "), text))
    plain = {k: v for k, v in found.items() if isinstance(v, int | float | str) and k != "note"}
    return rows + [(k.replace("_", " "), shown(v)) for k, v in plain.items()]


def side_by_side(table: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str]]:
    """Return a row for each number that some sources have, with the number of each source.

    Example:
        >>> side_by_side({"data": {"skew": 0.5}, "model": {"skew": 0.25}})
        [('skew', 'data 0.500 · model 0.250')]
    """
    names = dict.fromkeys(name for one in table.values() for name in one)
    return [
        (name.replace("_", " "), " · ".join(f"{of} {number(v[name], 3)}" for of, v in table.items() if name in v))
        for name in names
    ]


def figure_text(found: Mapping[str, Any]) -> str:
    """Return a figure as text: value, error, interval if there is one, rows."""
    if found.get("value") is None:
        return "not defined"
    value, error = with_error(float(found["value"]), found.get("se"))
    text = f"{value} ± {error}" if error else value
    if found.get("low") is not None:
        text += f", 95 % {number(found['low'], 3)} … {number(found['high'], 3)}"
    return f"{text} ({plural(int(found['n']), 'row')})"


def curve(found: Mapping[str, Any]) -> Chart:
    """Draw the bound against the number of draws."""
    trace = go.Scatter(
        mode="lines+markers", x=list(found["k"]), y=list(found["bound"]), line={"color": "var(--rate)"},
        hovertemplate="k = %{x}: %{y:.2f} nats<extra></extra>",
    )
    note = "if it still rises at the right, more draws would raise the estimate"
    says = "The importance-weighted bound against the number of draws per row"
    ticks = {"type": "log", "title": "draws k", "tickvals": list(found["k"]), "nticks": 0}
    drawn = figure([trace], x=ticks, y={"title": "nats"})
    return Chart(drawn, "Bound against draws", note, says=says)


def heat(values: Any) -> Chart | None:
    """Draw a map of uncertainty, if its entries are pixels."""
    depth = np.ndim(values)
    if depth == 3 and len(values) == 1:  # one channel
        values, depth = values[0], 2
    if depth != 2:
        return None
    trace = go.Heatmap(z=values, showscale=True, hovertemplate="%{z:.3g}<extra></extra>")
    says = "Mean standard deviation of each pixel of a reconstruction"
    drawn = figure([trace], y={"autorange": "reversed", "scaleanchor": "x"})
    return Chart(drawn, "Uncertainty of reconstructions", "by pixel", 260, says)
