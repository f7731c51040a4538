"""How much privacy is lost at least: lower bounds on epsilon from guesses, and attacks on who was trained on."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from .membership import Floats, attack

Bools = NDArray[np.bool_]
CONFIDENCE = 0.95
MANY = 64
"""Shadow models from which on each row has a spread of its own, as in the paper."""
RATES = (0.001, 0.01)
"""Shares of strangers that an attack may call members."""


def guesses_p_value(n: int, guessed: int, correct: int, epsilon: float, delta: float) -> float:
    r"""Return how likely so many correct guesses are under :math:`(\varepsilon, \delta)`-differential privacy, at most.

    With :math:`n` rows of which each was there by a fair coin, the correct ones of :math:`r` guesses are at most
    binomial with probability :math:`e^\varepsilon / (1 + e^\varepsilon)`, up to a term in :math:`\delta`.

    Reference:
        Privacy Auditing with One (1) Training Run (Steinke, Nasr and Jagielski, 2023), theorem 5.2.
        https://arxiv.org/abs/2305.08846

    Example:
        >>> round(guesses_p_value(100, 10, 10, 0.0, 0.0), 6)  # ten coins, all right: 1 in 1024
        0.000977
    """
    from scipy.stats import binom

    q = 1 / (1 + exp(-epsilon))
    p = float(binom.sf(correct - 1, guessed, q))
    if delta:
        tail = np.cumsum(binom.pmf(correct - np.arange(1, correct + 1), guessed, q))
        alpha = float((tail / np.arange(1, correct + 1)).max()) if correct else 0.0
        p += alpha * delta * 2 * n
    return min(1.0, p)


def epsilon_at_least(
    n: int, guessed: int, correct: int, *, delta: float = 0.0, confidence: float = CONFIDENCE
) -> float:
    """Return the largest epsilon that so many correct guesses rule out; 0 where they rule out none.

    Example:
        >>> epsilon_at_least(100, 20, 10)
        0.0
        >>> 4.6 < epsilon_at_least(1000, 300, 300) < 4.7
        True
    """
    if not 0 <= correct <= guessed <= n:
        raise InputError(f"`correct <= guessed <= n` must hold, but got {correct}, {guessed} and {n}.")
    low, high = 0.0, 1.0
    if guesses_p_value(n, guessed, correct, low, delta) >= 1 - confidence:
        return 0.0
    while high < 64 and guesses_p_value(n, guessed, correct, high, delta) < 1 - confidence:
        high += 1
    for _ in range(40):
        middle = (low + high) / 2
        if guesses_p_value(n, guessed, correct, middle, delta) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def audited(
    scores: Floats, there: Bools, *, delta: float = 0.0, confidence: float = CONFIDENCE,
    shares: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0),
) -> dict[str, Any]:
    """Return a lower bound on epsilon from scores of rows that were there by fair coins: high ones are guessed in.

    As many of the highest as of the lowest scores are guessed, for several shares of the rows; the bound is the best of
    them, each at a confidence so high that all of them together hold.

    Args:
        scores: Score of each row.
        there: Whether it was in the training.
        delta: The delta of the guarantee.
        confidence: Of the bound.
        shares: Shares of the rows that are guessed.

    Example:
        >>> coins = np.random.default_rng(0).random(1000) < 0.5
        >>> found = audited(coins.astype(float), coins)
        >>> found["epsilon_at_least"] > 4, audited(np.zeros(1000), coins)["epsilon_at_least"]
        (True, 0.0)
    """
    n = len(scores)
    if n < 10 or len(there) != n:
        raise InputError(f"An audit needs ten rows, and whether each was there; got {n} and {len(there)}.")
    order = np.argsort(scores, kind="stable")
    each, best = 1 - (1 - confidence) / len(shares), {"epsilon_at_least": -1.0}
    for share in shares:
        half = max(1, int(share * n / 2))
        correct = int(there[order[-half:]].sum() + (~there[order[:half]]).sum())
        bound = epsilon_at_least(n, 2 * half, correct, delta=delta, confidence=each)
        if bound > best["epsilon_at_least"]:
            best = {"epsilon_at_least": bound, "guessed": 2 * half, "correct": correct}
    return {**best, "rows": n, "confidence": confidence, "delta": delta}


# --- membership -----------------------------------------------------------------------------------------------------
def likelihood_ratios(target: Floats, shadows: Floats, there: Bools, *, offline: bool = False) -> Floats:
    r"""Return for each row how much likelier its loss is under models that had it than under models that had not.

    The losses of shadow models, trained on halves of rows of the same sort, give each row two normal distributions.

    .. math:: \log N(l; \mu_{in}, \sigma_{in}^2) - \log N(l; \mu_{out}, \sigma_{out}^2)

    Offline, an attacker trains before rows are named and knows the second alone: the score is
    :math:`(\mu_{out} - l) / \sigma_{out}`, by which a loss is strangely low. Means are of each row; spreads are of all
    rows together below 64 shadow models, which say little of each one's, and of each row from there on.

    Reference:
        Membership Inference Attacks From First Principles (Carlini et al., 2022). https://arxiv.org/abs/2112.03570

    Args:
        target: Loss of each row under the attacked model, ``(N,)``.
        shadows: Losses under shadow models, ``(S, N)``.
        there: Which rows each shadow model had, ``(S, N)``.
        offline: Whether only models that had not a row are looked at.

    Raises:
        InputError: A row was in, or out of, fewer than two shadow models.

    Example:
        >>> shadows = np.array([[1.0], [1.2], [3.0], [3.2]])
        >>> there = np.array([[True], [True], [False], [False]])
        >>> bool(likelihood_ratios(np.array([1.1]), shadows, there)[0] > 0)
        True
    """
    inside, outside = there.sum(0), (~there).sum(0)
    if min(inside.min(), outside.min()) < 2:
        raise InputError(
            "The attack by likelihood ratio needs every row in two shadow models and out of two, but a row has "
            f"{int(inside.min())} and {int(outside.min())}. Train more shadow models."
        )
    means = [np.where(m, shadows, 0).sum(0) / m.sum(0) for m in (there, ~there)]
    sd = [_spreads(shadows, m, mean) for m, mean in zip((there, ~there), means, strict=True)]
    if offline:
        return np.asarray((means[1] - target) / sd[1])
    log_in, log_out = (-0.5 * ((target - mean) / s) ** 2 - np.log(s) for mean, s in zip(means, sd, strict=True))
    return np.asarray(log_in - log_out)


def _spreads(shadows: Floats, these: Bools, mean: Floats) -> Floats:
    """Return the standard deviation of each row's losses; each row's mean costs a degree of freedom."""
    squares, free = np.where(these, np.square(shadows - mean), 0).sum(0), these.sum(0) - 1
    found = squares / free if len(shadows) >= MANY else np.full(len(mean), squares.sum() / free.sum())
    return np.asarray(np.maximum(np.sqrt(found), 1e-9))


def at_rates(members: Floats, strangers: Floats, rates: tuple[float, ...] = RATES) -> dict[str, Any]:
    """Return the area of an attack, and the share of members it finds at each share of false alarms, with intervals.

    Example:
        >>> found = at_rates(np.arange(100.0) + 1000, np.arange(1000.0))
        >>> found["auroc"], found["at_0.01"]["found"]
        (1.0, 1.0)
    """
    every = {rate: attack(members, strangers, rate) for rate in rates}
    first = every[rates[0]]
    found: dict[str, Any] = {"auroc": first["auroc"], "members": first["members"], "strangers": first["strangers"]}
    for rate, one in every.items():
        found[f"at_{rate:g}"] = {k: one[k] for k in ("found", "interval", "resolved")}
    return found
