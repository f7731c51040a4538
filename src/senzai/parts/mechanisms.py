"""Networks side by side, one for each column of a row, each of which sees the columns that cause its own."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..distributions.mixed import MixedFamily
from ..nn.inputs import DataInitialised
from ..nn.layers import ACTIVATIONS
from ..nn.table import CODED, TableInputs

SMALL = 0.1
"""Factor on the first weights of what leads from causes to raw numbers: columns start at their marginals."""


@final
class ColumnMechanisms(DataInitialised):
    r"""Raw numbers of the distribution of each column given its causes: a straight way and one hidden layer.

    .. math:: r_i = b_i + S_i\, v_{pa(i)} + W_i\, \sigma(U_i\, v_{pa(i)} + a_i)

    where v are the columns as numbers: standardised, or a one for the category. Without a hidden layer all mechanisms
    are linear. No column sees itself.

    Args:
        family: Family of the columns.
        causes: For each column, the columns that it sees.
        hidden: Hidden units of each column; none for linear mechanisms.
        activation: One of ``senzai.nn.ACTIVATIONS``, without gates.

    Example:
        >>> family = MixedFamily(sorts=("normal", "normal"), sizes=(0, 0))
        >>> net = ColumnMechanisms(family, ((), (0,)), hidden=4)
        >>> raw = net(torch.zeros(3, 2))
        >>> raw.shape, net.strengths().shape
        (torch.Size([3, 4]), torch.Size([2, 2]))
    """

    owner: Tensor
    column: Tensor
    allowed: Tensor

    def __init__(
        self, family: MixedFamily, causes: tuple[tuple[int, ...], ...], *, hidden: int = 32, activation: str = "silu"
    ) -> None:
        super().__init__()
        at_least(0, hidden=hidden)
        sorts, d = family.sorts, len(family.sorts)
        self.family, self.n_hidden = family, hidden
        self.inputs = TableInputs(sorts, family.cuts)
        self.coded = tuple((i, family.sizes[i]) for i in range(d) if sorts[i] in CODED)
        owner = [i for i in range(d) if sorts[i] not in CODED] + [i for i, size in self.coded for _ in range(size)]
        self.register_buffer("owner", torch.tensor(owner), persistent=False)
        column = torch.arange(d).repeat_interleave(torch.tensor(family.widths))
        self.register_buffer("column", column, persistent=False)
        allowed = torch.zeros(d, d, dtype=torch.bool)  # effect, cause
        for effect, seen in enumerate(causes):
            allowed[effect, list(seen)] = True
        self.register_buffer("allowed", allowed & ~torch.eye(d, dtype=torch.bool), persistent=False)
        n_raw, n_in = len(column), len(owner)
        self.bias = nn.Parameter(torch.zeros(n_raw))
        self.straight = nn.Parameter(SMALL * torch.randn(n_raw, n_in) / n_in**0.5)
        if hidden:
            self.inner = nn.Parameter(torch.randn(d, hidden, n_in) / max(1.0, float(allowed.sum(1).max())) ** 0.5)
            self.inner_bias = nn.Parameter(0.1 * torch.randn(d, hidden))
            self.outer = nn.Parameter(SMALL * torch.randn(n_raw, hidden) / hidden**0.5)
        self.activation = ACTIVATIONS[activation]()

    def initialise(self, batch: Batch) -> None:
        """Start every column at its marginal; the inputs take mean and scale by themselves."""
        x, seen = batch.tensor, batch.observed
        weight = torch.ones_like(x) if seen is None else seen.to(x.dtype)
        with torch.no_grad():
            self.bias.copy_(self.family.start(x, weight).to(self.bias))

    def numbers(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return rows as inputs, ``(B, F)``; zeros where not observed."""
        found = [self.inputs(x, mask)]
        for i, size in self.coded:
            one = nn.functional.one_hot(x[:, i].long().clamp(0, size - 1), size).to(found[0].dtype)
            found.append(one if mask is None else one * mask[:, i : i + 1])
        return torch.cat(found, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None, edges: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(B, n_raw)``.

        Args:
            x: Rows, ``(B, d)``.
            mask: Where they are observed.
            edges: Which column sees which, ``(d, d)``, effect first, if fewer than were allowed.
        """
        v = self.numbers(x, mask).to(self.bias.dtype)
        seen = (self.allowed if edges is None else self.allowed & edges)[:, self.owner]
        raw = self.bias + v @ (self.straight * seen[self.column]).T
        if not self.n_hidden:
            return raw
        d, n_in = seen.shape
        inner = (self.inner * seen.unsqueeze(1)).reshape(d * self.n_hidden, n_in)
        h = self.activation(v @ inner.T + self.inner_bias.reshape(-1)).unflatten(-1, (d, self.n_hidden))
        made: Tensor = raw + (h[:, self.column] * self.outer).sum(-1)
        return made

    def strengths(self) -> Tensor:
        r"""Return how much each column sees of each other, ``(d, d)``, cause first: the norm of all ways from it.

        .. math:: w_{ij}^2 = \sum_r S_{rj}^2 + \sum_{r,h} W_{rh}^2\, U_{hj}^2

        over the raw numbers r of column i and its hidden units h. A way through a hidden unit counts by the product of
        its two weights: what one loses the other cannot make up for.
        """
        d = len(self.allowed)
        square = self.straight.new_zeros(d, len(self.owner)).index_add(0, self.column, self.straight**2)
        if self.n_hidden:
            after = self.outer.new_zeros(d, self.n_hidden).index_add(0, self.column, self.outer**2)
            square = square + (after.unsqueeze(-1) * self.inner**2).sum(1)
        by_cause = square.new_zeros(d, d).index_add(1, self.owner, square) * self.allowed
        return (by_cause + 1e-12).sqrt().T * self.allowed.T
