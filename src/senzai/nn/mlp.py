"""Fully connected encoder and decoder."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.spec import part
from .inputs import Decoder, Encoder, Scaling, Standardise
from .layers import bounded, hidden_layers, linear_out, size_of, skips, with_condition


@part("encoder", "mlp")
@final
class MLPEncoder(Encoder):
    """Standardise, flatten, then hidden layers.

    Args:
        event: Shape of one row of data.
        hidden: Widths of the hidden layers; none for a linear encoder.
        n_condition: Width of the condition appended to the input.
        masked: Whether rows come with a mask (it is appended to the input).
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of hidden units dropped in training.
        norm: ``"none"`` or ``"layer"``, on hidden layers only.
        scaling: How inputs are scaled; see :class:`Standardise`.

    Example:
        >>> import torch
        >>> MLPEncoder((5,), (8, 4))(Batch(torch.zeros(3, 5))).shape
        torch.Size([3, 4])
    """

    def __init__(
        self,
        event: tuple[int, ...],
        hidden: tuple[int, ...] = (512,),
        *,
        n_condition: int = 0,
        masked: bool = False,
        activation: str = "relu",
        dropout: float = 0.0,
        norm: str = "none",
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        at_least(0, n_condition=n_condition)
        self.inputs = Standardise(event, masked=masked, scaling=scaling)
        n_in = size_of(event) * (2 if masked else 1) + n_condition
        self.n_condition = n_condition
        self.n_features = hidden[-1] if hidden else n_in
        self.hidden = hidden_layers(n_in, tuple(hidden), activation=activation, dropout=dropout, norm=norm)

    def forward(self, batch: Batch) -> Tensor:
        """Return features ``(B, n_features)``."""
        x = self.inputs(batch.tensor, batch.observed).flatten(1)
        features: Tensor = self.hidden(with_condition(x, batch.c if self.n_condition else None))
        return features


@part("decoder", "mlp")
@final
class MLPDecoder(Decoder):
    """Hidden layers, then one linear layer to the raw numbers.

    Args:
        n_latent: Width of the latent code.
        raw_shape: Shape of the raw numbers of one row.
        hidden: Widths of the hidden layers, latent side first; none for a linear decoder.
        n_condition: Width of the condition appended to the latents.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of hidden units dropped in training.
        norm: ``"none"`` or ``"layer"``, on hidden layers only.
        skip: Give the latents (and the condition) to every layer again, so that no layer can lose them.
        spectral: Keep the largest singular value of every weight matrix at one.

    Example:
        >>> import torch
        >>> MLPDecoder(2, (1, 5), (8,))(torch.zeros(7, 3, 2)).shape
        torch.Size([7, 3, 1, 5])
    """

    def __init__(
        self,
        n_latent: int,
        raw_shape: tuple[int, ...],
        hidden: tuple[int, ...] = (512,),
        *,
        n_condition: int = 0,
        activation: str = "relu",
        dropout: float = 0.0,
        norm: str = "none",
        skip: bool = False,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, n_latent=n_latent)
        at_least(0, n_condition=n_condition)
        self.raw_shape = tuple(raw_shape)
        self.n_condition = n_condition
        n_in = n_latent + n_condition
        self.hidden = hidden_layers(n_in, tuple(hidden), activation=activation, dropout=dropout, norm=norm)
        self.out = linear_out(hidden[-1] if hidden else n_in, size_of(raw_shape))
        self.again = skips(n_in, (*hidden, size_of(raw_shape))[1:], activation) if skip else nn.ModuleList()
        if spectral:
            bounded(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return raw numbers ``(*lead, *raw_shape)``."""
        given = with_condition(z, c if self.n_condition else None)
        raw = self._with_skips(given) if len(self.again) else self.out(self.hidden(given))
        return raw.reshape(*raw.shape[:-1], *self.raw_shape)

    def _with_skips(self, given: Tensor) -> Tensor:
        h, ways = given, iter([None, *self.again])  # the first layer has the latents as its input
        for layer in (*self.hidden, self.out):
            way = next(ways) if isinstance(layer, nn.Linear) else None
            h = layer(h) if way is None else layer(h) + way(given)
        return h
