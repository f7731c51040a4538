"""A prior by flow matching beside the bound: two players, so that no equation is solved while training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..distributions.closed import closed
from ..models.base import LatentModel
from ..models.flat import Flat
from ..parts import FlowMatchingPrior, StandardNormal
from .base import Objective, Player, Terms
from .warmup import Constant, Warmup


@example(recipe="latent-flow-matching-vae", settings={"objective": "latent_matching", "prior.hidden": (8,)})
@part("objective", "latent_matching")
@final
@dataclass(frozen=True)
class LatentMatching(Objective):
    r"""The bound under a standard normal for the autoencoder, flow matching on its codes for the prior.

    .. math:: L(x) = \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta \, w_t \, \mathrm{KL}(q(z|x) \,\|\, \mathcal N(0, I)),
        \qquad L_\text{prior}(z) = \| v(z_t, t) - (z - \epsilon) \|^2

    The prior's player sees codes without their gradient. The rate that is watched, and the bound that is validated,
    are those of the **standard normal**, which only shapes the codes; the model's own are what ``evaluate`` gives.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022).
        https://arxiv.org/abs/2112.10752
        Flow Matching for Generative Modeling (Lipman et al., 2023). https://arxiv.org/abs/2210.02747

    Args:
        beta: Weight of the rate.
        warmup: How the weight rises over optimisation steps.
        n_samples: Draws per row.
    """

    beta: float = 1.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state
    n_samples: int = 1

    def __post_init__(self) -> None:
        if not self.beta >= 0 or self.n_samples < 1:
            raise SettingError(
                f"`beta >= 0` and `n_samples >= 1` must hold, but got beta={self.beta!r}, n_samples={self.n_samples!r}."
            )

    def check(self, model: LatentModel) -> None:
        """Refuse a model whose prior is no velocity field.

        Raises:
            CombinationError: It is not.
        """
        _prior(model)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the autoencoder and its prior."""
        prior = _prior(model)
        own = {id(p) for p in prior.parameters()}
        rest = tuple(p for p in model.own_parameters() if id(p) not in own)
        mixes = self.mixes_rows(model)
        return (
            Player("model", rest, self, mixes_rows=mixes),
            Player("prior", tuple(prior.parameters()), partial(_match, n_samples=self.n_samples), mixes_rows=mixes),
        )

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of the autoencoder."""
        seen = model.infer(batch, self.n_samples)
        (group,) = seen.groups
        assert group.q is not None  # a model of one group has a posterior
        normal = StandardNormal(group.z.shape[-1]).to(group.z)()
        rate = closed(group.q, normal)
        if rate is None:
            rate = seen.average(group.log_q - normal.log_prob(group.z))
        weighted = self.beta * self.warmup.factor(step) * rate
        distortion = seen.average(-seen.log_lik)
        watch = {"distortion": distortion.detach(), "rate": rate.detach()}
        return Terms(distortion + weighted, {"distortion": distortion, "rate": weighted}, watch)

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


def _prior(model: LatentModel) -> FlowMatchingPrior:
    if isinstance(model, Flat) and isinstance(model.prior, FlowMatchingPrior):
        return model.prior
    raise CombinationError(
        f"Flow matching on latents needs a model of one group with prior=flow_matching, but got {type(model).__name__} "
        f"with {type(getattr(model, 'prior', None)).__name__}. Set the prior, or choose objective=elbo."
    )


def _match(model: LatentModel, batch: Batch, step: int, *, n_samples: int) -> Terms:
    """Return how far the field is from the straight way to the codes of each row."""
    with torch.no_grad():
        z = model.infer(batch, n_samples).groups[0].z
    loss = _prior(model).matching_loss(z, batch.c).mean(0)
    return Terms(loss, {"matching": loss}, {})
