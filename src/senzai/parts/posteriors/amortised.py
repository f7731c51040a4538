"""Posteriors: ``posterior(batch) -> q(z | x)``."""

from __future__ import annotations

from typing import final

from torch import Tensor
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.spec import part
from ...distributions.family import Family
from ...distributions.spaces import Space
from ...nn.inputs import Encoder
from ...nn.layers import linear_out, size_of
from ...nn.precision import network_precision
from ..base import AnyPosterior, Prior, check_width, full_precision


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
        >>> from senzai.distributions import NormalFamily
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
