"""How samples compare with data: distances of distributions in named features, fidelity, coverage, copies."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from .features import need_rows
from .probes import probe
from .results import Figure, Floats, Ints, bootstrap, spread

BLOCK = 1000


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
        seed: Seed of the bootstrap behind the error.
        repeats: Bootstrap repeats.
    """
    need_rows(min(len(a), len(b)), 2)
    n = len(a)

    def distance(rows: Ints) -> float:
        return frechet_of_normals(*moments(a[rows]), *moments(b[rows % len(b)]))

    value = frechet_of_normals(*moments(a), *moments(b))
    se = spread(bootstrap(n, distance, seed=seed, repeats=repeats))[0] if repeats else float("nan")
    return Figure(value, se, n, seed, f"frechet[{features}]", {"features": features, "n_other": len(b)})


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


def kernel_distance(a: Floats, b: Floats, *, features: str = "entries", seed: int = 0, blocks: int = 10) -> Figure:
    r"""Squared maximum mean discrepancy with the cubic kernel :math:`(x \cdot y / f + 1)^3`, without bias.

    Its expectation is 0 for equal distributions at any size, so that it may be negative. It is KID only in the
    features of the Inception network.

    Reference:
        Demystifying MMD GANs (Bińkowski et al., 2018). https://arxiv.org/abs/1801.01401

    Args:
        a: Features of one set.
        b: Features of another.
        features: Name of the features.
        seed: Seed of the blocks.
        blocks: Random blocks of at most 1000 rows of each, over which value and error are taken.
    """
    need_rows(min(len(a), len(b)), 4)
    rng, size = np.random.default_rng(seed), min(BLOCK, max(2, len(a) // 2), max(2, len(b) // 2))
    values = np.array([
        _mmd(a[rng.choice(len(a), size, False)], b[rng.choice(len(b), size, False)]) for _ in range(blocks)
    ])
    se = float(values.std(ddof=1)) / sqrt(blocks) if blocks > 1 else float("nan")
    details = {"features": features, "blocks": blocks, "block_rows": size}
    return Figure(float(values.mean()), se, len(a), seed, f"kernel[{features}]", details)


def _mmd(a: Floats, b: Floats) -> float:
    def kernel(x: Floats, y: Floats) -> Floats:
        found: Floats = (x @ y.T / x.shape[1] + 1) ** 3
        return found

    n, m, aa, bb = len(a), len(b), kernel(a, a), kernel(b, b)
    within = (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1))
    return float(within - 2 * kernel(a, b).mean())


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
    real: Floats, made: Floats, *, k: int = 5, features: str = "entries"
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

    Returns:
        The four, with errors over rows as if the balls were given.
    """
    need_rows(min(len(real), len(made)), k + 1)
    around_real, around_made = radii(real, k), radii(made, k)
    balls = np.zeros(len(made))
    known, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)

    def use(rows: slice, distance: Floats) -> None:  # rows of the samples against all data
        balls[rows] = (distance <= around_real).sum(1)
        known[:] |= (distance <= around_made[rows, None]).any(0)
        covered[:] |= (distance <= around_real).any(0)

    over_distances(made, real, use)
    rows = {"precision": balls > 0, "recall": known, "density": balls / k, "coverage": covered}
    return {
        name: Figure(
            float(v.mean()), float(np.std(v, ddof=1)) / sqrt(len(v)), len(v), None, f"{name}[{features}]",
            {"features": features, "k": k},
        )
        for name, v in rows.items()
    }


def classifier_two_sample_test(
    real: Floats, made: Floats, *, features: str = "entries", seed: int = 0
) -> Figure:
    """Accuracy of a forest that tells samples from data: 0.5 where it cannot.

    Reference:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017). https://arxiv.org/abs/1610.06545

    Args:
        real: Features of data.
        made: Features of samples; the larger set is cut to the size of the smaller.
        features: Name of the features.
        seed: Seed of halves and forest.
    """
    n = min(len(real), len(made))
    need_rows(n, 4)
    labels = np.repeat([0, 1], n)
    found = probe(np.concatenate([real[:n], made[:n]]), labels, kind="forest", seed=seed)
    return Figure(found.value, found.se, found.n, seed, f"c2st[{features}]", {"features": features})


# --- copies and variety ---------------------------------------------------------------------------------------------
def nearest(rows: Floats, others: Floats) -> tuple[Floats, Ints]:
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

    near, of = nearest(made, train)
    usual = nearest(held_out, train)[0]
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
    of a normal kernel as wide as the median distance of the data, on at most 500 rows of each.

    Reference:
        The Vendi Score (Friedman and Dieng, 2023). https://arxiv.org/abs/2210.02410
    """
    need_rows(min(len(real), len(made)), 2)
    variances = [x.var(0, ddof=1).sum() for x in (made, real)]

    def again(rows: Ints) -> float:
        return float(made[rows].var(0, ddof=1).sum() / variances[1])

    se = spread(bootstrap(len(made), again, seed=seed, repeats=30))[0]
    details = {"features": features}
    ratio = Figure(float(variances[0] / variances[1]), se, len(made), seed, f"spread[{features}]", details)
    size = min(500, len(real), len(made))
    width = float(np.median(nearest_pairs(real[:size])))
    kinds = [effective_number(x[:size], width) for x in (made, real)]
    vendi = Figure(kinds[0], n=size, name=f"vendi[{features}]", details={**details, "of_data": kinds[1]})
    return {"spread": ratio, "vendi": vendi}


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
