"""Disentanglement by holding a factor still, and without factors by comparing models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

import numpy as np

from ..core.errors import InputError
from .disentanglement import check_factors
from .results import Figure, Floats, Ints, halving

Rng = np.random.Generator
HALVED = 16
"""Times that a table is halved for an error: scores of votes take long."""


class World(Protocol):
    """Codes of rows whose factors can be held still."""

    @property
    def n_factors(self) -> int:
        """Number of factors."""

    def codes(self, rng: Rng, n: int, held: int | None = None) -> Floats:
        """Return codes of ``n`` rows with random factors, factor ``held`` being the same, random value in all."""

    def pairs(self, rng: Rng, n: int, held: int) -> tuple[Floats, Floats]:
        """Return codes of ``n`` pairs of rows; the two rows of a pair share the value of factor ``held``."""


@dataclass(frozen=True)
class FactorTable:
    """A world that is a table: rows are chosen by their values.

    Args:
        values: Codes, rows by latents.
        factors: Factors, rows by factors.
    """

    values: Floats
    factors: Ints
    _order: list[Ints] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_factors(self.values, self.factors)
        order = [np.argsort(column, kind="stable") for column in self.factors.T]
        object.__setattr__(self, "_order", order)  # frozen: set once, here

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return int(self.factors.shape[1])

    def _alike(self, rng: Rng, held: int, rows: Ints) -> Ints:
        """For each row one, at random, that has the same value of a factor."""
        order: Ints = self._order[held]
        column, values = self.factors[order, held], self.factors[rows, held]
        low, high = (np.searchsorted(column, values, side) for side in ("left", "right"))
        found: Ints = order[rng.integers(low, high)]
        return found

    def codes(self, rng: Rng, n: int, held: int | None = None) -> Floats:
        """Choose ``n`` rows."""
        if held is None:
            return self.values[rng.integers(0, len(self.values), n)]
        return self.values[self._alike(rng, held, np.full(n, rng.integers(len(self.values))))]

    def pairs(self, rng: Rng, n: int, held: int) -> tuple[Floats, Floats]:
        """Choose ``n`` pairs."""
        first = rng.integers(0, len(self.values), n)
        return self.values[first], self.values[self._alike(rng, held, first)]


@dataclass(frozen=True)
class Rendered:
    """A world that is made on demand: factors to data to codes.

    Args:
        sizes: Number of values of each factor.
        encode: Takes factors ``(n, F)``, gives codes ``(n, d)``.
    """

    sizes: tuple[int, ...]
    encode: Callable[[Ints], Floats]

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return len(self.sizes)

    def codes(self, rng: Rng, n: int, held: int | None = None) -> Floats:
        """Make ``n`` rows."""
        drawn = rng.integers(0, self.sizes, (n, len(self.sizes)))
        if held is not None:
            drawn[:, held] = drawn[0, held]
        return self.encode(drawn)

    def pairs(self, rng: Rng, n: int, held: int) -> tuple[Floats, Floats]:
        """Make ``n`` pairs."""
        first, second = (rng.integers(0, self.sizes, (n, len(self.sizes))) for _ in range(2))
        second[:, held] = first[:, held]
        return self.encode(first), self.encode(second)


# --- scores of held factors -----------------------------------------------------------------------------------------
def factor_vae_score(
    world: World, *, votes: int = 800, batch: int = 64, rows: int = 10_000, threshold: float = 0.05, seed: int = 0
) -> Figure:
    """FactorVAE score: does the latent that varies least tell which factor was held still?

    Reference:
        Disentangling by Factorising (Kim and Mnih, 2018), section 4. https://arxiv.org/abs/1802.05983

    Args:
        world: Codes of rows whose factors can be held still.
        votes: Votes to learn from, and as many to judge.
        batch: Rows of one vote.
        rows: Rows for the variance of each latent over everything.
        threshold: Latents with less variance than this do not vote.
        seed: Seed of all choices.

    Returns:
        Accuracy of the majority vote; one over the number of factors is chance. Its error is that of the votes, and
        of the rows where they come from a table.
    """
    chance = 1 / world.n_factors
    value, active = _voted(world, votes, batch, rows, threshold, seed)
    se = _vote_error(world, value, votes, lambda w: _voted(w, votes, batch, rows, threshold, seed)[0], seed)
    return Figure(value, se, votes, seed, "FactorVAE score", {"active": active, "chance": chance})


def _voted(world: World, votes: int, batch: int, rows: int, threshold: float, seed: int) -> tuple[float, int]:
    """Accuracy of the majority vote, and how many latents vote."""
    rng = np.random.default_rng(seed)
    variance = world.codes(rng, rows).var(0, ddof=1)
    active = np.flatnonzero(variance >= threshold)
    if not len(active):
        return 0.0, 0
    table = np.zeros((2, len(active), world.n_factors))
    for part in range(2):
        for _ in range(votes):
            held = int(rng.integers(world.n_factors))
            spread = world.codes(rng, batch, held).var(0, ddof=1)[active] / variance[active]
            table[part, int(spread.argmin()), held] += 1
    choice = table[0].argmax(1)
    return float(table[1][np.arange(len(active)), choice].sum() / votes), len(active)


def _vote_error(world: World, value: float, votes: int, score: Callable[[World], float], seed: int) -> float:
    """Error of an accuracy of votes: over halves of a table, which holds that of the votes; else of the votes alone."""
    if not isinstance(world, FactorTable):
        return sqrt(value * (1 - value) / votes)

    def of_half(rows: Ints) -> float:
        try:
            return score(FactorTable(world.values[rows], world.factors[rows]))
        except InputError:  # a factor of a rare value that does not change in this half
            return float("nan")

    return float(halving((len(world.values),), of_half, seed=seed, repeats=HALVED)[0])


def beta_vae_score(world: World, *, votes: int = 800, batch: int = 32, seed: int = 0) -> Figure:
    """Beta-VAE score: can a linear classifier tell the held factor from the mean difference of pairs?

    Reference:
        beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (Higgins et al., 2017).
        https://openreview.net/forum?id=Sy2fzU9gl

    Args:
        world: Codes of rows whose factors can be held still.
        votes: Mean differences to learn from, and as many to judge.
        batch: Pairs of one mean difference.
        seed: Seed of all choices.

    Returns:
        The accuracy; its error is that of the votes, and of the rows where they come from a table.
    """
    value = _read(world, votes, batch, seed)
    se = _vote_error(world, value, votes, lambda w: _read(w, votes, batch, seed), seed)
    return Figure(value, se, votes, seed, "beta-VAE score", {"chance": 1 / world.n_factors})


def _read(world: World, votes: int, batch: int, seed: int) -> float:
    """Accuracy of the linear reader on votes that it did not learn from."""
    if world.n_factors < 2:
        return 1.0  # there is no other factor that it could be taken for
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    held = rng.permutation(np.arange(2 * votes) % world.n_factors)
    differences = []
    for factor in held:
        a, b = world.pairs(rng, batch, int(factor))
        differences.append(np.abs(a - b).mean(0))
    x = np.stack(differences)
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=2000)).fit(x[:votes], held[:votes])
    return float((reader.predict(x[votes:]) == held[votes:]).mean())


def interventional_robustness(codes: Floats, factors: Ints, *, quantile: float = 0.99, seed: int = 0) -> Figure:
    r"""Interventional robustness score (IRS): does a latent stay where it is while other factors change?

    .. math:: 1 - \min_j \frac{\mathbb{E}_{v_j}[\max |z_i - \mathbb{E}[z_i | v_j]|]}{\max |z_i - \mathbb{E}[z_i]|}

    averaged over latents with their largest deviation as weight. The inner maximum is a quantile, as in common use.

    Reference:
        Robustly Disentangled Causal Mechanisms (Suter et al., 2019). https://arxiv.org/abs/1811.00007

    Args:
        codes: Rows by latents.
        factors: Rows by factors; all combinations should occur about equally often.
        quantile: Quantile in place of the maximum; 1 is that of the paper.
        seed: Seed of the halves behind the error.
    """
    check_factors(codes, factors)
    live = codes[:, codes.std(0) > 1e-12]
    if not live.shape[1]:
        return Figure(0.0, n=len(codes), name="IRS", details={"latents": 0})
    value, scores = _robust(live, factors, quantile)
    se, _ = halving((len(live),), lambda i: _robust(live[i], factors[i], quantile)[0], seed=seed)
    return Figure(value, float(se), len(codes), seed, "IRS", {"latents": len(scores), "per_latent": scores.tolist()})


def _robust(live: Floats, factors: Ints, quantile: float) -> tuple[float, Floats]:
    """Robustness of all latents together, and of each."""
    largest = np.abs(live - live.mean(0)).max(0)
    strays = np.zeros((live.shape[1], factors.shape[1]))
    for j in range(factors.shape[1]):
        groups = [live[factors[:, j] == value] for value in np.unique(factors[:, j])]
        strays[:, j] = np.mean([np.quantile(np.abs(g - g.mean(0)), quantile, axis=0) for g in groups], 0)
    scores = 1 - (strays / np.where(largest > 0, largest, 1)[:, None]).min(1)
    return float(np.average(scores, weights=largest)) if largest.any() else 0.0, scores


# --- without factors ------------------------------------------------------------------------------------------------
def similarity(a: Floats, b: Floats) -> Floats:
    """Absolute rank correlation of every latent of one model with every latent of another, ``(d_a, d_b)``."""
    from scipy.stats import rankdata

    x, y = (np.atleast_2d(rankdata(z, axis=0)).astype(float) for z in (a, b))
    x, y = x - x.mean(0), y - y.mean(0)
    scale = np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0))
    found: Floats = np.abs(x.T @ y) / np.where(scale > 0, scale, 1)
    return found


def agreement(table: Floats, informative_a: Floats, informative_b: Floats) -> float:
    """How nearly two models have the same latents up to order and sign: one entry a row and a column is 1."""
    r = table * np.asarray(informative_a)[:, None] * np.asarray(informative_b)[None]
    d = int(np.sum(informative_a) + np.sum(informative_b))
    if d == 0:
        return 0.0
    best_a, best_b = r.max(1), r.max(0)
    by_a = (best_a**2 / np.where(r.sum(1) > 0, r.sum(1), 1)).sum()
    by_b = (best_b**2 / np.where(r.sum(0) > 0, r.sum(0), 1)).sum()
    return float((by_a + by_b) / d)


def unsupervised_disentanglement_ranking(
    codes: Sequence[Floats], rates: Sequence[Floats], *, threshold: float = 0.01
) -> tuple[Figure, ...]:
    """Unsupervised disentanglement ranking (UDR): models that others agree with, up to order and sign of latents.

    Reference:
        Unsupervised Model Selection for Variational Disentangled Representation Learning (Duan et al., 2020).
        https://arxiv.org/abs/1905.12614

    Args:
        codes: Of each model the codes of the same rows; models differ by their seed.
        rates: Of each model the rate of each latent; latents below the threshold do not count.
        threshold: Least rate of an informative latent, in nats.

    Returns:
        The median agreement of each model with the others; the error is that of a median of so many values.

    Raises:
        InputError: Fewer than two models, or rows that do not match.
    """
    if len(codes) < 2 or len({len(z) for z in codes}) > 1 or len(rates) != len(codes):
        raise InputError(
            f"A ranking needs two models at least with the codes and rates of the same rows, but got {len(codes)} "
            f"tables with {[len(z) for z in codes]} rows and {len(rates)} rates. Encode the same rows with each."
        )
    informative = [(np.asarray(r) > threshold).astype(float) for r in rates]
    found = np.full((len(codes), len(codes)), np.nan)
    for a in range(len(codes)):
        for b in range(a):
            value = agreement(similarity(codes[a], codes[b]), informative[a], informative[b])
            found[a, b] = found[b, a] = value
    figures = []
    for row in found:
        others = row[np.isfinite(row)]
        se = 1.2533 * float(others.std(ddof=1)) / sqrt(len(others)) if len(others) > 1 else float("nan")
        figures.append(Figure(float(np.median(others)), se, len(codes[0]), None, "UDR", {"models": len(codes)}))
    return tuple(figures)
