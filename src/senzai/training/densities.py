"""How a density is fitted to latents after training: small fits on tensors in memory, reproducible by seed."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, inf, pi
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import GLOBAL, Noise, derive, forked, using
from ..core.registry import Registry
from ..distributions.numeric import positive_raw
from ..models.base import LatentModel
from ..models.modes import judging
from ..parts import FlowMatchingPrior, FlowPrior, MixtureOfNormals, MovedPrior, Prior, TwoStagePrior
from ..parts.base import FLOOR
from .adamw import AdamW, ParameterGroup
from .draws import PosteriorDraws as PosteriorDraws
from .draws import standard
from .mixtures import mixture as mixture

FLOW_STEPS, LEAST_FLOW_STEPS = 150, 40
AGGREGATE = 1000
FIELD_STEPS, FIELD_WIDTH, GUIDANCE = 1000, 32, 2.0


def rows_of_log_prob(prior: Prior, codes: PosteriorDraws, *, seed: int = 0) -> Tensor:
    """Log density of each code, ``(N,)``; what has to be estimated is, with draws by ``seed``."""
    with using(Noise.seeded(derive(seed, "density"))):
        log_p: Tensor = prior(codes.c).log_prob(codes.z)
    return log_p


def halves(codes: PosteriorDraws, seed: int) -> tuple[PosteriorDraws, PosteriorDraws]:
    """Return most codes to fit on and a sixth to decide on."""
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(derive(seed, "halves")))
    cut = max(1, len(codes) // 6)
    return codes.take(order[cut:]), codes.take(order[:cut])


# --- fits by gradient -----------------------------------------------------------------------------------------------
Loss = Callable[[Prior, PosteriorDraws], Tensor]


def likelihood_loss(prior: Prior, codes: PosteriorDraws) -> Tensor:
    """Minus the log density of each code."""
    log_p: Tensor = prior(codes.c).log_prob(codes.z)
    return -log_p


def matching_loss(prior: Prior, codes: PosteriorDraws) -> Tensor:
    """Distance of a velocity field from the straight way, for each code."""
    assert isinstance(prior, FlowMatchingPrior)
    return prior.matching_loss(codes.z, codes.c)


def descend(
    prior: Prior, loss: Loss, codes: PosteriorDraws, *, seed: int, steps: int, lr: float, rows: int = 256,
    looks: int = 8
) -> None:
    """Fit a prior by gradient, and keep the weights that a sixth of the codes, looked at on the way, like best.

    It ends early when two looks in a row brought nothing.

    Raises:
        CombinationError: The loss did not stay finite.
    """
    fit, held = halves(codes, seed)
    group = ParameterGroup(list(prior.parameters()), lr)
    optimiser = AdamW([group])
    best, since, kept = inf, 0, {k: v.clone() for k, v in prior.state_dict().items()}
    for step in range(steps):
        group.lr = lr * 0.5 * (1 + cos(pi * step / steps))
        some = fit.take(torch.randint(len(fit), (min(rows, len(fit)),)))
        optimiser.zero_grad()
        value = loss(prior.train(), some).mean()
        if not bool(value.isfinite()):
            raise CombinationError(f"it did not stay finite (step {step + 1} of its fit)")
        value.backward()
        optimiser.step()
        if (step + 1) % max(1, steps // looks) == 0 or step + 1 == steps:
            with torch.no_grad(), using(Noise.seeded(derive(seed, "look"))):
                score = float(loss(prior.eval(), held).mean())
            since += 1
            if score < best:
                best, since, kept = score, 0, {k: v.clone() for k, v in prior.state_dict().items()}
            if since == 2:
                break
    prior.load_state_dict(kept)


def moved(inner: Prior, loss: Loss, codes: PosteriorDraws, **how: Any) -> Prior:
    """Return a prior fitted to standardised codes, in the units of the codes; ``how`` goes to :func:`descend`."""
    prior = MovedPrior(codes.z.shape[1], inner)
    for buffer, value in zip((prior.loc, prior.scale), standard(codes.z), strict=True):
        buffer.copy_(value)
    descend(inner, loss, PosteriorDraws((codes.z - prior.loc) / prior.scale, codes.c), **how)
    return prior


def flow(codes: PosteriorDraws, seed: int, steps: int = FLOW_STEPS) -> Prior:
    """Return a small spline flow; given a condition, p(z | c)."""
    inner = FlowPrior(codes.z.shape[1], kind="nsf", n_transforms=2, hidden=(64,), n_condition=codes.n_condition)
    return moved(inner, likelihood_loss, codes, seed=seed, steps=steps, lr=1e-2)


def flow_matching(codes: PosteriorDraws, seed: int) -> Prior:
    """Return a velocity field: latent diffusion in its deterministic form."""
    inner = FlowMatchingPrior(codes.z.shape[1], n_condition=codes.n_condition)
    return moved(inner, matching_loss, codes, seed=seed, steps=3000, lr=2e-3, rows=512)


def spatial_flow_matching(codes: PosteriorDraws, seed: int, steps: int = FIELD_STEPS) -> Prior:
    """Return a velocity field of convolutions over maps of codes; given a condition, one that can be guided.

    Raises:
        CombinationError: The latents are no maps.
    """
    grid = None if codes.of is None else getattr(getattr(codes.of[0], "posterior", None), "grid", None)
    if grid is None:
        raise CombinationError("a field of convolutions needs latents on a grid, as kl-autoencoder has them")
    inner = FlowMatchingPrior(
        codes.z.shape[1], grid=grid, width=FIELD_WIDTH, n_condition=codes.n_condition,
        guidance=GUIDANCE if codes.n_condition else 1.0,
    )
    return moved(inner, matching_loss, codes, seed=seed, steps=steps, lr=2e-3, rows=64)


def two_stage(codes: PosteriorDraws, seed: int) -> Prior:
    """Return a second variational autoencoder, over the codes."""
    inner = TwoStagePrior(codes.z.shape[1], n_condition=codes.n_condition)
    return moved(inner, likelihood_loss, codes, seed=seed, steps=2000, lr=3e-3)


def aggregate_of(codes: PosteriorDraws, seed: int) -> Prior:
    """Return the mixture of the posteriors of rows; see :func:`aggregate`."""
    assert codes.of is not None  # whole codes are fitted to
    return aggregate(*codes.of, seed=seed)


SAMPLERS: Registry[Callable[..., Prior]] = Registry("sampler")
"""What is fitted to codes after training, by name: called with the codes and a seed, returns a prior over them."""
for _name, _fit in (
    ("mixture", mixture), ("flow", flow), ("flow_matching", flow_matching), ("two_stage", two_stage),
    ("aggregate", aggregate_of), ("spatial_flow_matching", spatial_flow_matching),
):
    SAMPLERS.add(_name)(_fit)


def fitted(name: str, codes: PosteriorDraws, seed: int, **how: Any) -> Prior:
    """Return the density of a name, fitted to codes, with random numbers of its own; ``how`` goes to its fit."""
    with GLOBAL, forked(derive(seed, "sampler", name)):  # half the time of drawing from a local generator
        return SAMPLERS[name](codes, derive(seed, "sampler", name), **how).eval()


def affordable_flow_steps(width: int, work: float) -> int:
    """Return how many steps of a flow over ``width`` latents fit a budget of nominal seconds; 0 where too few would.

    The price of a step was measured on one core; it is a rule and no clock, so that a run repeats on any machine.

    Example:
        >>> affordable_flow_steps(8, 10.0), affordable_flow_steps(512, 1.0)
        (150, 0)
    """
    steps = int(min(FLOW_STEPS, work / (8e-3 + 8e-4 * width)))
    return steps if steps >= LEAST_FLOW_STEPS else 0


def aggregate(model: LatentModel, batch: Batch, seed: int = 0) -> Prior:
    r"""Return the mixture of the posteriors of rows (``AGGREGATE`` at most, drawn at random): the aggregate posterior.

    .. math:: p(z) = \frac1N \sum_n q(z | x_n)

    Its components are codes of single rows: what is drawn from it is near a training row.

    Raises:
        CombinationError: The posteriors are no diagonal normals.
    """
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(derive(seed, "aggregate")))
    some = batch.take(order[:AGGREGATE])  # at random: rows are often sorted
    with judging(model), using(Noise.seeded(0)):
        q = model.infer(some).groups[0].q
    if not (isinstance(q, Independent) and isinstance(q.base_dist, Normal) and q.batch_shape == (len(some),)):
        raise CombinationError("the aggregate needs posteriors that are diagonal normals")
    prior = MixtureOfNormals(q.event_shape[0], n_components=len(some))
    with torch.no_grad():
        prior.loc.copy_(q.base_dist.loc)
        prior.raw_scale.copy_(positive_raw(q.base_dist.scale, FLOOR))
    return prior.eval()
