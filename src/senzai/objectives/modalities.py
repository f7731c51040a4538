"""Bounds of rows of several modalities: weighed by their size, over subsets, with a pull between experts and whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any, Literal, cast, final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.random import derive
from ..core.spec import part
from ..distributions.closed import closed
from ..distributions.modalities import Modalities
from ..models.base import Inference, LatentModel
from ..models.flat import Flat
from ..nn.inputs import floats
from ..parts.likelihoods.modalities import ModalLikelihood
from ..parts.posteriors.experts import ModalPosterior
from .base import Objective, Terms
from .warmup import Constant, Warmup


@example(recipe="mvae", data="pair", settings={})
@example(recipe="mvtcae", data="pair", settings={})
@example(recipe="jmvae", data="pair", settings={"objective.weigh": "none"})
@part("objective", "modalities")
@final
@dataclass(frozen=True, kw_only=True)
class ModalBound(Objective):
    r"""Distortion of each modality, weighed by its size, plus the rate; and what keeps single experts near the whole.

    .. math:: L(x) = \Big(1 - \frac{\alpha}{M}\Big) \sum_m w_m \mathbb E_q[-\log p(x_m | z)]
        + \beta (1 - \alpha)\, \mathrm{KL}(q \| p)
        + \Big(\frac{\alpha \beta}{M} + \lambda\Big) \sum_m \mathrm{KL}(q(z | x) \| q(z | x_m))

    over the M modalities that a row has. :math:`\alpha` = ``correlation`` is that of MVTCAE,
    :math:`\lambda` = ``to_experts`` that of JMVAE; both zero leave the bound. With ``subsets`` >= 0 the loss is the
    mean of that of the whole row, of each of its modalities alone and of so many subsets at random (MVAE): without it,
    experts never learn to speak alone.

    With ``weigh="dimension"`` a modality weighs by one over its entries,
    :math:`w_m = \bar D / D_m`, so that a small one is heard beside pictures; the weights keep the sum
    :math:`\sum_m w_m D_m = \sum_m D_m`. What evaluation says is never weighed.

    References:
        Multimodal Generative Models for Scalable Weakly-Supervised Learning (Wu and Goodman, 2018): subsets.
        https://arxiv.org/abs/1802.05335
        Joint Multimodal Learning with Deep Generative Models (Suzuki et al., 2016), JMVAE-kl.
        https://arxiv.org/abs/1611.01891
        Multi-View Representation Learning via Total Correlation Objective (Hwang et al., 2021), MVTCAE.
        https://openreview.net/forum?id=4UWZGqW0KmS

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises over optimisation steps.
        weigh: ``dimension`` or ``none``.
        subsets: Random subsets beside the whole row and single modalities; -1 leaves them all out.
        correlation: Share of the total correlation, 0 to 1.
        to_experts: Weight of the divergence from the whole to each expert.
    """

    beta: float = 1.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state
    weigh: Literal["dimension", "none"] = "dimension"
    subsets: int = -1
    correlation: float = 0.0
    to_experts: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta >= 0 or not self.to_experts >= 0 or not 0 <= self.correlation <= 1:
            raise SettingError(
                f"`beta >= 0`, `to_experts >= 0` and `0 <= correlation <= 1` must hold, but got {self.beta!r}, "
                f"{self.to_experts!r} and {self.correlation!r}."
            )
        if self.weigh not in ("dimension", "none"):
            raise SettingError(f"`weigh` is dimension or none, but got {self.weigh!r}. Choose one.")

    @property
    def pulls(self) -> bool:
        """Whether experts are compared with the whole."""
        return self.correlation > 0 or self.to_experts > 0

    def check(self, model: LatentModel) -> None:
        """Refuse a model without modalities, and a pull between experts where there are none."""
        likelihood_of(model)
        if self.pulls and not isinstance(getattr(model, "posterior", None), ModalPosterior):
            raise CombinationError(
                "Experts are compared with the whole where a posterior has some, but this one has none. Use "
                "posterior=experts or joint_experts."
            )

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        first = self._terms(model, batch, step)
        some = [] if self.subsets < 0 else subsets(batch, self.subsets, step)
        if not some:
            return first
        terms = [first, *(self._terms(model, part, step) for part in some)]
        parts = {k: torch.stack([t.parts[k] for t in terms]).mean(0) for k in first.parts}
        return Terms(sum_of(parts), parts, first.watch)

    def _terms(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        seen, weight = model.infer(batch), self.beta * self.warmup.factor(step)
        costs = {name: seen.average(-log_lik) for name, log_lik in log_liks(seen).items()}
        weights = self.weights(model)
        there = count_present(batch)
        distortion = sum_of({name: weights[name] * cost for name, cost in costs.items()})
        rate = sum_of({g.name: seen.average(g.rate()) for g in seen.groups})
        parts = {
            "distortion": (1 - self.correlation / there) * distortion, "rate": weight * (1 - self.correlation) * rate,
        }
        if self.pulls:
            pull = pulled(model, batch, seen)
            parts["experts"] = (weight * self.correlation / there + self.to_experts) * pull
        watch = {"distortion": sum_of(costs), "rate": rate, **{f"distortion_{k}": v for k, v in costs.items()}}
        return Terms(sum_of(parts), parts, {k: v.detach() for k, v in watch.items()})

    def weights(self, model: LatentModel) -> dict[str, float]:
        """Return the weight of each modality's distortion."""
        sizes = {name: prod(cast(Any, p).event) for name, p in likelihood_of(model).likelihoods.items()}
        if self.weigh == "none":
            return dict.fromkeys(sizes, 1.0)
        mean = sum(sizes.values()) / len(sizes)
        return {name: mean / size for name, size in sizes.items()}

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


def likelihood_of(model: LatentModel) -> ModalLikelihood:
    """Return the likelihood of a model of several modalities.

    Raises:
        CombinationError: It has none.
    """
    found = getattr(model, "likelihood", None)
    if not isinstance(model, Flat) or not isinstance(found, ModalLikelihood):
        raise CombinationError(
            "This is for rows of several modalities that share one group of latents, but the model is another. Give a "
            "table with pictures or sentences, or a dictionary of views (kind=multimodal)."
        )
    return found


def log_liks(seen: Inference) -> dict[str, Tensor]:
    """Return log p(x_m | z) of each modality, ``(K, B)``; zero where a row lacks it."""
    p, x = seen.likelihood, floats(seen.x)
    assert isinstance(p, Modalities)  # the model was checked
    assert isinstance(x, dict)
    return {name: part.log_prob(x[name]) for name, part in p.parts.items()}


def pulled(model: LatentModel, batch: Batch, seen: Inference) -> Tensor:
    """Return the sum over present modalities of KL(q(z | x) || q(z | x_m)), ``(B,)``.

    Raises:
        CombinationError: It has no closed form.
    """
    assert isinstance(model, Flat)  # it was checked
    assert isinstance(model.posterior, ModalPosterior)
    q, rows = seen.groups[0].q, batch.present or {}
    assert q is not None
    total = torch.zeros(len(batch), device=batch.device)
    for name, single in model.posterior.singles(batch).items():
        gap = closed(q, single)
        if gap is None:
            raise CombinationError(
                "Experts are compared with the whole where both are normal, but this posterior is a mixture. Use "
                "posterior.combine=product."
            )
        total = total + (gap if name not in rows else torch.where(rows[name], gap, torch.zeros_like(gap)))
    return total


def count_present(batch: Batch) -> Tensor:
    """Return how many modalities each row has, one at least, ``(B,)``."""
    rows = batch.present or {}
    n = torch.full((len(batch),), float(len(batch.modalities)), device=batch.device)
    for there in rows.values():
        n = n - (~there).to(n.dtype)
    return n.clamp(min=1)


def only_with(batch: Batch, names: tuple[str, ...] | list[str]) -> Batch:
    """Return rows that have some modalities at most."""
    rows = batch.present or {}
    nothing = torch.zeros(len(batch), dtype=torch.bool, device=batch.device)
    hidden = dict.fromkeys([n for n in batch.modalities if n not in names], nothing)
    return replace(batch, present={**rows, **hidden})


def subsets(batch: Batch, more: int, step: int) -> list[Batch]:
    """Return rows with each modality alone, and with so many subsets of several that the step chooses."""
    names = batch.modalities
    found = [only_with(batch, (name,)) for name in names] if len(names) > 1 else []
    if len(names) > 2:
        draw = Random(derive(0, "subsets", step))
        found += [only_with(batch, draw.sample(names, draw.randint(2, len(names) - 1))) for _ in range(more)]
    return found


def sum_of(values: dict[str, Tensor]) -> Tensor:
    """Return the sum of values per row."""
    first, *rest = values.values()
    for v in rest:
        first = first + v
    return first
