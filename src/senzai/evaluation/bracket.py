"""Bidirectional Monte Carlo: lower and upper bounds of the evidence, which show how loose other bounds are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.random import Noise, derive, using
from ..distributions.ops import draw
from ..models.base import LatentModel
from ..models.modes import judging
from .annealing import Annealing, AnnealingPath, Latents, annealed_log_likelihood, backward
from .bounds import elbo
from .likelihood import log_likelihood
from .results import Figure
from .statistics import mean_se


@dataclass(frozen=True)
class Bracket:
    """The evidence of simulated rows from below and from above, with the bounds that people use beside it.

    Args:
        lower: Annealed lower bound of log p(x), ``(B,)``.
        upper: Annealed upper bound, ``(B,)``; above in expectation, not row by row.
        importance: Importance-weighted bound, ``(B,)``.
        elbo: Evidence lower bound, ``(B,)``.
        k: Draws of the importance-weighted bound.
        seed: Seed of everything random.
    """

    lower: Tensor
    upper: Tensor
    importance: Tensor
    elbo: Tensor
    k: int
    seed: int

    @cached_property
    def gap(self) -> Figure:
        """Mean of upper minus lower: how far the annealed estimates can be off."""
        return self._mean(self.upper - self.lower, "upper - lower")

    @cached_property
    def looseness(self) -> Figure:
        """Mean of the upper bound minus the importance-weighted one: at most so much is missing from it."""
        return self._mean(self.upper - self.importance, f"upper - importance-weighted, k = {self.k}")

    @cached_property
    def elbo_looseness(self) -> Figure:
        """Mean of the upper bound minus the evidence lower bound."""
        return self._mean(self.upper - self.elbo, "upper - elbo")

    def _mean(self, values: Tensor, name: str) -> Figure:
        return Figure(float(values.mean()), mean_se(values), len(values), self.seed, name)


def simulate(model: LatentModel, n: int, *, seed: int = 0, c: Tensor | None = None) -> tuple[Batch, Latents]:
    """Draw latents from the prior and rows from the likelihood: the latents are exact posterior draws of the rows.

    Args:
        model: Where they come from.
        n: Rows.
        seed: Seed of the draws.
        c: Condition, one row each.

    Raises:
        SettingError: Fewer than one row.
    """
    if n < 1:
        raise SettingError(f"`n >= 1` must hold, but got n={n!r}. Simulate one row at least.")
    device = model.device
    with judging(model), using(Noise.seeded(derive(seed, "simulated"), device=device)):
        z = model.sample_prior(n, c)
        return Batch(draw(model.generate(z, c), grad=False), c=c), z


def bidirectional(
    model: LatentModel, n: int = 50, settings: Annealing | None = None, *, k: int = 500, c: Tensor | None = None,
    memory_gb: float = 0.5,
) -> Bracket:
    r"""Bracket the evidence of rows that the model itself made, and say how loose the usual bounds are there.

    Chains that run from an exact posterior draw back to the start give weights whose inverses average 1 / p(x):

    .. math:: \mathbb{E}[\log \tfrac1K \textstyle\sum w_\rightarrow] \le \log p(x) \le
        \mathbb{E}[-\log \tfrac1K \textstyle\sum w_\leftarrow^{-1}]

    Exact posterior draws are known for simulated rows only. What is learned about looseness carries over to real rows
    as far as the model fits them.

    Reference:
        Sandwiching the marginal likelihood using bidirectional Monte Carlo (Grosse, Ghahramani and Adams, 2015).
        https://arxiv.org/abs/1511.02543

    Args:
        model: What is judged; its latents must be continuous.
        n: Rows to simulate.
        settings: How to anneal.
        k: Draws of the importance-weighted bound that is compared.
        c: Conditions of the rows.
        memory_gb: Most memory for one chunk of the importance-weighted bound, in GiB.

    Raises:
        CombinationError: Latents are discrete, enumerated, or without a density.
    """
    settings = settings or Annealing()
    batch, z = simulate(model, n, seed=settings.seed, c=c)
    below = annealed_log_likelihood(model, batch, settings, rows_at_once=n)
    with judging(model):
        log_w = backward(AnnealingPath.of(model, batch, settings, 0), z)
    above = log(len(log_w)) - (-log_w).logsumexp(0)
    weighted = log_likelihood(model, batch, k=k, seed=settings.seed, memory_gb=memory_gb)
    bound = elbo(model, batch, n_samples=16, seed=settings.seed, memory_gb=memory_gb)
    return Bracket(below.per_row, above, weighted.per_row, bound.elbo, k, settings.seed)
