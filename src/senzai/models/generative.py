"""The base of all generative models, with or without latents: what training, saving and sampling need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..core.batch import Batch, Data
from ..nn.inputs import initialise_all


class Generative(nn.Module, ABC):
    """A model that rows can be drawn from.

    ``aux`` holds what an objective needs for training and the model does not: a discriminator, say. It is checkpointed
    with the model, and left out of a finished run.
    """

    infers: ClassVar[bool] = False
    """Whether there are latents and an inference of them."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.ModuleDict()

    @property
    def exact(self) -> bool:
        """Whether :meth:`log_prob` gives the density itself; where it does not, it gives ``None``."""
        return False

    @abstractmethod
    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw ``n`` rows from the model, ``(n, *event)``; of several modalities, one such tensor for each.

        Args:
            n: How many.
            c: Condition, one row per sample.
            temperature: Factor on the normal numbers that rows are made from; 1 is the model.
            noise: Draw, where a model could also show an expected value; without effect where it could not.
        """

    def log_prob(self, batch: Batch) -> Tensor | None:
        """Return the exact log p(x) of each row in nats, ``(B,)``; ``None`` where it is not known.

        Never a bound and never an estimate: those have names of their own.
        """
        return None

    def given(self, batch: Batch) -> Tensor | None:
        """Return what rows are drawn given, for the rows of a batch."""
        return batch.c

    def scored(self, batch: Batch) -> Batch:
        """Return a batch as far as the model scores it; a model of one part given the rest masks the rest."""
        return batch

    def after_step(self, total: Callable[[Tensor], Tensor]) -> None:
        """Update what learns from the rows of a training step in other ways than by gradients (a codebook, say).

        Called once after every step, when all players have moved. What was gathered in the step must be in buffers, so
        that going back to an earlier state also forgets it.

        Args:
            total: Sum of a tensor over all processes.
        """

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of an inference side, which may learn at a rate of its own; none without one."""
        return []

    @property
    def device(self) -> torch.device:
        """Where the model is; a model without any tensor is on the CPU."""
        first = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if first is None else first.device

    def own_parameters(self) -> tuple[nn.Parameter, ...]:
        """Return the trainable parameters of the model itself, each once, without those of ``aux``."""
        foreign = {id(p) for p in self.aux.parameters()}
        return tuple(p for p in self.parameters() if p.requires_grad and id(p) not in foreign)

    def check(self) -> None:
        """Refuse parts that can be put together but not trained together.

        Raises:
            CombinationError: They cannot.
        """

    def check_temperature(self, temperature: float) -> None:
        """Refuse a temperature that what rows are made from cannot have.

        Raises:
            CombinationError: It cannot.
        """

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, what the model says of a row depends on other rows of its batch."""
        return False

    @property
    def looks_first(self) -> bool:
        """Whether it learns more than shifts and scales from the rows that it looks at before training."""
        return False

    @property
    def keeps_rows(self) -> bool:
        """Whether a part of the model holds training rows, or parameters that started as training rows."""
        return bool(keepers_of_rows(self))

    def initialise(self, batch: Batch) -> None:
        """Let every data-initialised module look at ``batch``, once, before training."""
        initialise_all(batch, self)

    def surfaces(self) -> dict[str, nn.Module]:
        """Return modules that take tensors and give tensors, for use outside of this library, by name."""
        return {}


def keepers_of_rows(model: nn.Module) -> list[str]:
    """Return the names of the parts of a model that keep training rows; a part says so by ``keeps_rows = True``.

    Example:
        >>> keepers_of_rows(nn.Linear(2, 2))
        []
    """
    found = ((name, m) for name, m in model.named_modules() if not isinstance(m, Generative))
    return [name or type(m).__name__ for name, m in found if getattr(m, "keeps_rows", False)]


def needs_inference(model: Generative) -> str | None:
    """Say why a model cannot encode rows; ``None`` where it can."""
    if model.infers:
        return None
    return (
        f"This needs an inference of latents from rows, but the model ({type(model).__name__}) draws rows without one. "
        "Fit a recipe with an encoder, such as vae."
    )


def needs_density(model: Generative) -> str | None:
    """Say why a model has no log-likelihood of rows; ``None`` where it has."""
    if model.infers or model.exact:
        return None
    return (
        f"This needs a density of the data, but the model ({type(model).__name__}) draws rows without one. "
        "Fit a recipe that has one, such as vae or flow."
    )
