"""Moments of the codes matched to those of the prior: DIP-VAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import Inference, LatentModel
from .checks import need_factors
from .regularised import Regularised, need_weights

WHAT = "The covariance of the codes"


@part("objective", "dip")
@final
@dataclass(frozen=True, kw_only=True)
class DIP(Regularised):
    r"""The bound plus a penalty on a covariance of the codes that is not the identity (DIP-VAE I and II).

    .. math:: T = \lambda_{od} \sum_{d \ne e} C_{de}^2 + \lambda_d \sum_d (C_{dd} - 1)^2

    with :math:`C` the covariance of the posterior means (I), or that of the codes,
    :math:`\mathrm{Cov}[\mu(x)] + \mathbb{E}[\Sigma(x)]` (II), over the rows of the batch (divided by B), so rows mix.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2018).
        https://arxiv.org/abs/1711.00848

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        off_diagonal: Weight of covariances.
        diagonal: Weight of variances.
        dip: ``"i"`` or ``"ii"``.
    """

    off_diagonal: float = 10.0
    diagonal: float = 10.0
    dip: Literal["i", "ii"] = "ii"

    def __post_init__(self) -> None:
        need_weights(beta=self.beta, off_diagonal=self.off_diagonal, diagonal=self.diagonal)
        if self.dip not in ("i", "ii"):
            raise SettingError(f"`dip` is i or ii, but got {self.dip!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse a posterior whose mean and covariance are not known."""
        need_factors(model, WHAT)

    def mixes_rows(self, model: LatentModel) -> bool:
        """The covariance is over the rows of the batch."""
        return True

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the penalty, the same for every row."""
        q = seen.groups[0].q
        if q is None:
            raise CombinationError(f"{WHAT} needs a posterior, but the model has none. Use the elbo.")
        C = covariance(q, within=self.dip == "ii")
        penalty = moment_penalty(C, self.off_diagonal, self.diagonal)
        return {"moments": penalty.expand(len(batch))}


def covariance(q: Distribution, *, within: bool) -> Tensor:
    """Return the covariance ``(d, d)`` of the means of q over its rows, plus the mean covariance ``within`` q."""
    away = q.mean - q.mean.mean(0)
    C = away.T @ away / len(away)
    if not within:
        return C
    inside = q.covariance_matrix.mean(0) if isinstance(q, MultivariateNormal) else torch.diag(q.variance.mean(0))
    return C + inside


def moment_penalty(C: Tensor, off_diagonal: float, diagonal: float) -> Tensor:
    """Return the weighted squared distance of a covariance from the identity.

    Example:
        >>> moment_penalty(torch.tensor([[2.0, 0.5], [0.5, 1.0]]), off_diagonal=1.0, diagonal=10.0)
        tensor(10.5000)
    """
    variances = C.diagonal()
    beside = C.square().sum() - variances.square().sum()
    return off_diagonal * beside + diagonal * (variances - 1).square().sum()
