"""Decoder of items of which something is known: what a score owes to that, apart from what is the item's own."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import ShapeError
from ..core.examples import example
from ..core.random import current_noise
from ..core.spec import part
from .inputs import DataInitialised, Decoder, as_float
from .layers import check_dropout, hidden_layers, linear_out, size_of, with_condition

RIDGE, LEAST = 1.0, 0.5
"""Weight of the squares of the effects of facts at the start, and counts that are added to those of each item."""


@example(
    data="count", settings={"decoder": "items"},
    idle={"likelihood.bias": "Where numbers start is said by the decoder, so that rows can be decoded without it."},
)
@part("decoder", "items")
@final
class ItemDecoder(DataInitialised, Decoder):
    r"""Hidden layers, then a score of each item: from what is known of it, and from a part that is its own.

    .. math:: r_i = f_i^\top (A h + a) + m \, (u_i^\top h + b_i), \qquad h = \mathrm{hidden}(z)

    with :math:`m = 1`, but in training :math:`m = 0` for a share ``alone`` of the rows. These rows are to be explained
    by what is known of items alone, so that the first summand is the best that such facts give, and not what happens to
    be left of it. It is what an item has that nobody had before: it has no :math:`u_i` and no :math:`b_i`.

    At the start :math:`a` is a ridge regression of the log shares of items on what is known of them, weighted by their
    counts, and :math:`b_i` what that leaves. Without facts it is a multilayer perceptron.

    Reference:
        DropoutNet: Addressing Cold Start in Recommender Systems (Volkovs et al., 2017): the own part is dropped.

    Args:
        n_latent: Width of the latent code.
        raw_shape: Shape of the raw numbers of one row: with facts, one for each item.
        hidden: Widths of the hidden layers, latent side first; none for a linear decoder.
        n_condition: Width of the condition appended to the latents.
        n_facts: Numbers that are known of each item.
        alone: Share of the rows of a step that are decoded from facts alone.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of hidden units dropped in training.
        norm: ``"none"`` or ``"layer"``, on hidden layers only.

    Example:
        >>> net = ItemDecoder(2, (1, 5), (), n_facts=1)
        >>> net.tell(torch.tensor([[1.0], [0.0], [0.0], [1.0], [0.0]]))
        >>> net(torch.zeros(7, 3, 2)).shape, net.alone_for(torch.zeros(3, 2), None, torch.ones(4, 1)).shape
        (torch.Size([7, 3, 1, 5]), torch.Size([3, 4]))
    """

    biased = True
    facts: Tensor

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], hidden: tuple[int, ...] = (), *, n_condition: int = 0,
        n_facts: int = 0, alone: float = 0.3, activation: str = "relu", dropout: float = 0.0, norm: str = "none",
    ) -> None:
        super().__init__()
        at_least(1, n_latent=n_latent)
        at_least(0, n_condition=n_condition, n_facts=n_facts)
        check_dropout(alone)
        self.raw_shape, self.n_condition, self.share_alone = tuple(raw_shape), n_condition, alone
        n_in, n_items = n_latent + n_condition, size_of(raw_shape)
        self.hidden = hidden_layers(n_in, tuple(hidden), activation=activation, dropout=dropout, norm=norm)
        width = hidden[-1] if hidden else n_in
        self.out = linear_out(width, n_items)
        self.by_facts = linear_out(width, n_facts) if n_facts else None
        self.register_buffer("facts", torch.zeros(n_items, n_facts))

    def tell(self, facts: Tensor) -> None:
        """Take what is known of the items, ``(n_items, n_facts)``."""
        if tuple(facts.shape) != tuple(self.facts.shape):
            raise ShapeError(
                f"What is known of items has the shape {tuple(self.facts.shape)}, a row for each raw number, but got "
                f"{tuple(facts.shape)}. Take a likelihood with one raw number for each item, or decoder=mlp."
            )
        self.facts.copy_(facts)

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Start at the shares of items, as far as facts tell them by facts."""
        x, seen = as_float(batch.tensor).flatten(1), batch.observed
        if x.shape[1] != len(self.facts):
            return  # a likelihood whose raw numbers are no log shares
        count = (x if seen is None else torch.where(seen.flatten(1), x, torch.zeros_like(x))).sum(0) + LEAST
        log_share = (count / count.sum()).log()
        weight = count / count.sum()
        centre = (weight * log_share).sum()
        self.out.bias.copy_(log_share - centre)
        if self.by_facts is not None:
            facts = self.facts.to(count.dtype)
            effect = ridge(facts - weight @ facts, log_share - centre, count)
            self.by_facts.bias.copy_(effect)
            self.out.bias.sub_(self.facts @ effect.to(self.facts.dtype))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, *raw_shape)``."""
        h = self._inner(z, c)
        raw: Tensor = self.out(h)
        if self.by_facts is not None:
            raw = self._own(raw) + self.by_facts(h) @ self.facts.T
        return raw.reshape(*raw.shape[:-1], *self.raw_shape)

    def alone_for(self, z: Tensor, c: Tensor | None, facts: Tensor) -> Tensor:
        """Return the scores that facts alone give to any items, ``(*lead, n)``.

        Args:
            z: Latents.
            c: Condition.
            facts: What is known of the items, ``(n, n_facts)``.
        """
        if self.by_facts is None:
            return torch.zeros(*z.shape[:-1], len(facts), dtype=z.dtype, device=z.device)
        scores: Tensor = self.by_facts(self._inner(z, c)) @ facts.to(z).T
        return scores

    def _inner(self, z: Tensor, c: Tensor | None) -> Tensor:
        h: Tensor = self.hidden(with_condition(z, c if self.n_condition else None))
        return h

    def _own(self, raw: Tensor) -> Tensor:
        """Drop the own part of items in training, of some rows, by the noise of the step."""
        if not self.training or self.share_alone == 0 or current_noise().point:
            return raw
        shape = (*raw.shape[:-1], 1)
        u = current_noise().uniform(shape, row_dim=raw.ndim - 2, dtype=torch.float32, device=raw.device)
        return raw * (u >= self.share_alone).to(raw.dtype)


def ridge(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the effects ``(d,)`` of ``x`` on ``y`` that have the least weighted squares, with a ridge.

    Example:
        >>> x = torch.tensor([[1.0], [-1.0]])
        >>> ridge(x, 3 * x[:, 0], torch.tensor([1e6, 1e6])).round(decimals=3)
        tensor([3.])
    """
    gram = x.T @ (weight[:, None] * x) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    found: Tensor = torch.linalg.solve(gram, x.T @ (weight * y))
    return found


def tell_entries(model: nn.Module, known: Any) -> None:
    """Tell every part of a model that asks for it what is known of the entries of a row; ``None`` for nothing."""
    if known is not None:
        for module in model.modules():
            if isinstance(module, ItemDecoder):
                module.tell(torch.as_tensor(known))
