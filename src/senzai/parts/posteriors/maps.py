"""A posterior over maps of codes: convolutions to the end, so that a code stands for its own part of a picture."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.examples import example
from ...core.spec import part
from ...distributions.continuous import NormalFamily
from ...nn.inputs import Encoder
from ...nn.precision import network_precision
from ...nn.spatial import Grid, SpatialEncoder, to_positions
from ..base import AnyPosterior, check_width, full_precision


@part("posterior", "maps")
@example(
    recipe="kl-autoencoder", data="pictures", settings={"width": 4, "factor": 2, "posterior.channels": 2}
)
@final
class MapPosterior(AnyPosterior):
    """Independent normals on a grid: the latents are the vectors of all places, one after the other.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022).
        https://arxiv.org/abs/2112.10752

    Args:
        encoder: The encoder ``spatial``.
        channels: Numbers at each place.

    Raises:
        CombinationError: The encoder gives no map.

    Example:
        >>> q = MapPosterior(SpatialEncoder((3, 32, 32), width=8), channels=4)
        >>> q.grid, q.event, q(Batch(torch.zeros(2, 3, 32, 32))).batch_shape
        ((8, 8), (256,), torch.Size([2]))
    """

    def __init__(self, encoder: Encoder, *, channels: int = 4) -> None:
        super().__init__()
        if not isinstance(encoder, SpatialEncoder):
            raise CombinationError(
                f"Latents on a grid need an encoder that gives a map, but got {type(encoder).__name__}. Use images, "
                "with encoder=spatial."
            )
        self.encoder, self.channels = encoder, check_width(channels)
        self.grid: Grid = encoder.grid
        self.event = (channels * self.grid[0] * self.grid[1],)
        self.family = NormalFamily()
        self.head = nn.Conv2d(encoder.channels, 2 * channels, 1)
        nn.init.xavier_uniform_(self.head.weight)
        assert self.head.bias is not None  # a convolution has one unless it is told not to
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``, computed in single precision at least."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder.map(batch))
        numbers = [to_positions(part).flatten(1) for part in full_precision(raw).chunk(2, 1)]
        return self.family(torch.stack(numbers, 1), self.event)

    def example(self) -> Distribution:
        """Return what the family makes of zeros."""
        return self.family(self.head.weight.new_zeros(1, 2, *self.event), self.event)
