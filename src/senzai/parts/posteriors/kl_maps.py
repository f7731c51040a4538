"""A posterior over maps of codes as latent diffusion writes it: a mean and a log variance at each place."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.examples import example
from ...core.spec import part
from ...nn.autoencoder_kl import AutoencoderKLEncoder
from ...nn.inputs import Encoder
from ...nn.precision import network_precision
from ...nn.spatial import to_positions
from ..base import AnyPosterior, diagonal, full_precision

LOG_VARIANCE = (-30.0, 20.0)


@part("posterior", "kl_maps")
@example(
    recipe="autoencoder-kl", data="pictures",
    settings={"blocks": (4, 8), "layers": 1, "norm_groups": 2, "posterior.channels": 2},
)
@final
class KLMapPosterior(AnyPosterior):
    r"""Independent normals on a grid, :math:`\sigma = e^{\ell / 2}` with :math:`\ell` from -30 to 20.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022).
        https://arxiv.org/abs/2112.10752

    Args:
        encoder: The encoder ``autoencoder_kl``.
        channels: Numbers at each place; the encoder gives twice as many.

    Raises:
        CombinationError: The encoder is another one.
    """

    def __init__(self, encoder: Encoder, *, channels: int = 4) -> None:
        super().__init__()
        if not isinstance(encoder, AutoencoderKLEncoder) or encoder.channels != 2 * channels:
            raise CombinationError(
                f"This posterior needs encoder=autoencoder_kl with codes of {channels} numbers, but got "
                f"{type(encoder).__name__}. Use the recipe autoencoder-kl."
            )
        self.encoder, self.grid, self.channels = encoder, encoder.grid, channels
        self.event = (channels * self.grid[0] * self.grid[1],)
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``, computed in single precision at least."""
        with network_precision(self.quant_conv.weight.device):
            raw: Tensor = self.quant_conv(self.encoder.map(batch))
        mean, log_variance = (to_positions(part).flatten(1) for part in full_precision(raw).chunk(2, 1))
        return diagonal(mean, (0.5 * log_variance.clamp(*LOG_VARIANCE)).exp())

    def example(self) -> Distribution:
        """Return standard normals."""
        zero = self.quant_conv.weight.new_zeros(1, *self.event)
        return diagonal(zero, zero + 1)
