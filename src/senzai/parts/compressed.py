"""Both sides of an autoencoder whose decoder is its encoder run backwards."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import part
from ..nn.compressing import Compressor
from ..nn.inputs import DataInitialised, as_float
from .base import FLOOR, AnyLikelihood, AnyPosterior, diagonal

SURE = 1e-3
STATES: dict[str, Any] = {
    "recipe": "quantum-autoencoder",
    "data": "real",
    "settings": {"encoder.n_kept": 1},
    "frame": {"event": (4,)},
}


def compressor(encoder: nn.Module) -> Compressor:
    """Return an encoder that can be run backwards.

    Raises:
        CombinationError: It cannot.
    """
    if not isinstance(encoder, Compressor):
        raise CombinationError(
            f"This autoencoder runs its encoder backwards, but {type(encoder).__name__} goes one way only. "
            "Set encoder=compressor or encoder=givens."
        )
    return encoder


@example(**STATES)
@part("posterior", "compressed")
@final
class CompressedPosterior(AnyPosterior):
    """What a compressor keeps of a row, with a spread of a thousandth: as good as certain.

    Args:
        encoder: A compressor.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = compressor(encoder)
        self.event = (self.encoder.n_features,)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x)."""
        kept = self.encoder(batch)
        return diagonal(kept, torch.full_like(kept, SURE))


@example(**STATES)
@part("likelihood", "compressed")
@final
class CompressedLikelihood(DataInitialised, AnyLikelihood):
    """Normal around what a compressor makes of what it kept, one scale for all amplitudes.

    Args:
        encoder: The compressor, the very object of the posterior.
        event: Shape of one row.
    """

    def __init__(self, encoder: nn.Module, event: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder, self.event = compressor(encoder), tuple(event)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def initialise(self, batch: Batch) -> None:
        """Start at the size of the amplitudes."""
        with torch.no_grad():
            self.log_scale.copy_(as_float(batch.tensor).square().mean().sqrt().clamp_min(FLOOR).log())

    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z)."""
        mean = self.encoder.back(z)
        return diagonal(mean, (self.log_scale.exp() + FLOOR).expand_as(mean))
