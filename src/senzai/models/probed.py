"""A model and a classifier of its codes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..core.random import Noise, using
from ..core.spec import part
from ..parts.classifiers import Probe
from .base import Classifies, LatentModel
from .wrapped import Wrapped


@part("model", "probed")
@final
class Probed(Wrapped[LatentModel], Classifies):
    """Kingma's M1: any model, and a classifier that sees nothing but the points of its codes.

    The classifier never changes the model: no gradient passes from it to the encoder, and its parameters are not among
    the model's own.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014). https://arxiv.org/abs/1406.5298

    Args:
        inner: The model.
        head: The classifier.
    """

    def __init__(self, inner: LatentModel, head: Probe) -> None:
        super().__init__(inner)
        self.head = head

    @property
    def likelihood(self) -> nn.Module | None:
        """The inner model's likelihood, if it has one over rows."""
        found: nn.Module | None = getattr(self.inner, "likelihood", None)
        return found

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.head.n_classes

    @torch.no_grad()
    def codes(self, batch: Batch) -> Tensor:
        """Return the points of all groups side by side, ``(B, width)``."""
        with using(Noise(point=True)):
            seen = self.inner.infer(batch)
            return torch.cat([z.flatten(1) for z in seen.latents()], 1)

    def classify(self, batch: Batch) -> Tensor:
        """Return log q(y | code of x), ``(B, n_classes)``."""
        log_q: Tensor = self.head(self.codes(batch))
        return log_q
