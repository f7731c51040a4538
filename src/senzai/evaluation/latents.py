"""Active units, mutual information of data and codes, and the gap between codes and prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from math import log

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..distributions.flow import Flow
from ..distributions.mixtures import pairwise_log_prob
from ..models.base import Group, LatentModel
from ..models.modes import judging
from .chunks import Chunk, chunks
from .statistics import mean_se


# --- active units ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ActiveUnits:
    """Which latent dimensions move with the data.

    Args:
        count: How many do.
        variances: Variance over rows of the posterior mean, of each dimension of each group.
    """

    count: int
    variances: Mapping[str, Tensor]

    @property
    def n_latent(self) -> int:
        """How many dimensions there are."""
        return sum(v.numel() for v in self.variances.values())


def active_units(
    model: LatentModel, batch: Batch, threshold: float = 0.01, *, seed: int = 0, memory_gb: float = 0.5
) -> ActiveUnits:
    r"""Count the latent dimensions whose posterior mean varies over the data.

    .. math:: A_d = \mathrm{Var}_x\big(\mathbb{E}_{q(z|x)}[z_d]\big) > \text{threshold}

    Where a posterior has no known mean, the variance is estimated from two draws per row, without bias, as their
    covariance.

    Reference:
        Importance Weighted Autoencoders (Burda, Grosse and Salakhutdinov, 2016), section 5.2.
        https://arxiv.org/abs/1509.00519

    Args:
        model: What is judged; its training mode is left as it was.
        batch: Rows, two at least.
        threshold: Least variance of an active unit.
        seed: Seed of the draws, where there are any.
        memory_gb: Most memory for one chunk of work, in GiB.

    Returns:
        The count and the variances behind it.
    """
    pairs: dict[str, list[Tensor]] = {}
    with judging(model):
        for chunk in chunks(model, batch, 2, seed=seed, memory_gb=memory_gb):
            if len(chunk.draws) < 2:
                raise CombinationError("Two draws of a row do not fit the memory. Give a larger `memory_gb`.")
            for g in chunk.seen.groups:
                if g.q is not None:
                    pairs.setdefault(g.name, []).append(two_means(g, chunk.seen.log_mix))
    variances = {name: variance_of_means(torch.cat(values, 1)) for name, values in pairs.items()}
    return ActiveUnits(sum(int((v > threshold).sum()) for v in variances.values()), variances)


def two_means(group: Group, log_mix: Tensor | None = None) -> Tensor:
    """Two unbiased values of the posterior mean of each row, ``(2, B, d)``: the mean twice, else of two draws.

    Draws of an enumeration come in turn, so that every other one, weighted, is one draw of the whole.
    """
    try:
        mean = group.q.mean if group.q is not None else None
    except NotImplementedError:
        mean = None
    known = mean is not None and mean.shape in (group.z.shape, group.z.shape[1:])
    values = (mean.expand_as(group.z) if known and mean is not None else group.z).flatten(2).double()
    if log_mix is None:
        return values[:2]
    weight = log_mix.double().exp().expand(values.shape[:2]).unsqueeze(-1)
    return torch.stack([2 * (weight * values)[i::2].sum(0) for i in range(2)])


def variance_of_means(pairs: Tensor) -> Tensor:
    """Covariance over rows of two unbiased values of a row's mean, ``(2, B, d)`` to ``(d,)``: the mean's variance."""
    centred = pairs - pairs.mean(1, keepdim=True)
    return (centred[0] * centred[1]).sum(0) / (pairs.shape[1] - 1)


# --- mutual information ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Information:
    r"""The mean rate in its two parts, in nats: rate = mutual information + aggregate gap.

    Args:
        mutual_information: I(x; z) under q, between 0 and ``log(n)``.
        mutual_information_se: Its standard error.
        aggregate_gap: KL(q(z) || p(z)), how far the codes of all rows together are from the prior.
        aggregate_gap_se: Its standard error.
        rate: Sum of both, the Monte Carlo rate of the same draws.
        rate_se: Its standard error.
        n: Number of rows, which make the mixture q(z).
    """

    mutual_information: float
    mutual_information_se: float
    aggregate_gap: float
    aggregate_gap_se: float
    rate: float
    rate_se: float
    n: int

    @property
    def ceiling(self) -> float:
        """Largest value that the mutual information of ``n`` rows can have; near it the true one may be larger."""
        return log(self.n)


def mutual_information(
    model: LatentModel, batch: Batch, *, n_samples: int = 1, seed: int = 0, group: str | None = None,
    memory_gb: float = 0.5,
) -> Information:
    r"""Mutual information of data and codes, and the distance of all codes together from the prior.

    .. math:: \underbrace{\mathbb{E}[\log q(z|x) - \log p(z)]}_{\text{rate}} =
        \underbrace{\mathbb{E}[\log q(z|x) - \log q(z)]}_{I(x; z)} +
        \underbrace{\mathbb{E}[\log q(z) - \log p(z)]}_{\mathrm{KL}(q(z) \| p(z))}, \quad
        q(z) = \frac1N \sum_{n=1}^N q(z | x_n)

    The mixture is taken exactly over all rows given, a row's own component included. For these N rows that is no
    approximation: the number is the mutual information of row and code, up to the noise of the draws, and it cannot
    exceed log N. As a statement about all rows that could have been drawn it is too low, badly so near log N.

    Reference:
        ELBO surgery (Hoffman and Johnson, 2016). http://approximateinference.org/accepted/HoffmanJohnson2016.pdf

    Args:
        model: What is judged; its training mode is left as it was.
        batch: Rows; time grows with the square of their number.
        n_samples: Draws per row.
        seed: Seed of the draws.
        group: Name of the group of latents; by default the first with a posterior.
        memory_gb: Most memory for one chunk of work, in GiB.

    Returns:
        Both parts with their standard errors over rows.

    Raises:
        CombinationError: No such group has a posterior, or its posteriors depend on another group's draw.
    """
    codes = []
    with judging(model):
        for chunk in chunks(model, batch, n_samples, seed=seed, memory_gb=memory_gb):
            codes.append(_code(pick_group(chunk.seen.groups, group), chunk))
        log_mixture = [aggregate_log_prob([c.q for c in codes if c.fresh], c.z, memory_gb) for c in codes]
    own, gap = (torch.zeros(len(batch), dtype=torch.float64, device=batch.device) for _ in range(2))
    for c, log_m in zip(codes, log_mixture, strict=True):
        own[c.rows] += (c.log_q - log_m).sum(0) / n_samples
        gap[c.rows] += (log_m - c.log_p).sum(0) / n_samples
    rate = own + gap
    means = [(float(t.mean()), mean_se(t)) for t in (own, gap, rate)]
    return Information(*means[0], *means[1], *means[2], n=len(batch))


@dataclass(frozen=True)
class _Code:
    q: Distribution
    z: Tensor
    log_q: Tensor
    log_p: Tensor
    rows: slice
    fresh: bool


def _code(group: Group, chunk: Chunk) -> _Code:
    q = group.q
    if q is None or q.batch_shape != (len(chunk.batch),):
        raise CombinationError(
            f"Mutual information needs one posterior per row, but that of the group {group.name!r} depends on another "
            "group's draw. Name a group whose posterior depends on the data alone."
        )
    return _Code(q, group.z, group.log_q.double(), group.log_p.double(), chunk.rows, chunk.draws.start == 0)


def pick_group(groups: tuple[Group, ...], name: str | None) -> Group:
    """Return the group of that name, by default the first that has a posterior.

    Raises:
        CombinationError: There is none.
    """
    for g in groups:
        if g.q is not None and (name is None or g.name == name):
            return g
    wanted = "a group with a posterior" if name is None else f"a group {name!r} with a posterior"
    raise CombinationError(
        f"Mutual information needs {wanted}, but the groups are {', '.join(g.name for g in groups)}. Name another one."
    )


def aggregate_log_prob(parts: list[Distribution], z: Tensor, memory_gb: float = 0.5) -> Tensor:
    r"""Log density of latents under the mixture of all posteriors, float64.

    Args:
        parts: The posteriors, in batches of rows.
        z: Latents, ``(K, B, *event)``.
        memory_gb: Most memory for a block of densities.

    Returns:
        Shape ``(K, B)``.
    """
    n = sum(q.batch_shape[0] for q in parts)
    flat = z.flatten(0, 1)
    widest = max(q.batch_shape[0] for q in parts) * flat[0].numel()
    size = max(1, int(memory_gb * 2**30 / (32 * widest)))
    out = []
    for block in flat.split(size):
        log_sum = torch.full((len(block),), -torch.inf, dtype=torch.float64, device=z.device)
        for q in parts:
            log_sum = torch.logaddexp(log_sum, pairwise_log_prob(q, block).logsumexp(1))
        out.append(log_sum - log(n))
    return torch.cat(out).view(z.shape[:2])


@singledispatch
def information_rows(q: Distribution | None) -> int:
    """Rows that the mutual information is taken over at most, because its time grows with their square."""
    return 10_000


@information_rows.register(Flow)
def _(q: Flow) -> int:
    return 300  # the density of another row's code goes through the inverse of every step
