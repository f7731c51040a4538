"""The gaps of a bound: amortisation (the encoder misses the best posterior) and approximation (the family lacks it)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, pi

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ..core.batch import Batch
from ..core.random import derive, using
from ..core.row_noise import RowNoise
from ..models.base import Inference, LatentModel
from ..models.modes import judging
from .annealing import Latents, check_continuous, check_real
from .likelihood import log_likelihood
from .results import Figure
from .statistics import mean_se

FINAL_DRAWS = 256


@dataclass(frozen=True)
class Gaps:
    """The inference gap of each row in its two parts, in nats.

    Args:
        elbo: Bound under the encoder's posterior, ``(B,)``.
        refined: Bound under the best normal posterior of each row, ``(B,)``.
        log_p: Estimate of log p(x), ``(B,)``.
        family: What the refined posterior is, "diagonal" or "full".
        seed: Seed of everything random.
    """

    elbo: Tensor
    refined: Tensor
    log_p: Tensor
    family: str
    seed: int

    @cached_property
    def amortisation(self) -> Figure:
        """Bound of the best posterior of the family minus that of the encoder's: what amortising costs."""
        return self._mean(self.refined - self.elbo, "amortisation gap")

    @cached_property
    def approximation(self) -> Figure:
        """log p(x) minus the bound of the best posterior of the family: what the family costs."""
        return self._mean(self.log_p - self.refined, "approximation gap")

    def _mean(self, values: Tensor, name: str) -> Figure:
        return Figure(float(values.mean()), mean_se(values), len(values), self.seed, name, {"family": self.family})


def inference_gaps(
    model: LatentModel, batch: Batch, *, steps: int = 200, n_samples: int = 8, lr: float = 0.05,
    log_p: Tensor | None = None, k: int = 1000, seed: int = 0, rows_at_once: int = 64,
) -> Gaps:
    r"""Split log p(x) minus the bound into amortisation and approximation gap, row by row.

    .. math:: \underbrace{\log p(x) - \mathcal L(q^*)}_{\text{approximation}} +
        \underbrace{\mathcal L(q^*) - \mathcal L(q)}_{\text{amortisation}}, \qquad
        q^* = \arg\max_{\text{normal } q} \mathcal L(q) \text{ for this row}

    The best posterior of a row is found by gradient ascent from the encoder's. It is a normal with full covariance
    where the encoder's is one, else a diagonal one.

    Reference:
        Inference Suboptimality in Variational Autoencoders (Cremer, Li and Duvenaud, 2018).
        https://arxiv.org/abs/1801.03558

    Args:
        model: What is judged; its latents must be continuous.
        batch: Rows.
        steps: Steps of ascent.
        n_samples: Draws per step and row.
        lr: Step size of Adam, falling to zero.
        log_p: Estimates of log p(x), ``(B,)``, e.g. annealed ones; by default importance-weighted ones.
        k: Draws of that default.
        seed: Seed of everything random.
        rows_at_once: Rows in memory at a time.

    Raises:
        CombinationError: Latents are discrete, enumerated, without a density, or live on a curved space.
    """
    check_real(model)
    log_p = log_likelihood(model, batch, k=k, seed=seed).per_row if log_p is None else log_p
    found = []
    with judging(model):
        for first in range(0, len(batch), rows_at_once):
            some = batch.take(slice(first, first + rows_at_once))
            found.append(_refined(model, some, first, steps, n_samples, lr, seed))
    own, best = torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found])
    return Gaps(own, best, log_p, "full" if found[0][2] else "diagonal", seed)


def _refined(
    model: LatentModel, batch: Batch, first: int, steps: int, n: int, lr: float, seed: int
) -> tuple[Tensor, Tensor, bool]:
    rows = range(first, first + len(batch))

    def noise(purpose: str, draws: int) -> RowNoise:
        return RowNoise.of(derive(seed, purpose), draws, rows, range(draws), device=batch.device)

    with using(noise("judged", FINAL_DRAWS)):
        seen = model.infer(batch, FINAL_DRAWS)
    check_continuous(seen)
    own = torch.stack([g.monte_carlo_rate().double() for g in seen.groups]).sum(0)
    q = RowNormal(seen)
    optimiser = torch.optim.Adam(q.parameters, lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    steady = noise("ascent", n)
    with torch.enable_grad():
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            loss = -q.bound(model, batch, steady, n).mean(0).sum()
            torch.autograd.backward(loss, inputs=q.parameters)
            optimiser.step()
            schedule.step()
    best = q.bound(model, batch, noise("judged", FINAL_DRAWS), FINAL_DRAWS)
    return (seen.log_lik.double() - own).mean(0), best.mean(0), q.full


class RowNormal:
    """A normal posterior with parameters of its own for every row, over all groups of latents side by side."""

    def __init__(self, seen: Inference) -> None:
        self.shapes = [tuple(g.z.shape[2:]) for g in seen.groups]
        self.full = all(isinstance(g.q, MultivariateNormal) for g in seen.groups)
        flat = torch.cat([g.z.flatten(2) for g in seen.groups], 2).detach()
        self.loc, self.log_scale = flat.mean(0), flat.std(0).clamp_min(1e-6).log()
        d = flat.shape[2]
        self.below = torch.zeros(flat.shape[1], d, d, dtype=flat.dtype, device=flat.device)
        free = (self.loc, self.log_scale, self.below) if self.full else (self.loc, self.log_scale)
        self.parameters = [t.requires_grad_() for t in free]

    def bound(self, model: LatentModel, batch: Batch, noise: RowNoise, n: int) -> Tensor:
        """Return the terms of the evidence lower bound, ``(n, B)``: the entropy is exact, the rest drawn."""
        eps = noise.normal((n, *self.loc.shape), dtype=self.loc.dtype, device=self.loc.device)
        if self.full:  # scale (I + L) with L strictly lower: the determinant is that of the scale
            eps = eps + (self.below.tril(-1) @ eps.unsqueeze(-1)).squeeze(-1)
        flat = self.loc + self.log_scale.exp() * eps
        z = self._split(flat)
        seen = model.infer(batch, n, z=z)
        log_p = torch.stack([g.log_p.double() for g in seen.groups]).sum(0)
        entropy = self.log_scale.double().sum(-1) + 0.5 * self.loc.shape[-1] * (1 + log(2 * pi))
        return seen.log_lik.double() + log_p + entropy

    def _split(self, flat: Tensor) -> Latents:
        sizes = [int(torch.tensor(s).prod()) if s else 1 for s in self.shapes]
        parts = flat.split(sizes, -1)
        return tuple(p.reshape(*p.shape[:2], *s) for p, s in zip(parts, self.shapes, strict=True))
