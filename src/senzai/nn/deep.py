"""Residual blocks of a very deep hierarchy: a bottom-up pass that gives activations, a top-down pass of many draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod
from typing import TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from .conv import halvings
from .inputs import Decoder, Scaling, Standardise
from .layers import linear_out
from .listed import ModulesOf
from .products import Linear
from .recomputing import Recomputable, sparingly

Layer: TypeAlias = Callable[[int, int], nn.Linear | nn.Conv2d]


def conv1(a: int, b: int) -> nn.Conv2d:
    """Return a convolution that mixes channels alone."""
    return nn.Conv2d(a, b, 1)


def conv3(a: int, b: int) -> nn.Conv2d:
    """Return a convolution over 3 x 3 places."""
    return nn.Conv2d(a, b, 3, padding=1)


def bottleneck(n_in: int, middle: int, n_out: int, near: Layer, far: Layer) -> nn.Sequential:
    """Return three layers with activations before each, the middle one over neighbouring places too."""
    return nn.Sequential(nn.GELU(), near(n_in, middle), nn.GELU(), far(middle, middle), nn.GELU(), near(middle, n_out))


@final
class TopDownBlock(nn.Module):
    """One group of latents on the way down.

    Args:
        width: Channels of the way down and of the activations.
        middle: Channels inside residual branches.
        channels: Channels of the latent.
        near: Makes layers that see one place.
        far: Makes layers that see neighbouring places.
        scale: Factor on the last weights of what is added to the way down, so that many blocks start as few.
    """

    def __init__(self, width: int, middle: int, channels: int, near: Layer, far: Layer, *, scale: float) -> None:
        super().__init__()
        self.channels = channels
        self.q_net = bottleneck(2 * width, middle, 2 * channels, near, far)
        self.p_net = bottleneck(width, middle, 2 * channels + width, near, far)
        self.enter = near(channels, width)
        self.rest = bottleneck(width, middle, width, near, far)
        with torch.no_grad():
            for layer, factor in ((self.p_net[-1], 0.0), (self.enter, scale), (self.rest[-1], scale)):
                layer.weight.mul_(factor)  # type: ignore[operator]  # a layer

    def posterior(self, h: Tensor, a: Tensor) -> Tensor:
        """Return raw numbers of q, ``(M, 2, channels, ...)``."""
        raw: Tensor = self.q_net(torch.cat([h, a], 1))
        return raw.view(raw.shape[0], 2, self.channels, *raw.shape[2:])

    def prior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw numbers of p, and ``h`` with what the prior's network adds to it."""
        raw, added = self.p_net(h).split([2 * self.channels, h.shape[1]], 1)
        return raw.reshape(raw.shape[0], 2, self.channels, *raw.shape[2:]), h + added

    def down(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the way down after a draw."""
        h = h + self.enter(z)
        out: Tensor = h + self.rest(h)
        return out


class DeepBlocks(Recomputable, ABC):
    """Bottom-up activations and top-down blocks, level by level; a level has one size of activations."""

    blocks: ModulesOf[TopDownBlock]
    levels: list[int]
    """Level of each block, 0 at the top."""
    sizes: list[tuple[int, ...]]
    """Size of the activations of each level, top first, without channels."""
    width: int
    channels: int
    n_condition: int
    stem: nn.Module
    ups: ModulesOf[ModulesOf[nn.Sequential]]
    starts: nn.ParameterList
    conditioned: nn.Module

    @abstractmethod
    def up(self, batch: Batch) -> list[Tensor]:
        """Return activations of each level, top first, ``(B, width, *size)``."""

    @abstractmethod
    def resize(self, h: Tensor, size: tuple[int, ...]) -> Tensor:
        """Return ``h`` at another level's size."""

    @property
    def events(self) -> list[tuple[int, ...]]:
        """Shape of the latent of each block, top first."""
        return [(self.channels, *self.sizes[i]) for i in self.levels]

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of what leaves the lowest block."""
        return (self.width, *self.sizes[-1])

    def start(self, rows: int, c: Tensor | None) -> Tensor:
        """Return the beginning of the way down, ``(rows, width, *size)``."""
        first: Tensor = self.starts[0]
        h = first.expand(rows, *first.shape)
        if not self.n_condition or c is None:
            return h
        added: Tensor = self.conditioned(c.to(h.dtype))
        return h + added.view(rows, self.width, *[1] * (h.ndim - 2))

    def enter(self, h: Tensor, i: int) -> Tensor:
        """Return the way down at the level of block ``i``, ``h`` being at that of the block above."""
        level = self.levels[i]
        if i == 0 or level == self.levels[i - 1]:
            return h
        start: Tensor = self.starts[level]
        return self.resize(h, self.sizes[level]) + start

    def _build(self, channels: int, n_blocks: int, near: Layer, far: Layer, n_condition: int) -> None:
        n, self.channels = len(self.sizes), channels
        self.levels = [level for level in range(n) for _ in range(n_blocks)]
        self.n_condition, middle, scale = n_condition, max(1, self.width // 2), len(self.levels) ** -0.5
        self.blocks = ModulesOf(
            TopDownBlock(self.width, middle, channels, near, far, scale=scale) for _ in self.levels
        )
        self.ups = ModulesOf(
            ModulesOf(bottleneck(self.width, middle, self.width, near, far) for _ in range(n_blocks))
            for _ in range(n)
        )
        with torch.no_grad():
            for level in self.ups:
                for branch in level:
                    branch[-1].weight.mul_(scale)  # type: ignore[operator]  # a layer
        self.starts = nn.ParameterList(nn.Parameter(torch.zeros(self.width, *size)) for size in self.sizes)
        self.conditioned = linear_out(n_condition, self.width) if n_condition else nn.Identity()

    def _climb(self, h: Tensor) -> list[Tensor]:
        found = []
        for level in range(len(self.sizes) - 1, -1, -1):
            if level < len(self.sizes) - 1:
                h = self.resize(h, self.sizes[level])
            for branch in self.ups[level]:
                h = h + sparingly(branch, h)
            found.append(h)
        return found[::-1]


@part("blocks", "mlp")
@final
class MLPBlocks(DeepBlocks):
    """Blocks for vectors (anything else is flattened): linear layers, all levels of one width.

    Args:
        event: Shape of one row of data.
        width: Width of the way down.
        channels: Width of each group of latents.
        n_levels: Levels of activations.
        n_blocks: Groups per level.
        masked: Whether rows come with a mask.
        n_condition: Width of the condition.
        scaling: How inputs are scaled.

    Example:
        >>> MLPBlocks((5,), width=8, channels=2, n_levels=2, n_blocks=2).events
        [(2,), (2,), (2,), (2,)]
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 256, channels: int = 4, n_levels: int = 3, n_blocks: int = 2,
        masked: bool = False, n_condition: int = 0, scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_levels=n_levels, width=width, channels=channels, n_blocks=n_blocks)
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        self.width, self.sizes = width, [()] * n_levels
        self.stem = Linear(prod(event) * (2 if masked else 1), width)
        self._build(channels, n_blocks, Linear, Linear, n_condition)

    def up(self, batch: Batch) -> list[Tensor]:
        """Return activations of each level, top first, ``(B, width)``."""
        return self._climb(self.stem(self.inputs(batch.tensor, batch.observed).flatten(1)))

    def resize(self, h: Tensor, size: tuple[int, ...]) -> Tensor:
        """Return ``h`` as it is."""
        return h


@part("blocks", "conv")
@final
class ConvBlocks(DeepBlocks):
    """Blocks for images of any size: activations from half the image's size down to a single place.

    Args:
        event: ``(channels, height, width)``.
        width: Channels of the way down.
        channels: Channels of each group of latents.
        n_stages: How often the size is halved after the stem; ``None`` until the smaller side is at most four.
        n_blocks: Groups per size.
        masked: Whether rows come with a mask.
        n_condition: Width of the condition.
        scaling: How inputs are scaled.

    Example:
        >>> ConvBlocks((1, 9, 7), width=8, channels=2, n_blocks=1).events
        [(2, 1, 1), (2, 5, 4)]
    """

    def __init__(
        self, event: tuple[int, ...], *, width: int = 64, channels: int = 8, n_stages: int | None = None,
        n_blocks: int = 2, masked: bool = False, n_condition: int = 0, scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        if len(event) != 3:
            raise SettingError(
                f"Blocks of convolutions need images (channels, height, width), but got rows of shape {tuple(event)}. "
                "Use network=mlp."
            )
        at_least(1, width=width, channels=channels, n_blocks=n_blocks)
        c, height, wide = event
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        sizes: list[tuple[int, ...]] = [*halvings(height, wide, n_stages)]
        self.width, self.sizes = width, [(1, 1), *(s for s in sizes[::-1] if s != (1, 1))]
        self.stem = conv3(4 * c * (2 if masked else 1), width)
        self._build(channels, n_blocks, conv1, conv3, n_condition)

    def up(self, batch: Batch) -> list[Tensor]:
        """Return activations of each size, smallest first."""
        x: Tensor = self.inputs(batch.tensor, batch.observed)
        x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        h = self.stem(F.pixel_unshuffle(x, 2))
        return self._climb(h if h.shape[2:] == self.sizes[-1] else self.resize(h, self.sizes[-1]))

    def resize(self, h: Tensor, size: tuple[int, ...]) -> Tensor:
        """Average to a smaller size, repeat to a larger one."""
        if size[0] <= h.shape[-2]:
            return F.adaptive_avg_pool2d(h, (size[0], size[1]))
        return F.interpolate(h, size=(size[0], size[1]), mode="nearest")


@part("decoder", "feature_map")
@final
class FeatureMap(Decoder):
    """From features of half an image's size, handed over flat, to the raw numbers of its pixels.

    Args:
        feature_shape: ``(width, height, width)`` of the features.
        raw_shape: ``(n_raw, channels, height, width)``.

    Example:
        >>> FeatureMap((8, 5, 4), (1, 1, 9, 7))(torch.zeros(3, 160)).shape
        torch.Size([3, 1, 1, 9, 7])
    """

    def __init__(self, feature_shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.feature_shape, self.raw_shape = tuple(feature_shape), tuple(raw_shape)
        self.out = nn.Conv2d(feature_shape[0], 4 * raw_shape[0] * raw_shape[1], 3, padding=1)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, *raw_shape)``."""
        lead = z.shape[:-1]
        h = F.gelu(z.reshape(-1, *self.feature_shape))
        raw = F.pixel_shuffle(self.out(h), 2)[..., : self.raw_shape[-2], : self.raw_shape[-1]]
        return raw.reshape(*lead, *self.raw_shape)
