"""A likelihood of counts whose rows have a depth that is inferred: one more latent."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.examples import example
from ...core.spec import part
from ...distributions.given_depth import CountsGivenDepth, log_depth_of
from ...nn.inputs import DataInitialised, as_float
from ..base import AnyLikelihood


@example(data="count", settings={"likelihood": "inferred_depth", "n_latent": 2})
@part("likelihood", "inferred_depth")
@final
class InferredDepth(DataInitialised, AnyLikelihood):
    r"""Counts at a depth that the last latent says, and shares that all others say.

    .. math:: \log n = m + s z_d, \qquad x_g \sim p(x_g \mid n \pi_g(z_1, \ldots, z_{d-1}))

    With a standard normal prior the depth is log-normal, with mean :math:`m` and deviation :math:`s` of the logarithm
    as in the training rows.

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), the latent library size.
        https://doi.org/10.1038/s41592-018-0229-2

    Args:
        at_depth: Likelihood of counts given their depth, from one latent less.

    Raises:
        CombinationError: It is no likelihood of counts given their depth.

    Example:
        >>> from senzai.distributions import PoissonGivenDepthFamily
        >>> from senzai.nn import MLPDecoder
        >>> from senzai.parts.likelihoods import Likelihood
        >>> inner = Likelihood(MLPDecoder(1, (1, 5), (4,)), PoissonGivenDepthFamily(), (5,))
        >>> InferredDepth(inner)(torch.zeros(3, 2)).mean.sum(-1)
        tensor([1.0000, 1.0000, 1.0000], grad_fn=<SumBackward1>)
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, at_depth: AnyLikelihood) -> None:
        super().__init__()
        self.at_depth, self.event = at_depth, at_depth.event
        self.register_buffer("middle", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def initialise(self, batch: Batch) -> None:
        """Take the usual depth and its spread from the data."""
        x, seen = as_float(batch.tensor), batch.observed
        depth = log_depth_of(x if seen is None else torch.where(seen, x, torch.zeros_like(x)))
        self.middle.copy_(depth.mean())
        self.spread.copy_(depth.std().clamp_min(0.05) if len(depth) > 1 else torch.ones(()))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z)."""
        p = self.at_depth(z[..., :-1], c)
        if not isinstance(p, CountsGivenDepth):
            raise CombinationError(
                f"A depth is inferred of counts that are given it, but the likelihood gives {type(p).__name__}. "
                "Use a family whose name ends in given_depth."
            )
        return p.at_depth(self.middle + self.spread * z[..., -1])
