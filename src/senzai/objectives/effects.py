"""The bound of rows with a treatment and an outcome, read with and without the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..models.base import LatentModel
from ..models.flat import Flat
from ..parts.likelihoods.treated import TreatedLikelihood
from .base import Objective, Terms


def treated(model: object) -> TreatedLikelihood | None:
    """Return the likelihood of a model of treatments; ``None`` of any other model."""
    found = model.likelihood if isinstance(model, Flat) else None
    return found if isinstance(found, TreatedLikelihood) else None


def covariates_of(batch: Batch, likelihood: TreatedLikelihood) -> Batch:
    """Return rows of which treatment and outcome are hidden."""
    x = batch.tensor
    seen = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed.clone()
    seen[:, [likelihood.treatment, likelihood.outcome]] = False
    return replace(batch, mask=seen)


@part("objective", "effects")
@example(recipe="cevae", data="mixed", settings={"treatment": "x2", "outcome": "x0"})
@final
@dataclass(frozen=True)
class EffectBound(Objective):
    r"""The mean of two evidence lower bounds of a row: with latents read from all of it, and from covariates alone.

    .. math:: L = -\tfrac12 \sum_{s \in \{(x, t, y),\, x\}} \mathbb E_{q(z \mid s)}
        \Big[\log \frac{p(x, t, y \mid z)\, p(z)}{q(z \mid s)}\Big]

    Both bound the same evidence. The second teaches the encoder rows whose treatment and outcome are not known yet, for
    which the paper has networks of its own, q(t | x) and q(y | x, t).

    Reference:
        Causal Effect Inference with Deep Latent-Variable Models (Louizos et al., 2017).
        https://arxiv.org/abs/1705.08821

    Args:
        beta: Weight of the rate.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise SettingError(f"`beta >= 0` must hold, but got beta={self.beta!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse a model without a treatment."""
        if treated(model) is None:
            raise CombinationError("Effects are of a treatment, but this model has none. Use the recipe cevae.")

    def __call__(self, model: Flat, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        likelihood = treated(model)
        assert likelihood is not None  # checked
        whole, part_ = (self._one(model, batch, seen) for seen in (None, covariates_of(batch, likelihood)))
        distortion, rate = (whole[0] + part_[0]) / 2, (whole[1] + part_[1]) / 2
        parts = {"distortion": distortion, "rate": self.beta * rate}
        watch: Mapping[str, Tensor] = {"distortion": whole[0].detach(), "rate": whole[1].detach()}
        return Terms(distortion + self.beta * rate, parts, watch)

    @staticmethod
    def _one(model: Flat, batch: Batch, seen: Batch | None) -> tuple[Tensor, Tensor]:
        found = model.infer(batch, seen=seen)
        return found.average(-found.log_lik), found.average(found.groups[0].rate())
