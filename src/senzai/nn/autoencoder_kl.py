"""The networks of latent diffusion's autoencoder, tensor by tensor under the names that diffusers saves them by."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, final

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.spec import part
from .conv import check_image
from .inputs import Decoder, Encoder, as_float
from .recomputing import Recomputable, sparingly
from .spatial import Grid, to_map

EPS = 1e-6


class ResnetBlock(Recomputable):
    """Two convolutions with normalisation before each, added to what came in."""

    def __init__(self, n_in: int, n_out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, n_in, eps=EPS), nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, n_out, eps=EPS), nn.Conv2d(n_out, n_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        out: Tensor = (x if self.conv_shortcut is None else self.conv_shortcut(x)) + sparingly(self._body, x)
        return out

    def _body(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        out: Tensor = self.conv2(F.silu(self.norm2(h)))
        return out


class Attention(nn.Module):
    """One head over all places of a map, added to what came in."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=EPS)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same size."""
        places = self.group_norm(x).flatten(2).transpose(1, 2)
        q, k, v = (way(places).unsqueeze(1) for way in (self.to_q, self.to_k, self.to_v))
        seen = self.to_out[0](F.scaled_dot_product_attention(q, k, v).squeeze(1))
        out: Tensor = x + seen.transpose(1, 2).reshape(x.shape)
        return out


class MiddleBlock(nn.Module):
    """Two residual blocks, with attention between them where it is asked for."""

    def __init__(self, channels: int, groups: int, attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, groups) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(channels, groups)] if attention else [])

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of the same size."""
        h = self.resnets[0](h)
        for seen in self.attentions:
            h = seen(h)
        out: Tensor = self.resnets[1](h)
        return out


class Halve(nn.Module):
    """A convolution that halves, the edge added below and on the right alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of half the size."""
        out: Tensor = self.conv(F.pad(h, (0, 1, 0, 1)))
        return out


class Double(nn.Module):
    """Every place four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of twice the size."""
        out: Tensor = self.conv(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return out


class Down(nn.Module):
    """Residual blocks of one size, and the way to the next."""

    def __init__(self, n_in: int, n_out: int, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(n_in if i == 0 else n_out, n_out, groups) for i in range(layers))
        self.downsamplers = nn.ModuleList([] if last else [Halve(n_out)])

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of half the size, or of the same where it is the last."""
        for block in (*self.resnets, *self.downsamplers):
            h = block(h)
        return h


class Up(nn.Module):
    """Residual blocks of one size, and the way to the next."""

    def __init__(self, n_in: int, n_out: int, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(n_in if i == 0 else n_out, n_out, groups) for i in range(layers))
        self.upsamplers = nn.ModuleList([] if last else [Double(n_out)])

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of twice the size, or of the same where it is the last."""
        for block in (*self.resnets, *self.upsamplers):
            h = block(h)
        return h


def grid_of(height: int, width: int, n_blocks: int) -> Grid:
    """Return the size of the map of codes.

    Raises:
        SettingError: A side is no multiple of what it is divided by.

    Example:
        >>> grid_of(32, 16, 3)
        (8, 4)
    """
    factor = 2 ** (n_blocks - 1)
    if height % factor or width % factor:
        raise SettingError(
            f"With {n_blocks} blocks the sides of pictures are multiples of {factor}, but got {height} x {width}. Set "
            f"size={max(factor, height // factor * factor)}x{max(factor, width // factor * factor)}, or fewer blocks."
        )
    return height // factor, width // factor


def check_channels(blocks: tuple[int, ...], groups: int) -> tuple[int, ...]:
    """Refuse blocks whose channels cannot be normalised in groups."""
    if groups < 1 or not blocks or any(c < 1 or c % groups for c in blocks):
        raise SettingError(
            f"Channels of blocks are multiples of norm_groups={groups}, but got {tuple(blocks)}. Give, say, (64, 128)."
        )
    return tuple(int(c) for c in blocks)


@part("encoder", "autoencoder_kl")
@example(
    recipe="autoencoder-kl", data="pictures",
    settings={"blocks": (4, 8), "layers": 1, "norm_groups": 2, "posterior.channels": 2},
)
@final
class AutoencoderKLEncoder(Encoder):
    """From pictures to a map of twice ``latent_channels`` numbers at each place.

    Args:
        event: ``(channels, height, width)``.
        blocks: Channels of each size; all but the last halve it.
        layers: Residual blocks of a size.
        norm_groups: Groups of normalisation.
        latent_channels: Numbers of a code at each place.
        attention: Whether all places of the smallest map look at each other.
        levels: Number of values of a pixel; they enter from -1 to 1.

    Example:
        >>> import torch
        >>> encoder = AutoencoderKLEncoder((3, 16, 16), blocks=(8, 8), layers=1, norm_groups=4)
        >>> encoder.grid, encoder.map(Batch(torch.zeros(2, 3, 16, 16))).shape
        ((8, 8), torch.Size([2, 8, 8, 8]))
    """

    def __init__(
        self, event: tuple[int, ...], *, blocks: tuple[int, ...] = (64, 128, 128), layers: int = 2,
        norm_groups: int = 32, latent_channels: int = 4, attention: bool = True, levels: int = 256,
    ) -> None:
        super().__init__()
        check_image(event)
        if latent_channels < 1:
            raise SettingError(f"`latent_channels >= 1` must hold, but got latent_channels={latent_channels!r}.")
        blocks = check_channels(blocks, norm_groups)
        self.grid, self.levels, self.channels = grid_of(event[1], event[2], len(blocks)), levels, 2 * latent_channels
        self.n_features, self.blocks, self.layers = self.channels * self.grid[0] * self.grid[1], blocks, layers
        self.conv_in = nn.Conv2d(event[0], blocks[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Down(a, b, layers, norm_groups, i == len(blocks) - 1)
            for i, (a, b) in enumerate(pairwise((blocks[0], *blocks)))
        )
        self.mid_block = MiddleBlock(blocks[-1], norm_groups, attention)
        self.conv_norm_out = nn.GroupNorm(norm_groups, blocks[-1], eps=EPS)
        self.conv_out = nn.Conv2d(blocks[-1], self.channels, 3, padding=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        return self.map(batch).flatten(1)

    def map(self, batch: Batch) -> Tensor:
        """Return the map ``(B, 2 * latent_channels, height, width)``."""
        x = as_float(batch.tensor) * (2 / (self.levels - 1)) - 1
        h = self.conv_in(x if batch.observed is None else x.masked_fill(~batch.observed, 0))
        for block in self.down_blocks:
            h = block(h)
        found: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(h))))
        return found


@part("decoder", "autoencoder_kl")
@example(
    recipe="autoencoder-kl", data="pictures",
    settings={"blocks": (4, 8), "layers": 1, "norm_groups": 2, "posterior.channels": 2},
)
@final
class AutoencoderKLDecoder(Decoder):
    """The mirror of :class:`AutoencoderKLEncoder`: from codes, place by place, to raw numbers, biases its own.

    Args:
        n_latent: Numbers in the map together.
        raw_shape: ``(n_raw, channels, height, width)``.
        blocks: As in the encoder.
        layers: As in the encoder; here each size has one more.
        norm_groups: As in the encoder.
        attention: As in the encoder.

    Example:
        >>> import torch
        >>> decoder = AutoencoderKLDecoder(256, (1, 3, 16, 16), blocks=(8, 8), layers=1, norm_groups=4)
        >>> decoder(torch.zeros(5, 2, 256)).shape
        torch.Size([5, 2, 1, 3, 16, 16])
    """

    biased: ClassVar[bool] = True

    def __init__(
        self, n_latent: int, raw_shape: tuple[int, ...], *, blocks: tuple[int, ...] = (64, 128, 128), layers: int = 2,
        norm_groups: int = 32, attention: bool = True,
    ) -> None:
        super().__init__()
        check_image(raw_shape[1:])
        blocks = check_channels(blocks, norm_groups)[::-1]
        self.raw_shape, self.grid = tuple(raw_shape), grid_of(raw_shape[2], raw_shape[3], len(blocks))
        places = self.grid[0] * self.grid[1]
        if n_latent % places:
            raise SettingError(f"A map of {places} places has as many codes, but got {n_latent} numbers.")
        channels = n_latent // places
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)
        self.conv_in = nn.Conv2d(channels, blocks[0], 3, padding=1)
        self.mid_block = MiddleBlock(blocks[0], norm_groups, attention)
        self.up_blocks = nn.ModuleList(
            Up(a, b, layers + 1, norm_groups, i == len(blocks) - 1)
            for i, (a, b) in enumerate(pairwise((blocks[0], *blocks)))
        )
        self.conv_norm_out = nn.GroupNorm(norm_groups, blocks[-1], eps=EPS)
        self.conv_out = nn.Conv2d(blocks[-1], raw_shape[0] * raw_shape[1], 3, padding=1)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, channels, height, width)``."""
        flat = z.reshape(-1, z.shape[-1]).unflatten(1, (self.grid[0] * self.grid[1], -1))
        h = self.mid_block(self.conv_in(self.post_quant_conv(to_map(flat, self.grid))))
        for block in self.up_blocks:
            h = block(h)
        raw: Tensor = self.conv_out(F.silu(self.conv_norm_out(h)))
        return raw.reshape(*z.shape[:-1], *self.raw_shape)
