"""One group of latents: prior × posterior × likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.examples import example
from ..core.spec import part
from ..distributions.ops import draw
from ..distributions.spaces import Space, check_spaces
from ..distributions.within import within
from ..nn.inputs import floats
from ..parts.base import AnyLikelihood, AnyPosterior, Joint, LatentDraws, Prior
from ..parts.posteriors.amortised import fits
from .base import Group, Inference, LatentModel


@example(data="pair", settings={})
@example(data="ragged", settings={})
@example(settings={})
@part("model", "flat")
@final
class Flat(LatentModel):
    r"""The variational autoencoder with one group of latents, :math:`p(x, z) = p(z)\, p(x | z)`.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013). https://arxiv.org/abs/1312.6114

    Args:
        prior: p(z).
        posterior: q(z | x).
        likelihood: p(x | z).

    Raises:
        CombinationError: Prior and posterior do not live on the same space.

    Example:
        >>> import torch
        >>> from senzai.distributions import BernoulliFamily, NormalFamily
        >>> from senzai.nn import MLPDecoder, MLPEncoder
        >>> from senzai.parts import Likelihood, Posterior, StandardNormal
        >>> model = Flat(
        ...     StandardNormal(2),
        ...     Posterior(MLPEncoder((5,), (8,)), NormalFamily(), 2),
        ...     Likelihood(MLPDecoder(2, (1, 5), (8,)), BernoulliFamily(), (5,)),
        ... )
        >>> model.infer(Batch(torch.ones(3, 5)), n_samples=7).log_w.shape
        torch.Size([7, 3])
    """

    def __init__(self, prior: Prior, posterior: AnyPosterior, likelihood: AnyLikelihood) -> None:
        super().__init__()
        check_spaces(posterior.space, prior.space)
        self.prior, self.posterior, self.likelihood = prior, posterior, likelihood

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: tuple[Tensor, ...] | None = None
    ) -> Inference:
        """Encode, draw, decode and score; see :meth:`LatentModel.infer`."""
        encoded = batch if seen is None else seen
        prior = self.prior.of(batch)
        found = self.posterior.propose(encoded, self.joint(encoded, prior), n_samples, z=None if z is None else z[0])
        p = self._decoded(found.z, batch)
        self.likelihood.observe(p, batch.x)
        point = None if found.point is None else (found.point,)
        return Inference((self._group(found, prior),), p, batch.x, found.log_mix, point=point)

    def _decoded(self, z: Tensor, batch: Batch) -> Distribution:
        return within(self.generate((z,), batch.c), batch)

    @staticmethod
    def _group(found: LatentDraws, p: Distribution) -> Group:
        log_p = None if found.log_r is None else p.log_prob(found.z) + found.log_r
        return Group("z", found.z, found.q, p, log_q=found.log_q, log_p=log_p)

    def joint(self, batch: Batch, prior: Distribution) -> Joint:
        """Return log p(x, z) of the rows of a batch as a function of their latents, ``(K, B, n)`` to ``(K, B)``."""

        def log_joint(z: Tensor) -> Tensor:
            rows: Any = floats(batch.x)
            log_lik: Tensor = self._decoded(z, batch).log_prob(rows)
            return log_lik + prior.log_prob(z)

        return log_joint

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Where the latents live."""
        return (self.posterior.space,)

    def generate(self, z: tuple[Tensor, ...], c: Tensor | None = None) -> Distribution:
        """Return p(x | z); the decoder sees what the space of ``z`` shows of it."""
        p: Distribution = self.likelihood(self.posterior.space.as_vector(z[0]), c)
        return p

    def sample_prior(self, n: int, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw latents ``(n, n_latent)``."""
        p = self.prior(c)
        return (draw(p, (n,) if not p.batch_shape else (), grad=False),)

    def with_prior(self, prior: Prior) -> LatentModel:
        """Return the model with another prior, posterior and likelihood shared.

        Raises:
            CombinationError: The prior is over other latents.
        """
        fits(prior, self.posterior)
        return Flat(prior, self.posterior, self.likelihood).train(self.training)

    def check(self) -> None:
        """Refuse a posterior that was not made for this prior."""
        self.posterior.check_prior(self.prior)

    @property
    def mixes_rows(self) -> bool:
        """Whether the likelihood estimates its scale from the whole batch, or the posterior is normalised over it."""
        return self.likelihood.mixes_rows or self.posterior.mixes_rows

    def after_step(self, total: Callable[[Tensor], Tensor]) -> None:
        """Let the prior follow."""
        self.prior.after_step(total)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the posterior."""
        return list(self.posterior.parameters())
