"""A bottom-up network that gives features at several levels."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from ..core.batch import Batch
from ..core.spec import part
from .inputs import Encoder
from .layers import hidden_layers


@part("encoder", "levels")
@final
class LevelFeatures(Encoder):
    """An encoder, and further hidden layers on its features, one block per level.

    Args:
        encoder: Gives the features of the lowest level.
        widths: Width of each higher level; none for a single level.
        activation: One of ``senzai.nn.ACTIVATIONS``.

    Example:
        >>> import torch
        >>> from senzai.nn import MLPEncoder
        >>> [f.shape[-1] for f in LevelFeatures(MLPEncoder((5,), (8,)), (6, 4)).all(Batch(torch.zeros(3, 5)))]
        [8, 6, 4]
    """

    def __init__(self, encoder: Encoder, widths: tuple[int, ...] = (), *, activation: str = "relu") -> None:
        super().__init__()
        self.encoder = encoder
        self.widths = (encoder.n_features, *widths)
        self.blocks = nn.ModuleList(
            hidden_layers(a, (b,), activation=activation)
            for a, b in zip(self.widths[:-1], self.widths[1:], strict=True)
        )
        self.n_features = self.widths[-1]

    def all(self, batch: Batch) -> list[Tensor]:
        """Return the features of each level, lowest first, ``(B, width)`` each."""
        features = [self.encoder(batch)]
        for block in self.blocks:
            features.append(block(features[-1]))
        return features

    def forward(self, batch: Batch) -> Tensor:
        """Return the features of the highest level."""
        return self.all(batch)[-1]
