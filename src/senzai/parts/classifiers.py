"""Classifiers: ``classifier(batch) -> log q(y | x)``."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.spec import part
from ..nn.inputs import Encoder
from ..nn.layers import hidden_layers, linear_out
from ..nn.precision import network_precision
from .base import full_precision


def check_classes(n_classes: int) -> int:
    """Return the number of classes.

    Raises:
        CombinationError: There is none, because the data have no label.
    """
    if n_classes < 1:
        raise CombinationError(
            "A classifier needs a label, but the data have none. Give (X, y), or name the label with the option "
            "label=NAME; rows without one may have NaN, None, -1 or nothing there."
        )
    return n_classes


@part("classifier", "encoded")
@final
class Classifier(nn.Module):
    """An encoder of its own and a linear head.

    Args:
        encoder: Network from a batch to features.
        n_classes: Number of classes.

    Example:
        >>> import torch
        >>> from senzai.nn import MLPEncoder
        >>> Classifier(MLPEncoder((5,), (8,)), 3)(Batch(torch.zeros(2, 5))).shape
        torch.Size([2, 3])
    """

    def __init__(self, encoder: Encoder, n_classes: int) -> None:
        super().__init__()
        self.encoder, self.n_classes = encoder, check_classes(n_classes)
        self.head = linear_out(encoder.n_features, n_classes)

    def forward(self, batch: Batch) -> Tensor:
        """Return log probabilities ``(B, n_classes)``, in single precision at least."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder(batch))
        return full_precision(raw).log_softmax(-1)


@part("classifier", "probe")
@final
class Probe(nn.Module):
    """A classifier of codes: hidden layers, none by default, and a linear head.

    Args:
        n_in: Width of a code.
        n_classes: Number of classes.
        hidden: Widths of the hidden layers.
    """

    def __init__(self, n_in: int, n_classes: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        at_least(1, n_in=n_in)
        self.n_in, self.n_classes = n_in, check_classes(n_classes)
        self.hidden = hidden_layers(n_in, tuple(hidden))
        self.head = linear_out(hidden[-1] if hidden else n_in, n_classes)

    def forward(self, codes: Tensor) -> Tensor:
        """Return log probabilities ``(*lead, n_classes)`` of codes ``(*lead, n_in)``."""
        raw: Tensor = self.head(self.hidden(codes))
        return full_precision(raw).log_softmax(-1)
