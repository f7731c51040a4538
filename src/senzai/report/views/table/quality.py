"""How good generated rows of a table are, what is missing in the data, and which rows are outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from ....core.batch import Batch
from ....core.errors import SenzaiError
from ....data import Schema
from ....distributions import MixedFamily
from ....evaluation import quality
from ....evaluation.scores import make_reference, score
from ....evaluation.units import units_of
from ....models.base import latent_model
from ...blocks import Block, Chart, Charts, Empty, Section, TableBlock
from ...figures import figure, plain
from ...findings import Findings, Floats
from ...numbers import THIN, number, plural, short
from ..array.columns import REAL
from .columns import MAPPED
from .values import cell, column_of, completed, cut, family_of, holed, training_rows

OUTLIERS = 10
LEAST = 60
"""Rows that a classifier is trained and judged on, at least."""


def measured(found: Findings, made: Tensor, shapes: Floats, mapped: quality.PairAssociations) -> Section:
    """Return numbers that say how far generated rows can stand in for real ones."""
    told = found.held.batch
    held = completed(told.tensor, told.observed)
    batch = training_rows(found, 2000)
    rows = [("column shapes", f"{shapes.mean():.3f} (mean of {plural(len(shapes), 'column')}; lowest "
                              f"{shapes.min():.3f})")]
    rows += _trends(mapped, len(shapes)) + _discriminated(told, held, made)
    if batch is not None:
        train = completed(batch.tensor, batch.observed)
        rows += _predicted(found, train, made, held) + _distances(family_of(found), train, made, held)
    words = ["Column shapes and pair trends are similarities from 0 to 1. The other measures leave out rows with "
             "missing values where enough rows are complete."]
    if batch is None:
        words.append("Measures that take training rows are left out: these are other data.")
    return Section("quality", "Quality of generated rows", words, [TableBlock("", rows)])


def _trends(mapped: quality.PairAssociations, d: int) -> list[tuple[str, str]]:
    alike = mapped.alike[~np.eye(len(mapped.columns), dtype=bool)]
    there = alike[~np.isnan(alike)]
    if d < 2 or not len(there):
        return []
    some = "" if len(mapped.columns) == d else f" of {len(mapped.columns)} columns, drawn at random"
    some += "" if len(there) == len(alike) else f" known together in {quality.TOGETHER} rows"
    return [("pair trends", f"{there.mean():.3f} (mean over pairs{some}; lowest {there.min():.3f})")]


def _discriminated(told: Batch, held: Tensor, made: Tensor) -> list[tuple[str, str]]:
    """Train a classifier to tell real rows from generated ones."""
    if min(len(held), len(made)) < LEAST:
        return []
    area = quality.judge(holed(told.tensor, told.observed), holed(made, told.observed))
    limited = "" if held.shape[1] <= quality.JUDGED else f"; it sees {quality.JUDGED} columns"
    same = "" if told.observed is None else "; generated rows were given the same missing values"
    return [("real or generated", f"AUROC {area:.3f} of a classifier that tells real from generated rows; 0.5 means it "
                                  f"cannot{limited}{same}")]


def _predicted(found: Findings, train: Tensor, made: Tensor, held: Tensor) -> list[tuple[str, str]]:
    """Train on generated rows, test on real ones."""
    family = family_of(found)
    target = next((j for j in reversed(range(len(family.sorts))) if family.sorts[j] in ("category", "binary")
                   and 2 <= family.sizes[j] <= 10), None)
    if target is None or len(held) < LEAST:
        return []
    use = quality.useful(train, made[: len(train)], held, target)
    if use is None:
        return []
    name = short(str((found.schema.columns or ())[target]))
    return [(f"predicting {name}", f"AUROC {use[1]:.3f} trained on generated rows, {use[0]:.3f} on real ones, both "
                                   "tested on held-out rows")]


def _distances(family: MixedFamily, train: Tensor, made: Tensor, held: Tensor) -> list[tuple[str, str]]:
    """Compare how near generated and held-out rows are to training rows."""
    ours, theirs = (quality.distance_to_training(rows, train, family) for rows in (made, held))
    closer = float((ours < np.quantile(theirs, 0.05)).mean())
    return [
        ("closest training row", f"generated rows {number(float(np.median(ours)), 3)}, held-out rows "
                                 f"{number(float(np.median(theirs)), 3)} away (medians, in standard deviations)"),
        ("too close", f"{100 * closer:.1f} % of generated rows are nearer to a training row than 95 % of held-out rows "
                      "are; about 5 % is expected, far more means copies"),
    ]


# --- missing values ---------------------------------------------------------------------------------------------------
def missing(schema: Schema, mask: Tensor) -> Section:
    """Return the share of missing values by column."""
    shares = 1 - mask.double().mean(0).numpy()
    order = [int(j) for j in np.argsort(-shares, kind="stable") if shares[j] > 0][:MAPPED]
    names = [cut((schema.columns or ())[j], 24) for j in order]
    bars = go.Bar(orientation="h", y=names, x=plain(shares[order]), marker={"color": REAL},
                  hovertemplate="%{y}: %{x:.1%} missing<extra></extra>")
    y = {"autorange": "reversed", "nticks": 2 * len(names)}
    made = figure([bars], x={"tickformat": ".0%", "rangemode": "tozero"}, y=y, bargap=0.35)
    whole = float(mask.all(1).double().mean())
    words = [f"Share of missing values by column; {100 * whole:.0f} % of the rows are complete. Missing values are "
             "masked: the model is neither trained nor evaluated on them."]
    return Section("missing", "Missing values", words,
                   [Charts([Chart(made, height=70 + 22 * len(names), says="Missing values by column")], 420)])


# --- outliers ---------------------------------------------------------------------------------------------------------
def outliers(found: Findings) -> Section:
    """Return the held-out rows with the highest anomaly scores, and the columns that raise them."""
    title, held, schema = "Outliers", found.held, found.schema
    train, model = training_rows(found, 1000), latent_model(found.model)
    try:
        units = units_of(model, schema)
        reference = make_reference(model, held.batch if train is None else train, held.batch, units=units)
        scores = score(model, held.batch, "auto", reference=reference)
    except SenzaiError as err:
        return Section("strange", title, [], [Empty(str(err))])
    rows = [
        (f"row {int(held.index[i])}, score {number(float(scores.values[i]), 3)}", _blamed(found, scores, i))
        for i in torch.argsort(-scores.values)[:OUTLIERS].tolist()
    ]
    words = [f"Of {plural(len(held.batch), 'row')} ({held.name}), those with the highest anomaly score (“auto”), with "
             "the columns that contribute most to it. A high score means unusual, not wrong."]
    blocks: list[Block] = [TableBlock("", rows)]
    return Section("strange", title, words, blocks)


def _blamed(found: Findings, scores: Any, i: int) -> str:
    """Name the values with the largest shares of a row's score."""
    schema, names = found.schema, [str(c) for c in found.schema.columns or ()]
    least = min(0.05, 3 / max(len(names), 1))  # of very many columns none has a large share
    told = []
    for j in torch.argsort(-scores.shares[i, : len(names)])[:3].tolist():
        share = float(scores.shares[i, j] / scores.values[i].clamp_min(1e-9))
        if share > least and column_of(schema, j) is not None:
            value = short(cell(found.held.batch, i, j, schema))
            told.append(f"{short(names[j])} = {value} ({number(100 * share, 2)}{THIN}%)")
    return "; ".join(told)
