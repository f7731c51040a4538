"""An objective for sequences of symbols whose decoder could do without the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import part
from ..distributions.tokens import before_the_end
from ..models.base import Inference, LatentModel
from ..models.flat import Flat
from ..nn.layers import with_condition
from ..nn.recurrent import valid_steps
from ..parts.likelihoods.tokens import TokenLikelihood
from .base import Player, Terms
from .elbo import floored_rate
from .regularised import Regularised, need_weights, raw, total
from .warmup import LinearWarmup, Warmup

HEAD = "bag_of_symbols"


@example(data="symbols", settings={"objective": "bag_of_symbols", "free_bits": 0.1})
@part("objective", "bag_of_symbols")
@final
@dataclass(frozen=True, kw_only=True)
class BagOfSymbols(Regularised):
    r"""The bound, plus how well the code alone says which symbols a row has, whatever their order.

    .. math:: L = \text{distortion} + \beta \, w_t \, \text{rate} - \lambda \sum_{t \le L} \log p_\text{bag}(x_t \mid z)

    A decoder that sees the symbols before learns to ignore the code before the code is worth anything. The added term
    does not see them. Its linear head is used in training only. With either ``bag_weight`` or ``free_bits`` above zero
    the loss is no bound; distortion and rate are watched as they are.

    Reference:
        Learning Discourse-level Diversity for Neural Dialog Models using Conditional Variational Autoencoders
        (Zhao et al., 2017), the bag-of-words loss. https://arxiv.org/abs/1703.10960

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        bag_weight: Weight of the bag.
        fade: How that weight falls: it is taken times one minus this schedule; by default it stays.
        free_bits: Floor of the rate per latent dimension, in nats.
    """

    bag_weight: float = 1.0
    fade: Warmup = LinearWarmup(10**9)  # noqa: RUF009 - frozen and without state
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(bag_weight=self.bag_weight, free_bits=self.free_bits)

    def check(self, model: LatentModel) -> None:
        """Refuse models whose rows are no symbols from one group of latents."""
        if not isinstance(model, Flat) or not isinstance(model.likelihood, TokenLikelihood):
            raise CombinationError(
                "A bag of symbols is about rows of symbols with one group of latents, but got another model. "
                "Leave objective=bag_of_symbols out."
            )

    def equip(self, model: LatentModel) -> None:
        """Add the head."""
        network = _decoder(model).network
        model.aux[HEAD] = nn.Linear(network.n_context, network.out.out_features)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return one player with the model's parameters and the head's."""
        (only,) = super().players(model)
        return (replace(only, parameters=(*only.parameters, *model.aux[HEAD].parameters())),)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch)
        (group,) = seen.groups
        rate = seen.average(group.rate())
        weighted = self.beta * self.warmup.factor(step) * floored_rate(group, rate, self.free_bits)
        distortion = seen.average(-seen.log_lik)
        parts = {"distortion": distortion, "rate": weighted, **self.further(model, batch, seen, step)}
        return Terms(total(parts), parts, raw({"distortion": distortion, "rate": rate}))

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the weighted bag, ``(B,)``."""
        likelihood, z = _decoder(model), model.spaces[0].as_vector(seen.groups[0].z)[0]
        context = with_condition(z, batch.c if likelihood.n_condition else None)
        x = batch.tensor.nan_to_num().long()
        inside = valid_steps(batch) if batch.lengths is not None else before_the_end(x)
        log_p = F.log_softmax(model.aux[HEAD](context).float(), -1)
        found = log_p.gather(1, torch.where(inside, x, 0))
        weight = self.bag_weight * (1 - self.fade.factor(step))
        return {"bag": -weight * torch.where(inside, found, 0.0).sum(1)}


def _decoder(model: LatentModel) -> TokenLikelihood:
    assert isinstance(model, Flat)  # check() has seen to both
    assert isinstance(model.likelihood, TokenLikelihood)
    return model.likelihood
