"""Priors over rows of codes, whole numbers below ``n_values``: what makes a quantised model generate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.autoregressive import Autoregressive
from ...distributions.categories import CategoricalFamily
from ...nn.precision import network_precision
from ...nn.products import Linear
from ..base import full_precision


class CodePrior(nn.Module, ABC):
    """A distribution over ``n_entries`` codes, possibly given a condition.

    Args:
        n_values: Number of values of a code.
        n_entries: Number of codes of a row.
    """

    order: Tensor

    def __init__(self, n_values: int, n_entries: int) -> None:
        super().__init__()
        if n_values < 2 or n_entries < 1:
            raise SettingError(
                "`n_values >= 2` and `n_entries >= 1` must hold, but got "
                f"n_values={n_values!r}, n_entries={n_entries!r}."
            )
        self.n_values, self.n_entries = n_values, n_entries
        self.family = CategoricalFamily(n=n_values)
        self.register_buffer("order", torch.arange(n_entries), persistent=False)

    @abstractmethod
    def logits(self, codes: Tensor, c: Tensor | None) -> Tensor:
        """Return logits ``(N, n, n_values)`` of the first ``n`` codes given those before them, for codes ``(N, n)``."""

    def forward(self, c: Tensor | None = None, *, temperature: float = 1.0) -> Autoregressive:
        """Return p(codes | c).

        Args:
            c: Condition, ``(B, n_condition)``; its rows are then the rows of the distribution.
            temperature: Divisor of the logits of each code; 1 is the model, below 1 likely codes become likelier.
        """
        given = c if self.n_condition else None

        def conditionals(codes: Tensor) -> Tensor:
            rows = codes.shape[:-1]
            told = None if given is None else given.expand(*rows, given.shape[-1]).reshape(-1, given.shape[-1])
            with network_precision(codes.device):
                logits = self.logits(codes.long().reshape(-1, codes.shape[-1]), told)
            return full_precision(logits).div(temperature).transpose(-1, -2).reshape(*rows, self.n_values, -1)

        def entry(codes: Tensor, i: int) -> Tensor:
            return conditionals(codes[..., : i + 1])[..., i:]

        lead = () if given is None else (len(given),)
        return Autoregressive(conditionals, self.family, lead, (self.n_entries,), self.order, entry)

    n_condition: int = 0


@part("code_prior", "uniform")
@final
class UniformCodes(CodePrior):
    """Every code alike: ``log n_values`` nats for each, nothing learned.

    Args:
        n_values: Number of values of a code.
        n_entries: Number of codes of a row.
    """

    def logits(self, codes: Tensor, c: Tensor | None) -> Tensor:
        """Return zeros."""
        return torch.zeros(*codes.shape, self.n_values, device=codes.device)


@part("code_prior", "independent")
@final
class IndependentCodes(CodePrior):
    """Learned frequencies of each code, place by place.

    Args:
        n_values: Number of values of a code.
        n_entries: Number of codes of a row.
    """

    def __init__(self, n_values: int, n_entries: int) -> None:
        super().__init__(n_values, n_entries)
        self.table = nn.Parameter(torch.zeros(n_entries, n_values))

    def logits(self, codes: Tensor, c: Tensor | None) -> Tensor:
        """Return the table."""
        return self.table[: codes.shape[1]].expand(codes.shape[0], -1, -1)


class _Layer(nn.Module):
    """Causal attention, then two linear layers, each normalised first and added to what comes in."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.to_heads, self.from_heads = Linear(width, 3 * width), Linear(width, width)
        self.wide = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self.to_heads(self.norms[0](h)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.drop(self.from_heads(seen.transpose(1, 2).flatten(2)))
        out: Tensor = h + self.drop(self.wide(self.norms[1](h)))
        return out


@part("code_prior", "transformer")
@final
class TransformerCodes(CodePrior):
    r"""A small causal transformer: :math:`p(k | c) = \prod_i p(k_i | k_{<i}, c)`.

    Codes go row by row through a grid, coarse grids before fine ones, the codes of one vector side by side.

    Reference:
        Attention Is All You Need (Vaswani et al., 2017). https://arxiv.org/abs/1706.03762

    Args:
        n_values: Number of values of a code.
        n_entries: Number of codes of a row.
        width: Width of the layers.
        n_layers: Number of layers.
        n_heads: Heads of attention; they divide the width.
        dropout: Share of units dropped in training.
        n_condition: Width of the condition, which is shown in place of the code before the first.

    Example:
        >>> prior = TransformerCodes(4, 6, width=8, n_heads=2)
        >>> prior().log_prob(torch.zeros(3, 6)).shape, prior().sample((2,)).shape
        (torch.Size([3]), torch.Size([2, 6]))
    """

    def __init__(
        self, n_values: int, n_entries: int, *, width: int = 64, n_layers: int = 2, n_heads: int = 4,
        dropout: float = 0.0, n_condition: int = 0,
    ) -> None:
        super().__init__(n_values, n_entries)
        if n_layers < 1 or n_heads < 1 or width % n_heads or not 0 <= dropout < 1:
            raise SettingError(
                "A transformer needs `n_layers >= 1`, a width that its heads divide and `0 <= dropout < 1`, but got "
                f"n_layers={n_layers!r}, width={width!r}, n_heads={n_heads!r}, dropout={dropout!r}."
            )
        self.n_condition = n_condition
        self.codes = nn.Embedding(n_values, width)
        self.places = nn.Parameter(0.02 * torch.randn(n_entries, width))
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.given = Linear(n_condition, width, bias=False) if n_condition else None
        self.layers = nn.Sequential(*(_Layer(width, n_heads, dropout) for _ in range(n_layers)), nn.LayerNorm(width))
        self.out = Linear(width, n_values)
        nn.init.normal_(self.codes.weight, std=0.02)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def logits(self, codes: Tensor, c: Tensor | None) -> Tensor:
        """Return logits, each from the codes before it."""
        first = self.start.expand(len(codes), 1, -1)
        if self.given is not None and c is not None:
            first = first + self.given(c.to(first.dtype)).unsqueeze(1)
        h = torch.cat([first, self.codes(codes[:, :-1])], 1) + self.places[: codes.shape[1]]
        found: Tensor = self.out(self.layers(h))
        return found


