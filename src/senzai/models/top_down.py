"""Several groups of latents, inferred from the top down: each level sees the data and the draw above it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.spec import part
from ..distributions.ops import draw
from ..distributions.within import within
from ..nn.levels import LevelFeatures
from ..nn.listed import ModulesOf
from ..parts.base import AnyLikelihood, AnyPosterior, Prior
from ..parts.conditionals import Rung, beside
from ..parts.posteriors.amortised import fits
from .base import Group, Inference, LatentModel

Latents = tuple[Tensor, ...]


@part("model", "top_down")
@final
class TopDown(LatentModel):
    r"""Levels :math:`z_L, \dots, z_1`, generated and inferred in this order.

    .. math:: p(x, z) = p(z_L) \prod_{l<L} p(z_l | z_{l+1}) \; p(x | z), \qquad
        q(z | x) = q(z_L | x) \prod_{l<L} q(z_l | x, z_{l+1})

    Given the draw above, a level's posterior and prior are both known, so that each rate is closed *conditional on that
    draw*: :math:`\mathbb{E}_{q(z_{l+1}|x)} \mathrm{KL}(q(z_l | x, z_{l+1}) \| p(z_l | z_{l+1}))`.

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018): ``rungs`` concatenated. https://arxiv.org/abs/1705.07120
        Ladder Variational Autoencoders (Sønderby et al., 2016): ``rungs`` merged. https://arxiv.org/abs/1602.02282

    Args:
        prior: p(z_L).
        posterior: q(z_L | x).
        encoder: Features of the data for the rungs, lowest level first.
        rungs: The levels below the top, from the top down.
        likelihood: p(x | z).
        skip: Whether the likelihood sees every level, top first, instead of the lowest alone.

    Raises:
        CombinationError: There are not as many levels of features as rungs.
    """

    def __init__(
        self, prior: Prior, posterior: AnyPosterior, encoder: LevelFeatures, rungs: tuple[Rung, ...],
        likelihood: AnyLikelihood, *, skip: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= len(rungs) <= len(encoder.widths):
            raise CombinationError(
                f"Each level below the top needs features of its own, but there are {len(rungs)} such levels and "
                f"{len(encoder.widths)} levels of features. Build the encoder with as many."
            )
        self.prior, self.posterior, self.encoder = prior, posterior, encoder
        self.rungs: ModulesOf[Rung] = ModulesOf(rungs)
        self.likelihood, self.skip = likelihood, skip

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, top first."""
        return tuple(f"z{level}" for level in range(len(self.rungs) + 1, 0, -1))

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Go up through the features, then down through the latents; see :meth:`LatentModel.infer`."""
        shown, grad = batch if seen is None else seen, torch.is_grad_enabled()
        features = self.encoder.all(shown)
        q, p = self.posterior(shown), self.prior.of(batch)
        value = draw(q, (n_samples,), grad=grad) if z is None else z[0]
        groups = [Group(self.names[0], value, q, p)]
        for i, rung in enumerate(self.rungs):
            p = rung.prior(value)
            q = rung.posterior(features[len(self.rungs) - 1 - i], value, p)
            value = draw(q, grad=grad, lead=1) if z is None else z[i + 1]
            groups.append(Group(self.names[i + 1], value, q, p))
        p = within(self.generate(tuple(g.z for g in groups), batch.c), batch)
        self.likelihood.observe(p, batch.x)
        return Inference(tuple(groups), p, batch.x)

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | z)."""
        p: Distribution = self.likelihood(beside(z) if self.skip else z[-1], c)
        return p

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw every level, top first, ``(n, width)`` each."""
        p = self.prior(c)
        found = [draw(p, (n,) if not p.batch_shape else (), grad=False)]
        for rung in self.rungs:
            found.append(draw(rung.prior(found[-1]), grad=False))
        return tuple(found)

    def with_prior(self, prior: Prior) -> LatentModel:
        """Return the model with another prior over the topmost latents, everything else shared.

        Raises:
            CombinationError: The prior is over other latents.
        """
        fits(prior, self.posterior)
        rungs = tuple(self.rungs)
        made = TopDown(prior, self.posterior, self.encoder, rungs, self.likelihood, skip=self.skip)
        return made.train(self.training)

    @property
    def mixes_rows(self) -> bool:
        """Whether the likelihood estimates its scale from the whole batch."""
        return self.likelihood.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the posteriors."""
        found = [*self.posterior.parameters(), *self.encoder.parameters()]
        for rung in self.rungs:
            found += rung.inference_parameters()
        return list({id(p): p for p in found}.values())
