"""Annealed importance sampling: an estimate of the evidence that does not depend on the quality of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.random import Noise, derive, using
from ..core.row_noise import RowNoise
from ..distributions.spaces import Real
from ..models.base import Group, Inference, LatentModel
from ..models.modes import judging
from .likelihood import LikelihoodEstimate, effective_sample_size, log_estimate_se

Start: TypeAlias = Literal["posterior", "prior"]
Latents: TypeAlias = tuple[Tensor, ...]

TARGET = 0.65
"""Share of proposals that Hamiltonian moves should accept, after Neal (2011), section 5.4.4.3."""
PILOT_STEPS, PILOT_CHAINS, FIRST_STEP = 60, 4, 0.3


@dataclass(frozen=True)
class Annealing:
    """Settings of annealed importance sampling.

    Args:
        steps: Intermediate distributions; the error falls with their number.
        chains: Chains per row, run side by side.
        leapfrog: Leapfrog steps of one Hamiltonian move.
        start: Where chains begin: at the encoder's posterior (quick), or at the prior (independent of the encoder).
        seed: Seed of everything random.

    Raises:
        SettingError: A count below one, or an unknown start.
    """

    steps: int = 100
    chains: int = 8
    leapfrog: int = 5
    start: Start = "posterior"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.chains, self.leapfrog) < 1 or self.start not in ("posterior", "prior"):
            raise SettingError(
                "Annealing needs `steps`, `chains` and `leapfrog` of one at least, and start='posterior' or 'prior', "
                f"but got {self}. Change what is out of range."
            )

    @property
    def betas(self) -> Tensor:
        """Inverse temperatures from 0 to 1, dense at both ends, ``(steps + 1,)``."""
        s = torch.sigmoid(torch.linspace(-4, 4, self.steps + 1, dtype=torch.float64))
        return (s - s[0]) / (s[-1] - s[0])

    @property
    def passes(self) -> int:
        """Evaluations of the model with a gradient, per row, chain pilots included."""
        return (self.steps * self.chains + PILOT_STEPS * PILOT_CHAINS) * (self.leapfrog + 1)


@dataclass(frozen=True)
class AnnealedEstimate(LikelihoodEstimate):
    """Estimates of log p(x) by annealing; ``k`` is the number of chains.

    Args:
        acceptance: Share of accepted moves of each row, ``(B,)``; near 0 nothing moved and the estimate is that of
            importance sampling.
        steps: Intermediate distributions.
        start: Where the chains began.
        seed: Seed of everything random.
    """

    acceptance: Tensor
    steps: int
    start: str
    seed: int


def annealed_log_likelihood(
    model: LatentModel, batch: Batch, settings: Annealing | None = None, *, rows_at_once: int = 64
) -> AnnealedEstimate:
    r"""Estimate log p(x) of each row by annealed importance sampling with Hamiltonian moves.

    .. math:: \pi_\beta(z) \propto \pi_0(z)^{1-\beta} \, p(x, z)^\beta, \qquad
        \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1}) \big[\log p(x, z_{t-1}) - \log \pi_0(z_{t-1})\big]

    with :math:`z_0 \sim \pi_0` and :math:`z_t` moved by a Hamiltonian step that leaves :math:`\pi_{\beta_t}` as it is.
    The mean of the weights is exactly p(x) in expectation, so that the log of their mean is too low in expectation:
    a stochastic lower bound, tight as steps and chains grow. Step sizes are found by chains of their own before, so
    that nothing a counted chain did decides how it moves.

    Reference:
        Annealed importance sampling (Neal, 2001). https://arxiv.org/abs/physics/9803008
        On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017).
        https://arxiv.org/abs/1611.04273

    Args:
        model: What is judged; its latents must be continuous.
        batch: Rows.
        settings: Steps, chains, start and seed.
        rows_at_once: Rows in memory at a time; numbers depend on it by rounding only.

    Returns:
        The estimate with its errors.

    Raises:
        CombinationError: Latents are discrete, enumerated, or without a density.

    Example:
        >>> from senzai.distributions import NormalFamily, NormalFixedFamily
        >>> from senzai.models import Flat
        >>> from senzai.nn import MLPDecoder, MLPEncoder
        >>> from senzai.parts import Likelihood, Posterior, StandardNormal
        >>> model = Flat(
        ...     StandardNormal(1),
        ...     Posterior(MLPEncoder((2,), (4,)), NormalFamily(), 1),
        ...     Likelihood(MLPDecoder(1, (1, 2), (4,)), NormalFixedFamily(), (2,)),
        ... )
        >>> estimate = annealed_log_likelihood(model, Batch(torch.zeros(3, 2)), Annealing(steps=10, chains=2))
        >>> estimate.per_row.shape, bool((estimate.acceptance > 0.3).all())
        (torch.Size([3]), True)
    """
    settings = settings or Annealing()
    found: list[tuple[Tensor, Tensor]] = []
    with judging(model):
        for first in range(0, len(batch), rows_at_once):
            found.append(_forward(AnnealingPath.of(model, batch.take(slice(first, first + rows_at_once)), settings,
                                                   first)))
    log_w, acceptance = (torch.cat([f[i] for f in found], -1) for i in (0, 1))
    return _estimate(log_w, acceptance, settings)


def _estimate(log_w: Tensor, acceptance: Tensor, settings: Annealing) -> AnnealedEstimate:
    total = log_w.logsumexp(0)
    ess = effective_sample_size(total, (2 * log_w).logsumexp(0))
    se = log_estimate_se(ess, len(log_w))
    return AnnealedEstimate(
        total - log(len(log_w)), ess, se, settings.chains, acceptance, settings.steps, settings.start, settings.seed
    )


# --- the path from start to joint -----------------------------------------------------------------------------------
@dataclass
class AnnealingPath:
    """The distributions between a start and the joint, for some rows, with the step sizes of their moves.

    Args:
        model: What is judged.
        batch: Rows.
        settings: How to anneal.
        first_row: Position of the first row, for the noise.
        scales: Spread of each latent at the start and at the end, ``(B, *event)`` each.
        step_sizes: Step size of each row at each inverse temperature, ``(steps + 1, B)``.
    """

    model: LatentModel
    batch: Batch
    settings: Annealing
    first_row: int
    scales: tuple[tuple[Tensor, Tensor], ...]
    step_sizes: Tensor

    @classmethod
    def of(cls, model: LatentModel, batch: Batch, settings: Annealing, first_row: int) -> AnnealingPath:
        """Check that the latents can be moved, and find step sizes."""
        check_real(model)
        rows = range(first_row, first_row + len(batch))
        with using(RowNoise.of(settings.seed, 1, rows, range(1), device=batch.device)):
            seen = model.infer(batch, 1)
        check_continuous(seen)
        scales = tuple(_scales(g, settings.start) for g in seen.groups)
        path = cls(model, batch, settings, first_row, scales, torch.empty(0))
        path.step_sizes = _tuned(path)
        return path

    def noise(self, purpose: str, chains: int) -> RowNoise:
        """Noise of these rows for one purpose."""
        rows = range(self.first_row, self.first_row + len(self.batch))
        seed = derive(self.settings.seed, purpose)
        return RowNoise.of(seed, chains, rows, range(chains), device=self.batch.device)

    def begin(self, noise: RowNoise, chains: int) -> Latents:
        """Draw where chains begin, ``(chains, B, *event)`` per group."""
        if self.settings.start == "posterior":
            with using(noise):
                return tuple(g.z.detach() for g in self.model.infer(self.batch, chains).groups)
        drawn = []
        for i, row in enumerate(noise.rows):
            c = None if self.batch.c is None else self.batch.c[i : i + 1].expand(chains, -1)
            with using(Noise.seeded(derive(noise.seed, "prior", row), device=self.batch.device)):
                drawn.append(self.model.sample_prior(chains, c))
        return tuple(torch.stack(parts, 1) for parts in zip(*drawn, strict=True))

    def densities(self, z: Latents) -> tuple[Tensor, Tensor]:
        """Return the log densities of the start and of the joint, ``(chains, B)`` in float64."""
        seen = self.model.infer(self.batch, z[0].shape[0], z=z)
        log_p = torch.stack([g.log_p.double() for g in seen.groups]).sum(0)
        if self.settings.start == "prior":
            return log_p, log_p + seen.log_lik.double()
        return torch.stack([g.log_q.double() for g in seen.groups]).sum(0), log_p + seen.log_lik.double()

    def gradient(self, z: Latents, beta: Tensor) -> tuple[Latents, tuple[Tensor, Tensor]]:
        """Return the gradient of the log density at an inverse temperature, and both log densities."""
        with torch.enable_grad():
            free = tuple(g.detach().requires_grad_() for g in z)
            start, joint = self.densities(free)
            slope = torch.autograd.grad(torch.lerp(start, joint, beta).sum(), free)
        return slope, (start.detach(), joint.detach())

    def widths(self, beta: Tensor) -> Latents:
        """Spread of each latent at an inverse temperature: precisions are mixed as the log densities are."""
        return tuple(
            ((1 - beta) / a.square() + beta / b.square()).rsqrt().to(a.dtype) for a, b in self.scales
        )


def check_real(model: LatentModel) -> None:
    """Refuse latents that a step in a straight line takes out of their space.

    Raises:
        CombinationError: Latents live on a sphere, a simplex or the like.
    """
    for space in model.spaces:
        if space != Real():
            raise CombinationError(
                f"Annealing moves latents in straight lines, but these live on {space.words}. "
                "Use the importance-weighted log-likelihood."
            )


def check_continuous(seen: Inference) -> None:
    """Refuse latents that no gradient can move.

    Raises:
        CombinationError: Latents are discrete, enumerated, or without a density.
    """
    if seen.log_mix is not None:
        raise CombinationError(
            "Annealing moves every draw freely, but this model weighs enumerated or stratified draws. "
            "Use the importance-weighted log-likelihood."
        )
    for g in seen.groups:
        support = None if g.q is None else g.q.support
        if g.q is None or not g.z.is_floating_point() or (support is not None and support.is_discrete):
            raise CombinationError(
                f"Annealing needs continuous latents with a density, but the group {g.name!r} has none. "
                "Use the importance-weighted log-likelihood, or the model's own bound."
            )


def _scales(group: Group, start: Start) -> tuple[Tensor, Tensor]:
    shape, unit = group.z.shape[1:], torch.ones_like(group.z[0])

    def known(p: Any) -> Tensor:
        try:
            scale: Tensor = p.stddev
            return scale.expand(shape) if bool((torch.isfinite(scale) & (scale > 0)).all()) else unit
        except (NotImplementedError, AttributeError, RuntimeError):
            return unit  # a distribution without a known spread: step sizes are found all the same

    end = known(group.q)
    return (end, end) if start == "posterior" else (known(group.p), end)


# --- Hamiltonian moves ----------------------------------------------------------------------------------------------
def hamiltonian_move(
    path: AnnealingPath, z: Latents, beta: Tensor, step: Tensor, noise: RowNoise
) -> tuple[Latents, tuple[Tensor, Tensor], Tensor]:
    """Move all chains once, leaving the distribution at ``beta`` as it is.

    Args:
        path: Where densities come from.
        z: Chains, ``(K, B, *event)`` per group.
        beta: Inverse temperature.
        step: Step size of each row, ``(B,)``.
        noise: Source of momenta and coins.

    Returns:
        The chains, their two log densities, and which were moved, ``(K, B)``.
    """
    widths = [_like(step, g) * w for g, w in zip(z, path.widths(beta), strict=True)]
    momentum = [noise.normal(tuple(g.shape), dtype=g.dtype, device=g.device) for g in z]
    slope, before = path.gradient(z, beta)
    energy = torch.lerp(*before, beta) - _kinetic(momentum)
    place, after = z, before
    for _ in range(path.settings.leapfrog):
        half = [m + 0.5 * w * s for m, w, s in zip(momentum, widths, slope, strict=True)]
        place = tuple(g + w * m for g, w, m in zip(place, widths, half, strict=True))
        slope, after = path.gradient(place, beta)
        momentum = [m + 0.5 * w * s for m, w, s in zip(half, widths, slope, strict=True)]
    change = torch.lerp(*after, beta) - _kinetic(momentum) - energy
    coins = noise.uniform(tuple(change.shape), dtype=change.dtype, device=change.device)
    moved = coins.log() < torch.nan_to_num(change, nan=-torch.inf)
    kept = tuple(torch.where(_like(moved, g, 0), new, g) for new, g in zip(place, z, strict=True))
    now = (torch.where(moved, after[0], before[0]), torch.where(moved, after[1], before[1]))
    return kept, now, moved


def _kinetic(momentum: list[Tensor]) -> Tensor:
    return torch.stack([0.5 * m.double().square().flatten(2).sum(-1) for m in momentum]).sum(0)


def _like(values: Tensor, z: Tensor, extra: int = 1) -> Tensor:
    """Let ``(B,)`` or ``(K, B)`` multiply ``(K, B, *event)``."""
    wide = values.reshape(*values.shape, *[1] * (z.ndim - values.ndim - extra))
    return wide if values.dtype == torch.bool else wide.to(z.dtype)


def _tuned(path: AnnealingPath) -> Tensor:
    """Find step sizes with chains of their own: a few percent up after a move, down after a refusal."""
    betas = path.settings.betas
    some = torch.linspace(0, len(betas) - 1, min(PILOT_STEPS, len(betas))).round().long()
    noise = path.noise("pilot", PILOT_CHAINS)
    z = path.begin(noise, PILOT_CHAINS)
    step = torch.full((len(path.batch),), FIRST_STEP, dtype=torch.float64, device=path.batch.device)
    found = []
    for beta in betas[some].to(path.batch.device):
        z, _, moved = hamiltonian_move(path, z, beta, step, noise)
        step = (step * torch.exp(0.5 * (moved.double().mean(0) - TARGET))).clamp(1e-4, 1.5)
        found.append(step)
    known = torch.stack(found)
    nearest = torch.searchsorted(some, torch.arange(len(betas))).clamp(max=len(some) - 1)
    return known[nearest]


def _forward(path: AnnealingPath) -> tuple[Tensor, Tensor]:
    """Run chains from the start to the joint: log weights ``(chains, B)`` and the share of moves ``(B,)``."""
    chains, betas = path.settings.chains, path.settings.betas.to(path.batch.device)
    noise = path.noise("forward", chains)
    z = path.begin(noise, chains)
    start, joint = path.densities(z)
    log_w, moves = torch.zeros_like(start), torch.zeros_like(start)
    for t in range(1, len(betas)):
        log_w = log_w + (betas[t] - betas[t - 1]) * (joint - start)
        if t + 1 < len(betas):
            z, (start, joint), moved = hamiltonian_move(path, z, betas[t], path.step_sizes[t], noise)
            moves = moves + moved
    return log_w, (moves / max(1, len(betas) - 2)).mean(0)


def backward(path: AnnealingPath, exact: Latents) -> Tensor:
    """Run chains from exact posterior draws back to the start: log weights ``(chains, B)`` whose inverses average 1/p.

    Args:
        path: Distributions and step sizes.
        exact: One exact draw of p(z | x) for each row, ``(B, *event)`` per group.
    """
    chains, betas = path.settings.chains, path.settings.betas.to(path.batch.device)
    noise = path.noise("backward", chains)
    z = tuple(g.expand(chains, *g.shape) for g in exact)
    start, joint = path.densities(z)
    log_w = (betas[-1] - betas[-2]) * (joint - start)
    for t in range(len(betas) - 2, 0, -1):
        z, (start, joint), _ = hamiltonian_move(path, z, betas[t], path.step_sizes[t], noise)
        log_w = log_w + (betas[t] - betas[t - 1]) * (joint - start)
    return log_w
