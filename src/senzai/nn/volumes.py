"""Convolutions in three dimensions, for patches of volumes: one size halved until the smallest side is at most four."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.spec import part
from .conv import SPREAD_AT_START, channels_of, group_norm
from .inputs import Decoder, Encoder, Scaling, Standardise
from .layers import ACTIVATIONS, check_dropout, initialise_weights, with_condition
from .products import Linear
from .recomputing import Recomputable, sparingly

Size = tuple[int, int, int]


def halved(event: tuple[int, ...], n_stages: int | None) -> list[Size]:
    """Return the sizes after the first convolution and after each stage; each side stops at one.

    Example:
        >>> halved((1, 32, 20, 6), None), halved((1, 9, 9, 9), 1)
        ([(16, 10, 3)], [(5, 5, 5), (3, 3, 3)])
    """
    if len(event) != 4 or min(event) < 1:
        raise SettingError(
            f"Convolutions in three dimensions need rows of the shape (channels, X, Y, Z), but got {tuple(event)}. "
            "Use the network conv for pictures, mlp for other data."
        )
    if n_stages is not None:
        at_least(0, n_stages=n_stages)

    def half(size: Size) -> Size:
        a, b, c = (-(-n // 2) for n in size)
        return a, b, c

    sizes = [half((event[1], event[2], event[3]))]
    while (min(sizes[-1]) > 4) if n_stages is None else (len(sizes) <= n_stages):
        sizes.append(half(sizes[-1]))
    return sizes


class VolumeBlock(Recomputable):
    """A residual pair of convolutions with normalisation, which starts as nothing."""

    def __init__(self, channels: int, *, activation: str, dropout: float) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        drop = [nn.Dropout3d(dropout)] if dropout else []
        last = group_norm(channels)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1), group_norm(channels), act(), *drop,
            nn.Conv3d(channels, channels, 3, padding=1), last, act(),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Return numbers of the same shape."""
        out: Tensor = h + sparingly(self.body, h)
        return out


@part("encoder", "volume")
@example(data="volumes")
@final
class VolumeEncoder(Encoder):
    """Stages that halve every side, then one linear layer.

    Args:
        event: ``(channels, X, Y, Z)``.
        width: Channels of the first stage; they double per stage up to four times.
        n_features: Width of the output.
        n_stages: How often sizes are halved after the first time; ``None`` until the smallest side is at most four.
        n_condition: Width of the condition appended to the flat features.
        masked: Whether rows come with a mask (it is appended as channels).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        scaling: How inputs are scaled; see :class:`Standardise`.

    Example:
        >>> import torch
        >>> VolumeEncoder((1, 9, 8, 6), width=4)(Batch(torch.zeros(2, 1, 9, 8, 6))).shape
        torch.Size([2, 256])
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 16, n_features: int = 256, n_stages: int | None = None,
        n_condition: int = 0, masked: bool = False, activation: str = "silu", dropout: float = 0.0,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        sizes = halved(event, n_stages)
        check_dropout(dropout)
        at_least(1, n_features=n_features)
        at_least(0, n_condition=n_condition)
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        self.n_condition, self.n_features = n_condition, n_features
        chans = [event[0] * (2 if masked else 1), *channels_of(width, len(sizes), activation)]
        self.stages = nn.Sequential(*(
            nn.Sequential(
                nn.Conv3d(a, b, 3, stride=2, padding=1), VolumeBlock(b, activation=activation, dropout=dropout)
            )
            for a, b in pairwise(chans)
        ))
        n_flat = chans[-1] * prod(sizes[-1])
        self.out = nn.Sequential(Linear(n_flat + n_condition, n_features), ACTIVATIONS[activation]())
        initialise_weights(self, activation)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        h: Tensor = self.stages(self.inputs(batch.tensor, batch.observed)).flatten(1)
        features: Tensor = self.out(with_condition(h, batch.c if self.n_condition else None))
        return features


@part("decoder", "volume")
@example(data="volumes")
@final
class VolumeDecoder(Decoder):
    """The mirror of :class:`VolumeEncoder`: linear layer, stages that double every side, no grid from upsampling.

    Args:
        n_latent: Width of the latent code.
        raw_shape: ``(n_raw, channels, X, Y, Z)``.
        width: Channels of the last stage, as in the encoder.
        n_stages: As in the encoder.
        n_condition: Width of the condition appended to the latents.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.

    Example:
        >>> import torch
        >>> VolumeDecoder(2, (1, 1, 9, 8, 6), width=4)(torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3, 1, 1, 9, 8, 6])
    """

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], *, width: int = 16, n_stages: int | None = None,
        n_condition: int = 0, activation: str = "silu", dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = halved(tuple(raw_shape[1:]), n_stages)[::-1]
        check_dropout(dropout)
        at_least(1, n_latent=n_latent)
        self.raw_shape, self.n_condition = tuple(raw_shape), n_condition
        self.sizes = [*sizes[1:], (raw_shape[2], raw_shape[3], raw_shape[4])]
        chans = channels_of(width, len(sizes), activation)[::-1]
        self.start_shape = (chans[0], *sizes[0])
        self.start = nn.Sequential(Linear(n_latent + n_condition, prod(self.start_shape)), ACTIVATIONS[activation]())
        block = [VolumeBlock(c, activation=activation, dropout=dropout) for c in chans]
        wider = [nn.Conv3d(a, b, 3, padding=1) for a, b in pairwise([*chans, chans[-1]])]
        self.stages = nn.ModuleList(nn.Sequential(b, w) for b, w in zip(block, wider, strict=True))
        last = nn.Conv3d(chans[-1], raw_shape[0] * raw_shape[1], 3, padding=1)
        self.out = nn.Sequential(ACTIVATIONS[activation](), last)
        initialise_weights(self, activation)
        last.weight.data.mul_(SPREAD_AT_START)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, channels, X, Y, Z)``."""
        lead = z.shape[:-1]
        given = with_condition(z, c if self.n_condition else None)
        h = self.start(given.reshape(-1, given.shape[-1])).unflatten(-1, self.start_shape)
        for size, stage in zip(self.sizes, self.stages, strict=True):
            h = F.interpolate(stage(h), size=size, mode="nearest")
        raw: Tensor = self.out(h)
        return raw.reshape(*lead, *self.raw_shape)
