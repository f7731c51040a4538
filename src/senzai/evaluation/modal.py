"""Rows of several modalities: what each costs, whether it fits the others, and how well one tells of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.random import Noise, using
from ..models import verbs
from ..models.base import Inference, LatentModel
from ..models.modes import judging
from ..objectives.modalities import log_liks, only_with
from .evidence import SameForAll
from .scores import Scores

ROWS = 256


def pieces(batch: Batch) -> Iterator[Batch]:
    """Yield rows, so many at a time as fit memory."""
    for _, piece in verbs.in_pieces(batch, ROWS):
        yield piece


def mixed(seen: Inference, values: Tensor) -> Tensor:
    """Return the log of the mean of ``exp(values)`` over the draws, by their weights, ``(B,)``."""
    if seen.log_mix is None:
        return torch.logsumexp(values, 0) - log(len(values))
    return torch.logsumexp(values + seen.log_mix, 0)


def modal_scores(model: LatentModel, batch: Batch, method: str, *, k: int = 16, seed: int = 0) -> Scores:
    """Return scores of rows and what each modality adds to them; the last share is that of the latent code.

    Args:
        model: Trained model.
        batch: Rows.
        method: ``elbo``, ``nll`` or ``reconstruction``; ``auto`` is ``nll``.
        k: Draws per row.
        seed: Seed of the draws; the same ones for every row.
    """
    values, shares = [], []
    with judging(model):
        for piece in pieces(batch):
            with using(SameForAll.seeded(seed, device=piece.device)):
                seen = model.infer(piece, k)
            costs = torch.stack([seen.average(-v) for v in log_liks(seen).values()], 1)
            total = costs.sum(1)
            if method == "elbo":
                total = total + sum((seen.average(g.rate()) for g in seen.groups), torch.zeros_like(total))
            elif method != "reconstruction":
                total = -seen.bound()
            values.append(total)
            shares.append(torch.cat([costs, (total - costs.sum(1)).unsqueeze(1)], 1))
    return Scores(torch.cat(values), torch.cat(shares))


def told_by_others(model: LatentModel, batch: Batch, *, k: int = 16, seed: int = 0) -> Tensor:
    r"""Return the cost of each modality given the others of its row, in nats, ``(N, M)``; NaN where it is not there.

    .. math:: -\log \tfrac1K \sum_k p(x_m | z_k), \qquad z_k \sim q(z | x_{-m})

    A bound of the cost under the model's own way from the others to this one, in expectation never below it.
    """
    found = []
    for name in batch.modalities:
        others = [n for n in batch.modalities if n != name]
        found.append(conditional_bound(model, batch, others, [name], k=k, seed=seed))
    return -torch.stack(found, 1)


def conditional_bound(
    model: LatentModel, batch: Batch, given: Sequence[str], wanted: Sequence[str], *, k: int, seed: int
) -> Tensor:
    r"""Return a bound of the log density of some modalities told from others, ``(N,)``; NaN where a row lacks either.

    .. math:: \log \tfrac1K \sum_k \prod_{m \in wanted} p(x_m | z_k), \qquad z_k \sim q(z | x_{given})

    In expectation at most :math:`\log \int q(z | x_{given})\, p(x_{wanted} | z)\, dz`, what the model says of them by
    way of its encoder; it is no bound of the exact conditional density, whose posterior is not known.
    """
    found = []
    with judging(model):
        for piece in pieces(batch):
            with using(Noise.seeded(seed, device=piece.device)):
                seen = model.infer(piece, k, seen=only_with(piece, list(given)))
            lik = log_liks(seen)
            value = mixed(seen, torch.stack([lik[name] for name in wanted]).sum(0))
            rows, ones = piece.present or {}, torch.ones(len(piece), dtype=torch.bool, device=piece.device)
            known = torch.stack([rows.get(name, ones) for name in given]).any(0)
            for name in wanted:
                known = known & rows.get(name, ones)
            found.append(torch.where(known, value, torch.nan))
    return torch.cat(found)


def proper_subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all subsets of names but the empty one and the whole.

    Example:
        >>> proper_subsets(["a", "b"])
        [('a',), ('b',)]
    """
    return [s for k in range(1, len(names)) for s in combinations(names, k)]


def joint_bound(model: LatentModel, batch: Batch, names: Sequence[str], *, k: int, seed: int) -> Tensor:
    """Return the importance-weighted bound of the log density of some modalities of each row, ``(N,)``."""
    some, found = only_with(batch, list(names)), []
    with judging(model):
        for piece in pieces(some):
            with using(Noise.seeded(seed, device=piece.device)):
                found.append(model.infer(piece, k).bound())
    return torch.cat(found)


def misfits(costs: Tensor, usual: Tensor) -> Tensor:
    """Return how unusual the cost of each modality given the others is, in spreads of other rows, ``(N, M)``.

    Args:
        costs: Costs of rows, ``(N, M)``.
        usual: Those of rows that are as they should be, ``(R, M)``.

    Example:
        >>> misfits(torch.tensor([[3.0]]), torch.tensor([[0.0], [1.0], [2.0]])).item() > 1
        True
    """
    middle = usual.nanmedian(0).values
    spread = 1.4826 * (usual - middle).abs().nanmedian(0).values
    return (costs - middle) / spread.clamp_min(1e-6)
