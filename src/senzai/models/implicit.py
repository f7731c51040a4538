"""A generator without a density: a network turns noise into rows."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.random import current_noise, using
from ..core.spec import part
from ..nn.inputs import Decoder, Scaling, Standardise, as_float
from .generative import Generative


@part("model", "implicit")
@example(recipe="gan", settings={})
@final
class Implicit(Generative):
    r"""Rows :math:`x = g(\epsilon)` with :math:`\epsilon \sim \mathcal N(0, I)` and a network g.

    Real numbers are given in units of the training rows' spread; with ``scaling="range"`` rows stay between the least
    and the largest value of the training rows: :math:`x = a + (b - a)\, \mathrm{sigmoid}(g(\epsilon))`.

    Reference:
        Generative Adversarial Nets (Goodfellow et al., 2014). https://arxiv.org/abs/1406.2661

    Args:
        decoder: Network from noise to one raw number for each entry of a row, ``raw_shape == (1, *event)``.
        event: Shape of one row.
        n_latent: Width of the noise.
        scaling: As of an encoder's inputs; ``range`` bounds the rows.

    Raises:
        SettingError: The decoder does not give one number for each entry.

    Example:
        >>> from senzai.nn import MLPDecoder
        >>> Implicit(MLPDecoder(2, (1, 5), (8,)), (5,), 2).simulate(3).shape
        torch.Size([3, 5])
    """

    low: Tensor

    def __init__(
        self, decoder: Decoder, event: tuple[int, ...], n_latent: int, *, scaling: Scaling | None = None
    ) -> None:
        super().__init__()
        if tuple(decoder.raw_shape) != (1, *event):
            raise SettingError(
                f"A generator needs one raw number for each entry, {(1, *event)}, but its decoder gives "
                f"{tuple(decoder.raw_shape)}. Build it with that raw_shape."
            )
        self.decoder, self.event, self.n_latent = decoder, tuple(event), n_latent
        self.units = Standardise(event, scaling=scaling)
        self.bounded = scaling == "range"
        self.register_buffer("low", torch.zeros(()))

    def initialise(self, batch: Batch) -> None:
        """Take units and bounds from the observed entries of training rows."""
        super().initialise(batch)
        x = as_float(batch.tensor)
        seen = x if batch.observed is None else x[batch.observed]
        self.low.copy_(seen.min() if seen.numel() else self.low)

    def generate(self, noise: Tensor) -> Tensor:
        """Return the rows that noise ``(*lead, n_latent)`` becomes, ``(*lead, *event)``."""
        raw: Tensor = self.decoder(noise).squeeze(noise.ndim - 1)
        if self.bounded:
            return self.low + self.units.scale * torch.sigmoid(raw)
        return self.units.shift + self.units.scale * raw

    def draw(self, n: int) -> Tensor:
        """Return ``n`` rows that a gradient can pass, one for each row of a batch."""
        like, noise = self.units.shift, current_noise()
        return self.generate(noise.normal((n, self.n_latent), row_dim=0, dtype=like.dtype, device=like.device))

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Tensor:
        """Draw ``n`` rows; without ``noise`` they are draws as well, for the network adds none to its rows."""
        with torch.no_grad(), using(replace(current_noise(), spread=temperature)):
            return self.draw(n)

    def surfaces(self) -> dict[str, nn.Module]:
        """Return the generator: noise to rows."""
        return {"decoder": self}

    def forward(self, noise: Tensor) -> Tensor:
        """Return :meth:`generate`."""
        return self.generate(noise)
