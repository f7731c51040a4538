"""An encoder of several modalities: one for each, side by side."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.spec import part
from .inputs import DataInitialised, Encoder, initialise_all


@example(data="pair", settings={})
@part("encoder", "modalities")
@final
class ModalEncoder(DataInitialised, Encoder):
    """The features of all modalities, concatenated; those of a modality that a row lacks are zero, and a flag says so.

    Args:
        encoders: Encoder of each modality by name.

    Raises:
        SettingError: There is none.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> encoder = ModalEncoder({"a": MLPEncoder((5,), (8,)), "b": MLPEncoder((2,), (4,))})
        >>> encoder(Batch({"a": torch.zeros(3, 5), "b": torch.zeros(3, 2)})).shape
        torch.Size([3, 14])
    """

    shows_inside = True

    def __init__(self, encoders: dict[str, Encoder]) -> None:
        super().__init__()
        if not encoders:
            raise SettingError("Several modalities have an encoder each, but got none. Give them by name.")
        self.encoders = nn.ModuleDict(encoders)
        self.n_features = sum(e.n_features for e in encoders.values()) + len(encoders)

    def initialise(self, batch: Batch) -> None:
        """Let each encoder look at the rows that have its modality."""
        for name, encoder in self.encoders.items():
            initialise_of(encoder, batch, name)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        found, rows = [], batch.present or {}
        for name, encoder in self.encoders.items():
            own, there = batch.part(name), rows.get(name)
            if there is None:
                features: Tensor = encoder(own)
                found += [features, features.new_ones(len(batch), 1)]
                continue
            features = encoder(own.with_x(own.x, batch.seen[name]))
            found += [features * there.unsqueeze(1), there.unsqueeze(1).to(features.dtype)]
        return torch.cat(found, 1)


def initialise_of(module: nn.Module, batch: Batch, name: str) -> None:
    """Let everything data-initialised in a module look at one modality of the rows that have it."""
    rows = (batch.present or {}).get(name)
    own = batch.part(name) if rows is None else batch.part(name).take(rows.nonzero().squeeze(1))
    if not len(own):
        return
    initialise_all(own, module)
