"""Rows with a treatment and an outcome: the outcome has a network of its own for each treatment."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.examples import example
from ...core.random import Noise, current_noise
from ...core.spec import part
from ...distributions.columns import MixedColumns
from ...distributions.mixed import MixedFamily
from ...distributions.ops import Shape, _draw, elementwise, marginal, point, stand_in
from ...nn.inputs import DataInitialised
from ...nn.layers import hidden_layers, linear_out
from ..base import AnyLikelihood, check_width


@final
class Treated(Distribution):
    r"""Columns that are independent but for the outcome, which depends on the treatment in the same row.

    .. math:: \log p(x, t, y) = \sum_j \log p(x_j) + \log p(t) + \log p(y \mid t)

    Args:
        arms: Distribution of all columns if the row is not treated, and if it is, ``(*lead, d)`` each; they differ in
            the outcome alone.
        treatment: Place of the treatment, 0 or 1.
        outcome: Place of the outcome.
        observed: Where rows are observed; of an outcome without its treatment, the mixture of both is scored.
    """

    has_rsample = False
    support = constraints.real_vector

    def __init__(
        self, arms: tuple[MixedColumns, MixedColumns], treatment: int, outcome: int, observed: Tensor | None = None
    ) -> None:
        self.arms, self.treatment, self.outcome, self.observed = arms, treatment, outcome, observed
        lead = arms[0].batch_shape
        super().__init__(lead[:-1], lead[-1:], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: the arms have their own."""
        return {}

    def terms(self, x: Tensor) -> Tensor:
        """Return the log density of each column, that of the outcome given the treatment; zero where not observed."""
        seen = self.observed
        safe = x if seen is None else torch.where(seen, x, torch.zeros_like(x))
        without, treated = (arm.log_prob(safe) for arm in self.arms)
        y0, y1 = without[..., self.outcome], treated[..., self.outcome]
        t = (safe[..., self.treatment] > 0.5).expand(y0.shape)
        own = torch.where(t, y1, y0)
        if seen is not None:
            known = seen[..., self.treatment].expand(y0.shape)
            odds = [self._of_treatment(without, x, v) for v in (0.0, 1.0)]
            own = torch.where(known, own, torch.logaddexp(odds[0] + y0, odds[1] + y1))
        at = torch.arange(x.shape[-1], device=x.device) == self.outcome
        each = torch.where(at, own.unsqueeze(-1), without)
        return each if seen is None else torch.where(seen, each, 0.0)

    def _of_treatment(self, like: Tensor, x: Tensor, value: float) -> Tensor:
        told = torch.full_like(x, value).expand(like.shape)
        return self.arms[0].log_prob(torch.where(torch.arange(x.shape[-1]) == self.treatment, told, 0.0))[
            ..., self.treatment
        ]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of rows."""
        return self.terms(value).sum(-1)

    def joined(self, without: Tensor, treated: Tensor) -> Tensor:
        """Return rows whose outcome is that of their treatment."""
        at = torch.arange(without.shape[-1], device=without.device) == self.outcome
        return torch.where(at & (without[..., self.treatment] > 0.5).unsqueeze(-1), treated, without)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the treatment, and the outcome given it."""
        return _draw(self, tuple(sample_shape), current_noise())

    @property
    def mean(self) -> Tensor:
        """Not defined: categories have none."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """What stands for each column, the outcome given the likelier treatment."""
        return self.joined(*(arm.mode for arm in self.arms))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Treated:
        """Return the same with a larger batch shape."""
        first, second = (arm.expand((*batch_shape, *self.event_shape)) for arm in self.arms)
        return Treated((first, second), self.treatment, self.outcome, self.observed)


@_draw.register(Treated)
def _(p: Treated, shape: Shape, noise: Noise) -> Tensor:
    return p.joined(_draw(p.arms[0], shape, noise), _draw(p.arms[1], shape, noise))


@point.register(Treated)
def _(p: Treated) -> Tensor:
    return p.mode


@stand_in.register(Treated)
def _(p: Treated) -> Tensor:
    return stand_in(p.arms[0])


@marginal.register(Treated)
def _(p: Treated, observed: Tensor) -> Distribution:
    return Treated(p.arms, p.treatment, p.outcome, observed)


@elementwise.register(Treated)
def _(p: Treated, x: Tensor) -> Tensor:
    return p.terms(x)


@part("likelihood", "treated")
@example(recipe="cevae", data="mixed", settings={"treatment": "x2", "outcome": "x0"})
@final
class TreatedLikelihood(AnyLikelihood, DataInitialised):
    r"""Covariates and treatment from the latents, the outcome by one network for each treatment.

    .. math:: p(x, t, y \mid z) = p(x \mid z)\, p(t \mid z)\, p(y \mid t, z)

    Reference:
        Causal Effect Inference with Deep Latent-Variable Models (Louizos et al., 2017).
        https://arxiv.org/abs/1705.08821

    Args:
        n_latent: Width of the latent code.
        event: Shape of one row.
        columns: Family of all columns.
        treatment: Place of the treatment, a column of two values.
        outcome: Place of the outcome.
        hidden: Widths of the hidden layers of each network.
        activation: Their activation.

    Raises:
        CombinationError: The treatment has more than two values.
    """

    def __init__(
        self, n_latent: int, event: tuple[int, ...], columns: MixedFamily, *, treatment: int, outcome: int,
        hidden: tuple[int, ...] = (64, 64), activation: str = "elu",
    ) -> None:
        super().__init__()
        if columns.sorts[treatment] != "binary" or treatment == outcome:
            raise CombinationError(
                f"A treatment is a column of two values, and no outcome, but got one of the sort "
                f"{columns.sorts[treatment]!r}. Name another column."
            )
        self.event, self.columns, self.treatment, self.outcome = tuple(event), columns, treatment, outcome
        start = [sum(columns.widths[:i]) for i in range(len(columns.widths) + 1)]
        self.place = slice(start[outcome], start[outcome + 1])
        width, n = columns.widths[outcome], check_width(n_latent)
        last = hidden[-1] if hidden else n
        self.row = nn.Sequential(hidden_layers(n, hidden, activation=activation), linear_out(last, start[-1]))
        self.arms = nn.ModuleList(
            nn.Sequential(hidden_layers(n, hidden, activation=activation), linear_out(last, width)) for _ in range(2)
        )
        self.bias = nn.Parameter(torch.zeros(start[-1]))

    def initialise(self, batch: Batch) -> None:
        """Start every column at its marginal."""
        x, seen = batch.tensor, batch.observed
        weight = torch.ones_like(x) if seen is None else seen.to(x.dtype)
        with torch.no_grad():
            self.bias.copy_(self.columns.start(x, weight).to(self.bias))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Treated:
        """Return p(x, t, y | z)."""
        raw = self.row(z)
        found = []
        for arm in self.arms:
            own = torch.cat([raw[..., : self.place.start], arm(z), raw[..., self.place.stop :]], -1) + self.bias
            p: Any = self.columns(own, self.event)
            found.append(p.base_dist)
        return Treated((found[0], found[1]), self.treatment, self.outcome)
