"""The evidence lower bound with a weighted, warmed-up and floored rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from ..models.base import Group, LatentModel
from .base import Objective, Terms
from .warmup import Constant, Warmup


@part("objective", "elbo")
@final
@dataclass(frozen=True)
class ELBO(Objective):
    r"""Distortion plus weighted rate, in nats per row.

    .. math:: L(x) = \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta \, w_t \, \mathrm{KL}(q(z|x) \,\|\, p(z))

    with warm-up factor :math:`w_t`. With ``free_bits`` :math:`\lambda > 0` the rate of every latent dimension counts
    as at least :math:`\lambda`, row by row, so that no row mixes with another; a group whose dimensions are not
    independent gets the floor :math:`\lambda d` as a whole. The rate is closed where a closed form is known, else
    estimated from the draws.

    Reference:
        beta-VAE (Higgins et al., 2017). https://openreview.net/forum?id=Sy2fzU9gl
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), free bits.
        https://arxiv.org/abs/1606.04934

    Args:
        beta: Weight of the rate; 1 is the bound itself, 0 an autoencoder.
        warmup: How the weight rises over optimisation steps.
        free_bits: Floor of the rate per latent dimension, in nats.
        n_samples: Draws per row.
    """

    beta: float = 1.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state
    free_bits: float = 0.0
    n_samples: int = 1

    def __post_init__(self) -> None:
        if not self.beta >= 0 or not self.free_bits >= 0:
            raise SettingError(
                f"`beta >= 0` and `free_bits >= 0` must hold, but got beta={self.beta!r}, free_bits={self.free_bits!r}."
            )
        if self.n_samples < 1:
            raise SettingError(f"`n_samples >= 1` must hold, but got n_samples={self.n_samples!r}.")

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch, self.n_samples)
        weight = self.beta * self.warmup.factor(step)
        distortion = seen.average(-seen.log_lik)
        rates = {g.name: seen.average(g.rate()) for g in seen.groups}
        rate = _total(rates)
        floored = rate
        if self.free_bits > 0:
            floored = _total({
                g.name: floored_rate(g, rates[g.name], self.free_bits, seen.log_mix) for g in seen.groups
            })
        weighted = weight * floored
        parts = {"distortion": distortion, "rate": weighted, **seen.extras}
        loss = distortion + weighted
        for extra in seen.extras.values():
            loss = loss + extra
        watch = {"distortion": distortion, "rate": rate, **per_group(rates)}
        return Terms(loss, parts, {name: values.detach() for name, values in watch.items()})

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


def floored_rate(group: Group, rate: Tensor, free_bits: float, log_mix: Tensor | None = None) -> Tensor:
    """Return the rate of a group, ``(B,)``, of which every dimension counts as at least ``free_bits`` nats."""
    per_dimension = group.rate_per_dimension(log_mix)
    if per_dimension is None:
        return rate.clamp_min(free_bits * group.z[0, 0].numel())
    return per_dimension.clamp_min(free_bits).sum(-1)


def per_group(rates: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the rate of each group under a name of its own, where there are several."""
    return {f"rate_{name}": rate for name, rate in rates.items()} if len(rates) > 1 else {}


def _total(values: dict[str, Tensor]) -> Tensor:
    first, *rest = values.values()
    for v in rest:
        first = first + v
    return first
