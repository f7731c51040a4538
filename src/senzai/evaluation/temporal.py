"""Rows along time beside samples: autocorrelation, spectrum, and what a recurrent judge and a recurrent pupil find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import InputError
from ..core.random import GLOBAL, derive, forked
from .results import Figure, Floats


# --- second moments ---------------------------------------------------------------------------------------------------
def autocorrelation(x: Floats, lags: int) -> Floats:
    r"""Return the autocorrelation of windows ``(N, T, d)`` at the lags 0 to ``lags``, ``(lags + 1, d)``.

    .. math:: r_l = \frac{\mathrm{mean}_{n,t}\,(x_{n,t} - m)(x_{n,t+l} - m)}{\mathrm{mean}_{n,t}\,(x_{n,t} - m)^2}

    with one mean m for all windows, so that a level that goes from window to window counts. NaN counts nothing.

    Raises:
        InputError: There are no such lags.

    Example:
        >>> autocorrelation(np.array([[[1.0], [-1.0], [1.0], [-1.0]]]), 2).ravel().tolist()
        [1.0, -1.0, 1.0]
    """
    steps = x.shape[1]
    if not 0 <= lags < steps:
        raise InputError(f"Lags lie within a window, but got {lags} and windows of {steps} steps. Take fewer.")
    z = x - np.nanmean(x, axis=(0, 1))
    variance = np.nanmean(z**2, axis=(0, 1))
    found = np.stack([np.nanmean(z[:, : steps - lag] * z[:, lag:], axis=(0, 1)) for lag in range(lags + 1)])
    return np.asarray(found / np.where(variance > 0, variance, 1.0))


def spectrum(x: Floats) -> Floats:
    """Return the share of the variance within windows ``(N, T, d)`` that each frequency has, ``(T // 2, d)``.

    Frequencies are 1/T, 2/T ... 1/2 (or below it) a step; windows lose their mean and missing entries count as it.

    Example:
        >>> wave = np.cos(2 * np.pi * np.arange(8) / 4)
        >>> spectrum(wave[None, :, None]).ravel().round(6).tolist()
        [0.0, 1.0, 0.0, 0.0]
    """
    mean = np.nanmean(x, axis=1, keepdims=True)
    z = np.where(np.isnan(x), 0.0, x - mean)
    steps = x.shape[1]
    power = (np.abs(np.fft.rfft(z, axis=1)) ** 2).mean(0)[1:]
    power[: (steps - 1) // 2] *= 2  # frequencies below 1/2 stand for their negative ones too
    total = power.sum(0)
    return np.asarray(power / np.where(total > 0, total, 1.0))


def autocorrelation_distance(a: Floats, b: Floats, lags: int) -> float:
    """Return the mean absolute difference of autocorrelations at the lags 1 to ``lags``, over columns."""
    return float(np.abs(autocorrelation(a, lags)[1:] - autocorrelation(b, lags)[1:]).mean())


def spectrum_distance(a: Floats, b: Floats) -> float:
    """Return half the sum of absolute differences of the shares of frequencies, 0 to 1, the mean over columns."""
    return float(0.5 * np.abs(spectrum(a) - spectrum(b)).sum(0).mean())


# --- judge and pupil --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """How judge and pupil learn; the defaults are those of TimeGAN's evaluation.

    Args:
        steps: Steps of training.
        batch_size: Windows of a step, of either sort.
        width: Width of the recurrent state; half the columns by default, 2 at least.
        lr: Learning rate of Adam.
        seed: Seed of weights, batches and of which windows are kept for the test.
    """

    steps: int = 2000
    batch_size: int = 128
    width: int | None = None
    lr: float = 1e-3
    seed: int = 0

    def state(self, columns: int) -> int:
        """Return the width of the recurrent state."""
        return self.width or max(2, columns // 2)


class _Recurrent(nn.Module):
    def __init__(self, columns: int, width: int, *, each: bool) -> None:
        super().__init__()
        self.net, self.out, self.each = nn.GRU(columns, width, batch_first=True), nn.Linear(width, 1), each

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.net(x)
        found: Tensor = self.out(states if self.each else states[:, -1]).squeeze(-1)
        return found


def _learn(model: nn.Module, loss: Callable[[], Tensor], course: JudgeSettings, steps: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), course.lr)
    with torch.enable_grad():
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss())
            optimiser.step()


def _windows(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    if real.ndim != 3 or made.ndim != 3 or real.shape[1:] != made.shape[1:] or min(len(real), len(made)) < 10:
        raise InputError(
            "Windows (N, T, d) are compared, ten at least of either sort and all of one shape, but got "
            f"{tuple(real.shape)} and {tuple(made.shape)}. Give more windows."
        )
    return real.float(), made.float()


def discriminative_score(real: Tensor, made: Tensor, course: JudgeSettings | None = None) -> Figure:
    r"""Return how far above chance a recurrent judge tells windows from samples: :math:`|\mathrm{accuracy} - 1/2|`.

    0 is best, 0.5 worst. Four fifths of either sort train the judge, the rest are the test, as TimeGAN's evaluation
    does it. The windows of the test may overlap with those that trained the judge, which helps the judge.

    Args:
        real: Windows ``(N, T, d)``, on one scale for all columns.
        made: Samples of the same shape.
        course: How the judge learns.

    Returns:
        The score, with the binomial error of the accuracy, and the accuracy on either sort.

    Reference:
        Time-series Generative Adversarial Networks (Yoon, Jarrett and van der Schaar, 2019), section 5.
    """
    course, (real, made) = course or JudgeSettings(), _windows(real, made)
    with GLOBAL, forked(derive(course.seed, "discriminative score")):
        parts = [x[torch.randperm(len(x))] for x in (real, made)]
        train, test = zip(*(x.split([(cut := int(0.8 * len(x))), len(x) - cut]) for x in parts), strict=True)
        judge = _Recurrent(real.shape[2], course.state(real.shape[2]), each=False)
        rows = min(course.batch_size, *map(len, train))

        def loss() -> Tensor:
            logits = [judge(x[torch.randint(len(x), (rows,))]) for x in train]
            return sum((F.binary_cross_entropy_with_logits(v, torch.full_like(v, y))
                        for v, y in zip(logits, (1.0, 0.0), strict=True)), torch.zeros(()))

        _learn(judge, loss, course, course.steps)
        with torch.no_grad():
            said = [judge(x) > 0 for x in test]
    right = [float(said[0].float().mean()), float((~said[1]).float().mean())]
    counts = [len(x) for x in test]
    accuracy = float(np.average(right, weights=counts))
    se = float(np.sqrt(accuracy * (1 - accuracy) / sum(counts)))
    return Figure(abs(accuracy - 0.5), se, sum(counts), course.seed, "discriminative score",
                  {"accuracy_real": right[0], "accuracy_made": right[1]})


def predictive_score(real: Tensor, made: Tensor, course: JudgeSettings | None = None) -> Figure:
    """Return how well a pupil that learned from samples alone predicts windows: the mean absolute error.

    The pupil sees all columns but the last up to a step and says the last one at the next step, as in TimeGAN's
    evaluation; of a single column it sees that one.

    Args:
        real: Windows ``(N, T, d)`` on the scale of the error.
        made: Samples of the same shape.
        course: How the pupil learns; with twice and a half its steps, as there.

    Returns:
        The error, its standard error over windows, and the error of a pupil that learned from the windows themselves.
    """
    course, (real, made) = course or JudgeSettings(), _windows(real, made)
    seen = slice(0, max(1, real.shape[2] - 1))

    def error(source: Tensor) -> Floats:
        with GLOBAL, forked(derive(course.seed, "predictive score")):
            pupil = _Recurrent(len(range(*seen.indices(real.shape[2]))), course.state(real.shape[2]), each=True)

            def loss() -> Tensor:
                x = source[torch.randint(len(source), (min(course.batch_size, len(source)),))]
                return (torch.sigmoid(pupil(x[:, :-1, seen])) - x[:, 1:, -1]).abs().mean()

            _learn(pupil, loss, course, course.steps * 5 // 2)
            with torch.no_grad():
                said = torch.sigmoid(pupil(real[:, :-1, seen]))
        return np.asarray((said - real[:, 1:, -1]).abs().mean(1).double().numpy())

    ours, floor = error(made), error(real)
    return Figure(float(ours.mean()), float(ours.std() / np.sqrt(len(ours))), len(ours), course.seed,
                  "predictive score", {"learned_from_data": float(floor.mean())})


def in_range(real: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Return windows on the scale on which the first of them go from 0 to 1 in each column.

    Example:
        >>> in_range(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[2.0], [5.0]]]))[1].ravel().tolist()
        [0.5, 2.0]
    """
    low, high = real.amin((0, 1)), real.amax((0, 1))
    spread = torch.where(high > low, high - low, 1.0)
    return tuple((x - low) / spread for x in (real, *others))
