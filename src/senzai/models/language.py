"""A model of symbols without latents: the decoder of a model with a code, told nothing but the condition."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.examples import example
from ..core.spec import part
from ..distributions.ops import draw
from ..distributions.within import within
from ..nn.inputs import as_float
from ..parts.likelihoods.tokens import TokenLikelihood
from .generative import Generative


@example(recipe="language-model", data="symbols", settings={}, excused={
    "density": "Rows are symbols, not real numbers; what all rows have together is added up where the distribution is."
})
@part("model", "language")
@final
class LanguageModel(Generative):
    r"""Symbols one after another, :math:`\log p(x | c) = \sum_t \log p(x_t | x_{<t}, c)`, exact and without a code.

    What a code is worth shows beside it: a model with a code whose likelihood is no better has learned nothing from it.

    Args:
        likelihood: A decoder of symbols made for latents of width 0.

    Example:
        >>> from senzai.parts.likelihoods import RecurrentTokens
        >>> model = LanguageModel(RecurrentTokens(0, (4,), 5, width=8, embedding=4))
        >>> model.log_prob(Batch(torch.tensor([[2.0, 3.0, 0.0, 0.0]]))).shape
        torch.Size([1])
    """

    def __init__(self, likelihood: TokenLikelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    @property
    def exact(self) -> bool:
        """Whether :meth:`log_prob` is the density itself."""
        return True

    def log_prob(self, batch: Batch) -> Tensor | None:
        """Return log p(x) of each row in nats, ``(B,)``."""
        nothing = torch.zeros(len(batch), 0, device=self.device)
        log_p: Tensor = within(self.likelihood(nothing, batch.c), batch).log_prob(batch.tensor)
        return log_p

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Tensor:
        """Draw ``n`` rows; without ``noise`` they are draws as well, for they differ by nothing else."""
        return as_float(draw(self.likelihood(torch.zeros(n, 0, device=self.device), c), grad=False))

    def forward(self, batch: Batch) -> Tensor | None:
        """Return :meth:`log_prob`."""
        return self.log_prob(batch)
