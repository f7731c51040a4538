"""Imputation: importance-weighted means of and draws from p(x_missing | x_observed)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..core.batch import Batch, Data, cat, each, entries
from ..core.errors import SettingError
from ..core.random import Noise, derive, using
from ..core.row_noise import RowKeys, RowNoise
from ..distributions.ops import draw, expected
from .base import Inference, LatentModel, weighted_mean
from .modes import judging

NUMBERS = 1_000_000
"""Numbers that one piece of work may hold: what fits a processor's cache is done soonest."""
HIDDEN = 128
"""Numbers that a row takes at least on its way through a network, however few it has itself."""


@dataclass(frozen=True)
class Weighted:
    """Draws of the latents of some rows with their normalised importance weights.

    Args:
        rows: Which rows.
        batch: The rows.
        seen: What the model infers about them from what is observed.
        log_weight: Log of the normalised weights, ``(K, B)``.
    """

    rows: slice
    batch: Batch
    seen: Inference
    log_weight: Tensor

    @property
    def ess(self) -> Tensor:
        """Effective sample size of the draws of each row, ``(B,)``: 1 to K."""
        return (-torch.logsumexp(2 * self.log_weight, 0)).exp()


def weighted(
    model: LatentModel, batch: Batch, *, k: int, seed: int, each: int = 1, keys: Sequence[int] | None = None
) -> Iterator[Weighted]:
    r"""Draw latents of every row from :math:`q(z | x_o)` and weigh them by :math:`p(x_o | z)\,p(z) / q(z | x_o)`.

    Args:
        model: Trained model.
        batch: Rows with a mask.
        k: Draws per row.
        seed: Seed of the draws.
        each: How many results of the size of a row will be made of each draw.
        keys: Numbers of the rows, by which their draws are seeded; by default what is in them.

    Raises:
        SettingError: Fewer than one draw.
    """
    if k < 1:
        raise SettingError(f"`k >= 1` must hold, but got k={k!r}. More draws give better answers; 100 is usual.")
    size = max(HIDDEN, entries(batch.x))
    rows = max(1, NUMBERS // (size * max(k, each)))
    known = RowKeys(repeated=True)(batch) if keys is None else keys
    for start in range(0, len(batch), rows):
        part = slice(start, min(start + rows, len(batch)))
        piece = batch.take(part)
        with using(RowNoise.of(derive(seed, "rows"), k, known[part], range(k), device=piece.device)):
            seen = model.infer(piece, k)
            log_w = seen.log_w if seen.log_mix is None else seen.log_w + seen.log_mix
            yield Weighted(part, piece, seen, torch.log_softmax(log_w, 0))


def conditional_mean(model: LatentModel, batch: Batch, *, k: int = 100, seed: int = 0) -> Data:
    r"""Return :math:`E[x | x_o]`, ``(N, *event)``: self-normalised importance sampling with ``k`` draws.

    .. math:: E[x | x_o] \approx \sum_k \tilde w_k \, E[x | z_k]

    The result for a row depends on the seed and on the content of the row, not on its position or on other rows.

    Reference:
        MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019).
        https://arxiv.org/abs/1812.02633
    """
    found: list[Data] = []
    with judging(model):
        for w in weighted(model, batch, k=k, seed=seed):
            log_weight, means = w.log_weight, expected(w.seen.likelihood)
            found.append(each(partial(weighted_mean, log_mix=log_weight), means))
    return cat(found)


def conditional_draws(
    model: LatentModel, batch: Batch, *, draws: int, k: int = 100, seed: int = 0, keys: Sequence[int] | None = None
) -> Data:
    r"""Return draws from :math:`p(x | x_o)`, ``(draws, N, *event)``: latents are resampled by weight, then decoded.

    Entries that were observed are drawn anew like the others; put the observed ones back where they matter. Draws are
    seeded by ``keys``; by default by what is in the rows, rows that are alike each with draws of their own.

    Raises:
        SettingError: Fewer than one draw.
    """
    if draws < 1:
        raise SettingError(f"`draws >= 1` must hold, but got draws={draws!r}.")
    found: list[Data] = []
    with judging(model):
        known = RowKeys()(batch) if keys is None else keys
        for w in weighted(model, batch, k=k, seed=seed, each=draws, keys=known):
            own, device = derive(seed, "resampled"), w.batch.device
            noise = RowNoise.of(own, draws, known[w.rows], range(draws), device=device)
            chosen = resampled(w.log_weight, draws, noise)
            z = tuple(_gather(g.z, chosen) for g in w.seen.groups)
            with using(noise):
                found.append(draw(model.generate(z, w.batch.c), grad=False, lead=1))
    return cat(found, 1)


def resampled(log_weight: Tensor, draws: int, noise: Noise) -> Tensor:
    """Return places along K, ``(draws, B)``, drawn by normalised weights ``(K, B)``."""
    cumulative = log_weight.T.double().exp().cumsum(1)
    u = noise.uniform((draws, log_weight.shape[1]), dtype=torch.float64, device=log_weight.device)
    found = torch.searchsorted(cumulative / cumulative[:, -1:], u.T.contiguous())
    return found.clamp_max(len(log_weight) - 1).T


def _gather(z: Tensor, chosen: Tensor) -> Tensor:
    """Return latents ``(draws, B, *event)`` at the chosen places of ``(K, B, *event)``."""
    rows = torch.arange(z.shape[1], device=z.device)
    return z[chosen, rows]
