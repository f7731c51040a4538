"""Topics: which words belong together, how much of the documents they are, and how coherent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ...core.errors import SettingError
from ...data import Schema
from ...data.bags import words_of
from ...data.sparse import entries
from ...evaluation.topics import RELEVANCE, TOP, diversity, has_topics, named, npmi, topic_weights, topic_words
from ...models import verbs
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


def needs_topics(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows that count words, and for latents that are shares."""
    if words_of(schema) is None:
        return (
            "Topics are of documents, rows that count words, but the rows of this run are something else. Fit texts or "
            "counts with kind=documents."
        )
    if not has_topics(model):
        return (
            "Topics are latents that are shares of a document, but those of this model are no shares. Fit the recipe "
            "prodlda or dirichlet-topics."
        )
    return None


@verb("topics", group="Look", takes="own rows", answers="document", unfit=needs_topics, steered=False)
def topics(run: Trained, data: object = None, *, words: int = TOP, relevance: float = RELEVANCE) -> dict[str, Any]:
    """Name the words of each topic, its share of the documents and its coherence, and how different topics are.

    Args:
        run: The run.
        data: Documents that shares and coherence are taken from; by default those of the run.
        words: Words of each topic.
        relevance: 1 orders words by their share in a topic; below, words that are frequent everywhere come later.
    """
    names = words_of(run.schema)
    assert names is not None  # the verb fits the run
    if not 2 <= words <= len(names) or not 0 <= relevance <= 1:
        raise SettingError(
            f"`2 <= words <= {len(names)}` and `0 <= relevance <= 1` must hold, but got words={words!r}, "
            f"relevance={relevance!r}."
        )
    dataset = run.dataset(run.source(data))
    corpus = entries(dataset.rows, np.arange(len(dataset)))
    chosen = topic_words(topic_weights(run.model, dataset.rows.targets.c), corpus, words, relevance=relevance)
    found = [verbs.encode(run.model, batch)[0] for _, batch in run.pieces(dataset)]
    share = torch.cat(found).double().mean(0).cpu().numpy()
    coherence = npmi(chosen, corpus)
    order = np.argsort(-share, kind="stable")
    return {
        "topics": [
            {"topic": int(k), "share": float(share[k]), "npmi": float(coherence[k]), "words": named(chosen, names)[k]}
            for k in order
        ],
        "npmi": float(coherence.mean()), "diversity": diversity(chosen), "words": words, "relevance": relevance,
        "window": "document",
        "corpus": f"{len(dataset):,} documents that {'were given' if data is not None else 'the run was fitted on'}",
    }
