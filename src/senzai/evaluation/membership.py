"""Who was in the training rows: attacks by likelihood and by nearness to samples, and copies among the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError

Floats = NDArray[np.float64]
FALSE_POSITIVES = 0.001
CHUNK = 256


def membership(
    *, members: object, strangers: object, samples: object = None, training: object = None, held_out: object = None,
    false_positives: float = FALSE_POSITIVES,
) -> dict[str, Any]:
    r"""Return how well training rows are told from rows of the same sort that the model never saw.

    Two attacks. One calls a row a member where its log-likelihood is high. The other, for somebody who has samples
    alone, where the nearest sample is near. Of each: the area under its ROC curve (a half says nothing), and the share
    of members it finds where it may call one stranger in a thousand a member, with a 95 % interval of Clopper and
    Pearson. Besides, for each sample the distance to the nearest training row against that to the nearest held-out row:
    where nothing was copied, each is the nearer one half of the time (as many rows of either are compared).

    Numbers of one model and these attacks: that they find nobody does not prove that nobody can be found.

    Reference:
        Membership Inference Attacks From First Principles (Carlini et al., 2022). https://arxiv.org/abs/2112.03570

    Args:
        members: Log-likelihoods of training rows, ``(N,)``.
        strangers: Those of rows that were held out.
        samples: New rows, ``(S, ...)``, in numbers of one scale.
        training: The training rows themselves.
        held_out: The rows that were held out.
        false_positives: Share of strangers that may be called members.

    Raises:
        InputError: There are fewer than two rows of a sort.

    Example:
        >>> found = membership(members=[3.0, 4.0, 5.0], strangers=[0.0, 1.0, 2.0])
        >>> found["by_likelihood"]["auroc"], found["by_likelihood"]["found"]
        (1.0, 1.0)
    """
    inside, outside = np.asarray(members, np.float64), np.asarray(strangers, np.float64)
    if len(inside) < 2 or len(outside) < 2:
        raise InputError(f"Membership needs two rows of either sort, but got {len(inside)} and {len(outside)}.")
    found: dict[str, Any] = {"by_likelihood": attack(inside, outside, false_positives)}
    if samples is None or training is None or held_out is None:
        return found
    made, known, new = (_flat(x) for x in (samples, training, held_out))
    found["by_samples"] = attack(-nearest_distances(known, made), -nearest_distances(new, made), false_positives)
    n = min(len(known), len(new))
    to_known, to_new = nearest_distances(made, known[:n]), nearest_distances(made, new[:n])
    ratio = to_known / np.maximum(to_new, 1e-12)
    found["samples"] = {
        "n": len(made), "nearer_to_training": float((to_known < to_new).mean() + 0.5 * (to_known == to_new).mean()),
        "ratio_median": float(np.median(ratio)), "ratio_least": float(ratio.min()),
        "copies": int((to_known == 0).sum()),
    }
    return found


def _flat(rows: object) -> Floats:
    x = np.asarray(rows, np.float64)
    return x.reshape(len(x), -1)


def attack(members: Floats, strangers: Floats, false_positives: float = FALSE_POSITIVES) -> dict[str, Any]:
    """Return area, threshold and share found of an attack whose score is higher for members.

    The threshold lies above all strangers but the share that may be called members; of fewer strangers than that share
    can be told from, above them all, and ``resolved`` is false.

    Example:
        >>> attack(np.array([0.0, 1.0]), np.array([0.0, 1.0]))["auroc"]
        0.5
    """
    from scipy.stats import beta, rankdata

    n, m = len(members), len(strangers)
    ranks = rankdata(np.concatenate([members, strangers]))[:n]
    area = float((ranks.sum() - n * (n + 1) / 2) / (n * m))
    allowed = int(np.floor(false_positives * m))
    limit = np.sort(strangers)[::-1][allowed]
    hits = int((members > limit).sum())
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))
    return {
        "auroc": area, "found": hits / n, "interval": [low, high], "false_positives": false_positives,
        "resolved": m * false_positives >= 1, "members": n, "strangers": m,
    }


def nearest_distances(rows: Floats, among: Floats) -> Floats:
    """Return the distance of each row to the nearest of others, ``(N,)``: exact, in pieces."""
    square = np.square(among).sum(1)
    found = np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        far = np.square(part).sum(1)[:, None] - 2 * part @ among.T + square
        best = far.argmin(1)
        found[start : start + CHUNK] = np.linalg.norm(part - among[best], axis=1)
    return found
