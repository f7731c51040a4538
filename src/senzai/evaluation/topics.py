"""Topics of documents: what a model says they are, and how they are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..data.sparse import Sparse, entries
from ..distributions.multinomial import MultinomialGivenTotal, log_arrangements
from ..distributions.ops import expected
from ..models.base import LatentModel, latent_model
from ..models.generative import Generative
from ..models.modes import judging
from .catalogue import NEEDS, Case, measure
from .results import Figure, Floats
from .statistics import mean_se, ratio_of_means

Ints = np.ndarray[Any, np.dtype[np.int64]]

TOP = 10
"""Words of a topic that it is judged by."""
RELEVANCE = 0.6
"""How much a word's share in a topic counts, beside how much larger it is there than elsewhere."""
MOST_CONDITIONS = 256


def has_topics(model: object) -> bool:
    """Whether the latents of a model are one group of shares that add up to one."""
    return isinstance(model, LatentModel) and [space.name for space in model.spaces] == ["simplex"]


def topic_weights(model: Generative, c: Tensor | None = None) -> Floats:
    r"""Return the log share of each word in a document that is all of one topic, ``(K, n_words)``.

    .. math:: \log p(w \mid z = e_k)

    So a topic is the same whatever decodes it: a mixture's row of words, or an expert together with how frequent words
    are. With conditions it is the mean over them.

    Args:
        model: A model whose latents are shares.
        c: Conditions, ``(M, width)``, of which some hundred are looked at.
    """
    latent = latent_model(model)
    prior = latent.top_prior
    assert prior is not None  # shares have one
    n, device = int(prior.n_latent), model.device
    given = None if c is None else c[:MOST_CONDITIONS].to(device)
    with judging(latent), torch.no_grad():
        eye = torch.eye(n, device=device)
        if given is None:
            return np.asarray(_log_shares(latent.generate((eye.unsqueeze(0),)))[0])
        z = eye.repeat_interleave(len(given), 0).unsqueeze(0)
        each = _log_shares(latent.generate((z,), given.repeat(n, 1)))[0]
        return np.asarray(np.logaddexp.reduce(each.reshape(n, len(given), -1), axis=1) - np.log(len(given)))


def _log_shares(p: Distribution) -> Floats:
    """Return the log of the share of each entry in what is expected of a row."""
    if isinstance(p, MultinomialGivenTotal):
        return np.asarray(p.log_share.double().cpu().numpy())
    x = expected(p).double().flatten(2)
    return np.asarray((x / x.sum(-1, keepdim=True)).clamp_min(1e-300).log().cpu().numpy())


def ranked(weights: Floats, usual: Floats, *, relevance: float = RELEVANCE) -> Floats:
    r"""Return what words of topics are ordered by, ``(K, n_words)``.

    .. math:: \log p(w \mid k) - (1 - \lambda) \log p(w)

    At 1 words are ordered by their share in the topic; below, words that are frequent everywhere come later.

    Reference:
        LDAvis: A method for visualizing and interpreting topics (Sievert and Shirley, 2014), where 0.6 is the best of
        a study with people. https://aclanthology.org/W14-3110

    Args:
        weights: Log shares of words in topics.
        usual: Shares of words in all documents.
        relevance: lambda.

    Example:
        >>> int(ranked(np.log([[0.6, 0.4]]), np.array([0.9, 0.1])).argmax())
        1
    """
    found: Floats = weights - (1 - relevance) * np.log(usual.clip(1e-300))
    return found


def tops(scores: Floats, n: int = TOP) -> Ints:
    """Return the columns of the largest scores of each row, the largest first, ``(K, n)``.

    Example:
        >>> tops(np.array([[0.1, 0.7, 0.2]]), 2).tolist()
        [[1, 2]]
    """
    found: Ints = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return found


def npmi(words: Ints, corpus: Sparse) -> Floats:
    r"""Return the coherence of groups of words in a corpus, ``(K,)``: mean normalised pointwise mutual information.

    .. math:: \mathrm{NPMI}(i, j) = \frac{\log \frac{p(i, j)}{p(i) p(j)}}{-\log p(i, j)}

    Probabilities are shares of the documents of the corpus that have a word, or both (a window is a whole document).
    Two words that never meet have -1, two that are in every document 1; nothing is smoothed.

    Reference:
        Normalized (Pointwise) Mutual Information in Collocation Extraction (Bouma, 2009).
        Machine Reading Tea Leaves (Lau, Newman and Baldwin, 2014). https://aclanthology.org/E14-1056

    Args:
        words: Columns of the corpus, a group a row, two at least.
        corpus: Documents by words.

    Example:
        >>> corpus = Sparse.of(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]), shape=(4, 3))
        >>> npmi(np.array([[0, 1], [0, 2]]), corpus).tolist()
        [1.0, -1.0]
    """
    n = corpus.n_rows
    places = np.unique(words)
    column = np.full(corpus.n_columns, -1, np.int64)
    column[places] = np.arange(len(places))
    some = corpus.where(column[corpus.indices] >= 0)
    from scipy.sparse import csr_array

    there = csr_array((np.ones(len(some.indices)), column[some.indices], some.indptr), (n, len(places)))
    both = np.asarray((there.T @ there).todense(), np.float64) / max(1, n)
    alone = np.diag(both)
    first, second = np.triu_indices(words.shape[1], 1)
    i, j = column[words[:, first]], column[words[:, second]]
    p = both[i, j]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(p / (alone[i] * alone[j])) / -np.log(p)
    value = np.where(p == 0, -1.0, np.where(p == 1, 1.0, value))
    return np.asarray(value.mean(1))


def diversity(words: Ints) -> float:
    """Return how many of the words of all groups are different, as a share: 1 where no word is in two groups.

    Reference:
        Topic Modeling in Embedding Spaces (Dieng, Ruiz and Blei, 2020), there for 25 words.
        https://arxiv.org/abs/1907.04907

    Example:
        >>> diversity(np.array([[0, 1], [1, 2]]))
        0.75
    """
    return len(np.unique(words)) / words.size


def usual_shares(corpus: Sparse) -> Floats:
    """Return the share of each word in all documents together, never zero: as if one more had half of each."""
    values = np.ones(len(corpus.indices)) if corpus.values is None else np.asarray(corpus.values, np.float64)
    total = np.bincount(np.asarray(corpus.indices), weights=values, minlength=corpus.n_columns) + 0.5
    return np.asarray(total / total.sum())


def topic_words(weights: Floats, corpus: Sparse, n: int = TOP, *, relevance: float = RELEVANCE) -> Ints:
    """Return the words of each topic, the foremost first, as columns."""
    return tops(ranked(weights, usual_shares(corpus), relevance=relevance), n)


# --- evaluate ---------------------------------------------------------------------------------------------------------
def are_documents(case: Case) -> bool:
    """Whether rows are counts given their sum, from shares of topics."""
    return case.model.infers and has_topics(case.latent) and isinstance(case.first.likelihood, MultinomialGivenTotal)


NEEDS["topics"] = (
    are_documents, "It is about counts of words from shares of topics; these rows or latents are something else."
)


def perplexities(log_p: Tensor, x: Tensor) -> Mapping[str, Any]:
    r"""Return bounds of the perplexity from bounds of log p(x | n) that count arrangements, ``(N,)``.

    .. math:: \exp\Big(-\frac{\sum_i \log p(w_i)}{\sum_i n_i}\Big), \qquad
        \exp\Big(-\frac1N \sum_i \frac{\log p(w_i)}{n_i}\Big)

    of words one by one: which of them come together in a document says nothing about their order. The second is the
    one that neural topic models print; short documents weigh as much in it as long ones. Empty documents do not count.
    """
    x = x.double()
    n = x.sum(1)
    some = n > 0
    nats = -(log_p.double() - log_arrangements(x))[some]
    by_word, se = ratio_of_means(nats, n[some])
    by_document = nats / n[some]
    each, each_se = float(by_document.mean()), mean_se(by_document)
    rows = int(some.sum())
    return {
        "perplexity_bound": Figure(float(np.exp(by_word)), float(np.exp(by_word)) * se, rows, None, "perplexity"),
        "perplexity_bound_by_document": Figure(
            float(np.exp(each)), float(np.exp(each)) * each_se, rows, None, "perplexity, mean over documents"
        ),
    }


@measure(
    "topics", "topics of documents: perplexity as the bound it is, coherence and diversity", usual=True,
    needs=("topics", "rows"), cost=lambda c, p: p.row * min(1, len(c.rows)),
)
def topics(case: Case) -> Mapping[str, Any]:
    """Judge words by the rows, which are the corpus of their coherence."""
    x = case.data.tensor.flatten(1).cpu()
    found: dict[str, Any] = dict(perplexities(case.estimate.per_row.cpu(), x))
    corpus = of_batch(case.data)
    words = topic_words(topic_weights(case.model, case.rows.c), corpus)
    coherence = npmi(words, corpus)
    details = {"words": TOP, "relevance": RELEVANCE, "window": "document", "corpus": "the rows that are judged"}
    se = mean_se(torch.from_numpy(coherence))
    found["npmi"] = Figure(float(coherence.mean()), se, len(words), None, "npmi", details)
    found["diversity"] = Figure(diversity(words), 0.0, len(words), None, "diversity", {"words": TOP})
    return found


def of_batch(batch: Batch) -> Sparse:
    """Return rows as a sparse matrix."""
    from ..data.rows import BatchRows

    return entries(BatchRows([batch]), np.arange(len(batch)))


def named(words: Ints, names: Sequence[str]) -> list[list[str]]:
    """Return words by their names."""
    return [[names[i] for i in group] for group in words]
