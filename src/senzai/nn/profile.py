"""Encoder of rows in which little is not zero: what a user has, which words a text has."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.entries import Entries, entries_of
from ..core.errors import ShapeError
from ..core.random import current_noise
from ..core.scattered import row_keys, uniform_at
from ..core.spec import part
from .inputs import Encoder, as_float
from .layers import (
    ACTIVATIONS,
    NORMS,
    check_dropout,
    halves,
    hidden_layers,
    initialise_weights,
    size_of,
    with_condition,
)
from .products import Linear


@part("encoder", "profile")
@final
class ProfileEncoder(Encoder):
    r"""Rows of non-negative numbers scaled to unit length, some of them dropped in training, then hidden layers.

    .. math:: h_0 = \mathrm{dropout}(x / \|x\|_2), \qquad
        h_i = \mathrm{norm}\big(\sigma(W_i h_{i-1}) + \textstyle\sum_{0<j<i} h_j\big)

    with the sum only where layers are ``dense``. Dropping inputs asks the network for items that it was not shown,
    which is what a recommendation is; nothing is standardised, so that what is not there says nothing.

    Reference:
        Variational Autoencoders for Collaborative Filtering (Liang et al., 2018). https://arxiv.org/abs/1802.05814
        RecVAE (Shenbin et al., 2020), dense layers. https://arxiv.org/abs/1912.11160

    Args:
        event: Shape of one row of data.
        hidden: Widths of the hidden layers; with ``dense`` all equal.
        n_condition: Width of the condition appended to the input.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        input_dropout: Share of the inputs that are dropped in training.
        dropout: Share of hidden units dropped in training.
        norm: ``"none"`` or ``"layer"``.
        dense: Whether every layer is given the sum of all before it.
        log: Whether counts enter as log(1 + x).
        total: Whether the network is also told log(1 + sum of the row): how sure it can be.

    Raises:
        ShapeError: Layers are dense and of different widths.

    Example:
        >>> net = ProfileEncoder((3,), (4,)).eval()
        >>> x = torch.tensor([[0.0, 2.0, 0.0]])
        >>> bool((net(Batch(x)) == net(Batch(7 * x))).all())
        True
    """

    def __init__(
        self, event: tuple[int, ...], hidden: tuple[int, ...] = (600,), *, n_condition: int = 0,
        activation: str = "tanh", input_dropout: float = 0.5, dropout: float = 0.0, norm: str = "none",
        dense: bool = False, log: bool = False, total: bool = False,
    ) -> None:
        super().__init__()
        at_least(0, n_condition=n_condition)
        check_dropout(input_dropout)
        check_dropout(dropout)
        if dense and len(set(hidden)) > 1:
            raise ShapeError(f"Dense layers are added up, so their widths are equal, but got hidden={hidden}.")
        self.n_condition, self.input_dropout, self.log, self.total = n_condition, input_dropout, log, total
        self.dropped = DroppedUnits(input_dropout)
        n_in = size_of(event) + n_condition + total
        self.n_features = hidden[-1] if hidden else n_in
        layers: dict[str, Any] = {"activation": activation, "dropout": dropout, "norm": norm}
        self.hidden: nn.Module = nn.Identity()
        if hidden:
            self.hidden = DenseLayers(n_in, tuple(hidden), **layers) if dense else plain(n_in, tuple(hidden), **layers)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        x, seen = batch.tensor, batch.observed
        c = batch.c if self.n_condition else None
        if seen is None and isinstance(self.hidden, nn.Sequential | DenseLayers):
            found = entries_of(x.flatten(1))
            if found is not None:
                return self._of_entries(found, c)
        x = as_float(x).flatten(1)
        if seen is not None:
            x = torch.where(seen.flatten(1), x, torch.zeros_like(x))
        size = x.clamp_min(0).sum(1, keepdim=True).log1p()
        x = F.normalize(x.clamp_min(0).log1p() if self.log else x, dim=1)
        x = self.dropped(x)
        x = torch.cat([x, size], 1) if self.total else x
        features: Tensor = self.hidden(with_condition(x, c))
        return features

    def _of_entries(self, found: Entries, c: Tensor | None) -> Tensor:
        """Return the features of rows that are given by what is not zero: the same, at the cost of that alone."""
        there = found.value.clamp_min(0)
        size = found.summed(there).unsqueeze(1).log1p()
        value = there.log1p() if self.log else found.value
        value = value / found.summed(value.square()).sqrt().clamp_min(1e-12)[found.row]
        keys = self.dropped.keys(found.n_rows, value.device)
        value = value if keys is None else self.dropped.kept(value, uniform_at(keys[found.row], found.column))
        beside = [size] * self.total + ([] if c is None else [c.to(value.dtype)])
        rest = torch.cat(beside, 1) if beside else None
        features: Tensor = self.hidden(replace(found, value=value, rest=rest))
        return features


class DroppedUnits(nn.Module):
    """Units dropped in training by the noise of the step, so that what a row loses is a row's alone.

    Args:
        share: Share of units that are dropped; the others are divided by what stays.

    Example:
        >>> bool((DroppedUnits(0.5).eval()(torch.ones(2, 3)) == 1).all())
        True
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, n)`` of ``(B, n)``."""
        keys = self.keys(len(x), x.device)
        if keys is None:
            return x
        return self.kept(x, uniform_at(keys.unsqueeze(1), torch.arange(x.shape[1], device=x.device)))

    def keys(self, n_rows: int, device: torch.device) -> Tensor | None:
        """Return what the noise says of each row; ``None`` where nothing is dropped."""
        if not self.training or self.share == 0 or (noise := current_noise()).point:
            return None
        return row_keys(noise, n_rows, device=device)

    def kept(self, x: Tensor, u: Tensor) -> Tensor:
        """Return numbers, some of them dropped, by a uniform number each."""
        return torch.where(u < self.share, torch.zeros_like(x), x / (1 - self.share))


class SparseInput(nn.Module):
    """A linear layer of which most inputs are zero: it reads the weights of the others alone.

    Args:
        n_in: Inputs.
        n_out: Outputs.

    Example:
        >>> layer, x = SparseInput(50, 3), torch.zeros(2, 50)
        >>> x[0, 7] = 2.0
        >>> bool(torch.allclose(layer(x), x @ layer.weight + layer.bias))
        True
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor | Entries) -> Tensor:
        """Return ``(B, n_out)`` of ``(B, n_in)``."""
        found = x if isinstance(x, Entries) else entries_of(x)
        if found is None:
            assert isinstance(x, Tensor)  # what is no matrix is given by its entries
            return x @ self.weight + self.bias
        counts = torch.bincount(found.row, minlength=found.n_rows)
        total: Tensor = F.embedding_bag(
            found.column, self.weight, counts.cumsum(0) - counts, mode="sum",
            per_sample_weights=found.value.to(self.weight.dtype),
        )
        if found.rest is not None:
            total = total + found.rest @ self.weight[found.n_columns :]
        return total + self.bias


def plain(n_in: int, hidden: tuple[int, ...], *, activation: str, dropout: float, norm: str) -> nn.Sequential:
    """Return hidden layers of which the first reads sparse inputs."""
    first = SparseInput(n_in, hidden[0] * halves(activation))
    behind: list[nn.Module] = [NORMS[norm](first.bias.numel()), ACTIVATIONS[activation](), DroppedUnits(dropout)]
    rest = hidden_layers(hidden[0], hidden[1:], activation=activation, dropout=dropout, norm=norm)
    return nn.Sequential(first, *behind, *rest)


class DenseLayers(nn.Module):
    """Hidden layers of one width of which each is given the sum of all before it."""

    def __init__(self, n_in: int, hidden: tuple[int, ...], *, activation: str, dropout: float, norm: str) -> None:
        super().__init__()
        first = nn.Sequential(SparseInput(n_in, hidden[0]), ACTIVATIONS[activation]())
        more = (nn.Sequential(Linear(a, b), ACTIVATIONS[activation]()) for a, b in pairwise(hidden))
        self.layers = nn.ModuleList([first, *more])
        initialise_weights(self.layers[1:], activation)
        self.norms = nn.ModuleList(nn.LayerNorm(w) if norm == "layer" else nn.Identity() for w in hidden)
        self.drop = DroppedUnits(dropout)

    def forward(self, x: Tensor | Entries) -> Tensor:
        """Return what the last layer gives."""
        total = h = self.norms[0](self.layers[0](x))
        for layer, norm in zip(self.layers[1:], self.norms[1:], strict=True):
            h = norm(layer(self.drop(h)) + total)
            total = total + h
        out: Tensor = self.drop(h)
        return out
