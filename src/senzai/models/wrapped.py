"""A model around another: what it does not say itself, the inner one says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch, Data
from ..distributions.spaces import Space
from .base import Books, Inference, LatentModel, Latents

Inner = TypeVar("Inner", bound=LatentModel)


class Wrapped(LatentModel, Generic[Inner]):
    """A latent-variable model whose inference, likelihood and draws are those of a model inside.

    Args:
        inner: The model inside.
    """

    def __init__(self, inner: Inner) -> None:
        super().__init__()
        self.inner = inner

    def own_parameters(self) -> tuple[nn.Parameter, ...]:
        """Return the parameters of the model inside."""
        return self.inner.own_parameters()

    def initialise(self, batch: Batch) -> None:
        """Let the model inside look at data."""
        self.inner.initialise(batch)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: tuple[Tensor, ...] | None = None
    ) -> Inference:
        """Return what the model inside infers."""
        return self.inner.infer(batch, n_samples, seen=seen, z=z)

    def generate(self, z: tuple[Tensor, ...], c: Tensor | None = None) -> Distribution:
        """Return p(x | z) of the model inside."""
        return self.inner.generate(z, c)

    def sample_prior(self, n: int, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw from the prior of the model inside."""
        return self.inner.sample_prior(n, c)

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw rows from the model inside."""
        return self.inner.simulate(n, c, temperature=temperature, noise=noise)

    def scored(self, batch: Batch) -> Batch:
        """Return what the model inside scores."""
        return self.inner.scored(batch)

    def after_step(self, total: Callable[[Tensor], Tensor]) -> None:
        """Let the model inside follow."""
        self.inner.after_step(total)

    def check(self) -> None:
        """Refuse what the model inside refuses."""
        self.inner.check()

    @property
    def deterministic(self) -> bool:
        """Whether the posterior of the model inside is a point."""
        return self.inner.deterministic

    def books(self, z: Latents) -> Books:
        """Return the whole numbers among latents as the model inside tells them."""
        return self.inner.books(z)

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Where the latents of the model inside live."""
        return self.inner.spaces

    @property
    def mixes_rows(self) -> bool:
        """Whether the model inside mixes rows."""
        return self.inner.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the inference of the model inside."""
        return self.inner.encoder_parameters()
