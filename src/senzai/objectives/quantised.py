"""The bound of a quantised model, with a second player for the prior over its codes."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar, final

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import Inference, LatentModel
from ..models.quantised import Quantised
from .base import Objective, Player, Terms


@part("objective", "codes")
@final
@dataclass(frozen=True)
class CodeBound(Objective):
    r"""Distortion, the quantisers' own terms, and the rate of the codes under a prior that learns beside them.

    .. math:: L(x) = -\log p(x | k(x)) + L_\text{quantiser}(x) - \log p(k(x)), \qquad
        -\log p(x) \le -\log p(x | k(x)) - \log p(k(x))

    The first player moves coder, quantisers and decoder; whole numbers have no gradient, so that the rate counts in
    its loss, and in the choice of the best weights, but moves nothing. The second player moves the prior, on codes that
    stand still. The first player's ``watch`` holds the rate in nats and in bits, the perplexity of the running counts
    of codes and the share of codes in use.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017). https://arxiv.org/abs/1711.00937

    Args:
        prior_lr: Learning rate of the prior, where it is not the run's.
    """

    is_bound: ClassVar[bool] = False
    prior_lr: float | None = None

    def __post_init__(self) -> None:
        if self.prior_lr is not None and not self.prior_lr > 0:
            raise SettingError(f"`prior_lr > 0` must hold, but got prior_lr={self.prior_lr!r}. Leave it out for lr.")

    def check(self, model: LatentModel) -> None:
        """Refuse a model without codes."""
        quantised(model)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        return terms_of(quantised(model), quantised(model).infer(batch))

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return coder, quantisers and decoder, and then the prior, if it learns anything."""
        prior = tuple(p for p in quantised(model).prior.parameters() if p.requires_grad)
        mine = {id(p) for p in prior}
        first = Player(
            "model", tuple(p for p in model.own_parameters() if id(p) not in mine), self,
            mixes_rows=self.mixes_rows(model),
        )
        return (first, Player("prior", prior, prior_loss, lr=self.prior_lr)) if prior else (first,)


def terms_of(model: Quantised, seen: Inference) -> Terms:
    """Return the terms of rows that were inferred: distortion, the quantisers' own, and the rate."""
    distortion = seen.average(-seen.log_lik)
    rates = {g.name: seen.average(g.rate()).detach() for g in seen.groups}
    rate = sum(rates.values(), distortion.new_zeros(()))
    loss = distortion + rate
    for extra in seen.extras.values():
        loss = loss + extra
    watch = {"distortion": distortion.detach(), "rate": rate, "code_bits": rate / log(2)}
    watch |= {f"rate_{name}": r for name, r in rates.items() if len(rates) > 1}
    watch |= {name: value.detach().expand(len(distortion)) for name, value in model.watch().items()}
    return Terms(loss, {"distortion": distortion, "rate": rate, **seen.extras}, watch)


def prior_loss(model: LatentModel, batch: Batch, step: int) -> Terms:
    """Minus the log probability of the codes of each row, in nats."""
    codes = quantised(model).codes(batch)
    rate = -quantised(model).prior(batch.c).log_prob(codes)
    return Terms(rate, {"rate": rate}, {})


def quantised(model: LatentModel) -> Quantised:
    """Return ``model`` as one with codes.

    Raises:
        CombinationError: It has none.
    """
    if not isinstance(model, Quantised):
        raise CombinationError(
            f"This objective trains models with codes, but got {type(model).__name__}. Use objective=elbo, or a recipe "
            "such as vq-vae."
        )
    return model
