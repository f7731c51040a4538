"""Measures of rows of several modalities: likelihoods of subsets, crossings between them, and their coherence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.random import derive
from ..models import verbs
from ..objectives.modalities import only_with
from .catalogue import NEEDS, Case, Pace, measure
from .modal import conditional_bound, joint_bound, proper_subsets
from .results import Figure
from .statistics import mean_se

MOST_ROWS = 500
"""Rows that crossings are judged on, at most."""
MOST_NAMES = 4
"""Modalities up to which every subset is gone through; of more, single ones and all but one."""
CLASSIFIER = "a logistic regression on the entries of the modality, fitted to half of the labelled rows"

NEEDS["modalities"] = (lambda c: len(c.rows.modalities) > 1, "It is about rows of several modalities; these have one.")


def usual_subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the subsets that are looked at: all of few modalities; of many, single ones and all but one.

    Example:
        >>> len(usual_subsets("abc")), len(usual_subsets("abcdef"))
        (6, 12)
    """
    if len(names) <= MOST_NAMES:
        return proper_subsets(names)
    return [*((n,) for n in names), *(tuple(m for m in names if m != n) for n in names)]


def complete(case: Case, purpose: str) -> Batch:
    """Return rows that have every modality, at most some hundreds."""
    rows, _ = case.some(MOST_ROWS, purpose)
    there = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    for seen in (rows.present or {}).values():
        there = there & seen
    return rows.take(there.nonzero().squeeze(1))


def _cost(case: Case, pace: Pace) -> float:
    """Each subset is inferred once, with as many draws as half the likelihood's."""
    n = min(MOST_ROWS, len(case.rows))
    return len(usual_subsets(case.rows.modalities)) * n * min(case.k, 50) * pace.draw * 2


@measure(
    "modalities", "log-likelihood bounds of every subset of modalities, and of the others told from it",
    needs=("inference", "modalities"), cost=_cost,
)
def modalities(case: Case) -> Mapping[str, Any]:
    """Bound log p of each subset by importance weights, and of the rest by way of the encoder; nats a row.

    ``bound`` is an importance-weighted lower bound of the log density of a subset. ``conditional_bound`` is a lower
    bound of what the model says of the rest by way of its posterior of the subset, see
    :func:`~senzai.evaluation.modal.conditional_bound`; not of the exact conditional density.
    """
    rows, k = complete(case, "modalities"), min(case.k, 50)
    if not len(rows):
        return {"rows": 0}
    names, seed, found = rows.modalities, derive(case.seed, "modalities"), {}
    for some in usual_subsets(names):
        rest = [n for n in names if n not in some]
        joint = joint_bound(case.latent, rows, some, k=k, seed=seed)
        told = conditional_bound(case.latent, rows, some, rest, k=k, seed=seed)
        found["+".join(some)] = {"bound": _figure(joint, seed), "conditional_bound_of_the_rest": _figure(told, seed)}
    found["+".join(names)] = {"bound": _figure(joint_bound(case.latent, rows, names, k=k, seed=seed), seed)}
    return {"rows": len(rows), "draws": k, "subsets": found}


def _figure(values: Tensor, seed: int) -> Figure:
    return Figure(float(values.double().mean()), mean_se(values.double()), len(values), seed)


@measure(
    "crossings", "error of each modality told from each other, as a share of that of its mean",
    needs=("inference", "modalities"), usual=True, cost=lambda case, pace: _pairs(case) * pace.row * MOST_ROWS,
)
def crossing(case: Case) -> Mapping[str, Any]:
    """Squared error of model values, of entries that are there: 1 is what the mean of the rows says, 0 is none.

    It says little of texts, whose entries are numbers of symbols: see the bounds of ``modalities``.
    """
    rows = complete(case, "crossing")
    found: dict[str, Any] = {}
    for a in rows.modalities if len(rows) > 1 else ():
        made = verbs.reconstruct(case.model, only_with(rows, [a]))
        assert isinstance(made, dict)  # rows have several
        found |= {f"{a} to {b}": error_share(rows, b, made[b]) for b in rows.modalities if b != a}
    return {"rows": len(rows), "error": found}


def _pairs(case: Case) -> int:
    return len(list(combinations(case.rows.modalities, 2)))


def error_share(rows: Batch, name: str, made: Tensor) -> float:
    """Return the error of one modality as a share of that of its column means."""
    x, seen = rows.part(name).tensor.double(), rows.seen[name]
    seen = torch.ones_like(x, dtype=torch.bool) if seen is None else seen
    x = torch.where(seen, x, 0.0)
    mean = x.sum(0) / seen.sum(0).clamp(min=1)
    error, least = (torch.where(seen, (x - p.double()) ** 2, 0.0).sum() for p in (made, mean))
    return float(error / least.clamp_min(1e-12))


@measure(
    "modal_coherence", "share of crossed modalities that a classifier gives the label of their row",
    needs=("inference", "modalities", "labels"), cost=lambda case, pace: _pairs(case) * pace.row * MOST_ROWS * 4,
)
def coherence(case: Case) -> Mapping[str, Any]:
    """Tell each modality from each other, and ask a classifier of the real one for the label.

    The classifier is named with its own accuracy on real rows that it was not fitted to: no crossing does better.
    """
    at, labels = case.labelled
    rows = case.data.take(torch.from_numpy(at).to(case.rows.device))
    half = np.random.default_rng(derive(case.seed, "coherence")).permutation(len(rows))
    fitted, judged = half[: len(rows) // 2], half[len(rows) // 2 :]
    found: dict[str, float] = {}
    real: dict[str, float] = {}
    for b in rows.modalities:
        own = _there(rows, b)
        known = fitted[own[fitted]]
        if len(np.unique(labels[known])) < 2:
            continue
        judge = _classifier().fit(_flat(rows.part(b).tensor, known), labels[known])
        test = judged[own[judged]]
        real[b] = float(judge.score(_flat(rows.part(b).tensor, test), labels[test])) if len(test) else float("nan")
        for a in (a for a in rows.modalities if a != b):
            asked = judged[_there(rows, a)[judged]]
            if not len(asked):
                continue
            made = verbs.reconstruct(case.model, only_with(rows.take(torch.from_numpy(asked).to(rows.device)), [a]))
            assert isinstance(made, dict)  # rows have several
            found[f"{a} to {b}"] = float(judge.score(_flat(made[b], slice(None)), labels[asked]))
    return {"classifier": CLASSIFIER, "of_real_rows": real, "of_crossed_rows": found}


def _there(rows: Batch, name: str) -> Any:
    seen = (rows.present or {}).get(name)
    return np.ones(len(rows), dtype=bool) if seen is None else seen.cpu().numpy()


def _flat(x: Tensor, index: Any) -> Any:
    return x.cpu().double().numpy().reshape(len(x), -1)[index]


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
