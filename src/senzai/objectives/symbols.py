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
NUMBERS = "numbers"


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

    With ``placed`` the head says which symbol stands at each place, and not only which there are: where places mean
    something (steps of a bar), the code then learns them early.

    Where rows have numbers (properties of molecules, attributes of bars), a second linear head reads them from the
    code, so that the latent space is ordered by them; its squared errors of standardised numbers are added, half of
    their sum times ``number_weight``. A number that is not known counts nothing.

    Reference:
        Learning Discourse-level Diversity for Neural Dialog Models using Conditional Variational Autoencoders
        (Zhao et al., 2017), the bag-of-words loss. https://arxiv.org/abs/1703.10960

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        bag_weight: Weight of the bag.
        fade: How that weight falls: it is taken times one minus this schedule; by default it stays.
        free_bits: Floor of the rate per latent dimension, in nats.
        placed: Whether the code is asked for each place.
        number_weight: Weight of the numbers.
        n_numbers: How many numbers rows have.
    """

    bag_weight: float = 1.0
    fade: Warmup = LinearWarmup(10**9)  # noqa: RUF009 - frozen and without state
    free_bits: float = 0.0
    placed: bool = False
    number_weight: float = 10.0
    n_numbers: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(bag_weight=self.bag_weight, free_bits=self.free_bits, number_weight=self.number_weight)

    def check(self, model: LatentModel) -> None:
        """Refuse models whose rows are no symbols from one group of latents."""
        if not isinstance(model, Flat) or not isinstance(model.likelihood, TokenLikelihood):
            raise CombinationError(
                "A bag of symbols is about rows of symbols with one group of latents, but got another model. "
                "Leave objective=bag_of_symbols out."
            )

    def equip(self, model: LatentModel) -> None:
        """Add the heads."""
        likelihood = _decoder(model)
        network = likelihood.network
        places = likelihood.event[0] if self.placed else 1
        model.aux[HEAD] = nn.Linear(network.n_context, places * network.out.out_features)
        if self.n_numbers:
            model.aux[NUMBERS] = nn.Linear(network.n_context - likelihood.n_condition, self.n_numbers)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return one player with the model's parameters and the heads'."""
        (only,) = super().players(model)
        heads = [p for name in (HEAD, NUMBERS) if name in model.aux for p in model.aux[name].parameters()]
        return (replace(only, parameters=(*only.parameters, *heads)),)

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
        """Return the weighted bag, ``(B,)``, and what numbers are missed by."""
        likelihood, z = _decoder(model), model.spaces[0].as_vector(seen.groups[0].z)[0]
        context = with_condition(z, batch.c if likelihood.n_condition else None)
        x = batch.tensor.nan_to_num().long()
        inside = valid_steps(batch) if batch.lengths is not None else before_the_end(x)
        told = model.aux[HEAD](context).float().view(len(x), -1, likelihood.network.out.out_features)
        log_p = F.log_softmax(told, -1).expand(-1, x.shape[1], -1)
        found = log_p.gather(2, torch.where(inside, x, 0).unsqueeze(2))[..., 0]
        weight = self.bag_weight * (1 - self.fade.factor(step))
        bag = {"bag": -weight * torch.where(inside, found, 0.0).sum(1)}
        if NUMBERS not in model.aux or batch.numbers is None:
            return bag
        known = batch.numbers.isfinite()
        missed = model.aux[NUMBERS](z).float() - torch.where(known, batch.numbers, 0.0)
        return bag | {"numbers": self.number_weight * 0.5 * torch.where(known, missed**2, 0.0).sum(1)}


def _decoder(model: LatentModel) -> TokenLikelihood:
    assert isinstance(model, Flat)  # check() has seen to both
    assert isinstance(model.likelihood, TokenLikelihood)
    return model.likelihood
