"""The view of `documents`: the topics, where they lie to one another, and documents as their foremost words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from ...core.batch import Data
from ...data import Schema
from ...data.bags import words_of
from ...data.sparse import entries
from ...evaluation.topics import TOP, diversity, has_topics, named, npmi, topic_weights, topic_words
from ...models import verbs
from ..blocks import Block, Chart, Charts, Listing, Section, TableBlock
from ..figures import figure, points, principal
from ..findings import Findings, Scope
from ..numbers import count, number, plural
from .base import VIEWS, View

SHOWN = 10
"""Words of a document that are listed."""
MOST_ROWS = 5000
"""Documents that shares of topics are taken from, at most."""


@final
class DocumentView(View):
    """A document is shown as its words, the most frequent first."""

    scope: ClassVar[Scope] = Scope(mapped=1000)

    def lede(self, schema: Schema) -> str:
        """Say how many documents and words."""
        return f"{plural(schema.n_rows, 'document')} of {plural(schema.size, 'different word')}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the words of a document."""
        assert isinstance(row, Tensor)  # what this kind gives
        values, names = row.flatten(), words_of(schema) or ()
        best = torch.argsort(values, descending=True, stable=True)[:SHOWN].tolist()
        there = [f"{names[i]} {_times(float(values[i]))}" for i in best if float(values[i]) > 0]
        more = int((values >= 0.5).sum()) - len(there)
        return Listing([*there, *([f"and {count(more)} more"] if more > 0 else [])] or ["no word"])

    def sections(self, found: Findings) -> list[Section]:
        """Return the topics before documents and new documents."""
        return [*_topics(found), *super().sections(found)]


def _times(value: float) -> str:
    return f"× {number(value, 2)}" if value != 1 else ""


def _topics(found: Findings) -> list[Section]:
    """Return the words of the topics, and a map of them."""
    names = words_of(found.schema)
    if names is None or not has_topics(found.model):
        return []
    rows = found.dataset.rows
    corpus = entries(rows, np.arange(len(rows)))
    weights = topic_weights(found.model, rows.targets.c)
    words = topic_words(weights, corpus, min(TOP, len(names)))
    coherence = npmi(words, corpus) if words.shape[1] > 1 else np.zeros(len(words))
    step = -(-len(rows) // MOST_ROWS)
    share = verbs.encode(found.model, rows.take(np.arange(0, len(rows), step)))[0].double().mean(0).cpu().numpy()
    order, told = np.argsort(-share, kind="stable"), named(words, names)
    table = [
        (f"topic {k}, {share[k]:.1%}", f"{', '.join(told[k])} ({number(float(coherence[k]), 2)})") for k in order
    ]
    said = (
        f"The foremost {plural(words.shape[1], 'word')} of each topic, with its share of the documents and its "
        f"coherence: the mean NPMI of pairs of its words, where a window is a whole document and the corpus is these "
        f"{plural(len(rows), 'document')}. Mean coherence {number(float(coherence.mean()), 3)}; "
        f"{diversity(words):.0%} of all these words are different."
    )
    return [Section("topics", "Topics", [said], [TableBlock("", table), *_map(weights, share, told)])]


def _map(weights: np.ndarray[Any, Any], share: np.ndarray[Any, Any], told: list[list[str]]) -> list[Block]:
    """Return topics as points: near ones use the same words (square roots of shares, so distances are Hellinger's)."""
    if len(weights) < 3:
        return []
    xy, parts = principal(np.exp(0.5 * weights))
    size = {"size": (8 + 40 * np.sqrt(share / max(share.max(), 1e-12))).tolist(), "color": "var(--model)"}
    names = tuple((f"topic {k}, {share[k]:.1%}", ", ".join(told[k])) for k in range(len(told)))
    made = figure([points(xy, np.arange(len(xy)), size)], x={"title": "first component", "showgrid": True},
                  y={"title": "second component"}, hovermode="closest", dragmode="pan")
    explained = number(100 * float(np.nansum(parts)), 2)
    chart = Chart(made, height=480, says=f"Map of {len(xy)} topics; two components, {explained} % of the variance",
                  points=names)
    return [Charts([chart], 500)]


VIEWS.add("documents")(DocumentView())
