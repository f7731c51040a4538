"""A critic of rows as a further player: VAE-GAN, and what others with such a critic need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.spec import part
from ..distributions.ops import expected
from ..models.base import Inference, LatentModel
from ..models.flat import Flat
from ..models.generative import Generative
from ..nn.critics import RowCritic, check_critic, units_of
from .base import Objective, Player, Terms
from .checks import need_flat
from .code_critics import CRITIC, codes_of, critic_of
from .mmd import prior_draws
from .regularised import distortion_and_rate, need_weights, raw

WHAT = "A critic of rows"


def need_means(model: LatentModel) -> Flat:
    """Return a flat model whose likelihood has a mean that a critic can look at.

    Raises:
        CombinationError: The data are categories.
    """
    flat = need_flat(model, WHAT)
    family = getattr(flat.likelihood, "family", None)
    if family is not None and family.support in ("category", "ordinal"):
        raise CombinationError(
            f"{WHAT} looks at the mean of p(x | z), but {family.support} data have none that a gradient can pass. "
            "Use the elbo."
        )
    return flat


def add_critic(model: LatentModel, *, width: int, depth: int) -> None:
    """Give the model a critic of rows, in the units its encoder sees them in."""
    flat = need_means(model)
    shift, scale = units_of(flat.posterior)
    model.aux[CRITIC] = RowCritic(tuple(flat.likelihood.event), shift, scale, width=width, depth=depth)


def row_critic(model: Generative) -> RowCritic:
    """Return the critic of rows of a model."""
    critic = critic_of(model)
    assert isinstance(critic, RowCritic)  # made by add_critic
    return critic


def real_rows(batch: Batch, instead: Tensor) -> Tensor:
    """Return the rows of the batch; where nothing was observed, what the model would say."""
    x = batch.tensor.to(instead.dtype)
    return x if batch.observed is None else torch.where(batch.observed, x, instead.detach())


def reconstruction(seen: Inference) -> Tensor:
    """Return E[x | z] of the first draw, ``(B, *event)``.

    Raises:
        CombinationError: A gradient is needed and does not pass.
    """
    mean = expected(seen.likelihood)[0]
    if torch.is_grad_enabled() and not mean.requires_grad and seen.log_lik.requires_grad:
        raise CombinationError(f"{WHAT} needs a mean of p(x | z) that a gradient can pass. Use another likelihood.")
    return mean


@part("objective", "vae_gan")
@final
@dataclass(frozen=True, kw_only=True)
class VAEGAN(Objective):
    r"""Three players: an encoder and a decoder that are compared in a critic's features, and the critic.

    .. math:: \text{encoder: } \beta \, \mathrm{KL} + F, \quad
        \text{decoder: } \gamma F - \log D(\tilde x) - \log D(x_p), \quad
        \text{critic: } -\log D(x) - \log(1 - D(\tilde x)) - \log(1 - D(x_p))

    with the features' distance :math:`F = \frac12 \|f(x) - f(\tilde x)\|^2`, :math:`\tilde x = \mathbb{E}[x | z]` and
    :math:`x_p` the same for a draw of the prior. Log-odds of images are means over patches. F stands where the
    distortion stood, so this is no bound; ``distortion_weight`` adds the distortion to encoder and decoder. A scale
    that only the density has is not trained without it.

    Reference:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016).
        https://arxiv.org/abs/1512.09300

    Args:
        beta: Weight of the rate.
        feature_weight: Weight of F for the decoder, the formula's gamma.
        distortion_weight: Weight of the distortion.
        critic_width: Channels of the critic's first convolution, or units of its layers.
        critic_depth: Its layers.
        critic_lr: Its learning rate.
    """

    is_bound: ClassVar[bool] = False
    beta: float = 1.0
    feature_weight: float = 1.0
    distortion_weight: float = 0.0
    critic_width: int = 32
    critic_depth: int = 3
    critic_lr: float = 1e-4

    def __post_init__(self) -> None:
        need_weights(
            beta=self.beta, feature_weight=self.feature_weight, distortion_weight=self.distortion_weight,
            critic_lr=self.critic_lr,
        )
        check_critic(self.critic_width, self.critic_depth)

    def check(self, model: LatentModel) -> None:
        """Refuse data without a mean."""
        need_means(model)

    def equip(self, model: LatentModel) -> None:
        """Add the critic."""
        add_critic(model, width=self.critic_width, depth=self.critic_depth)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Encoder (with the prior), decoder, critic."""
        flat, mixes = need_means(model), model.mixes_rows
        side = {id(p) for p in (*flat.encoder_parameters(), *flat.prior.parameters())}
        own = model.own_parameters()
        return (
            Player("encoder", tuple(p for p in own if id(p) in side), self, mixes),
            Player("decoder", tuple(p for p in own if id(p) not in side), self.decoder_loss, mixes),
            Player(CRITIC, tuple(critic_of(model).parameters()), critic_loss, mixes, lr=self.critic_lr or None),
        )

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the encoder's terms."""
        seen = model.infer(batch)
        found = distortion_and_rate(seen)
        fake = reconstruction(seen)
        parts = {
            "features": feature_distance(row_critic(model), real_rows(batch, fake), fake),
            "weighted_distortion": self.distortion_weight * found["distortion"],
            "weighted_rate": self.beta * found["rate"],
            **seen.extras,
        }
        return Terms(sum_of(parts), parts, raw(found))

    @property
    def comparable(self) -> bool:
        """Distances in features grow with the critic that learns them."""
        return False

    def decoder_loss(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the decoder's terms."""
        critic, seen = row_critic(model), model.infer(batch)
        fake = reconstruction(seen)
        parts = {
            "features": self.feature_weight * feature_distance(critic, real_rows(batch, fake), fake),
            "weighted_distortion": self.distortion_weight * seen.average(-seen.log_lik),
            "fooling": F.softplus(-log_odds(critic, fake)) + F.softplus(-log_odds(critic, imagined(model, batch))),
        }
        return Terms(sum_of(parts), parts, {})


def critic_loss(model: LatentModel, batch: Batch, step: int) -> Terms:
    """Return the cross entropy of telling rows from reconstructions and from imagined rows, ``(B,)``."""
    critic, flat = row_critic(model), need_means(model)
    with torch.no_grad():
        fake = expected(flat.likelihood(codes_of(flat, batch), batch.c))
        dreamt = imagined(model, batch)
    parts = {
        "yes": F.softplus(-log_odds(critic, real_rows(batch, fake))),
        "no": F.softplus(log_odds(critic, fake)) + F.softplus(log_odds(critic, dreamt)),
    }
    return Terms(sum_of(parts), parts, {})


def imagined(model: LatentModel, batch: Batch) -> Tensor:
    """Return E[x | z] for one draw of the prior per row."""
    flat = need_means(model)
    with torch.no_grad():
        z = prior_draws(flat.prior.of(batch), len(batch))
    return expected(flat.likelihood(z, batch.c))


def log_odds(critic: RowCritic, x: Tensor) -> Tensor:
    """Return the mean score over patches, ``(B,)``."""
    scores: Tensor = critic(x)[0]
    return scores.mean(-1)


def feature_distance(critic: RowCritic, real: Tensor, fake: Tensor) -> Tensor:
    """Return half the squared distance of two rows in the critic's features, ``(B,)``."""
    away: Tensor = critic(real)[1] - critic(fake)[1]
    return 0.5 * away.square().sum(-1)


def sum_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of terms."""
    return torch.stack(list(parts.values())).sum(0)
