"""Coders: from a batch to the vectors that are quantised, one set of places or several levels of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.spec import part
from ...nn.inputs import Encoder, Scaling
from ...nn.layers import linear_out
from ...nn.precision import network_precision
from ...nn.spatial import Grid, MapEncoder, to_map, to_positions
from ..base import full_precision

Quantise: TypeAlias = Callable[[int, Tensor], Tensor]
"""From a level and its vectors ``(B, places, code_dim)`` to what they are quantised to."""


class Coder(nn.Module, ABC):
    """From a batch to vectors at places, level after level; a finer level may see what a coarser one was put to.

    ``places`` counts the vectors of each level, the coarsest first; ``grids`` are their heights and widths, where the
    places are those of an image.
    """

    code_dim: int
    places: tuple[int, ...]
    grids: tuple[Grid, ...] = ()

    @abstractmethod
    def forward(self, batch: Batch, quantise: Quantise) -> list[Tensor]:
        """Return the quantised vectors of each level, ``(B, places, code_dim)``, the coarsest first."""

    @property
    def size(self) -> int:
        """Numbers in all quantised vectors of a row."""
        return sum(self.places) * self.code_dim


def need_places(name: str, value: int) -> int:
    """Return a number of places or of numbers at each."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError(f"`{name} >= 1` must hold, but got {name}={value!r}. Give a whole number.")
    return value


@part("coder", "set")
@final
class SetCoder(Coder):
    """An encoder and a linear head: a fixed number of vectors for each row, for tables and anything else.

    Args:
        encoder: Network from a batch to features.
        code_dim: Width of a vector.
        n_places: Number of vectors.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> coder = SetCoder(MLPEncoder((5,), (8,)), 2, n_places=3)
        >>> [q.shape for q in coder(Batch(torch.zeros(7, 5)), lambda level, vectors: vectors)]
        [torch.Size([7, 3, 2])]
    """

    def __init__(self, encoder: Encoder, code_dim: int, *, n_places: int = 8) -> None:
        super().__init__()
        self.encoder, self.code_dim = encoder, need_places("code_dim", code_dim)
        self.places = (need_places("n_places", n_places),)
        self.head = linear_out(encoder.n_features, n_places * code_dim)

    def forward(self, batch: Batch, quantise: Quantise) -> list[Tensor]:
        """Return the quantised vectors of the one level."""
        with network_precision(self.head.weight.device):
            vectors: Tensor = self.head(self.encoder(batch))
        return [quantise(0, full_precision(vectors).unflatten(-1, (-1, self.code_dim)))]


@part("coder", "grid")
@final
class GridCoder(Coder):
    """Convolutions without flattening: one vector for each part of an image, on one grid or on several.

    With ``n_levels=2`` a coarse grid is quantised first, and the vectors of a grid twice as fine are made from finer
    features and from what the coarse ones were put to, so that each level keeps what the other does not.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017). https://arxiv.org/abs/1711.00937
        Generating Diverse High-Fidelity Images with VQ-VAE-2 (Razavi et al., 2019). https://arxiv.org/abs/1906.00446

    Args:
        event: ``(channels, height, width)``.
        code_dim: Width of a vector.
        n_levels: Number of grids.
        width: Channels of the first stage.
        n_stages: How often the size is halved after the stem, which halves it once, down to the finest grid.
        residual: Residual pairs of convolutions instead of single ones.
        n_condition: Width of the condition.
        masked: Whether rows come with a mask.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of channels dropped in training.
        scaling: How inputs are scaled.

    Example:
        >>> coder = GridCoder((1, 16, 16), 2, n_levels=2, width=8)
        >>> coder.grids, [q.shape[1] for q in coder(Batch(torch.zeros(7, 1, 16, 16)), lambda level, v: v)]
        (((2, 2), (4, 4)), [4, 16])
    """

    def __init__(
        self, event: tuple[int, ...], code_dim: int, *, n_levels: int = 1, width: int = 32, n_stages: int = 1,
        residual: bool = True, n_condition: int = 0, masked: bool = False, activation: str = "silu",
        dropout: float = 0.0, scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.code_dim = need_places("code_dim", code_dim)
        self.net = MapEncoder(
            event, width=width, n_stages=n_stages, n_levels=need_places("n_levels", n_levels), residual=residual,
            n_condition=n_condition, masked=masked, activation=activation, dropout=dropout, scaling=scaling,
        )
        self.grids = self.net.grids[::-1]
        self.places = tuple(h * w for h, w in self.grids)
        more = [0] + [code_dim] * (n_levels - 1)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels + extra, code_dim, 1)
            for channels, extra in zip(self.net.channels[::-1], more, strict=True)
        )

    def forward(self, batch: Batch, quantise: Quantise) -> list[Tensor]:
        """Return the quantised vectors of each grid, the coarsest first."""
        device = self.heads[0].weight.device
        assert isinstance(device, torch.device)
        with network_precision(device):
            maps = self.net(batch)[::-1]
        found: list[Tensor] = []
        for level, (h, head) in enumerate(zip(maps, self.heads, strict=True)):
            if found:
                above = to_map(found[-1], self.grids[level - 1])
                h = torch.cat([h, F.interpolate(above, size=self.grids[level], mode="nearest").to(h.dtype)], 1)
            with network_precision(device):
                vectors = to_positions(head(h))
            found.append(quantise(level, full_precision(vectors)))
        return found
