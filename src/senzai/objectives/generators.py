"""Losses of models without latents: exact likelihood, matched velocities, a critic against a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import part
from ..models.explicit import Explicit
from ..models.generative import Generative
from ..models.implicit import Implicit
from ..nn.critics import RowCritic, check_critic, units_of
from ..parts.priors.flow_matching import FlowMatchingPrior
from .base import Loss, Objective, Player, Terms
from .code_critics import CRITIC
from .regularised import need_weights
from .row_critics import log_odds, row_critic

SMALL = {"prior.hidden": (8,), "prior.n_transforms": 2}


@part("objective", "maximum_likelihood")
@example(recipe="flow", settings=SMALL)
@final
@dataclass(frozen=True)
class MaximumLikelihood(Objective):
    r"""Minus the exact log density of each row: :math:`L(x) = -\log p(x)`, in nats."""

    trains: ClassVar[type[Any]] = Generative
    is_bound: ClassVar[bool] = False

    def check(self, model: Generative) -> None:
        """Refuse a model whose density is not exact."""
        if not model.exact:
            raise CombinationError(
                f"Maximum likelihood needs the exact density of a row, but the model ({type(model).__name__}) has "
                "none with these parts. Choose prior=flow or prior=mixture in the recipe flow."
            )

    def __call__(self, model: Generative, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        log_p = model.log_prob(batch)
        assert log_p is not None  # checked when the two were put together
        return Terms(-log_p, {"nll": -log_p}, {"nll": -log_p.detach()})

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the mean log density."""
        return "log_likelihood", -means["nll"]


@part("objective", "flow_matching")
@example(recipe="flow-matching", settings={"prior.hidden": (8,)})
@final
@dataclass(frozen=True)
class FlowMatching(Objective):
    r"""Squared distance of a velocity field from the straight way between noise and rows.

    .. math:: L(x) = \| v(u_t, t) - (u - \epsilon) \|^2, \quad u_t = (1 - t)\,\epsilon + t\,u,
        \quad t \sim \mathcal U(0, 1), \; \epsilon \sim \mathcal N(0, I)

    with u the standardised row. Its least value is not zero: ways cross.

    Reference:
        Flow Matching for Generative Modeling (Lipman et al., 2023). https://arxiv.org/abs/2210.02747
    """

    trains: ClassVar[type[Any]] = Explicit
    is_bound: ClassVar[bool] = False

    def check(self, model: Explicit) -> None:
        """Refuse a prior without a velocity field."""
        _field(model)

    def __call__(self, model: Explicit, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        loss = _field(model).matching_loss(model.standardised(batch), batch.c)
        return Terms(loss, {"matching": loss}, {})

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the mean squared distance."""
        return "matching_loss", means["loss"]


def _field(model: Explicit) -> FlowMatchingPrior:
    if not isinstance(model.prior, FlowMatchingPrior):
        raise CombinationError(
            f"Flow matching trains a velocity field, but the prior is a {type(model.prior).__name__}. "
            "Leave prior=... out, or use the recipe flow."
        )
    return model.prior


@part("objective", "non_saturating")
@example(recipe="gan", settings={})
@final
@dataclass(frozen=True, kw_only=True)
class NonSaturating(Objective):
    r"""A generator and a critic who tells rows from what the generator makes, with a penalty on the critic's slope.

    .. math:: \text{generator: } -\log D(g(\epsilon)), \qquad
        \text{critic: } -\log D(x) - \log(1 - D(g(\epsilon))) + \tfrac{\gamma}{2} \| \nabla_x \ell(x) \|^2

    with the log-odds :math:`\ell` and :math:`D = \mathrm{sigmoid}(\ell)`. Where rows and draws cannot be told apart the
    critic's loss is :math:`2 \log 2 \approx 1.386`: that of tossing a coin. The slope is taken in the critic's own
    units.

    Reference:
        Generative Adversarial Nets (Goodfellow et al., 2014), section 3. https://arxiv.org/abs/1406.2661
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), R1.
        https://arxiv.org/abs/1801.04406

    Args:
        r1_weight: The formula's gamma.
        critic_width: Channels of the critic's first convolution, or units of its layers.
        critic_depth: Its layers.
        critic_lr: Its learning rate; 0 takes the run's.
    """

    trains: ClassVar[type[Any]] = Implicit
    is_bound: ClassVar[bool] = False
    r1_weight: float = 1.0
    critic_width: int = 64
    critic_depth: int = 3
    critic_lr: float = 0.0

    def __post_init__(self) -> None:
        need_weights(r1_weight=self.r1_weight, critic_lr=self.critic_lr)
        check_critic(self.critic_width, self.critic_depth)

    def equip(self, model: Implicit) -> None:
        """Add the critic, in the generator's units."""
        shift, scale = units_of(model)
        model.aux[CRITIC] = RowCritic(model.event, shift, scale, width=self.critic_width, depth=self.critic_depth)

    def players(self, model: Implicit) -> tuple[Player, ...]:
        """Generator, critic."""
        return (
            Player("model", model.own_parameters(), self),
            Player(CRITIC, tuple(row_critic(model).parameters()), self.critic_loss, lr=self.critic_lr or None),
        )

    def __call__(self, model: Implicit, batch: Batch, step: int) -> Terms:
        """Return the generator's terms."""
        loss = F.softplus(-log_odds(row_critic(model), model.draw(len(batch))))
        return Terms(loss, {"fooling": loss}, {})

    def critic_loss(self, model: Implicit, batch: Batch, step: int) -> Terms:
        """Return the critic's terms."""
        critic = row_critic(model)
        fake = model.draw(len(batch)).detach()
        real = critic.standardised(batch.tensor).detach().requires_grad_(self.r1_weight > 0)
        odds = critic.judge(real)[0].mean(-1)
        parts = {"real": F.softplus(-odds), "fake": F.softplus(log_odds(critic, fake))}
        if self.r1_weight > 0:
            parts["slope"] = 0.5 * self.r1_weight * steepness(odds, real)
        return Terms(torch.stack(list(parts.values())).sum(0), parts, {})

    @property
    def comparable(self) -> bool:
        """A generator's loss is against a critic that learns."""
        return False

    def held_out(self, first: Loss) -> Loss:
        """Judge by the game: the generator's loss, and what the critic loses on rows it has not seen."""

        def game(model: Implicit, batch: Batch, step: int) -> Terms:
            critic, fake = row_critic(model), model.draw(len(batch))
            odds, fooled = log_odds(critic, batch.tensor), log_odds(critic, fake)
            told = F.softplus(-odds) + F.softplus(fooled)
            return Terms(F.softplus(-fooled), {}, {"critic_loss": told})

        return game

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the critic's loss: 1.386 where it cannot tell rows from draws."""
        return "critic_loss", means.get("critic_loss", means.get("critic.loss", float("nan")))


def steepness(odds: Tensor, x: Tensor) -> Tensor:
    """Return the squared length of the gradient of each row's log-odds in that row, ``(B,)``."""
    (slope,) = torch.autograd.grad(odds.sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1)
