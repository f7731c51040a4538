"""Networks for sequences of symbols: encoders of whole rows, and decoders that go step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.spec import part
from .inputs import Encoder
from .layers import check_dropout
from .recomputing import Recomputable, sparingly
from .recurrent import backwards, valid_steps

State: TypeAlias = tuple[Tensor, ...]
"""What a decoder keeps of the symbols so far: tensors with one entry per row along the first axis."""


def trimmed(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the symbols of a batch and which of them count, ``(B, L)``, as far as the longest row reaches."""
    valid = valid_steps(batch)
    longest = max(1, int(valid.sum(1).max())) if len(valid) else 1
    x = torch.where(valid, batch.tensor.nan_to_num(), torch.zeros_like(batch.tensor)).long()
    return x[:, :longest], valid[:, :longest]


def pooled(states: Tensor, valid: Tensor) -> Tensor:
    """Return the largest and the mean of the states of each row's steps, side by side, ``(B, 2 width)``."""
    inside = valid.unsqueeze(-1)
    largest = states.masked_fill(~inside, float("-inf")).amax(1)
    count = inside.sum(1).clamp_min(1)
    mean = (states * inside).sum(1) / count
    return torch.cat([largest.masked_fill(~inside.any(1), 0.0), mean], -1)


def position_codes(steps: int, width: int, *, device: torch.device | None = None) -> Tensor:
    r"""Return sines and cosines of the place of each step, ``(steps, width)``.

    .. math:: \sin(t \, 10000^{-2i / d}), \quad \cos(t \, 10000^{-2i / d})

    Reference:
        Attention Is All You Need (Vaswani et al., 2017). https://arxiv.org/abs/1706.03762

    Example:
        >>> position_codes(2, 4)[0].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    half = (width + 1) // 2
    rate = 10000.0 ** (-torch.arange(half, device=device) / half)
    angle = torch.arange(steps, device=device).unsqueeze(1) * rate
    return torch.cat([angle.sin(), angle.cos()], -1)[:, :width]


# --- encoders -------------------------------------------------------------------------------------------------------
class TokenEncoder(Encoder, ABC):
    """An encoder of symbols: what a network makes of them, its largest and its mean state over the row's steps.

    Args:
        n: Number of different symbols.
        embedding: Width of a symbol's vector.
        dropout: Share of the entries of symbols' vectors and of the pooled states dropped in training.
        n_condition: Width of the condition.
        state_width: Width of the states that are pooled.
    """

    def __init__(self, n: int, *, embedding: int, dropout: float, n_condition: int, state_width: int) -> None:
        super().__init__()
        at_least(2, n=n)
        at_least(1, embedding=embedding)
        check_dropout(dropout)
        self.symbols = nn.Embedding(n, embedding)
        nn.init.normal_(self.symbols.weight, std=embedding**-0.5)
        self.drop = nn.Dropout(dropout)
        self.n_condition = n_condition
        self.n_features = 2 * state_width + n_condition

    @abstractmethod
    def states(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the state of every step, ``(B, L, state_width)``."""

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``; what stands behind a row's end changes nothing."""
        x, valid = trimmed(batch)
        found = self.drop(pooled(self.states(x, valid), valid))
        return found if batch.c is None or not self.n_condition else torch.cat([found, batch.c], -1)


@example(data="symbols", settings={"encoder": "recurrent_tokens", "encoder.n": 5, "encoder.embedding": 3})
@part("encoder", "recurrent_tokens")
@final
class RecurrentTokenEncoder(TokenEncoder):
    """A gated recurrent network along the symbols and against them.

    Args:
        n: Number of different symbols.
        width: Width of the state of either direction.
        embedding: Width of a symbol's vector.
        dropout: Share of entries dropped in training.
        n_condition: Width of the condition.

    Example:
        >>> rows = Batch(torch.tensor([[3.0, 0.0, 9.0]]), lengths=torch.tensor([2]))
        >>> RecurrentTokenEncoder(10, width=8)(rows).shape
        torch.Size([1, 32])
    """

    def __init__(
        self, n: int, *, width: int = 128, embedding: int = 128, dropout: float = 0.0, n_condition: int = 0
    ) -> None:
        at_least(1, width=width)
        super().__init__(n, embedding=embedding, dropout=dropout, n_condition=n_condition, state_width=2 * width)
        self.nets = nn.ModuleList(nn.GRU(embedding, width, batch_first=True) for _ in range(2))

    def states(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the states of both directions side by side."""
        vectors = self.drop(self.symbols(x))
        ahead, _ = self.nets[0](vectors)
        back, _ = self.nets[1](backwards(vectors, valid))
        return torch.cat([ahead, backwards(back, valid)], -1)


@example(data="symbols", settings={"encoder": "transformer_tokens", "encoder.n": 5, "encoder.n_heads": 2})
@part("encoder", "transformer_tokens")
@final
class TransformerTokenEncoder(TokenEncoder):
    """A small transformer that sees the whole row at every step.

    Args:
        n: Number of different symbols.
        width: Width of the states, a multiple of the heads.
        n_layers: Number of layers.
        n_heads: Heads of attention.
        dropout: Share of entries dropped in training.
        n_condition: Width of the condition.

    Example:
        >>> TransformerTokenEncoder(10, width=8, n_heads=2)(Batch(torch.zeros(3, 5))).shape
        torch.Size([3, 16])
    """

    def __init__(
        self, n: int, *, width: int = 128, n_layers: int = 2, n_heads: int = 4, dropout: float = 0.0,
        n_condition: int = 0,
    ) -> None:
        at_least(1, n_layers=n_layers)
        super().__init__(n, embedding=width, dropout=dropout, n_condition=n_condition, state_width=width)
        self.layers = nn.ModuleList(AttentionLayer(width, n_heads, dropout=dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)

    def states(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the states of the last layer."""
        h = self.drop(self.symbols(x) + position_codes(x.shape[1], self.symbols.embedding_dim, device=x.device))
        seen = valid.clone()
        seen[:, 0] = True  # a row without a step looks at something, which is not pooled
        for layer in self.layers:
            h, _ = sparingly(layer, h, mask=seen[:, None, None, :])
        out: Tensor = self.norm(h)
        return out


@final
class AttentionLayer(Recomputable):
    """Attention and a network of two layers, each added to what comes in; norms go first.

    Args:
        width: Width of a state, a multiple of ``n_heads``.
        n_heads: Heads of attention.
        dropout: Share of entries dropped in training.

    Example:
        >>> AttentionLayer(8, 2)(torch.zeros(3, 5, 8), causal=True)[0].shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, n_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        at_least(1, width=width, n_heads=n_heads)
        if width % n_heads:
            raise SettingError(f"`width` must be a multiple of `n_heads`, but got {width} and {n_heads}.")
        self.n_heads, self.norms = n_heads, nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(
        self, h: Tensor, *, mask: Tensor | None = None, causal: bool = False, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return new states ``(N, L, width)``, and keys and values so far, ``(N, 2, heads, steps, width / heads)``.

        Args:
            h: States.
            mask: Which steps may be looked at, broadcast over ``(N, heads, L, steps)``.
            causal: Whether a step sees itself and earlier ones only.
            before: Keys and values of earlier steps.
        """
        n, steps, width = h.shape
        shape = (n, steps, 3, self.n_heads, width // self.n_heads)
        q, k, v = self.project(self.norms[0](h)).view(shape).permute(2, 0, 3, 1, 4)
        if before is not None:
            k, v = torch.cat([before[:, 0], k], 2), torch.cat([before[:, 1], v], 2)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal and before is None)
        h = h + self.drop(self.out(seen.transpose(1, 2).reshape(n, steps, width)))
        return h + self.drop(self.feed(self.norms[1](h))), torch.stack([k, v], 1)


# --- decoders, step by step -------------------------------------------------------------------------------------------
class TokenSteps(nn.Module, ABC):
    """What every decoder that goes step by step has: vectors of symbols, and logits from a state and the context.

    Args:
        n: Number of different symbols.
        n_context: Width of the context: latents and condition.
        width: Width of a state.
        embedding: Width of a symbol's vector.
        dropout: Share of entries dropped in training.
        skip: Whether the context also reaches the logits without passing through the network.
    """

    def __init__(
        self, n: int, n_context: int, *, width: int, embedding: int, dropout: float = 0.0, skip: bool = True
    ) -> None:
        super().__init__()
        at_least(2, n=n)
        at_least(1, width=width, embedding=embedding)
        check_dropout(dropout)
        self.n_context, self.width = n_context, width
        self.symbols = nn.Embedding(n, embedding)
        nn.init.normal_(self.symbols.weight, std=embedding**-0.5)
        self.out, self.drop = nn.Linear(width, n), nn.Dropout(dropout)
        self.skip = nn.Linear(n_context, n, bias=False) if skip and n_context else None

    @abstractmethod
    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        """Return the state at every step, ``(N, L, width)``, for the symbols before each, ``(N, L)``."""

    @abstractmethod
    def begin(self, context: Tensor) -> State:
        """Return what is known before the first symbol."""

    @abstractmethod
    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the state at one step, ``(N, width)``, given the symbol before it, ``(N,)``, and what to keep."""

    def logits(self, states: Tensor, context: Tensor) -> Tensor:
        """Return logits ``(M, n)``."""
        out: Tensor = self.out(self.drop(states))
        return out if self.skip is None else out + self.skip(context)


@final
class RecurrentSteps(TokenSteps):
    """A gated recurrent network that is told the context at every step, and starts from it.

    Args:
        n: Number of different symbols.
        n_context: Width of the context.
        width: Width of the state.
        embedding: Width of a symbol's vector.
        dropout: Share of entries dropped in training.
        skip: Whether the context also reaches the logits directly.

    Example:
        >>> net = RecurrentSteps(10, 2, width=8)
        >>> net.states(torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, 2)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self, n: int, n_context: int, *, width: int = 256, embedding: int = 128, dropout: float = 0.0,
        skip: bool = True,
    ) -> None:
        super().__init__(n, n_context, width=width, embedding=embedding, dropout=dropout, skip=skip)
        self.net = nn.GRU(embedding + n_context, width, batch_first=True)
        self.first = nn.Linear(n_context, width) if n_context else None

    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        """Return the state at every step."""
        vectors = self.drop(self.symbols(previous))
        told = context.unsqueeze(1).expand(-1, previous.shape[1], -1).to(vectors.dtype)
        out: Tensor = self.net(torch.cat([vectors, told], -1), self._start(context))[0]
        return out

    def _start(self, context: Tensor) -> Tensor:
        if self.first is None:
            return context.new_zeros(1, len(context), self.width)
        return torch.tanh(self.first(context)).unsqueeze(0)

    def begin(self, context: Tensor) -> State:
        """Return the first state and the context."""
        return self._start(context)[0], context

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the next state."""
        h, context = state
        told = torch.cat([self.symbols(previous), context.to(h.dtype)], -1).unsqueeze(1)
        out = self.net(told, h.unsqueeze(0).contiguous())[0][:, 0]
        return out, (out, context)


@final
class TransformerSteps(TokenSteps):
    """A causal transformer whose first place is the context, which is also added at every step.

    Args:
        n: Number of different symbols.
        n_context: Width of the context.
        width: Width of a state, a multiple of ``n_heads``.
        n_layers: Number of layers.
        n_heads: Heads of attention.
        dropout: Share of entries dropped in training.
        skip: Whether the context also reaches the logits directly.

    Example:
        >>> net = TransformerSteps(10, 2, width=8, n_heads=2)
        >>> net.states(torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, 2)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self, n: int, n_context: int, *, width: int = 128, n_layers: int = 2, n_heads: int = 4, dropout: float = 0.0,
        skip: bool = True,
    ) -> None:
        super().__init__(n, n_context, width=width, embedding=width, dropout=dropout, skip=skip)
        at_least(1, n_layers=n_layers)
        self.told = nn.Linear(n_context, width) if n_context else None
        self.layers = nn.ModuleList(AttentionLayer(width, n_heads, dropout=dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)

    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        """Return the state at every step."""
        told = self._told(context)
        places = position_codes(previous.shape[1], told.shape[-1], device=previous.device)
        h = torch.cat([told, self.drop(self.symbols(previous) + places + told)], 1)
        for layer in self.layers:
            h, _ = sparingly(layer, h, causal=True)
        out: Tensor = self.norm(h[:, 1:])
        return out

    def _told(self, context: Tensor) -> Tensor:
        """Return what stands before the first symbol, ``(N, 1, width)``."""
        if self.told is None:
            return context.new_zeros(len(context), 1, self.width)
        told: Tensor = self.told(context)
        return told.unsqueeze(1)

    def begin(self, context: Tensor) -> State:
        """Return keys and values of the context in each layer, the context, and the number of steps so far."""
        told = self._told(context)
        h, kept = told, []
        for layer in self.layers:
            h, seen = layer(h, causal=True)
            kept.append(seen)
        return (*kept, told, torch.zeros(len(context), dtype=torch.long, device=context.device))

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the state at the next step, which looks back at all before it."""
        *kept, told, count = state
        at = int(count[0]) if len(count) else 0
        place = position_codes(at + 1, told.shape[-1], device=previous.device)[at:]
        h: Any = self.symbols(previous).unsqueeze(1) + place + told
        grown = []
        for layer, before in zip(self.layers, kept, strict=True):
            h, seen = layer(h, before=before)
            grown.append(seen)
        return self.norm(h)[:, 0], (*grown, told, count + 1)
