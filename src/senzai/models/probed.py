"""A model and a classifier of its codes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch, Data
from ..core.random import Noise, using
from ..core.spec import part
from ..parts.classifiers import Probe
from .base import Classifies, Inference, LatentModel


@part("model", "probed")
@final
class Probed(LatentModel, Classifies):
    """Kingma's M1: any model, and a classifier that sees nothing but the points of its codes.

    The classifier never changes the model: no gradient passes from it to the encoder.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014). https://arxiv.org/abs/1406.5298

    Args:
        inner: The model.
        head: The classifier.
    """

    def __init__(self, inner: LatentModel, head: Probe) -> None:
        super().__init__()
        self.inner, self.head = inner, head

    @property
    def likelihood(self) -> nn.Module | None:
        """The inner model's likelihood, if it has one over rows."""
        found: nn.Module | None = getattr(self.inner, "likelihood", None)
        return found

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.head.n_classes

    def own_parameters(self) -> tuple[nn.Parameter, ...]:
        """Return the parameters of the model without its classifier's."""
        return self.inner.own_parameters()

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

    def initialise(self, batch: Batch) -> None:
        """Let the inner model look at data."""
        self.inner.initialise(batch)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: tuple[Tensor, ...] | None = None
    ) -> Inference:
        """Return what the inner model infers."""
        return self.inner.infer(batch, n_samples, seen=seen, z=z)

    def generate(self, z: tuple[Tensor, ...], c: Tensor | None = None) -> Distribution:
        """Return the inner model's p(x | z)."""
        return self.inner.generate(z, c)

    def sample_prior(self, n: int, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw from the inner model's prior."""
        return self.inner.sample_prior(n, c)

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw rows from the inner model."""
        return self.inner.simulate(n, c, temperature=temperature, noise=noise)

    def scored(self, batch: Batch) -> Batch:
        """Return what the inner model scores."""
        return self.inner.scored(batch)

    @property
    def mixes_rows(self) -> bool:
        """Whether the inner model mixes rows."""
        return self.inner.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the inner model's inference."""
        return self.inner.encoder_parameters()
