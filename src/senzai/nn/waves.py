"""Convolutions along the samples of waves that look back only, so that what arrives later changes nothing before it."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError, ShapeError
from ..core.examples import example
from ..core.spec import part
from .inputs import DataInitialised, Decoder, Encoder, as_float
from .layers import ACTIVATIONS, halves, initialise_weights, with_condition
from .products import Linear
from .recomputing import Recomputable, sparingly

FIRST, INNER = 7, 3
"""Samples that the first convolution and those of residual pairs see."""


def check_waves(event: tuple[int, ...], strides: tuple[int, ...], activation: str) -> None:
    """Refuse rows that are no waves, strides that are none, and gated units, which would halve the channels."""
    if halves(activation) != 1:
        raise SettingError(f"Networks of waves take no gated units, but got activation={activation!r}. Use silu.")
    if len(event) != 2 or min(event) < 1:
        raise SettingError(
            f"A network of waves needs rows of shape (channels, samples), but got {tuple(event)}. For sound, set "
            "form=wave; use the mlp network for other data."
        )
    if not strides or min(strides) < 2:
        raise SettingError(f"`strides` are whole numbers from 2 on, but got {strides!r}. (4, 4, 5) makes one of 80.")


def channels_of(width: int, n_stages: int) -> list[int]:
    """Return the channels before and after each stage: doubled up to four times.

    Example:
        >>> channels_of(8, 3)
        [8, 16, 32, 32]
    """
    at_least(1, width=width)
    return [width * min(2**i, 4) for i in range(n_stages + 1)]


@final
class Causal(nn.Module):
    """A convolution whose output at a step sees this step and those before it.

    Args:
        n_in: Channels that come in.
        n_out: Channels that go out.
        size: Samples that it sees.
        stride: Samples that become one.
        dilation: Distance of the samples that it sees.

    Example:
        >>> conv = Causal(1, 2, 8, stride=4)
        >>> conv(torch.zeros(3, 1, 12)).shape, conv.back
        (torch.Size([3, 2, 3]), 4)
    """

    def __init__(self, n_in: int, n_out: int, size: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, size, stride=stride, dilation=dilation)
        self.back = dilation * (size - 1) + 1 - stride

    def forward(self, h: Tensor) -> Tensor:
        """Return one step for every ``stride``."""
        found: Tensor = self.conv(F.pad(h, (self.back, 0)))
        return found


@final
class CausalPair(Recomputable):
    """Two convolutions that are added to what came in; the second starts as nothing."""

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        self.first = Causal(channels, channels, INNER, dilation=INNER)
        self.body = nn.Sequential(act(), self.first, act(), nn.Conv1d(channels, channels, 1))

    def forward(self, h: Tensor) -> Tensor:
        """Return steps of the same shape."""
        found: Tensor = h + sparingly(self.body, h)
        return found


@final
class WaveStages(DataInitialised):
    """From waves to frames of features: a convolution, then stages that see twice the samples they make one of.

    Frame ``i`` sees the samples before ``(i + 1) * total`` alone, ``context`` of them before its own at most.

    Args:
        n_channels: Channels of the waves.
        strides: Samples that become one, stage by stage.
        width: Channels of the first stage; they double up to four times.
        activation: One of ``senzai.nn.ACTIVATIONS``.

    Example:
        >>> net = WaveStages(1, (2, 4), width=4)
        >>> net(torch.zeros(5, 1, 33)).shape, net.total, net.context
        (torch.Size([5, 16, 5]), 8, 48)
    """

    scale: Tensor

    def __init__(
        self, n_channels: int, strides: tuple[int, ...], *, width: int = 16, activation: str = "silu"
    ) -> None:
        super().__init__()
        channels = channels_of(width, len(strides))
        self.total, self.n_out = prod(strides), channels[-1]
        self.register_buffer("scale", torch.ones(()))
        layers: list[nn.Module] = [Causal(n_channels, channels[0], FIRST)]
        sees, step = FIRST - 1, 1
        for (a, b), stride in zip(pairwise(channels), strides, strict=True):
            layers += [CausalPair(a, activation), ACTIVATIONS[activation](), Causal(a, b, 2 * stride, stride=stride)]
            sees += step * (INNER * (INNER - 1) + 2 * stride - 1)
            step *= stride
        self.layers = nn.Sequential(*layers)
        self.context = -(-sees // self.total) * self.total

    def initialise(self, batch: Batch) -> None:
        """Take the size of the waves from the data."""
        x, seen = as_float(batch.tensor), batch.observed
        there = x if seen is None else x[seen]
        self.scale.copy_(there.square().mean().sqrt().clamp_min(1e-6) if there.numel() else torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return frames ``(B, n_out, ceil(T / total))`` of waves ``(B, channels, T)``; silence follows the end."""
        found: Tensor = self.layers(F.pad(x / self.scale, (0, -x.shape[-1] % self.total)))
        return found


@example(data="waves")
@part("encoder", "waves")
@final
class WaveEncoder(Encoder):
    """Stages of :class:`WaveStages` and one layer over all frames.

    Args:
        event: ``(channels, samples)``.
        strides: Samples that become one, stage by stage.
        width: Channels of the first stage.
        n_features: Width of the output.
        n_condition: Width of the condition appended before the last layer.
        activation: One of ``senzai.nn.ACTIVATIONS``.

    Example:
        >>> WaveEncoder((1, 400), width=4)(Batch(torch.zeros(5, 1, 400))).shape
        torch.Size([5, 128])
    """

    def __init__(
        self, event: tuple[int, ...], *, strides: tuple[int, ...] = (4, 4, 5), width: int = 16, n_features: int = 128,
        n_condition: int = 0, activation: str = "silu",
    ) -> None:
        super().__init__()
        check_waves(event, tuple(strides), activation)
        at_least(1, n_features=n_features)
        at_least(0, n_condition=n_condition)
        self.event, self.n_features, self.n_condition = tuple(event), n_features, n_condition
        self.stages = WaveStages(event[0], tuple(strides), width=width, activation=activation)
        flat = self.stages.n_out * -(-event[1] // self.stages.total)
        self.out = nn.Sequential(Linear(flat + n_condition, n_features), ACTIVATIONS[activation]())
        initialise_weights(self, activation)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        flat = self.stages(need_waves(batch, self.event)).flatten(1)
        features: Tensor = self.out(with_condition(flat, batch.c if self.n_condition else None))
        return features


@example(data="waves", settings={"decoder": "waves"})
@part("decoder", "waves")
@final
class WaveDecoder(Decoder):
    """The mirror of :class:`WaveStages`: frames, and stages that make several steps of one, which look back only.

    Args:
        n_latent: Width of the latent code: of a vector, or of all frames, flat.
        raw_shape: ``(n_raw, channels, samples)``.
        frames: Number of frames that the code consists of; ``None`` for a code that is one vector.
        strides: As in the encoder.
        width: Channels of the last stage.
        n_condition: Width of the condition appended to a vector.
        activation: One of ``senzai.nn.ACTIVATIONS``.

    Raises:
        SettingError: The code has another number of frames than the samples need.

    Example:
        >>> WaveDecoder(2, (1, 1, 400), width=4)(torch.zeros(7, 5, 2)).shape
        torch.Size([7, 5, 1, 1, 400])
    """

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], *, frames: int | None = None,
        strides: tuple[int, ...] = (4, 4, 5), width: int = 16, n_condition: int = 0, activation: str = "silu",
    ) -> None:
        super().__init__()
        check_waves(raw_shape[1:], tuple(strides), activation)
        at_least(1, n_latent=n_latent)
        at_least(0, n_condition=n_condition)
        self.raw_shape = tuple(raw_shape)
        n_raw, n_channels, samples = raw_shape
        channels, needed = channels_of(width, len(strides))[::-1], -(-samples // prod(strides))
        if frames is not None and (frames != needed or n_latent % frames):
            raise SettingError(
                f"{samples} samples need {needed} frames of one width each, but got frames={frames!r} and "
                f"n_latent={n_latent!r}. Use the strides of the encoder."
            )
        self.frames, self.n_condition = needed, n_condition if frames is None else 0
        wide = channels[0] if frames is None else n_latent // needed
        start = Linear(n_latent + self.n_condition, wide * needed) if frames is None else nn.Identity()
        self.start, act = start, ACTIVATIONS[activation]
        layers: list[nn.Module] = [Causal(wide, channels[0], INNER)]
        for (a, b), stride in zip(pairwise(channels), strides[::-1], strict=True):
            layers += [act(), Causal(a, b * stride, INNER), Unfolded(stride), CausalPair(b, activation)]
        self.layers = nn.Sequential(*layers, act(), Causal(channels[-1], n_raw * n_channels, FIRST))
        initialise_weights(self, activation)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, channels, samples)``."""
        lead = z.shape[:-1]
        flat: Tensor = self.start(with_condition(z, c if self.n_condition else None).flatten(0, -2))
        found: Tensor = self.layers(flat.unflatten(-1, (self.frames, -1)).transpose(1, 2))[..., : self.raw_shape[-1]]
        return found.reshape(*lead, *self.raw_shape)


@final
class Unfolded(nn.Module):
    """Several steps from one: channels ``n * k`` become ``k`` steps of ``n``."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, h: Tensor) -> Tensor:
        """Return ``(B, C // n, T * n)``."""
        parted: Tensor = h.unflatten(1, (-1, self.n))
        return parted.transpose(2, 3).flatten(2)


def need_waves(batch: Batch, event: tuple[int, ...]) -> Tensor:
    """Return rows of the shape that a network was made for; what was not observed is silence.

    Raises:
        ShapeError: They have another.
    """
    x, seen = as_float(batch.tensor), batch.observed
    if tuple(x.shape[1:]) != event:
        raise ShapeError(
            f"Rows must have the shape {event}, but got {tuple(x.shape[1:])}. Give waves of the length the model was "
            "trained on, or train a new model."
        )
    return x if seen is None else torch.where(seen, x, torch.zeros_like(x))
