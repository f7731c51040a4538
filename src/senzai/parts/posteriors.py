"""Posteriors: ``posterior(batch) -> q(z | x)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.spec import part
from ..dist.family import Family
from ..dist.ops import draw_scored
from ..dist.spaces import Real, Space
from ..nn.inputs import Encoder
from ..nn.layers import linear_out, size_of
from ..nn.precision import network_precision
from .priors import Prior, check_width

Joint: TypeAlias = Callable[[Tensor], Tensor]
"""log p(x, z) of the rows that are encoded: latents ``(K, B, *event)`` to ``(K, B)``, differentiable."""


@dataclass(frozen=True)
class Proposal:
    """Latents of a batch and what is known about how they came about.

    A posterior that draws further variables a with its latents (momenta) bounds the evidence on the pair:
    ``log p(x) >= E[log p(x, z) + log r(a | z) - log q(z, a | x)]``. Then ``log_q`` is that of the pair, ``log_r`` is
    counted with the prior, and the rate they give is that of the pair: never below the rate of z alone.

    Args:
        z: Latents, ``(K, B, *event)``.
        q: Their distribution; one without a density raises when it is asked for one.
        log_q: Log density of what was drawn, ``(K, B)``, where it is known already or is not that of ``q``.
        log_r: Log density of the further variables on the side of the model, ``(K, B)``.
    """

    z: Tensor
    q: Distribution
    log_q: Tensor | None = None
    log_r: Tensor | None = None


class AnyPosterior(nn.Module, ABC):
    """What every posterior is: from a batch to a distribution over latents."""

    event: tuple[int, ...]
    """Shape of one latent."""
    usual_prior: ClassVar[str] = "standard_normal"
    """Name of the prior for this posterior, where nobody names one."""
    needs_joint: ClassVar[bool] = False
    """Whether latents come from :meth:`propose` alone, and the distribution of :meth:`forward` is but its start."""

    @abstractmethod
    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)`` and event shape ``event``."""

    def example(self) -> Distribution | None:
        """Return some q of the kind this posterior gives, one row, for objectives that need to know it when built.

        ``None`` where it takes data to tell; an objective then refuses at the first batch.
        """
        return None

    def check_prior(self, prior: Prior) -> None:
        """Refuse to be trained with a prior that this posterior was not made for.

        Raises:
            CombinationError: It was not.
        """

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, q of one row depends on the others of its batch."""
        return False

    @property
    def space(self) -> Space:
        """Where its latents live."""
        return Real()

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> Proposal:
        """Draw latents, or score given ones.

        Args:
            batch: What is encoded.
            joint: The log joint density of these rows, for inferences that climb it; asked only by those.
            n_samples: Draws per row, K.
            z: Latents to score instead of drawing, ``(K, B, *event)``.

        Raises:
            CombinationError: Latents are given, but their density is not known.
        """
        return proposal(self(batch), n_samples, z)


def proposal(q: Distribution, n_samples: int, z: Tensor | None = None) -> Proposal:
    """Return draws from a distribution with a density, or given latents under it."""
    if z is not None:
        return Proposal(z, q)
    value, log_q = draw_scored(q, (n_samples,), grad=torch.is_grad_enabled())
    return Proposal(value, q, log_q)


@part("posterior", "amortised")
@final
class Posterior(AnyPosterior):
    """An encoder, a linear head without any normalisation, and a family.

    Args:
        encoder: Network from a batch to features.
        family: What the raw numbers mean: ``normal``, ``full_normal``, ``normal_fixed`` …
        n_latent: Width of the latent code.

    Raises:
        CombinationError: The family takes its scale from all rows of a batch together.

    Example:
        >>> import torch
        >>> from senzai.nn import MLPEncoder
        >>> from senzai.dist import NormalFamily
        >>> q = Posterior(MLPEncoder((5,), (8,)), NormalFamily(), 2)(Batch(torch.zeros(3, 5)))
        >>> q.batch_shape, q.event_shape
        (torch.Size([3]), torch.Size([2]))
    """

    def __init__(self, encoder: Encoder, family: Family, n_latent: int) -> None:
        super().__init__()
        if family.mixes_rows:
            raise CombinationError(
                f"A posterior tells rows apart, but {type(family).__name__} takes its scale from all rows of a batch "
                "together. Choose another family: normal, full_normal."
            )
        self.encoder, self.family = encoder, family
        self.event = (check_width(n_latent),)
        self.raw_shape = family.raw_shape(self.event)
        self.head = linear_out(encoder.n_features, size_of(self.raw_shape))

    @property
    def space(self) -> Space:
        """That of the family."""
        return self.family.space(self.event)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``, computed in single precision at least."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder(batch))
        return self.family(full_precision(raw).unflatten(-1, self.raw_shape), self.event)

    def example(self) -> Distribution:
        """Return what the family makes of zeros."""
        return self.family(self.head.weight.new_zeros(1, *self.raw_shape), self.event)


def full_precision(raw: Tensor) -> Tensor:
    """Return ``raw`` in float32 if autocasting had made it shorter; densities are never computed in half precision."""
    return raw.float() if raw.element_size() < 4 else raw


def fits(prior: Prior, posterior: AnyPosterior) -> None:
    """Refuse a prior over latents of another width than those of ``posterior``.

    Raises:
        CombinationError: It is.
    """
    if tuple(posterior.event) != (prior.n_latent,):
        raise CombinationError(
            f"The prior must be over latents of the shape {tuple(posterior.event)}, but has ({prior.n_latent},). "
            "Give one of that width."
        )
