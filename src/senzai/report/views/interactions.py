"""The view of `interactions`: what users have, how well items are recommended, how popular they are, a map of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from ...core.batch import Data
from ...data import Schema
from ...data.sparse import Sparse, entries
from ...evaluation.ranking import LIST, best_of, recommended
from ...evaluation.reasons import item_codes
from ...evaluation.recommending import expected_items
from ..blocks import Block, Cell, Chart, Charts, Listing, Section, Way, Ways
from ..figures import figure, points, principal
from ..findings import Findings, Scope
from ..numbers import count, number, plural, short
from .base import VIEWS, View

SHOWN = 8
"""Items of a user that are listed."""
MAPPED = 400
"""Items of the map, the most popular ones."""
TENTHS = 10
FIGURES: Mapping[str, str] = {
    "recall_at_20": "Recall@20", "recall_at_50": "Recall@50", "ndcg_at_100": "NDCG@100", "mrr": "MRR",
    "coverage_at_20": "coverage", "novelty_at_20": "novelty, bits", "diversity_at_20": "diversity",
    "gini_at_20": "Gini",
}


@final
class InteractionView(View):
    """A user is shown as a list of items."""

    scope: ClassVar[Scope] = Scope(mapped=500)

    def lede(self, schema: Schema) -> str:
        """Say how many users and items."""
        return f"{plural(schema.n_rows, 'user')} and {plural(len(schema.columns or ()), 'item')}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the items of a user, those first of which there is most."""
        assert isinstance(row, Tensor) and schema.columns is not None  # noqa: PT018  # what this kind gives
        values = row.flatten()
        best = best_of(values.unsqueeze(0).double(), SHOWN)[0]
        names = [short(schema.columns[i]) for i in best if float(values[i]) > 0]
        more = int((values >= 1).sum()) - len(names)
        return Listing([*names, *([f"and {count(more)} more"] if more > 0 else [])] or ["nothing"])

    def sections(self, found: Findings) -> list[Section]:
        """Return popularity and the map of items before users and new users."""
        return [*_popularity(found), *_map(found), *super().sections(found)]

    def judged(self, numbers: Mapping[str, Any]) -> list[Section]:
        """Return the leaderboard."""
        told = (numbers.get("measured") or {}).get("recommendation")
        if told is None:
            return []
        rows = [("this model", _cells(told))]
        beside = told.get("beside", {})
        rows += [(name.replace("_", " "), _cells(f)) for name, f in beside.items() if "not_measured" not in f]
        words = [
            f"{plural(int(told['users']), 'user')}: {told['how']}. Small print: standard errors over users. The one "
            "number of each simple method was chosen on validation users.",
            *(f"{name}: {f['not_measured']}" for name, f in beside.items() if "not_measured" in f),
        ]
        way = Way("", "", list(FIGURES.values()), rows)
        return [Section("leaderboard", "Recommendation", words, [Ways([way], least=700)])]


def _cells(found: Mapping[str, Any]) -> list[Cell]:
    """Return the figures of one method, as far as they are there."""
    return [Cell(number(float(found[n]), 3), f"± {number(float(found[f'{n}_se']), 2)}") for n in FIGURES]


# --- popularity -----------------------------------------------------------------------------------------------------
def _popularity(found: Findings) -> list[Section]:
    """Return which share of what users have, and of what they are recommended, is in each tenth of the items."""
    rows = found.dataset.rows
    given = entries(rows, found.held.index)
    c = rows.targets.for_rows(torch.from_numpy(found.held.index))["c"]
    lists = recommended(expected_items(found.model, given, c).double().cpu(), given, LIST)
    have = np.bincount(np.asarray(entries(rows, np.arange(len(rows))).indices), minlength=given.n_columns)
    told = np.bincount(lists[lists >= 0], minlength=given.n_columns)
    order = np.argsort(-have, kind="stable")
    parts = [np.array_split(v[order], min(TENTHS, len(order))) for v in (have, told)]
    shares = [np.array([p.sum() for p in part]) / max(1, sum(p.sum() for p in part)) for part in parts]
    names = [str(i + 1) for i in range(len(shares[0]))]
    looks = (("what users have", "var(--real)"), ("what they are recommended", "var(--model)"))
    bars = [
        go.Bar(x=names, y=s.tolist(), name=n, marker={"color": c}, hovertemplate="%{y:.1%}<extra></extra>")
        for s, (n, c) in zip(shares, looks, strict=True)
    ]
    made = figure(bars, x={"title": "tenth of the items, the most popular first"}, y={"title": "share"},
                  barmode="group")
    chart = Chart(made, height=260, keys=looks, says="Popularity of what users have and of what they are recommended")
    words = [
        f"{plural(LIST, 'item')} for each of {plural(len(lists), 'user')} ({found.held.name}): "
        f"{count(int((told > 0).sum()))} of {count(len(have))} items are recommended to anybody. "
        "Where the second bar is higher at the left, the model recommends what is popular already.",
    ]
    return [Section("popularity", "Popularity", words, [Charts([chart], 400)])]


def _map(found: Findings) -> list[Section]:
    """Return the most popular items where their codes lie."""
    if found.codes is None or found.schema.columns is None:
        return []
    rows = found.dataset.rows
    whole: Sparse = entries(rows, np.arange(len(rows)))
    have = np.bincount(np.asarray(whole.indices), minlength=whole.n_columns)
    items = np.argsort(-have, kind="stable")[:MAPPED]
    if len(items) < 3:
        return []
    width = 0 if found.schema.condition is None else found.schema.condition.width
    xy, shares = principal(item_codes(found.model, whole.n_columns, items, n_condition=width))
    names = tuple((short(found.schema.columns[i]), plural(int(have[i]), "user")) for i in items)
    size = {"size": (4 + 12 * np.sqrt(have[items] / max(1, have.max()))).tolist(), "color": "var(--model)"}
    made = figure([points(xy, np.arange(len(xy)), size)], x={"title": "first component", "showgrid": True},
                  y={"title": "second component"}, hovermode="closest", dragmode="pan")
    words = [
        f"The {plural(len(items), 'item')} that most users have, at the code of a user who has it alone; "
        f"two principal components ({number(100 * float(np.nansum(shares)), 2)} % of the variance). Larger points have "
        "more users.",
    ]
    chart = Chart(made, height=520, says=f"Map of {len(items)} items", points=names)
    return [Section("items", "Items", words, [Charts([chart], 500)])]


VIEWS.add("interactions")(InteractionView())
