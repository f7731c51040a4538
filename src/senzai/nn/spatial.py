"""Networks between images and maps of codes: nothing is flattened, a code stands for its own part of the picture."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from .conv import ConvBlock, channels_of, check_image, group_norm, halvings, smooth_start
from .inputs import Decoder, Encoder, Scaling, Standardise
from .layers import check_dropout, initialise_weights

Grid = tuple[int, int]


@final
class SelfAttention(nn.Module):
    """Every place of a map looks at all others: one head, added to what was there; it starts as nothing.

    Reference:
        Attention Is All You Need (Vaswani et al., 2017). https://arxiv.org/abs/1706.03762

    Args:
        channels: Channels of the map.

    Example:
        >>> x = torch.randn(2, 8, 3, 5)
        >>> bool((SelfAttention(8)(x) == x).all())
        True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.look = nn.Conv2d(channels, 3 * channels, 1)
        self.say = nn.Conv2d(channels, channels, 1)
        for tensor in self.say.parameters():
            nn.init.zeros_(tensor)

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of the same shape."""
        asked, known, told = (to_positions(part) for part in self.look(self.norm(h)).chunk(3, 1))
        seen = F.scaled_dot_product_attention(asked, known, told)
        found: Tensor = h + self.say(to_map(seen, (h.shape[-2], h.shape[-1])))
        return found


@final
class MapEncoder(nn.Module):
    """Space-to-depth stem and stages that halve the size, with a map of features at each of the last sizes.

    Args:
        event: ``(channels, height, width)``.
        width: Channels of the first stage; they double per stage up to four times.
        n_stages: How often the size is halved after the stem, down to the finest map.
        n_levels: Number of maps, each half as large as the one before.
        residual: Residual pairs of convolutions instead of single ones.
        n_condition: Width of the condition, shown to every pixel.
        masked: Whether rows come with a mask (it is appended as channels).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        scaling: How inputs are scaled; see :class:`Standardise`.

    Example:
        >>> [tuple(m.shape) for m in MapEncoder((1, 17, 12), width=8, n_levels=2)(Batch(torch.zeros(2, 1, 17, 12)))]
        [(2, 16, 5, 3), (2, 32, 3, 2)]
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 32, n_stages: int = 1, n_levels: int = 1, residual: bool = True,
        n_condition: int = 0, masked: bool = False, activation: str = "silu", dropout: float = 0.0,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        check_image(event)
        check_dropout(dropout)
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        self.n_condition, self.n_levels = n_condition, n_levels
        sizes = halvings(event[1], event[2], n_stages + n_levels - 1)
        chans = channels_of(width, len(sizes), activation)
        stem = nn.Conv2d(4 * event[0] * (2 if masked else 1) + n_condition, chans[0], 3, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(conv, ConvBlock(conv.out_channels, activation=activation, residual=residual, dropout=dropout))
            for conv in [stem, *(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(chans))]
        )
        self.grids: tuple[Grid, ...] = tuple(sizes[-n_levels:])
        self.channels: tuple[int, ...] = tuple(chans[-n_levels:])
        initialise_weights(self, activation)

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return maps ``(B, channels, height, width)``, the finest first."""
        x: Tensor = self.inputs(batch.tensor, batch.observed)
        h = F.pixel_unshuffle(F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)), 2)
        if self.n_condition and batch.c is not None:
            c = batch.c.to(h.dtype)[:, :, None, None]
            h = torch.cat([h, c.expand(*c.shape[:2], *h.shape[2:])], 1)
        found = []
        for stage in self.stages:
            h = stage(h)
            found.append(h)
        return found[-self.n_levels :]


def to_positions(h: Tensor) -> Tensor:
    """Return one vector per place of a map, row by row: ``(B, channels, H, W)`` to ``(B, H * W, channels)``."""
    return h.flatten(2).transpose(1, 2)


def to_map(vectors: Tensor, grid: Grid) -> Tensor:
    """Undo :func:`to_positions`."""
    return vectors.transpose(1, 2).reshape(vectors.shape[0], -1, *grid)


@part("encoder", "spatial")
@final
class SpatialEncoder(Encoder):
    """Residual convolutions to one map of features that is not flattened; as features its numbers stand in a row.

    Args:
        event: ``(channels, height, width)``.
        width: Channels of the first stage; they double per stage up to four times.
        n_stages: How often the size is halved after the space-to-depth stem, which halves it once.
        residual: Residual pairs of convolutions instead of single ones.
        attention: Let every place of the last map look at all others.
        n_condition: Width of the condition, shown to every pixel.
        masked: Whether rows come with a mask (it is appended as channels).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        scaling: How inputs are scaled.

    Example:
        >>> encoder = SpatialEncoder((3, 32, 32), width=8)
        >>> encoder.grid, encoder.channels, encoder(Batch(torch.zeros(2, 3, 32, 32))).shape
        ((8, 8), 16, torch.Size([2, 1024]))
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 32, n_stages: int = 1, residual: bool = True,
        attention: bool = False, n_condition: int = 0, masked: bool = False, activation: str = "silu",
        dropout: float = 0.0, scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.net = MapEncoder(
            event, width=width, n_stages=n_stages, residual=residual, n_condition=n_condition, masked=masked,
            activation=activation, dropout=dropout, scaling=scaling,
        )
        (self.grid,), (self.channels,) = self.net.grids, self.net.channels
        self.attention = SelfAttention(self.channels) if attention else nn.Identity()
        self.n_features = self.channels * self.grid[0] * self.grid[1]

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        return self.map(batch).flatten(1)

    def map(self, batch: Batch) -> Tensor:
        """Return the map ``(B, channels, height, width)``."""
        found: Tensor = self.attention(self.net(batch)[-1])
        return found


@part("decoder", "spatial")
@final
class SpatialDecoder(Decoder):
    """From maps of code vectors to raw numbers: maps are brought to the finest size, then stages double it.

    Args:
        n_latent: Numbers in all maps together.
        raw_shape: ``(n_raw, channels, height, width)``.
        grids: Height and width of each map, the coarsest first; all have the same number of channels.
        width: Channels of the last stage.
        residual: Residual pairs of convolutions instead of single ones.
        attention: Let every place of the first map look at all others.
        n_condition: Width of the condition, shown to every place.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.

    Raises:
        SettingError: The maps do not belong to images of this size.

    Example:
        >>> SpatialDecoder(6 * 2 + 15 * 2, (1, 1, 17, 12), ((3, 2), (5, 3)), width=8)(torch.zeros(7, 3, 42)).shape
        torch.Size([7, 3, 1, 1, 17, 12])
    """

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], grids: tuple[Grid, ...] = ((1, 1),), *, width: int = 32,
        residual: bool = True, attention: bool = False, n_condition: int = 0, activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_image(raw_shape[1:])
        check_dropout(dropout)
        self.raw_shape, self.n_condition = tuple(raw_shape), n_condition
        n_raw, c, h, w = raw_shape
        self.grids = tuple((int(a), int(b)) for a, b in grids)
        self.sizes = _sizes_up_to(self.grids[-1], h, w)[::-1]
        n_places = sum(a * b for a, b in self.grids)
        if n_latent % n_places:
            raise SettingError(f"Maps of {n_places} places need as many vectors, but got {n_latent} numbers.")
        self.n_channels = n_latent // n_places
        chans = channels_of(width, len(self.sizes), activation)[::-1]
        self.start = nn.Conv2d(self.n_channels * len(self.grids) + n_condition, chans[0], 3, padding=1)
        block = partial(ConvBlock, activation=activation, residual=residual, dropout=dropout)
        self.first = nn.Sequential(block(chans[0]), SelfAttention(chans[0])) if attention else block(chans[0])
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(a, b, 3, padding=1), block(b)) for a, b in pairwise(chans))
        self.out = nn.Conv2d(chans[-1], 4 * n_raw * c, 3, padding=1)
        initialise_weights(self, activation)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                nn.init.zeros_(module.say.weight)
        smooth_start(self.out)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, channels, height, width)``."""
        lead = z.shape[:-1]
        maps = self._maps(z.reshape(-1, z.shape[-1]))
        if self.n_condition and c is not None:
            told = c.to(z.dtype).expand(*lead, c.shape[-1]).reshape(-1, c.shape[-1], 1, 1)
            maps = torch.cat([maps, told.expand(*told.shape[:2], *maps.shape[2:])], 1)
        h = self.first(self.start(maps))
        for size, stage in zip(self.sizes[1:], self.stages, strict=True):
            h = stage(F.interpolate(h, size=size, mode="nearest"))
        raw = F.pixel_shuffle(self.out(h), 2)[..., : self.raw_shape[-2], : self.raw_shape[-1]]
        return raw.reshape(*lead, *self.raw_shape)

    def _maps(self, flat: Tensor) -> Tensor:
        parts = flat.split([a * b * self.n_channels for a, b in self.grids], 1)
        found = [
            F.interpolate(to_map(p.unflatten(1, (-1, self.n_channels)), grid), size=self.grids[-1], mode="nearest")
            for p, grid in zip(parts, self.grids, strict=True)
        ]
        return torch.cat(found, 1)


def _sizes_up_to(grid: Grid, height: int, width: int) -> list[Grid]:
    for n in range(max(height, width).bit_length() + 1):
        sizes = halvings(height, width, n)
        if sizes[-1] == grid:
            return sizes
    raise SettingError(
        f"A map of codes is an image halved once or more, but {grid} is no such size of {(height, width)}. "
        "Give the size after some stages of the encoder."
    )
