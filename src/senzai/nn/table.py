"""The encoder of tables: numbers are standardised, categories looked up, missing entries marked."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import ShapeError
from ..core.examples import example
from ..core.spec import part
from .inputs import DataInitialised, Encoder
from .layers import ACTIVATIONS, NORMS, check_dropout, halves, hidden_layers, initialise_weights, with_condition
from .products import Linear
from .statistics import Statistics

CODED = ("category", "binary")
FEW = 256
"""Values of all categories together up to which multiplying by ones and zeros is quicker than looking them up."""


@final
class TableInputs(DataInitialised):
    """Numbers of a row, each standardised as its type requires; unobserved entries are zero.

    Counts enter as ``log(1 + x)``, steps as the middle of their share on the logit scale, other numbers as they are;
    all are then shifted and scaled by mean and standard deviation.

    Args:
        sorts: Sort of each column.
        cuts: Cut points of the columns of steps.
    """

    shift: Tensor
    scale: Tensor
    numbers: Tensor
    counts: Tensor
    stepped: Tensor
    middles: Tensor
    first: Tensor

    def __init__(self, sorts: tuple[str, ...], cuts: tuple[tuple[float, ...], ...]) -> None:
        super().__init__()
        places = [i for i, s in enumerate(sorts) if s not in CODED]
        self.register_buffer("numbers", torch.tensor(places, dtype=torch.long), persistent=False)
        self.register_buffer("counts", torch.tensor([sorts[i] == "count" for i in places]), persistent=False)
        self.has_counts = "count" in sorts
        at = [k for k, i in enumerate(places) if sorts[i] == "steps"]
        self.register_buffer("stepped", torch.tensor(at, dtype=torch.long), persistent=False)
        middles = _middles(cuts)
        self.register_buffer("middles", middles, persistent=False)
        self.register_buffer("first", torch.arange(len(cuts)) * middles.shape[1], persistent=False)
        self.register_buffer("shift", torch.zeros(len(places)))
        self.register_buffer("scale", torch.ones(len(places)))

    def initialise(self, batch: Batch) -> None:
        """Take mean and scale from the observed entries."""
        if not len(self.numbers):
            return
        mask = None if batch.observed is None else batch.observed.index_select(1, self.numbers)
        mean, std = Statistics.of(self.unstandardised(batch.tensor, mask), mask).moments()
        self.shift.copy_(mean)
        self.scale.copy_(std)

    def unstandardised(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the numbers before they are standardised, zero where not observed."""
        v = x.index_select(1, self.numbers)
        if mask is not None:
            v = torch.where(mask, v, 0.0)
        if self.has_counts:
            v = torch.where(self.counts, torch.log1p(v.clamp_min(0)), v)
        if len(self.stepped):
            codes = v.index_select(1, self.stepped).long().clamp(0, self.middles.shape[1] - 1) + self.first
            v = v.index_copy(1, self.stepped, self.middles.view(-1)[codes].to(v.dtype))
        return v

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return ``(B, n_numbers)`` in single precision."""
        seen = None if mask is None else mask.index_select(1, self.numbers)
        out = ((self.unstandardised(x, seen) - self.shift) / self.scale).to(self.shift.dtype)
        return out if seen is None else torch.where(seen, out, 0.0)


def _middles(cuts: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return, for each column of steps, the logit of the middle of each value's share, ``(d, longest)``."""
    longest = max((len(c) + 1 for c in cuts), default=1)
    rows = torch.zeros(len(cuts), longest)
    for i, c in enumerate(cuts):
        below = torch.cat([torch.zeros(1), torch.sigmoid(torch.tensor(c)), torch.ones(1)]).double()
        rows[i, : len(c) + 1] = torch.logit((below[1:] + below[:-1]) / 2, eps=1e-6).float()
    return rows


@part("encoder", "table")
@example(data="mixed", settings={})
@final
class TableEncoder(Encoder):
    """Numbers and looked-up categories into one first layer, then hidden layers.

    A category has one learned vector per value, as wide as the first layer: what a one-hot code and a linear layer
    would compute, without the zeros.

    Args:
        event: Shape of one row, ``(n_columns,)``.
        sorts: Sort of each column, as in :class:`senzai.distributions.MixedFamily`.
        sizes: Number of values of each column, 0 for numbers.
        cuts: Cut points of the columns of steps.
        hidden: Widths of the hidden layers, at least one.
        n_condition: Width of the condition.
        masked: Whether rows come with a mask (it is an input then).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of hidden units dropped in training.
        norm: ``"none"`` or ``"layer"``, on hidden layers only.

    Example:
        >>> encoder = TableEncoder((2,), sorts=("normal", "category"), sizes=(0, 3), hidden=(8, 4))
        >>> encoder(Batch(torch.tensor([[0.5, 2.0], [0.1, 0.0]]))).shape
        torch.Size([2, 4])
    """

    start: Tensor
    codes: Tensor
    last: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        sorts: tuple[str, ...],
        sizes: tuple[int, ...],
        cuts: tuple[tuple[float, ...], ...] = (),
        hidden: tuple[int, ...] = (256,),
        *,
        n_condition: int = 0,
        masked: bool = False,
        activation: str = "relu",
        dropout: float = 0.0,
        norm: str = "none",
    ) -> None:
        super().__init__()
        if tuple(event) != (len(sorts),) or len(sorts) != len(sizes):
            raise ShapeError(f"A table encoder needs a sort and a size per column of {event}, but got {len(sorts)}.")
        self.event, self.masked, self.n_condition = tuple(event), masked, n_condition
        hidden = tuple(hidden) or (1,)
        self.inputs = TableInputs(tuple(sorts), tuple(cuts))
        coded = [i for i, s in enumerate(sorts) if s in CODED]
        counts = [max(2, sizes[i]) for i in coded]
        self.register_buffer("codes", torch.tensor(coded, dtype=torch.long), persistent=False)
        self.register_buffer("last", torch.tensor(counts, dtype=torch.long) - 1, persistent=False)
        self.register_buffer("start", torch.tensor([0, *counts]).cumsum(0)[:-1], persistent=False)
        wide = hidden[0] * halves(activation)
        n_in = len(self.inputs.numbers) + (len(sorts) if masked else 0) + n_condition
        self.first = Linear(max(n_in, 1), wide)
        self.empty = n_in == 0
        self.lookup = nn.EmbeddingBag(max(sum(counts), 1), wide, mode="sum") if coded else None
        initialise_weights(self.first, activation)
        if self.lookup is not None:
            nn.init.normal_(self.lookup.weight, std=(2 / max(len(sorts), 1)) ** 0.5)
        check_dropout(dropout)
        parts: list[nn.Module] = [NORMS[norm](wide), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        rest = hidden_layers(hidden[0], hidden[1:], activation=activation, dropout=dropout, norm=norm)
        self.hidden = nn.Sequential(*parts, *rest)
        self.n_features = hidden[-1]

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        x, mask = batch.tensor, batch.observed
        if x.shape[1:] != self.event:
            raise ShapeError(
                f"Rows must have the shape {self.event}, but got {tuple(x.shape[1:])}. "
                "Give data of the columns the model was trained on, or train a new model."
            )
        parts = [self.inputs(x, mask)]
        if self.masked:
            seen = torch.ones(x.shape, device=x.device) if mask is None else mask.to(torch.float32)
            parts.append(seen.expand(x.shape))
        numbers = with_condition(torch.cat(parts, 1), batch.c if self.n_condition else None)
        if self.empty:
            numbers = numbers.new_zeros(x.shape[0], 1)
        out = self.first(numbers)
        if self.lookup is not None:
            out = out + self._looked_up(x, mask)
        features: Tensor = self.hidden(out)
        return features

    def _looked_up(self, x: Tensor, mask: Tensor | None) -> Tensor:
        v = x.index_select(1, self.codes)
        seen = None if mask is None else mask.expand(x.shape).index_select(1, self.codes)
        if seen is not None:
            v = torch.where(seen, v, 0.0)
        index = torch.minimum(v.long().clamp_min(0), self.last) + self.start
        assert self.lookup is not None
        table = self.lookup.weight
        weight = None if seen is None else seen.to(table.dtype)
        if len(table) <= FEW and not torch.is_autocast_enabled(x.device.type):
            hot = torch.zeros(x.shape[0], table.shape[0], dtype=table.dtype, device=table.device)
            return hot.scatter(1, index, 1.0 if weight is None else weight) @ table
        found: Tensor = self.lookup(index, per_sample_weights=weight)
        return found
