"""How samples compare with data: distances of distributions in named features, fidelity, coverage, copies."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from .features import need_rows
from .probes import probe
from .results import Figure, Floats, Ints, bootstrap, halving, spread

BLOCK = 1000
REPEATS = 24
"""Times that rows are halved for the error of what takes long."""


# --- distances of distributions -------------------------------------------------------------------------------------
def frechet_distance(a: Floats, b: Floats, *, features: str = "entries", seed: int = 0, repeats: int = 20) -> Figure:
    r"""Fréchet distance (squared 2-Wasserstein) of the normals with the means and covariances of two sets.

    .. math:: |\mu_a - \mu_b|^2 + \mathrm{tr}\big(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\big)

    Sets of few rows look farther apart than they are: compare with the floor of two sets of real rows of the same
    size. It is FID only in the features of the Inception network, which are not used here.

    Reference:
        The Fréchet distance between multivariate normal distributions (Dowson and Landau, 1982).
        https://doi.org/10.1016/0047-259X(82)90077-X

    Args:
        a: Features of one set, ``(N, f)``.
        b: Features of another.
        features: Name of the features.
        seed: Seed of the halves behind error and bias.
        repeats: Times that both sets are halved; 0 for no error.

    Returns:
        The distance; ``bias`` is how much too high it is for sets of this size.
    """
    need_rows(min(len(a), len(b)), 4 if repeats else 2)

    def distance(i: Ints, j: Ints) -> float:
        return frechet_of_normals(*moments(a[i]), *moments(b[j]))

    value = frechet_of_normals(*moments(a), *moments(b))
    details: dict[str, Any] = {"features": features, "n_other": len(b)}
    se = float("nan")
    if repeats:
        se, halves = map(float, halving((len(a), len(b)), distance, seed=seed, repeats=repeats))
        details["bias"] = halves - value
    return Figure(value, se, len(a), seed, f"frechet[{features}]", details)


def moments(x: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of rows."""
    return x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])


def frechet_of_normals(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """Squared 2-Wasserstein distance of two normals.

    Example:
        >>> round(frechet_of_normals(np.zeros(1), 4 * np.eye(1), np.ones(1), np.eye(1)), 9)  # 1 + (2 - 1)^2
        2.0
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def kernel_distance(a: Floats, b: Floats, *, features: str = "entries", seed: int = 0) -> Figure:
    r"""Squared maximum mean discrepancy with the cubic kernel :math:`(x \cdot y / f + 1)^3`, without bias.

    Its expectation is 0 for equal distributions at any size, so that it may be negative. It is KID only in the
    features of the Inception network.

    Reference:
        Demystifying MMD GANs (Bińkowski et al., 2018). https://arxiv.org/abs/1801.01401

    Args:
        a: Features of one set; time grows with the square of the rows.
        b: Features of another.
        features: Name of the features.
        seed: Seed of the halves behind the error, which is too large where the sets do not differ.
    """
    need_rows(min(len(a), len(b)), 4)
    se, _ = halving((len(a), len(b)), lambda i, j: _mmd(a[i], b[j]), seed=seed, repeats=REPEATS)
    details = {"features": features, "n_other": len(b)}
    return Figure(_mmd(a, b), float(se), len(a), seed, f"kernel[{features}]", details)


def _mmd(a: Floats, b: Floats) -> float:
    n, m = len(a), len(b)
    within = (_kernels(a, a) - _own(a)) / (n * (n - 1)) + (_kernels(b, b) - _own(b)) / (m * (m - 1))
    return within - 2 * _kernels(a, b) / (n * m)


def _kernels(x: Floats, y: Floats) -> float:
    """Sum of the kernel over all pairs of rows."""
    blocks = (x[i : i + BLOCK] @ y.T / x.shape[1] + 1 for i in range(0, len(x), BLOCK))
    return float(sum((block**3).sum() for block in blocks))


def _own(x: Floats) -> float:
    """Sum of the kernel of rows with themselves."""
    return float((((x**2).sum(1) / x.shape[1] + 1) ** 3).sum())


# --- fidelity and coverage ------------------------------------------------------------------------------------------
def over_distances(a: Floats, b: Floats, use: Callable[[slice, Floats], None], *, memory_gb: float = 0.25) -> None:
    """Go through the distances of rows of ``a`` to all rows of ``b``, ``(some, len(b))`` at a time."""
    step = max(1, int(memory_gb * 2**30 / (24 * max(1, len(b)))))
    square = (b**2).sum(1)
    for first in range(0, len(a), step):
        rows = slice(first, min(first + step, len(a)))
        squared = (a[rows] ** 2).sum(1)[:, None] + square - 2 * a[rows] @ b.T
        use(rows, np.sqrt(np.maximum(squared, 0)))


def radii(x: Floats, k: int) -> Floats:
    """Distance of each row to its k-th nearest other row."""
    out = np.empty(len(x))

    def use(rows: slice, distance: Floats) -> None:
        distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = np.inf
        out[rows] = np.partition(distance, k - 1, axis=1)[:, k - 1]

    over_distances(x, x, use)
    return out


def precision_recall_density_coverage(
    real: Floats, made: Floats, *, k: int = 5, features: str = "entries", seed: int = 0
) -> dict[str, Figure]:
    """Share of samples among the data, of data among the samples, and two versions that outliers disturb less.

    precision: share of samples within the k-neighbour ball of a real row; recall: the same with roles exchanged;
    density: mean number of such balls over k, may exceed 1; coverage: share of real rows with a sample in their ball.

    Reference:
        Improved Precision and Recall Metric (Kynkäänniemi et al., 2019). https://arxiv.org/abs/1904.06991
        Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020).
        https://arxiv.org/abs/2002.09797

    Args:
        real: Features of data.
        made: Features of samples.
        k: Neighbours that make a ball.
        features: Name of the features.
        seed: Seed of the halves behind the errors.
    """
    need_rows(min(len(real), len(made)), k + 1)
    values = _fidelity(real, made, k)
    errors = np.full(4, np.nan)
    if min(len(real), len(made)) >= 2 * (k + 1):
        sizes = (len(real), len(made))
        errors, _ = halving(sizes, lambda i, j: _fidelity(real[i], made[j], k), seed=seed, repeats=REPEATS)
    details = {"features": features, "k": k}
    rows = {"precision": len(made), "recall": len(real), "density": len(made), "coverage": len(real)}
    return {
        name: Figure(float(v), float(se), n, seed, f"{name}[{features}]", details)
        for (name, n), v, se in zip(rows.items(), values, errors, strict=True)
    }


def _fidelity(real: Floats, made: Floats, k: int) -> Floats:
    """Precision, recall, density and coverage, ``(4,)``."""
    around_real, around_made = radii(real, k), radii(made, k)
    balls = np.zeros(len(made))
    known, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)

    def use(rows: slice, distance: Floats) -> None:  # rows of the samples against all data
        balls[rows] = (distance <= around_real).sum(1)
        known[:] |= (distance <= around_made[rows, None]).any(0)
        covered[:] |= (distance <= around_real).any(0)

    over_distances(made, real, use)
    return np.array([(balls > 0).mean(), known.mean(), balls.mean() / k, covered.mean()])


def classifier_two_sample_test(
    real: Floats, made: Floats, *, features: str = "entries", seed: int = 0
) -> Figure:
    """Accuracy of a forest that tells samples from data: 0.5 where it cannot.

    Reference:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017). https://arxiv.org/abs/1610.06545

    Args:
        real: Features of data.
        made: Features of samples; of the larger set as many are drawn as the smaller has.
        features: Name of the features.
        seed: Seed of halves and forest.
    """
    n = min(len(real), len(made))
    need_rows(n, 4)
    labels = np.repeat([0, 1], n)
    found = probe(np.concatenate([drawn(real, n, seed), drawn(made, n, seed)]), labels, kind="forest", seed=seed)
    return Figure(found.value, found.se, found.n, seed, f"c2st[{features}]", {"features": features})


def drawn(x: Floats, n: int, seed: int) -> Floats:
    """Return ``n`` of the rows at random, all of them if there are no more: data are often sorted."""
    return x if len(x) <= n else x[np.random.default_rng(seed).permutation(len(x))[:n]]


# --- copies and variety ---------------------------------------------------------------------------------------------
def nearest_of(rows: Floats, others: Floats) -> tuple[Floats, Ints]:
    """Distance and number of the nearest of ``others`` for each row."""
    distance, number = np.empty(len(rows)), np.empty(len(rows), np.int64)

    def use(some: slice, all_: Floats) -> None:
        number[some] = all_.argmin(1)
        distance[some] = all_.min(1)

    over_distances(rows, others, use)
    return distance, number


def memorisation(
    made: Floats, held_out: Floats, train: Floats, *, features: str = "entries", seed: int = 0
) -> Figure:
    """Chance that a sample lies nearer to its nearest training row than a held-out row does to its own.

    0.5 is what new rows of the same distribution do; near 1 samples are copies; below 0.5 they are farther out than
    data.

    Reference:
        A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan, Chaudhuri and Dasgupta, 2020).
        https://arxiv.org/abs/2004.05675

    Args:
        made: Features of samples.
        held_out: Features of rows that training did not see.
        train: Features of training rows.
        features: Name of the features.
        seed: Seed of the bootstrap behind the error.

    Returns:
        The chance (ties count half), the median distances, and the samples nearest to a training row with that row.
    """
    from .detection import area_under_roc

    near, of = nearest_of(made, train)
    usual = nearest_of(held_out, train)[0]
    both, is_made = np.concatenate([-near, -usual]), np.repeat([1, 0], [len(near), len(usual)])

    def again(rows: Ints) -> float:
        return area_under_roc(both[rows], is_made[rows])

    first = np.argsort(near)[:8]
    details = {
        "features": features, "median_sample": float(np.median(near)), "median_held_out": float(np.median(usual)),
        "nearest": [[int(i), int(of[i]), float(near[i])] for i in first], "n_train": len(train),
    }
    se = spread(bootstrap(len(both), again, seed=seed, repeats=50))[0]
    return Figure(area_under_roc(both, is_made), se, len(made), seed, f"memorisation[{features}]", details)


def diversity(real: Floats, made: Floats, *, features: str = "entries", seed: int = 0) -> dict[str, Figure]:
    """Variety of samples: mean squared distance of pairs over that of the data, and the effective number of kinds.

    The effective number (Vendi score) is the exponential of the entropy of the eigenvalues of a similarity matrix, here
    of a normal kernel as wide as the median distance of the data, on at most 500 rows of each, drawn at random.

    Reference:
        The Vendi Score (Friedman and Dieng, 2023). https://arxiv.org/abs/2210.02410
    """
    need_rows(min(len(real), len(made)), 4)

    def ratio(i: Ints, j: Ints) -> float:
        return float(made[i].var(0, ddof=1).sum() / real[j].var(0, ddof=1).sum())

    value, details = ratio(np.arange(len(made)), np.arange(len(real))), {"features": features}
    se = float(halving((len(made), len(real)), ratio, seed=seed)[0])
    spread = Figure(value, se, len(made), seed, f"spread[{features}]", details)
    size = min(500, len(real), len(made))
    some, others = drawn(made, size, seed), drawn(real, size, seed)

    def kinds(i: Ints, j: Ints) -> Floats:
        width = float(np.median(nearest_pairs(others[j])))
        return np.array([effective_number(x, width) for x in (some[i], others[j])])

    number, of_data = map(float, kinds(np.arange(size), np.arange(size)))
    error = float(halving((size, size), kinds, seed=seed, repeats=REPEATS)[0][0])
    more = {**details, "of_data": of_data}
    return {"spread": spread, "vendi": Figure(number, error, size, seed, f"vendi[{features}]", more)}


def nearest_pairs(x: Floats) -> Floats:
    """Distances of all pairs of different rows."""
    found: list[Floats] = []

    def use(rows: slice, distance: Floats) -> None:
        found.extend(distance[i, rows.start + i + 1 :] for i in range(len(distance)))

    over_distances(x, x, use)
    return np.concatenate(found)


def effective_number(x: Floats, width: float) -> float:
    """Exponential of the entropy of the eigenvalues of a normal kernel's similarities.

    Example:
        >>> round(effective_number(np.array([[0.0], [0.0], [100.0], [100.0]]), 1.0), 6)
        2.0
    """
    squared = (x**2).sum(1)[:, None] + (x**2).sum(1) - 2 * x @ x.T
    values = np.linalg.eigvalsh(np.exp(-np.maximum(squared, 0) / (2 * (width or 1.0) ** 2)) / len(x))
    p = values[values > 1e-12]
    return float(np.exp(-(p * np.log(p)).sum()))


# --- sharpness ------------------------------------------------------------------------------------------------------
def sharpness(made: Floats, real: Floats) -> Figure:
    """High-frequency energy of pictures, samples over data: 1 as sharp, below 1 blurred, above 1 noisy.

    The energy of a picture is the mean square of its Laplacian (four neighbours), inside the border.

    Args:
        made: Pictures, ``(N, channels, height, width)``.
        real: Pictures of the same size.
    """
    a, b = laplacian_energy(made), laplacian_energy(real)
    need_rows(min(len(a), len(b)), 2)
    ratio = float(a.mean() / b.mean()) if b.mean() > 0 else float("nan")
    relative = sqrt(sum((e.std(ddof=1) / max(e.mean(), 1e-300)) ** 2 / len(e) for e in (a, b)))
    return Figure(ratio, abs(ratio) * relative, len(a), None, "sharpness", {"n_other": len(b)})


def laplacian_energy(x: Floats) -> Floats:
    """Mean square of the Laplacian of each picture, ``(N,)``."""
    middle = x[..., 1:-1, 1:-1]
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    energy: Floats = ((around - 4 * middle).reshape(len(x), -1) ** 2).mean(1)
    return energy
