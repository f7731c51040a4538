"""Whether a model knows how much it does not know: coverage of intervals, imputation, maps of uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, InputError
from ..core.random import derive, using
from ..core.row_noise import RowNoise
from ..distributions.ops import draw, expected
from ..models.base import LatentModel
from ..models.modes import judging
from .chunks import chunks
from .holes import middle_of
from .results import Figure, Floats

LEVELS = (0.5, 0.8, 0.9, 0.95)


# --- intervals ------------------------------------------------------------------------------------------------------
def interval_calibration(
    draws: Floats, truth: Floats, *, judged: Floats | None = None, levels: tuple[float, ...] = LEVELS,
) -> dict[str, Figure]:
    """Share of true values inside predictive intervals, beside the share that should be.

    Intervals are central and made from ranks: with S draws of the same distribution as the truth, its rank among them
    is uniform, whatever the distribution. Ties count half, so that intervals of discrete data cover too much.

    Reference:
        Strictly Proper Scoring Rules, Prediction, and Estimation (Gneiting and Raftery, 2007), section 6.2.
        https://doi.org/10.1198/016214506000001437

    Args:
        draws: Predictions, ``(S, N, ...)``.
        truth: What came, ``(N, ...)``.
        judged: True where an entry counts, shaped like ``truth``; by default everywhere.
        levels: Shares to test.

    Returns:
        For each level the covered share (errors over rows, whose entries may depend on each other), and ``error``, the
        mean absolute difference.

    Raises:
        InputError: Shapes do not match or nothing is judged.
    """
    if draws.shape[1:] != truth.shape or len(draws) < 2:
        raise InputError(f"Draws are (S, *truth), S >= 2, but got {draws.shape} for {truth.shape}.")
    count = np.ones(truth.shape, bool) if judged is None else np.asarray(judged, bool)
    if not count.any():
        raise InputError("No entry is judged. Hide some, or leave `judged` out.")
    place = ((draws < truth).sum(0) + 0.5 * (draws == truth).sum(0) + 0.5) / (len(draws) + 1)
    found = {}
    for level in levels:
        inside = np.abs(place - 0.5) <= level / 2
        found[f"{level:g}"] = _clustered(inside, count, f"coverage of {level:g}")
    error = float(np.mean([abs(found[f"{x:g}"].value - x) for x in levels]))
    widest = float(np.sqrt(np.mean([found[f"{x:g}"].se ** 2 for x in levels])))
    found["error"] = Figure(error, widest, len(truth), None, "mean error of coverage")
    return found


def _clustered(values: Floats, count: Floats, name: str) -> Figure:
    """Mean over the entries that count, with an error over rows."""
    flat, used = values.reshape(len(values), -1), count.reshape(len(count), -1)
    total, n = (flat * used).sum(1).astype(float), used.sum(1).astype(float)
    mean = total.sum() / n.sum()
    rows = len(total)
    se = float(np.std(total - mean * n, ddof=1) * sqrt(rows) / n.sum()) if rows > 1 else float("nan")
    return Figure(float(mean), se, rows, None, name, {"entries": int(n.sum())})


def probability_calibration(p: Floats, came: Floats, *, bins: int = 10) -> Figure:
    r"""Expected calibration error of probabilities of bits: mean of :math:`|\bar p - \bar y|` over bins of p.

    Reference:
        Obtaining Well Calibrated Probabilities Using Bayesian Binning (Naeini, Cooper and Hauskrecht, 2015).

    Args:
        p: Probabilities of a one, any shape.
        came: Zeros and ones, same shape.
        bins: Equally wide bins.

    Returns:
        The error, 0 at best, and per bin the mean probability, the share of ones and the number. Even of a perfect
        forecast it is a little above 0 by chance: ``floor`` says how much.
    """
    p, came = np.asarray(p, dtype=float).reshape(-1), np.asarray(came, dtype=float).reshape(-1)
    number = np.minimum((p * bins).astype(int), bins - 1)
    n = np.bincount(number, minlength=bins)
    kept = n > 0
    mean, share = (np.bincount(number, v, bins)[kept] / n[kept] for v in (p, came))
    weight = n[kept] / len(p)
    chance = np.sqrt(mean * (1 - mean) / n[kept])
    details = {
        "bins": [list(row) for row in zip(mean.tolist(), share.tolist(), n[kept].tolist(), strict=True)],
        "floor": float((weight * chance).sum() * sqrt(2 / np.pi)),
    }
    se = float(np.sqrt((weight**2 * chance**2).sum()))
    return Figure(float((weight * np.abs(mean - share)).sum()), se, len(p), None, "calibration error", details)


# --- imputation -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Imputation:
    """What a model says about entries that were hidden from it.

    Args:
        draws: Predictions for all entries, ``(S, N, *event)``.
        mean: Their weighted expectation, ``(N, *event)``.
        hidden: True where an entry was hidden, ``(N, *event)``.
        ess: Effective draws of each row, ``(N,)``.
    """

    draws: Tensor
    mean: Tensor
    hidden: Tensor
    ess: Tensor


def hide(batch: Batch, share: float = 0.2, *, seed: int = 0) -> tuple[Batch, Tensor]:
    """Hide entries completely at random: the batch with a smaller mask, and what was hidden.

    What stands in a hidden place is another row's value: in the support, and not the truth.

    Raises:
        InputError: The share is not between 0 and 1, or there is one row only.
    """
    if not 0 < share < 1 or len(batch) < 2:
        raise InputError(f"`0 < share < 1` and two rows are needed, but got {share!r} and {len(batch)} rows.")
    x = batch.tensor
    generator = torch.Generator(x.device)
    generator.manual_seed(derive(seed, "hidden"))
    seen = torch.ones(x.shape, dtype=torch.bool, device=x.device) if batch.observed is None else batch.observed
    hidden = (torch.rand(x.shape, generator=generator, device=x.device) < share) & seen
    return replace(batch, x=torch.where(hidden, x.roll(1, 0), x), mask=seen & ~hidden), hidden


def impute(
    model: LatentModel, batch: Batch, *, n_draws: int = 50, k: int = 200, seed: int = 0, rows_at_once: int = 64
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Draws of all entries given the observed ones: latents are weighted by what was observed, then drawn anew.

    .. math:: z_j \sim q(z | x_o), \quad w_j \propto p(x_o | z_j) p(z_j) / q(z_j | x_o), \quad
        x_m \sim p(x_m | z_j) \text{ with } j \sim w

    Reference:
        MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019).
        https://arxiv.org/abs/1812.02633

    Args:
        model: Trained model.
        batch: Rows with a mask.
        n_draws: Predictions per row, S.
        k: Weighted latents per row.
        seed: Seed of all draws.
        rows_at_once: Rows in memory at a time.

    Returns:
        Draws ``(S, N, *event)``, expectations ``(N, *event)`` and effective draws ``(N,)``.

    Raises:
        CombinationError: The model weighs enumerated draws.
    """
    out: list[tuple[Tensor, Tensor, Tensor]] = []
    with judging(model):
        for first in range(0, len(batch), rows_at_once):
            out.append(_imputed(model, batch.take(slice(first, first + rows_at_once)), first, n_draws, k, seed))
    draws, expectations, effective = zip(*out, strict=True)
    return torch.cat(draws, 1), torch.cat(expectations), torch.cat(effective)


def _imputed(
    model: LatentModel, batch: Batch, first: int, n_draws: int, k: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    rows = range(first, first + len(batch))
    with using(RowNoise.of(derive(seed, "imputed"), k, rows, range(k), device=batch.device)):
        seen = model.infer(batch, k)
    if seen.log_mix is not None:
        raise CombinationError("Imputation weighs draws that are alike, but this model enumerates its own.")
    weight = (seen.log_w.double()).softmax(0)
    noise = RowNoise.of(derive(seed, "chosen"), n_draws, rows, range(n_draws), device=batch.device)
    coins = noise.uniform((n_draws, len(batch)), dtype=torch.float64, device=batch.device)
    chosen = torch.searchsorted(weight.cumsum(0).T.contiguous(), coins.T.contiguous()).T.clamp(max=k - 1)
    z = tuple(
        g.z.gather(0, chosen.view(*chosen.shape, *[1] * (g.z.ndim - 2)).expand(n_draws, *g.z.shape[1:]))
        for g in seen.groups
    )
    with using(noise):
        drawn = draw(model.generate(z, batch.c), grad=False)
    values = expected(model.generate(tuple(g.z for g in seen.groups), batch.c))
    mean = (weight.view(*weight.shape, *[1] * (values.ndim - 2)) * values).sum(0)
    return drawn, mean, 1 / weight.square().sum(0)


def imputation_calibration(
    model: LatentModel, batch: Batch, *, share: float = 0.2, n_draws: int = 50, k: int = 200, seed: int = 0
) -> dict[str, Figure]:
    """Hide entries, impute them, and compare with what was there.

    Returns:
        For bits the ``calibration_error`` of the probabilities; for everything else the coverage of intervals (see
        :func:`interval_calibration`); for all the root mean square error, and that of the column means beside it.
    """
    holey, hidden = hide(batch, share, seed=seed)
    draws, mean, ess = impute(model, holey, n_draws=n_draws, k=k, seed=seed)
    truth, where = batch.tensor.double().cpu().numpy(), hidden.cpu().numpy()
    drawn = draws.double().cpu().numpy()
    error = (mean.double().cpu().numpy() - truth) ** 2
    column = np.broadcast_to(middle_of(holey).double().cpu().numpy(), truth.shape)  # of what was left to see
    plain_error = float(np.sqrt((((column - truth) ** 2)[where]).mean()))
    squared = _clustered(error, where, "squared error")
    rmse = sqrt(squared.value)
    details = {"of_column_means": plain_error, "share": share, "ess": float(ess.median())}
    found = {"rmse": Figure(rmse, squared.se / max(2 * rmse, 1e-12), len(truth), seed, "rmse", details)}
    if set(np.unique(truth[where])) <= {0.0, 1.0} and float(mean.min()) >= 0 and float(mean.max()) <= 1:
        found["calibration_error"] = probability_calibration(mean.cpu().numpy()[where], truth[where])
    else:
        found |= interval_calibration(drawn, truth, judged=where)
    return found


# --- maps -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class UncertaintyMap:
    """Variance of each entry of a reconstruction in its two parts, ``(N, *event)`` each.

    Args:
        mean: Expected value.
        between: Variance of the expected value over latents: what the code leaves open.
        within: Mean variance of the likelihood: noise that no code explains.
    """

    mean: Tensor
    between: Tensor
    within: Tensor

    @property
    def stddev(self) -> Tensor:
        """Standard deviation of both together."""
        return (self.between + self.within).sqrt()


def reconstruction_uncertainty(
    model: LatentModel, batch: Batch, *, n_samples: int = 32, seed: int = 0, memory_gb: float = 0.5
) -> UncertaintyMap:
    r"""Uncertainty of each entry of a reconstruction, by the law of total variance.

    .. math:: \mathrm{Var}[\hat x] = \mathrm{Var}_{q(z|x)}\,\mathbb{E}[x | z] +
        \mathbb{E}_{q(z|x)}\,\mathrm{Var}[x | z]

    Args:
        model: Trained model.
        batch: Rows.
        n_samples: Latents per row, two at least.
        seed: Seed of the draws.
        memory_gb: Most memory for one chunk of work, in GiB.

    Raises:
        InputError: Fewer than two latents per row.
        CombinationError: The likelihood has no known variance.
    """
    if n_samples < 2:
        raise InputError(f"A variance needs two latents per row, but got n_samples={n_samples!r}. Give 16 or more.")
    shape = batch.tensor.shape
    sums = [torch.zeros(shape, dtype=torch.float64, device=batch.device) for _ in range(3)]
    with judging(model):
        for chunk in chunks(model, batch, n_samples, seed=seed, memory_gb=memory_gb):
            values = expected(chunk.seen.likelihood).double()
            try:
                noise = chunk.seen.likelihood.variance.double()
            except (NotImplementedError, AttributeError):
                raise CombinationError(
                    "A map of uncertainty needs the variance of the likelihood, but "
                    f"{type(chunk.seen.likelihood).__name__} gives none. Draw reconstructions instead."
                ) from None
            for total, part in zip(sums, (values, values.square(), noise), strict=True):
                total[chunk.rows] += part.sum(0)
    mean, square, within = (s / n_samples for s in sums)
    return UncertaintyMap(mean, (square - mean.square()).clamp_min(0) * n_samples / (n_samples - 1), within)
