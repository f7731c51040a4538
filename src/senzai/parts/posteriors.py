"""Posteriors: ``posterior(batch) -> q(z | x)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.spec import part
from ..dist.family import Family
from ..nn.inputs import Encoder
from ..nn.layers import linear_out, size_of
from ..nn.precision import network_precision
from .priors import check_width


class AnyPosterior(nn.Module, ABC):
    """What every posterior is: from a batch to a distribution over latents."""

    event: tuple[int, ...]
    """Shape of one latent."""

    @abstractmethod
    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)`` and event shape ``event``."""

    def example(self) -> Distribution | None:
        """Return some q of the kind this posterior gives, one row, for objectives that need to know it when built.

        ``None`` where it takes data to tell; an objective then refuses at the first batch.
        """
        return None

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, q of one row depends on the others of its batch."""
        return False


@part("posterior", "amortised")
@final
class Posterior(AnyPosterior):
    """An encoder, a linear head without any normalisation, and a family.

    Args:
        encoder: Network from a batch to features.
        family: What the raw numbers mean: ``normal``, ``full_normal``, ``normal_fixed`` …
        n_latent: Width of the latent code.

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
        self.encoder, self.family = encoder, family
        self.event = (check_width(n_latent),)
        self.raw_shape = family.raw_shape(self.event)
        self.head = linear_out(encoder.n_features, size_of(self.raw_shape))

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
