"""Convolutional encoder and decoder for images of any height, width and channel count.

A space-to-depth stem makes the first layer see 2 x 2 pixels as channels, which costs a fraction of a full-resolution
convolution. Sizes halve, rounding up, until the smaller side is at most four; the decoder walks the same sizes back
by nearest-neighbour upsampling, which leaves no checkerboard, and crops what rounding up had added.
"""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from .inputs import Decoder, Encoder, Scaling, Standardise
from .layers import ACTIVATIONS, bounded, check_dropout, halves, initialise_weights, linear_out, with_condition
from .products import Linear
from .recomputing import Recomputable, sparingly


def halvings(height: int, width: int, n_stages: int | None) -> list[tuple[int, int]]:
    """Return the sizes after the stem and after each stage.

    Example:
        >>> halvings(28, 20, None)
        [(14, 10), (7, 5), (4, 3)]
    """
    if n_stages is not None and n_stages < 0:
        raise SettingError(f"`n_stages >= 0` must hold, but got n_stages={n_stages!r}. Leave it out to have it chosen.")
    sizes = [(-(-height // 2), -(-width // 2))]
    while (min(sizes[-1]) > 4) if n_stages is None else (len(sizes) <= n_stages):
        h, w = sizes[-1]
        sizes.append((-(-h // 2), -(-w // 2)))
    return sizes


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with groups of about sixteen channels; it does not mix rows, unlike batch normalisation."""
    groups = max(g for g in range(1, max(1, channels // 16) + 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


class ConvBlock(Recomputable):
    """Convolution with normalisation and activation, as a plain layer or a residual pair."""

    def __init__(self, channels: int, *, activation: str, residual: bool, dropout: float) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]

        def conv() -> list[nn.Module]:
            return [nn.Conv2d(channels, channels, 3, padding=1), group_norm(channels), act()]

        drop = [nn.Dropout2d(dropout)] if dropout else []
        self.body = nn.Sequential(*conv(), *drop, *(conv() if residual else []))
        self.residual = residual
        if residual:
            last = self.body[-2]
            assert isinstance(last, nn.GroupNorm)
            nn.init.zeros_(last.weight)  # a pair starts as nothing, so that depth does not add up

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of the same shape."""
        out: Tensor = sparingly(self.body, h)
        return h + out if self.residual else out


SPREAD_AT_START = 0.1
"""Factor on the weights of a decoder's last convolution."""


def smooth_start(out: nn.Conv2d, block: int = 2) -> None:
    """Start a convolution before depth-to-space so that all pixels of a block are alike, and near to nothing.

    Independent weights for the pixels of a block draw a grid over every picture, which training takes long to remove;
    large ones start the scales of a likelihood anywhere, so that what should be noise drowns what should be learned.

    Reference:
        Checkerboard artifact free sub-pixel convolution (Aitken et al., 2017). https://arxiv.org/abs/1707.02937

    Args:
        out: The convolution, ``block ** 2`` channels for each that is shown.
        block: Side of a block.
    """
    first = out.weight.new_empty(out.out_channels // block**2, *out.weight.shape[1:])
    nn.init.xavier_uniform_(first)
    with torch.no_grad():
        out.weight.copy_(SPREAD_AT_START * first.repeat_interleave(block**2, 0))


def check_image(event: tuple[int, ...]) -> None:
    """Refuse rows that are no images."""
    if len(event) != 3 or min(event) < 1:
        raise SettingError(
            f"A convolutional network needs images of shape (channels, height, width), but got {tuple(event)}. "
            "Use the mlp network for other data."
        )


def channels_of(width: int, n_sizes: int, activation: str) -> list[int]:
    """Return the channels at each size: doubled per stage up to four times."""
    if halves(activation) != 1:
        raise SettingError(f"Convolutional networks take no gated units, but got activation={activation!r}. Use silu.")
    if width < 1:
        raise SettingError(f"`width >= 1` must hold, but got width={width!r}. Give the channels of the first stage.")
    return [width * min(2**i, 4) for i in range(n_sizes)]


@part("encoder", "conv")
@final
class ConvEncoder(Encoder):
    """Space-to-depth stem, then stages that halve the size, then one linear layer.

    Args:
        event: ``(channels, height, width)``.
        width: Channels of the first stage; they double per stage up to four times.
        n_features: Width of the output.
        n_stages: How often the size is halved after the stem; ``None`` until the smaller side is at most four.
        residual: Residual pairs of convolutions instead of single ones.
        n_condition: Width of the condition appended to the flat features.
        masked: Whether rows come with a mask (it is appended as channels).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        scaling: How inputs are scaled; see :class:`Standardise`.

    Example:
        >>> import torch
        >>> ConvEncoder((3, 17, 12), width=8)(Batch(torch.zeros(2, 3, 17, 12))).shape
        torch.Size([2, 256])
    """

    def __init__(
        self,
        event: tuple[int, ...],
        *,
        width: int = 32,
        n_features: int = 256,
        n_stages: int | None = None,
        residual: bool = True,
        n_condition: int = 0,
        masked: bool = False,
        activation: str = "silu",
        dropout: float = 0.0,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        check_image(event)
        check_dropout(dropout)
        at_least(1, n_features=n_features)
        at_least(0, n_condition=n_condition)
        c, h, w = event
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        self.n_condition, self.n_features = n_condition, n_features
        sizes = halvings(h, w, n_stages)
        chans = channels_of(width, len(sizes), activation)
        stem = nn.Conv2d(4 * c * (2 if masked else 1), chans[0], 3, padding=1)
        layers: list[nn.Module] = [stem, ConvBlock(chans[0], activation=activation, residual=residual, dropout=dropout)]
        for a, b in pairwise(chans):
            layers += [
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                ConvBlock(b, activation=activation, residual=residual, dropout=dropout),
            ]
        self.stages = nn.Sequential(*layers)
        n_flat = chans[-1] * sizes[-1][0] * sizes[-1][1]
        self.out = nn.Sequential(Linear(n_flat + n_condition, n_features), ACTIVATIONS[activation]())
        initialise_weights(self, activation)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        x: Tensor = self.inputs(batch.tensor, batch.observed)
        x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        flat = self.stages(F.pixel_unshuffle(x, 2)).flatten(1)
        features: Tensor = self.out(with_condition(flat, batch.c if self.n_condition else None))
        return features


@part("decoder", "conv")
@final
class ConvDecoder(Decoder):
    """The mirror of :class:`ConvEncoder`: linear layer, stages that double the size, depth-to-space at the end.

    Args:
        n_latent: Width of the latent code.
        raw_shape: ``(n_raw, channels, height, width)``.
        width: Channels of the last stage, as in the encoder.
        n_stages: As in the encoder.
        residual: As in the encoder.
        n_condition: Width of the condition appended to the latents.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        skip: Give the latents (and the condition) to every stage again, so that no stage can lose them.
        spectral: Keep the largest singular value of every weight at one.

    Example:
        >>> import torch
        >>> ConvDecoder(2, (1, 3, 17, 12), width=8)(torch.zeros(5, 2)).shape
        torch.Size([5, 1, 3, 17, 12])
    """

    def __init__(
        self,
        n_latent: int,
        raw_shape: tuple[int, ...],
        *,
        width: int = 32,
        n_stages: int | None = None,
        residual: bool = True,
        n_condition: int = 0,
        activation: str = "silu",
        dropout: float = 0.0,
        skip: bool = False,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        check_image(raw_shape[1:])
        check_dropout(dropout)
        at_least(1, n_latent=n_latent)
        at_least(0, n_condition=n_condition)
        self.raw_shape, self.n_condition = tuple(raw_shape), n_condition
        n_raw, c, h, w = raw_shape
        self.sizes = halvings(h, w, n_stages)[::-1]
        chans = channels_of(width, len(self.sizes), activation)[::-1]
        self.start_shape = (chans[0], *self.sizes[0])
        start = Linear(n_latent + n_condition, chans[0] * self.sizes[0][0] * self.sizes[0][1])
        self.start = nn.Sequential(start, ACTIVATIONS[activation]())
        self.first = ConvBlock(chans[0], activation=activation, residual=residual, dropout=dropout)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1),
                ConvBlock(b, activation=activation, residual=residual, dropout=dropout),
            )
            for a, b in pairwise(chans)
        )
        self.out = nn.Conv2d(chans[-1], 4 * n_raw * c, 3, padding=1)
        initialise_weights(self, activation)
        smooth_start(self.out)
        ways = nn.ModuleList(linear_out(n_latent + n_condition, a, bias=False) for a in chans)
        self.again = ways if skip else nn.ModuleList()
        if spectral:
            bounded(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, channels, height, width)``."""
        lead = z.shape[:-1]
        given = with_condition(z, c if self.n_condition else None)
        flat = given.reshape(-1, given.shape[-1])
        h = self._again(0, self.first(self.start(flat).unflatten(-1, self.start_shape)), flat)
        for i, (size, stage) in enumerate(zip(self.sizes[1:], self.stages, strict=True), start=1):
            h = self._again(i, stage(F.interpolate(h, size=size, mode="nearest")), flat)
        raw = F.pixel_shuffle(self.out(h), 2)[..., : self.raw_shape[-2], : self.raw_shape[-1]]
        return raw.reshape(*lead, *self.raw_shape)

    def _again(self, i: int, h: Tensor, flat: Tensor) -> Tensor:
        """Add the latents' way to stage ``i``, the same at every pixel."""
        return h + self.again[i](flat)[..., None, None] if len(self.again) else h
