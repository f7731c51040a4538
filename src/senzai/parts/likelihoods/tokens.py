"""Likelihoods of sequences of symbols, which go symbol by symbol and are told the latents at every one."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.examples import example
from ...core.spec import part
from ...distributions.categories import CategoricalFamily
from ...distributions.tokens import TokenSequence, before_the_end
from ...nn.conductor import ConductorSteps
from ...nn.inputs import DataInitialised
from ...nn.layers import with_condition
from ...nn.precision import network_precision
from ...nn.recurrent import valid_steps
from ...nn.tokens import RecurrentSteps, TokenSteps, TransformerSteps
from ..base import AnyLikelihood


class TokenLikelihood(DataInitialised, AnyLikelihood):
    r"""Symbols one after another: :math:`p(x | z) = \prod_{t \le L} p(x_t \mid x_{<t}, z)`.

    A row ends with the symbol 0, which is part of it, so that the model learns how long rows are. A decoder that sees
    the symbols before has little need of ``z``. Three things give it some: the latents enter at every step, they reach
    the logits directly (``skip``), and in training a share of the symbols before is hidden (``word_dropout``).

    Reference:
        Generating Sentences from a Continuous Space (Bowman et al., 2016). https://arxiv.org/abs/1511.06349
        Avoiding Latent Variable Collapse with Generative Skip Models (Dieng et al., 2019).
        https://arxiv.org/abs/1807.04863
    """

    def __init__(
        self, network: TokenSteps, event: tuple[int, ...], *, n_condition: int, word_dropout: float, masked: bool,
        nonempty: bool,
    ) -> None:
        super().__init__()
        if masked:
            raise CombinationError(
                "A decoder that goes symbol by symbol has no known marginals, but rows come with missing entries. "
                "Leave such rows out."
            )
        if not 0 <= word_dropout < 1:
            raise SettingError(f"`0 <= word_dropout < 1` must hold, but got word_dropout={word_dropout!r}.")
        if len(event) != 1:
            raise CombinationError(
                f"A row of symbols is one sequence, but rows have the shape {tuple(event)}. Choose another likelihood."
            )
        self.network, self.event, self.n_condition = network, tuple(event), n_condition
        self.word_dropout, self.nonempty = word_dropout, nonempty
        self.family = CategoricalFamily(n=network.out.out_features)

    def initialise(self, batch: Batch) -> None:
        """Start the logits at the shares of the symbols in the data."""
        x = batch.tensor.nan_to_num().long()
        counted = valid_steps(batch) if batch.lengths is not None else before_the_end(x)
        n = self.network.out.out_features
        count = torch.bincount(x[counted].cpu(), minlength=n)[:n].double() + 0.5
        with torch.no_grad():
            self.network.out.bias.copy_((count / count.sum()).log())

    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) with batch shape ``z.shape[:-1]`` and event shape ``(T,)``."""
        context = with_condition(z, c if self.n_condition else None)
        hidden = self.word_dropout if self.training else 0.0
        network = _Precise(self.network)
        return TokenSequence(network, context, self.event[0], hidden=hidden, nonempty=self.nonempty)


class _Precise:
    """A network that computes in the precision that networks are asked for."""

    def __init__(self, network: TokenSteps) -> None:
        self.network = network

    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        with network_precision(context.device):
            out: Tensor = self.network.states(previous, context)
        return out

    def begin(self, context: Tensor) -> tuple[Tensor, ...]:
        with network_precision(context.device):
            found: tuple[Tensor, ...] = self.network.begin(context)
        return found

    def step(self, previous: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        with network_precision(previous.device):
            found: tuple[Tensor, tuple[Tensor, ...]] = self.network.step(previous, state)
        return found

    def logits(self, states: Tensor, context: Tensor) -> Tensor:
        with network_precision(context.device):
            return self.network.logits(states, context)


@example(data="symbols", settings={
    "likelihood": "recurrent_tokens", "likelihood.n": 5, "likelihood.width": 6, "likelihood.embedding": 3,
    "likelihood.word_dropout": 0.3,
})
@part("likelihood", "recurrent_tokens")
@final
class RecurrentTokens(TokenLikelihood):
    """Symbols from a gated recurrent network; see :class:`TokenLikelihood`.

    Args:
        n_latent: Width of the latent code.
        event: ``(T,)``, the longest row with its end.
        n: Number of different symbols.
        width: Width of the state.
        embedding: Width of a symbol's vector.
        dropout: Share of the entries of vectors and states dropped in training.
        skip: Whether the latents also reach the logits directly.
        word_dropout: Share of the symbols before that are hidden in training.
        n_condition: Width of the condition.
        masked: Whether rows come with missing entries, which are refused.
        nonempty: Whether every row has a symbol, so that none ends before its first.

    Raises:
        CombinationError: Entries are missing, or a row is no sequence.

    Example:
        >>> p = RecurrentTokens(2, (6,), 10, width=8, embedding=4)(torch.zeros(7, 3, 2))
        >>> p.log_prob(torch.zeros(3, 6)).shape, p.sample().shape
        (torch.Size([7, 3]), torch.Size([7, 3, 6]))
    """

    def __init__(
        self, n_latent: int, event: tuple[int, ...], n: int, *, width: int = 256, embedding: int = 128,
        dropout: float = 0.0, skip: bool = True, word_dropout: float = 0.0, n_condition: int = 0, masked: bool = False,
        nonempty: bool = False,
    ) -> None:
        network = RecurrentSteps(
            n, n_latent + n_condition, width=width, embedding=embedding, dropout=dropout, skip=skip
        )
        super().__init__(
            network, event, n_condition=n_condition, word_dropout=word_dropout, masked=masked, nonempty=nonempty
        )


@example(data="symbols", settings={
    "likelihood": "transformer_tokens", "likelihood.n": 5, "likelihood.width": 8, "likelihood.n_heads": 2,
})
@part("likelihood", "transformer_tokens")
@final
class TransformerTokens(TokenLikelihood):
    """Symbols from a small causal transformer; see :class:`TokenLikelihood`.

    Args:
        n_latent: Width of the latent code.
        event: ``(T,)``, the longest row with its end.
        n: Number of different symbols.
        width: Width of a state, a multiple of ``n_heads``.
        n_layers: Number of layers.
        n_heads: Heads of attention.
        dropout: Share of the entries of vectors and states dropped in training.
        skip: Whether the latents also reach the logits directly.
        word_dropout: Share of the symbols before that are hidden in training.
        n_condition: Width of the condition.
        masked: Whether rows come with missing entries, which are refused.
        nonempty: Whether every row has a symbol, so that none ends before its first.

    Raises:
        CombinationError: Entries are missing, or a row is no sequence.

    Example:
        >>> p = TransformerTokens(2, (6,), 10, width=8, n_heads=2)(torch.zeros(3, 2))
        >>> p.log_prob(torch.zeros(3, 6)).shape
        torch.Size([3])
    """

    def __init__(
        self, n_latent: int, event: tuple[int, ...], n: int, *, width: int = 128, n_layers: int = 2, n_heads: int = 4,
        dropout: float = 0.0, skip: bool = True, word_dropout: float = 0.0, n_condition: int = 0, masked: bool = False,
        nonempty: bool = False,
    ) -> None:
        network = TransformerSteps(
            n, n_latent + n_condition, width=width, n_layers=n_layers, n_heads=n_heads, dropout=dropout, skip=skip
        )
        super().__init__(
            network, event, n_condition=n_condition, word_dropout=word_dropout, masked=masked, nonempty=nonempty
        )


@example(data="symbols", settings={
    "likelihood": "conductor_tokens", "likelihood.n": 5, "likelihood.segment": 2, "likelihood.width": 6,
    "likelihood.plan": 4, "likelihood.embedding": 3,
})
@part("likelihood", "conductor_tokens")
@final
class ConductorTokens(TokenLikelihood):
    """Symbols segment by segment (bar by bar), each by a plan that follows from the code; see :class:`ConductorSteps`.

    Args:
        n_latent: Width of the latent code.
        event: ``(T,)``, the longest row with its end.
        n: Number of different symbols.
        segment: Symbols of a segment.
        width: Width of the state within a segment.
        plan: Width of a plan.
        embedding: Width of a symbol's vector.
        dropout: Share of the entries of vectors and states dropped in training.
        skip: Whether the latents also reach the logits directly.
        word_dropout: Share of the symbols before that are hidden in training.
        n_condition: Width of the condition.
        masked: Whether rows come with missing entries, which are refused.
        nonempty: Whether every row has a symbol, so that none ends before its first.

    Raises:
        CombinationError: Entries are missing, or a row is no sequence.

    Example:
        >>> p = ConductorTokens(2, (6,), 10, segment=3, width=8, plan=4)(torch.zeros(3, 2))
        >>> p.log_prob(torch.zeros(3, 6)).shape
        torch.Size([3])
    """

    def __init__(
        self, n_latent: int, event: tuple[int, ...], n: int, *, segment: int = 16, width: int = 256, plan: int = 256,
        embedding: int = 128, dropout: float = 0.0, skip: bool = True, word_dropout: float = 0.0,
        n_condition: int = 0, masked: bool = False, nonempty: bool = False,
    ) -> None:
        network = ConductorSteps(
            n, n_latent + n_condition, segment=segment, width=width, plan=plan, embedding=embedding, dropout=dropout,
            skip=skip,
        )
        super().__init__(
            network, event, n_condition=n_condition, word_dropout=word_dropout, masked=masked, nonempty=nonempty
        )
