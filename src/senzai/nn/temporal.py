"""Convolutions along time: an encoder of windows, and a decoder with level, trend, season and residual.

After TimeVAE (Desai et al., 2021, https://arxiv.org/abs/2111.08095). Its season is one number for each place in a
season, which needs windows that all begin at the same place; here a season is a few waves whose phase the latents set,
so that windows may begin anywhere.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError, ShapeError
from ..core.examples import example
from ..core.spec import part
from .inputs import Decoder, Encoder, Scaling
from .layers import ACTIVATIONS, check_dropout, halves, initialise_weights, with_condition
from .products import Linear
from .recurrent import StepInputs, observed_entries

SHORTEST = 3
"""Steps below which a window is not halved again."""


def halves_of(steps: int, n_stages: int) -> list[int]:
    """Return the steps of a window and those after each stage, halved and rounded up, while there are enough.

    Example:
        >>> halves_of(24, 3), halves_of(4, 3)
        ([24, 12, 6, 3], [4, 2])
    """
    sizes = [steps]
    while len(sizes) <= n_stages and sizes[-1] > SHORTEST:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def check_steps(event: tuple[int, ...], activation: str) -> None:
    """Refuse rows that are no windows of series, and gated units, which would halve the channels."""
    if halves(activation) != 1:
        raise SettingError(f"Temporal networks take no gated units, but got activation={activation!r}. Use silu.")
    if len(event) != 2 or min(event) < 1:
        raise SettingError(
            f"A temporal network needs windows of shape (steps, columns), but got {tuple(event)}. "
            "Use the mlp network for other data."
        )


def check_known(known: int, steps: int, n_condition: int) -> None:
    """Refuse more columns along the steps than the condition has room for."""
    at_least(0, known=known)
    if known * steps > n_condition:
        raise SettingError(
            f"Columns along {steps} steps are part of the condition: `known * steps <= n_condition` must hold, but got "
            f"known={known} and n_condition={n_condition}. Leave known=... to the kind of the data."
        )


def divided(c: Tensor | None, known: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return the part of a condition that is the window's, and the columns along its steps, ``(B, known, steps)``.

    Raises:
        ShapeError: There is no condition.

    Example:
        >>> rest, along = divided(torch.arange(5.0).unsqueeze(0), 2, 2)
        >>> rest.tolist(), along.tolist()
        ([[0.0]], [[[1.0, 2.0], [3.0, 4.0]]])
    """
    if c is None:
        raise ShapeError(f"This network is told {known} columns along the steps, but got no condition. Give it.")
    cut = c.shape[-1] - known * steps
    return c[..., :cut], c[..., cut:].unflatten(-1, (known, steps))


@example(data="sequences")
@part("encoder", "temporal")
@final
class TemporalEncoder(Encoder):
    """Convolutions along time, each of which halves the steps, and one layer.

    Args:
        event: ``(steps, columns)``.
        width: Channels of the first stage; each stage doubles them, up to four times.
        n_stages: How often the steps are halved, at most.
        n_features: Width of the output.
        n_condition: Width of the condition appended before the last layer.
        known: Columns of the condition that lie along the steps: its last ``known * steps`` entries, a column after the
            other. They go with the columns of the window.
        masked: Whether rows come with holes.
        scaling: How inputs are scaled, column by column.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.

    Example:
        >>> TemporalEncoder((24, 6), width=8)(Batch(torch.zeros(5, 24, 6))).shape
        torch.Size([5, 128])
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 32, n_stages: int = 3, n_features: int = 128,
        n_condition: int = 0, masked: bool = False, scaling: Scaling | None = None, activation: str = "silu",
        dropout: float = 0.0, known: int = 0,
    ) -> None:
        super().__init__()
        check_steps(event, activation)
        check_dropout(dropout)
        at_least(1, width=width, n_features=n_features)
        at_least(0, n_condition=n_condition, n_stages=n_stages)
        check_known(known, event[0], n_condition)
        self.n_features, self.n_condition, self.known = n_features, n_condition, known
        self.inputs = StepInputs(event[1], masked=masked, scaling=scaling)
        sizes = halves_of(event[0], n_stages)
        channels = [self.inputs.width + known, *(width * min(4, 2**i) for i in range(len(sizes) - 1))]
        layers: list[nn.Module] = []
        for a, b in pairwise(channels):
            layers += [nn.Conv1d(a, b, 5, stride=2, padding=2), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.stages = nn.Sequential(*layers)
        self.out = nn.Sequential(
            Linear(channels[-1] * sizes[-1] + n_condition - known * event[0], n_features), ACTIVATIONS[activation]()
        )
        initialise_weights(self, activation)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        x: Tensor = self.inputs(batch.tensor, observed_entries(batch)).transpose(1, 2)
        rest = batch.c if self.n_condition else None
        if self.known:
            rest, along = divided(rest, self.known, x.shape[2])
            x = torch.cat([x, along], 1)
        features: Tensor = self.out(with_condition(self.stages(x).flatten(1), rest))
        return features


@example(data="sequences", settings={"decoder": "temporal", "decoder.season": 2})
@part("decoder", "temporal")
@final
class TemporalDecoder(Decoder):
    r"""Level, trend, season and residual, added up.

    .. math:: \mu_t = a(z) + \sum_p b_p(z)\, u_t^p + \sum_h \big[c_h(z) \cos\tfrac{2 \pi h t}{s}
        + d_h(z) \sin\tfrac{2 \pi h t}{s}\big] + r_t(z), \qquad u_t = t / T

    The residual comes from convolutions that double the steps; further raw numbers (a scale that is not shared) from
    them alone.

    Args:
        n_latent: Width of the latent code.
        raw_shape: ``(n_raw, steps, columns)``.
        width: Channels of the last stage.
        n_stages: How often the steps are doubled, at most.
        n_condition: Width of the condition appended to the latents.
        known: Columns of the condition that lie along the steps: its last ``known * steps`` entries, a column after the
            other. Convolutions take them to the steps they belong to; level, trend and season are told the first step.
        degree: Degree of the trend; 0 for a level alone.
        season: Steps of a season; ``None`` for none.
        harmonics: Waves of a season, at most: the season itself, its half, its third ...
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.

    Example:
        >>> TemporalDecoder(2, (1, 24, 6), width=8, season=12)(torch.zeros(7, 5, 2)).shape
        torch.Size([7, 5, 1, 24, 6])
    """

    basis: Tensor

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], *, width: int = 32, n_stages: int = 3, n_condition: int = 0,
        degree: int = 2, season: int | None = None, harmonics: int = 3, activation: str = "silu", dropout: float = 0.0,
        known: int = 0,
    ) -> None:
        super().__init__()
        check_steps(raw_shape[1:], activation)
        check_dropout(dropout)
        at_least(1, n_latent=n_latent, width=width, harmonics=harmonics)
        at_least(0, n_condition=n_condition, degree=degree, n_stages=n_stages)
        check_known(known, raw_shape[1], n_condition)
        self.raw_shape, self.n_condition, self.known = tuple(raw_shape), n_condition, known
        n_raw, steps, columns = raw_shape
        self.register_buffer("basis", waves(steps, degree, season, harmonics))
        given, act = n_latent + n_condition - known * (steps - 1), ACTIVATIONS[activation]
        self.course = nn.Sequential(Linear(given, width), act(), Linear(width, len(self.basis) * columns))
        self.sizes = halves_of(steps, n_stages)[::-1]
        channels = [width * min(4, 2**i) for i in range(len(self.sizes))][::-1]
        self.start = nn.Sequential(Linear(given, channels[0] * self.sizes[0]), act())
        self.first = (channels[0], self.sizes[0])
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv1d(a, b, 5, padding=2), act(), nn.Dropout(dropout)) for a, b in pairwise(channels)
        )
        self.beside = None if not known else nn.Sequential(nn.Conv1d(known, width, 5, padding=2), act())
        self.joined = None if not known else nn.Sequential(nn.Conv1d(channels[-1] + width, channels[-1], 1), act())
        self.out = nn.Conv1d(channels[-1], n_raw * columns, 5, padding=2)
        initialise_weights(self, activation)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, steps, columns)``."""
        lead, (n_raw, steps, columns) = z.shape[:-1], self.raw_shape
        rest, along = c if self.n_condition else None, None
        if self.known:
            rest, along = divided(rest, self.known, steps)
            rest = torch.cat([rest, along[..., 0]], -1)
        given = with_condition(z, rest)
        flat = given.reshape(-1, given.shape[-1])
        h = self.start(flat).unflatten(-1, self.first)
        for size, stage in zip(self.sizes[1:], self.stages, strict=True):
            h = stage(F.interpolate(h, size=size, mode="nearest"))
        if self.beside is not None and self.joined is not None and along is not None:
            seen = self.beside(along).flatten(1)
            seen = seen.expand(*lead, seen.shape[-1]).reshape(len(h), -1, steps)
            h = self.joined(torch.cat([h, seen], 1))
        raw = self.out(h).reshape(-1, n_raw, columns, steps).transpose(2, 3)
        course = torch.einsum("nkc,kt->ntc", self.course(flat).unflatten(-1, (len(self.basis), columns)), self.basis)
        raw = torch.cat([raw[:, :1] + course.unsqueeze(1), raw[:, 1:]], 1)
        return raw.reshape(*lead, *self.raw_shape)


def waves(steps: int, degree: int, season: int | None, harmonics: int) -> Tensor:
    """Return the courses that level, trend and season are made of, ``(n, steps)``.

    Raises:
        SettingError: A season has fewer than two steps.

    Example:
        >>> waves(4, 1, 4, 1).round().tolist()
        [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1.0, -0.0, -1.0, 0.0], [0.0, 1.0, -0.0, -1.0]]
    """
    if season is not None and season < 2:
        raise SettingError(f"A season has two steps at least, but got season={season!r}. Leave it out for none.")
    t = torch.arange(steps, dtype=torch.float32)
    found = [(t / max(1, steps - 1)) ** p for p in range(degree + 1)]
    for h in range(1, 1 + (0 if season is None else min(harmonics, season // 2))):
        angle = 2 * math.pi * h * t / (season or 1)
        found += [torch.cos(angle), torch.sin(angle)]
    return torch.stack(found)
