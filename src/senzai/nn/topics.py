"""Decoder of shares of topics: each topic has a weight for each word, and a document adds its topics up."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.examples import example
from ..core.random import current_noise
from ..core.spec import part
from .inputs import Decoder
from .layers import check_dropout, size_of

NEAR = 1e-6
"""Added to variances, and to shares below which no logarithm is taken."""


@example(data="count", settings={"posterior": "logistic_normal", "decoder": "topics"})
@part("decoder", "topics")
@final
class TopicDecoder(Decoder):
    r"""From shares of topics to log shares of words, up to a constant.

    .. math:: \text{product: } r = \mathrm{norm}(z^\top B), \qquad
        \text{mixture: } r = \log \sum_k z_k \, \mathrm{softmax}(B_k)

    Together with the bias of a likelihood, the first is a product of experts: a topic says by which factor each word is
    more frequent than usual, and factors are multiplied. The second is a mixture, as in latent Dirichlet allocation.
    The norm is a batch norm without a scale of its own: with one, a few words could take all of the topics' weights
    and the other topics would die (component collapse). Moments are over the rows of the batch in training, so that
    rows mix, and running ones afterwards.

    Reference:
        Autoencoding Variational Inference for Topic Models (Srivastava and Sutton, 2017).
        https://arxiv.org/abs/1703.01488

    Args:
        n_latent: Number of topics.
        raw_shape: Shape of the raw numbers of one row.
        n_condition: Width of a condition that shifts the words, whatever the topics.
        mixture: Whether topics are mixed instead of multiplied; then there is no norm.
        norm: Whether a product is normed over the batch.
        dropout: Share of a document's topics dropped in training, so that none carries all of them.
        momentum: How fast running moments follow.

    Example:
        >>> net = TopicDecoder(3, (5,)).eval()
        >>> net(torch.tensor([[0.2, 0.3, 0.5]])).shape
        torch.Size([1, 5])
    """

    mean: Tensor
    var: Tensor

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], *, n_condition: int = 0, mixture: bool = False,
        norm: bool = True, dropout: float = 0.0, momentum: float = 0.1,
    ) -> None:
        super().__init__()
        at_least(1, n_latent=n_latent)
        at_least(0, n_condition=n_condition)
        check_dropout(dropout)
        self.raw_shape, self.n_condition = tuple(raw_shape), n_condition
        self.mixture, self.norm, self.dropout, self.momentum = mixture, norm and not mixture, dropout, momentum
        width = size_of(raw_shape)
        self.topics = nn.Parameter(torch.empty(n_latent, width))
        nn.init.normal_(self.topics, std=1.0 if mixture else 0.1)
        self.shift = nn.Linear(n_condition, width, bias=False) if n_condition else None
        if self.norm:
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("var", torch.ones(width))

    @property
    def mixes_rows(self) -> bool:
        """Moments are over the rows of the batch."""
        return self.norm

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, *raw_shape)``."""
        share = self._dropped(z)
        if self.mixture:
            raw = (share @ self.topics.softmax(-1) + torch.finfo(z.dtype).tiny).log()
        else:
            raw = self._normed(share @ self.topics)
        if self.shift is not None and c is not None:
            raw = raw + self.shift(c)
        return raw.reshape(*raw.shape[:-1], *self.raw_shape)

    def _dropped(self, z: Tensor) -> Tensor:
        """Drop topics in training, by the noise of the step, so that what a row loses is a row's alone."""
        if not self.training or self.dropout == 0 or current_noise().point:
            return z
        u = current_noise().uniform(tuple(z.shape), row_dim=z.ndim - 2, dtype=z.dtype, device=z.device)
        return torch.where(u < self.dropout, torch.zeros_like(z), z / (1 - self.dropout))

    def _normed(self, raw: Tensor) -> Tensor:
        if not self.norm:
            return raw
        mean, var = self._moments(raw)
        return (raw - mean) * torch.rsqrt(var + NEAR)

    def _moments(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.mean, self.var
        flat = raw.flatten(0, -2)
        mean, var = flat.mean(0), flat.var(0, correction=0)
        with torch.no_grad():
            self.mean.lerp_(mean.to(self.mean), self.momentum)
            self.var.lerp_(var.to(self.var), self.momentum)
        return mean, var
