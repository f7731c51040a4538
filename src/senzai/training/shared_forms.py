"""Mixtures of classes that share the forms of their components: means and weights of each class, common covariances."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Any, final

import numpy as np

STEPS = 30
"""Steps of EM."""
LENT = 5.0
"""Rows that the mean of a component of all classes counts for in the mean of one class."""
SMALLEST = 1e-3
"""Variance that is added to standardised codes."""


@final
@dataclass(frozen=True)
class SharedForms:
    r"""A mixture of each class with common covariances, of standardised codes.

    .. math:: p(z | k) = \sum_{j=1}^J \pi_{kj} \, \mathcal N(z; \mu_{kj}, \Sigma_j)

    Where classes have few rows each, their components can differ in place and share what they look like.

    Reference:
        Discriminant analysis by Gaussian mixtures (Hastie and Tibshirani, 1996), with one covariance for all.
        https://doi.org/10.1111/j.2517-6161.1996.tb02073.x

    Args:
        weights: ``(K, J)``, each row of sum one.
        means: ``(K, J, d)``.
        covariances: ``(J, d, d)``.
    """

    weights: Any
    means: Any
    covariances: Any

    def log_each(self, z: Any, classes: Any) -> Any:
        """Return the weighted log density of each row under each component of its class, ``(N, J)``."""
        found = np.empty((len(z), len(self.covariances)))
        for j, factor in enumerate(np.linalg.cholesky(self.covariances)):
            apart = np.linalg.solve(factor, (z - self.means[classes, j]).T)
            size = np.log(np.diag(factor)).sum() + 0.5 * z.shape[1] * log(2 * pi)
            found[:, j] = np.log(self.weights[classes, j]) - 0.5 * (apart**2).sum(0) - size
        return found

    def score(self, z: Any, classes: Any) -> float:
        """Return the mean log density of rows given their classes."""
        return float(np.logaddexp.reduce(self.log_each(z, classes), axis=1).mean())


def shared_forms(z: Any, classes: Any, shares: Any, moved: Any) -> SharedForms:
    """Fit by EM, from the shares of components in rows.

    Args:
        z: Standardised codes, ``(N, d)``.
        classes: Class of each, ``(N,)``.
        shares: Where it begins: how much of each row each component has, ``(N, J)``.
        moved: How far the mean of each class is from that of all, ``(K, d)``.
    """
    found = maximised(z, classes, shares, moved)
    for _ in range(STEPS):
        each = found.log_each(z, classes)
        found = maximised(z, classes, np.exp(each - np.logaddexp.reduce(each, axis=1)[:, None]), moved)
    return found


def maximised(z: Any, classes: Any, shares: Any, moved: Any) -> SharedForms:
    """Return weights, means and covariances given the shares of components in rows."""
    k, (n, d) = len(moved), (shares.shape[1], z.shape[1])
    total = shares.sum(0) + 1e-9
    common = (shares.T @ (z - moved[classes])) / total[:, None]
    weights, means, covariances = np.empty((k, n)), np.empty((k, n, d)), np.zeros((n, d, d))
    for own in range(k):
        rows, part = z[classes == own], shares[classes == own]
        there = part.sum(0)
        weights[own] = (there + 1) / (there.sum() + n)
        means[own] = (part.T @ rows + LENT * (common + moved[own])) / (there + LENT)[:, None]
        for j in range(n):
            apart = rows - means[own, j]
            covariances[j] += (apart * part[:, j : j + 1]).T @ apart
    return SharedForms(weights, means, covariances / total[:, None, None] + SMALLEST * np.eye(d))
