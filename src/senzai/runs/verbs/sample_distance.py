"""How far samples of runs lie from held-out rows: what runs are compared by where one of them has no density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...core.random import derive
from ...data import KINDS, Dataset
from ...evaluation import Case, Extras, Figure, frechet_distance
from ...evaluation.holes import filled
from .evaluate import some_rows

CERTAIN = 0.95
TRAIN_ROWS = 5000


def distances(
    runs: Mapping[str, Any], dataset: Dataset, index: np.ndarray[Any, Any], *, seed: int, sampler: str
) -> dict[str, Figure]:
    """Return the Fréchet distance of as many samples of each run to held-out rows, in one space for all of them.

    The space is that of the principal components of training rows.
    """
    rows = dataset.batch(index)
    train = some_rows(dataset, dataset.split_indices()["train"], TRAIN_ROWS, seed=seed)
    features, found = None, {}
    for name, run in runs.items():
        noise = KINDS[run.schema.kind].shows == "draws"
        case = Case(run.model, rows, seed=seed, extras=Extras(
            train=train, noise=noise, sampler=run.samplers.apply_to(run.model, sampler),
        ))
        features = features or case.feature("pca")
        made = features(case.samples(len(rows)))
        figure = frechet_distance(made, features(filled(rows)), features=features.name, seed=derive(seed, "distance"))
        found[name] = replace(figure, details={})
    return found


def least_distance(
    found: Mapping[str, Figure]
) -> tuple[str, dict[str, Figure], dict[str, tuple[float, float]]]:
    r"""Return the run of the least distance, how much further the others are, and intervals of these differences.

    .. math:: d_r - d_b \pm z\Big(1 - \frac{0.05}{R (R - 1)}\Big) \sqrt{\mathrm{se}_r^2 + \mathrm{se}_b^2}

    as if the two distances were independent; they share the held-out rows, so that the interval is wide rather than
    narrow.

    Example:
        >>> best, further, intervals = least_distance({"a": Figure(1.0, 0.1, 9), "b": Figure(3.0, 0.1, 9)})
        >>> best, further["b"].value, intervals["b"][0] > 0
        ('a', 2.0, True)
    """
    from scipy.special import ndtri

    best, pairs = min(found, key=lambda n: found[n].value), len(found) * (len(found) - 1) / 2
    z = float(ndtri(1 - (1 - CERTAIN) / 2 / pairs))
    differences, intervals = {}, {}
    for name, one in found.items():
        se = 0.0 if name == best else float(np.hypot(one.se, found[best].se))
        far = one.value - found[best].value
        differences[name] = Figure(far, se, one.n, one.seed, f"{name} - {best}")
        intervals[name] = (far - z * se, far + z * se)
    return best, differences, intervals
