"""How well single latents stand for single known factors, from a table of codes and factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.warning_filters import ignore_warnings
from .probes import halves
from .results import HALVES, Figure, Floats, Ints, halving

BINS = 20
DIVISIONS = 8
"""Divisions of the rows into halves. A score of one half varies from half to half as one of all rows does from set to
set (:func:`halving`), so that the standard deviation over divisions is the error of their mean as well."""


def check_factors(codes: Floats, factors: Ints) -> None:
    """Refuse codes and factors that do not belong together.

    Raises:
        InputError: Not two tables of equal length, or fewer than two rows, or a factor that never changes.
    """
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or len(codes) < 2:
        raise InputError(
            f"Codes and factors are two tables with the same rows, but got {codes.shape} and {factors.shape}."
        )
    still = [j for j in range(factors.shape[1]) if len(np.unique(factors[:, j])) < 2]
    if still:
        raise InputError(f"Every factor must change, but the columns {still} do not. Leave them out.")


def discretise(codes: Floats, bins: int = BINS) -> Ints:
    """Number of the bin of each code, of ``bins`` equally wide ones between the extremes of its dimension."""
    low, width = codes.min(0), np.ptp(codes, axis=0)
    inside = (codes - low) / np.where(width > 0, width, 1) * bins
    numbers: Ints = np.minimum(inside.astype(np.int64), bins - 1)
    return numbers


def information_table(codes: Ints, factors: Ints) -> tuple[Floats, Floats]:
    """Mutual information of every discrete code with every factor, ``(d, F)``, and the entropies of the factors."""
    found = np.zeros((codes.shape[1], factors.shape[1]))
    entropies = np.zeros(factors.shape[1])
    for j in range(factors.shape[1]):
        f = np.unique(factors[:, j], return_inverse=True)[1]
        entropies[j] = _entropy(np.bincount(f))
        for i in range(codes.shape[1]):
            joint = np.bincount(codes[:, i] * (f.max() + 1) + f)
            found[i, j] = max(0.0, _entropy(np.bincount(codes[:, i])) + entropies[j] - _entropy(joint))
    return found, entropies


def _entropy(counts: Any) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


# --- scores of information ------------------------------------------------------------------------------------------
def mutual_information_gap(
    codes: Floats, factors: Ints, *, bins: int = BINS, seed: int = 0, repeats: int = HALVES
) -> Figure:
    r"""Mutual information gap (MIG): does one latent know a factor, and no other?

    .. math:: \frac1F \sum_j \frac{I(z_{(1)}; v_j) - I(z_{(2)}; v_j)}{H(v_j)}

    the two latents that know most about factor j. Of codes in ``bins`` equally wide bins, as in common use; the
    information of few rows in many bins is too high, for both latents alike.

    Reference:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), section 4.
        https://arxiv.org/abs/1802.04942

    Args:
        codes: Rows by latents, e.g. posterior means.
        factors: Rows by factors, whole numbers.
        bins: Bins of a latent.
        seed: Seed of the halves behind error and bias.
        repeats: Times that the rows are halved.

    Returns:
        The score, with the gap of each factor, and its ``bias``: how much too high (or, negative, too low) it is
        because the rows are few.
    """
    check_factors(codes, factors)
    binned = discretise(codes, bins)
    gaps = _gaps(binned, factors)
    value = float(gaps.mean())
    se, halves = halving((len(codes),), lambda i: _gaps(binned[i], factors[i]).mean(), seed=seed, repeats=repeats)
    details = {"per_factor": gaps.tolist(), "bins": bins, "bias": float(halves) - value}
    return Figure(value, float(se), len(codes), seed, "MIG", details)


def _gaps(binned: Ints, factors: Ints) -> Floats:
    table, entropies = information_table(binned, factors)
    ordered = -np.sort(-table, axis=0)
    second = ordered[1] if len(ordered) > 1 else 0.0
    gaps: Floats = (ordered[0] - second) / np.where(entropies > 0, entropies, 1)
    return gaps


def modularity_of(table: Floats) -> float:
    r"""Modularity from a table of information ``(d, F)``: 1 where each latent knows of one factor only.

    .. math:: \frac1d \sum_i \Big(1 - \frac{\sum_{j \ne j_i} m_{ij}^2}{m_{i j_i}^2 (F - 1)}\Big)

    A latent that knows nothing counts as 0.

    Example:
        >>> modularity_of(np.diag([5.0, 5.0])), modularity_of(np.ones((2, 2)))
        (1.0, 0.0)
    """
    squares = np.asarray(table, dtype=float) ** 2
    most = squares.max(1)
    others = (squares.sum(1) - most) / np.where(most > 0, most, 1) / max(1, squares.shape[1] - 1)
    return float(np.where(most > 0, 1 - others, 0).mean())


def modularity(codes: Floats, factors: Ints, *, bins: int = BINS, seed: int = 0, repeats: int = HALVES) -> Figure:
    """Modularity of codes, from the information of binned latents; see :func:`modularity_of`.

    Of few rows it is too low, because a latent seems to know a little of every factor: by as much as ``bias`` at most,
    by a third of it where latents are separate.

    Reference:
        Learning Deep Disentangled Embeddings With the F-Statistic Loss (Ridgeway and Mozer, 2018).
        https://arxiv.org/abs/1802.05312
    """
    check_factors(codes, factors)
    binned = discretise(codes, bins)

    def score(i: Any) -> float:
        return modularity_of(information_table(binned[i], factors[i])[0])

    value = score(slice(None))
    se, halves = halving((len(codes),), score, seed=seed, repeats=repeats)
    details = {"bins": bins, "bias": float(halves) - value}
    return Figure(value, float(se), len(codes), seed, "modularity", details)


# --- DCI ------------------------------------------------------------------------------------------------------------
def dci_disentanglement(importance: Floats) -> float:
    r"""Disentanglement from a table of importances ``(d, F)``: 1 where each latent matters for one factor only.

    .. math:: \sum_i \rho_i \Big(1 + \sum_j P_{ij} \log_F P_{ij}\Big), \quad P_{ij} = R_{ij} / \sum_k R_{ik}, \quad
        \rho_i = \sum_j R_{ij} / \sum_{ij} R_{ij}

    Example:
        >>> dci_disentanglement(np.diag([5.0, 5.0]))
        1.0
    """
    importance = np.asarray(importance, dtype=float)
    whole = importance.sum()
    if whole <= 0:
        return 0.0
    share = importance / np.where(importance.sum(1, keepdims=True) > 0, importance.sum(1, keepdims=True), 1)
    logs = np.log(np.where(share > 0, share, 1)) / np.log(max(2, importance.shape[1]))
    return float(((1 + (share * logs).sum(1)) * importance.sum(1) / whole).sum())


def dci_completeness(importance: Floats) -> float:
    """Completeness: 1 where each factor is in one latent only; :func:`dci_disentanglement` with roles exchanged."""
    return dci_disentanglement(np.asarray(importance).T)


def dci(codes: Floats, factors: Ints, *, seed: int = 0, trees: int = 20) -> dict[str, Figure]:
    """Disentanglement, completeness and informativeness, with forests as regressors.

    The importances are those of one forest of randomised trees per factor, fitted to one half of the rows;
    informativeness is the mean accuracy on the other; all are means over eight divisions. Values with other regressors
    (boosting, lasso) are not comparable with these.

    Reference:
        A framework for the quantitative evaluation of disentangled representations (Eastwood and Williams, 2018).
        https://openreview.net/forum?id=By-7dz-AZ

    Args:
        codes: Rows by latents.
        factors: Rows by factors, whole numbers.
        seed: Seed of halves and forests.
        trees: Trees of each forest.

    Returns:
        ``disentanglement``, ``completeness`` and ``informativeness``; errors of the first two are those over eight
        divisions of the rows, of the last over rows.
    """
    check_factors(codes, factors)
    tables, accuracies, n = [], [], 0
    for repeat in range(DIVISIONS):
        importance, right = _forests(codes, factors, seed + repeat, trees)
        tables.append(importance)
        accuracies.append(right.mean(1))
        n = right.shape[1]
    details: dict[str, Any] = {"regressor": f"forests of {trees} randomised trees"}
    figures = {}
    for name, score in (("disentanglement", dci_disentanglement), ("completeness", dci_completeness)):
        values = np.array([score(t) for t in tables])
        figures[name] = Figure(float(values.mean()), float(values.std(ddof=1)), len(codes), seed, name, details)
    accuracy = np.mean(accuracies, 0)
    se = float(np.sqrt((accuracy * (1 - accuracy)).sum() / n)) / len(accuracy)
    kept = {**details, "per_factor": accuracy.tolist()}
    return {**figures, "informativeness": Figure(float(accuracy.mean()), se, n, seed, "informativeness", kept)}


def _forests(codes: Floats, factors: Ints, seed: int, trees: int) -> tuple[Floats, Floats]:
    from sklearn.ensemble import ExtraTreesClassifier

    fit, judge = halves(np.zeros(len(codes), np.int64), seed=seed)
    importance, right = [], []
    for j in range(factors.shape[1]):
        forest = ExtraTreesClassifier(trees, min_samples_leaf=2, max_features=None, random_state=seed)
        forest.fit(codes[fit], factors[fit, j])
        importance.append(forest.feature_importances_)
        right.append(forest.predict(codes[judge]) == factors[judge, j])
    return np.stack(importance, 1), np.stack(right).astype(float)


# --- SAP ------------------------------------------------------------------------------------------------------------
def separated_attribute_predictability(
    codes: Floats, factors: Ints, *, continuous: tuple[int, ...] = (), seed: int = 0
) -> Figure:
    """Separated attribute predictability (SAP): how much better one latent predicts a factor than the next best.

    For a continuous factor a latent's score is its squared correlation, for a category the accuracy of a linear
    classifier on this latent alone.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2018).
        https://arxiv.org/abs/1711.00848

    Args:
        codes: Rows by latents.
        factors: Rows by factors.
        continuous: Columns of factors that are ordered quantities, not categories.
        seed: Seed of the halves.

    Returns:
        The score, a mean over eight divisions into halves, with the gap of each factor.
    """
    check_factors(codes, factors)
    found = []
    for repeat in range(DIVISIONS):
        fit, judge = halves(np.zeros(len(codes), np.int64), seed=seed + repeat)
        table = np.array([
            [_predictability(codes[:, i], factors[:, j], fit, judge, j in continuous) for j in range(factors.shape[1])]
            for i in range(codes.shape[1])
        ])
        ordered = -np.sort(-table, axis=0)
        found.append(ordered[0] - (ordered[1] if len(ordered) > 1 else 0.0))
    gaps, means = np.mean(found, 0), np.mean(found, 1)
    details = {"per_factor": gaps.tolist()}
    return Figure(float(gaps.mean()), float(means.std(ddof=1)), len(codes), seed, "SAP", details)


def _predictability(code: Floats, factor: Ints, fit: Ints, judge: Ints, continuous: bool) -> float:
    if code.std() < 1e-12:
        return 0.0
    if continuous:
        return float(np.corrcoef(code[fit], factor[fit])[0, 1] ** 2)
    if len(np.unique(factor[fit])) < 2:  # all that could be learned is the one value
        return float((factor[judge] == factor[fit][0]).mean())
    from sklearn.svm import LinearSVC

    scaled = ((code - code[fit].mean()) / max(code[fit].std(), 1e-12))[:, None]
    with ignore_warnings():  # a latent that says nothing converges slowly; its accuracy is what counts
        classifier = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(scaled[fit], factor[fit])
    return float((classifier.predict(scaled[judge]) == factor[judge]).mean())
