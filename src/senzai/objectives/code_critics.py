"""A critic of codes as the second player: FactorVAE and the adversarial autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import current_noise
from ..core.spec import part
from ..models.base import Inference, LatentModel
from ..models.flat import Flat
from ..models.generative import Generative
from ..nn.critics import CodeCritic, check_critic
from .base import Player, Terms
from .checks import need_vectors
from .mmd import prior_draws
from .regularised import Regularised, need_weights

CRITIC = "critic"


@dataclass(frozen=True, kw_only=True)
class CodeAdversary(Regularised):
    """The bound with a weighted rate, a term from a critic of codes, and the critic's own game.

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        critic_width: Units of each hidden layer of the critic.
        critic_depth: Its hidden layers.
        critic_lr: Its learning rate.
    """

    critic_width: int = 256
    critic_depth: int = 4
    critic_lr: float = 1e-4

    def __post_init__(self) -> None:
        need_weights(beta=self.beta, critic_lr=self.critic_lr)
        check_critic(self.critic_width, self.critic_depth)

    def check(self, model: LatentModel) -> None:
        """Refuse codes that no gradient reaches."""
        need_vectors(model, "A critic of codes")

    def equip(self, model: LatentModel) -> None:
        """Add the critic."""
        (n_latent,) = need_vectors(model, "A critic of codes").posterior.event
        model.aux[CRITIC] = CodeCritic(n_latent, width=self.critic_width, depth=self.critic_depth)

    def both(self, model: LatentModel, critic_loss: partial[Terms], *, mixes_rows: bool) -> tuple[Player, ...]:
        """Return the model as the first player and the critic as the second."""
        own = Player("model", model.own_parameters(), self, mixes_rows=model.mixes_rows)
        theirs = tuple(critic_of(model).parameters())
        return (own, Player(CRITIC, theirs, critic_loss, mixes_rows=mixes_rows, lr=self.critic_lr or None))


def critic_of(model: Generative) -> torch.nn.Module:
    """Return the critic that :meth:`Objective.equip` gave the model.

    Raises:
        CombinationError: It has none yet.
    """
    if CRITIC not in model.aux:
        raise CombinationError("This objective needs its critic, but the model has none. Call objective.equip(model).")
    return model.aux[CRITIC]


@torch.no_grad()
def codes_of(model: Flat, batch: Batch) -> Tensor:
    """Return one draw of each row's code, ``(B, d)``, through which no gradient reaches the encoder."""
    return model.infer(batch).groups[0].z[0]


@part("objective", "factor")
@final
@dataclass(frozen=True, kw_only=True)
class Factor(CodeAdversary):
    r"""The bound plus the total correlation of the codes as a critic estimates it (FactorVAE).

    .. math:: L = \text{distortion} + \beta \cdot \text{rate} + \gamma \log \frac{D(z)}{1 - D(z)}

    where D tells codes from codes whose dimensions were permuted over the rows, each on its own; at its best the
    log-odds are :math:`\log q(z) - \sum_d \log q(z_d)`, of which the mean is the total correlation. The critic is the
    second player and minimises the cross entropy of telling them apart; its codes carry no gradient.

    Reference:
        Disentangling by Factorising (Kim and Mnih, 2018). https://arxiv.org/abs/1802.05983

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        tc_weight: Weight of the total correlation, the formula's gamma.
        critic_width: Units of each hidden layer of the critic.
        critic_depth: Its hidden layers.
        critic_lr: Its learning rate.
    """

    tc_weight: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(tc_weight=self.tc_weight)

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the weighted log-odds of each row's code."""
        return {"total_correlation": self.tc_weight * critic_of(model)(seen.groups[0].z[0])}

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """The model, then the critic, whose rows are permuted."""
        return self.both(model, partial(tell_permuted), mixes_rows=True)

    def mixes_rows(self, model: LatentModel) -> bool:
        """The critic compares rows with permuted ones."""
        return True


def tell_permuted(model: LatentModel, batch: Batch, step: int) -> Terms:
    """Return the critic's cross entropy between codes and permuted codes, ``(B,)``."""
    z = codes_of(need_vectors(model, "A critic of codes"), batch)
    return telling_apart(critic_of(model), z, permuted(z))


def permuted(z: Tensor) -> Tensor:
    """Permute each dimension of ``(B, d)`` over the rows, independently of the others."""
    order = current_noise().uniform(tuple(z.shape), row_dim=0, device=z.device).argsort(0)
    return z.gather(0, order)


def telling_apart(critic: torch.nn.Module, yes: Tensor, no: Tensor) -> Terms:
    """Return the mean cross entropy of a critic that should give log-odds above zero to ``yes`` and below to ``no``."""
    parts = {"yes": 0.5 * F.softplus(-critic(yes)), "no": 0.5 * F.softplus(critic(no))}
    return Terms(parts["yes"] + parts["no"], parts, {})


@part("objective", "adversarial_codes")
@final
@dataclass(frozen=True, kw_only=True)
class AdversarialCodes(CodeAdversary):
    r"""Distortion plus what it costs that a critic tells codes from draws of the prior (adversarial autoencoder).

    .. math:: L = \text{distortion} + \beta \cdot \text{rate} - \lambda \log D(z)

    D tells draws of the prior from codes and is the second player; by default there is no rate. The WAE-GAN is the same
    with point codes.

    Reference:
        Adversarial Autoencoders (Makhzani et al., 2016). https://arxiv.org/abs/1511.05644
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018). https://arxiv.org/abs/1711.01558

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        match_weight: Weight of the critic's term, the formula's lambda.
        critic_width: Units of each hidden layer of the critic.
        critic_depth: Its hidden layers.
        critic_lr: Its learning rate.
    """

    is_bound: ClassVar[bool] = False
    beta: float = 0.0
    match_weight: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(match_weight=self.match_weight)

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the weighted cross entropy of each row's code taken for a draw of the prior."""
        return {"match": self.match_weight * F.softplus(-critic_of(model)(seen.groups[0].z[0]))}

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """The model, then the critic."""
        return self.both(model, partial(tell_prior), mixes_rows=model.mixes_rows)


def tell_prior(model: LatentModel, batch: Batch, step: int) -> Terms:
    """Return the critic's cross entropy between draws of the prior and codes, ``(B,)``."""
    flat = need_vectors(model, "A critic of codes")
    z = codes_of(flat, batch)
    with torch.no_grad():
        other = prior_draws(flat.prior.of(batch), len(batch))
    return telling_apart(critic_of(model), other, z)
