"""What every encoder and decoder is, and how data enter: standardised with statistics that are saved as buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from ..core.batch import Batch, Data, each
from ..core.errors import ShapeError
from .statistics import Statistics

Scaling: TypeAlias = Literal["element", "shared", "range"]


class DataInitialised(nn.Module, ABC):
    """A module that looks at training rows once, before training starts."""

    shows_inside: ClassVar[bool] = False
    """Whether it lets the modules inside look too, at rows of their own: one modality of several, say."""

    @abstractmethod
    def initialise(self, batch: Batch) -> None:
        """Set buffers or starting values from ``batch``."""


def initialise_all(batch: Batch, *modules: nn.Module) -> None:
    """Let every data-initialised module in some modules look at rows, each once, from the outside in."""
    seen: set[int] = set()

    def look(module: nn.Module) -> None:
        if id(module) in seen:
            return
        seen.add(id(module))
        if isinstance(module, DataInitialised):
            module.initialise(batch)
            if module.shows_inside:
                seen.update(id(m) for m in module.modules())
                return
        for child in module.children():
            look(child)

    for module in modules:
        look(module)


def as_float(x: Tensor) -> Tensor:
    """Return ``x`` in the default floating dtype unless it is floating already."""
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def floats(x: Data) -> Data:
    """Return data in floating dtypes, modality by modality; see :func:`as_float`."""
    return each(as_float, x)


class Standardise(DataInitialised):
    """Shift to mean zero and scale to about unit size; unobserved entries become zero and their mask is appended.

    Quantities are scaled column by column (``"element"``), the pixels of an image by one standard deviation
    (``"shared"``), bits, levels and shares by the width of their range (``"range"``): a bit that is rarely set, scaled
    by its own small spread, would shout over all others.

    Args:
        event: Shape of one row.
        masked: Whether rows come with a mask, which is then appended along the first event axis.
        scaling: ``"element"`` (by default for vectors), ``"shared"`` (for everything else), or ``"range"``.

    Example:
        >>> s = Standardise((2,))
        >>> s.initialise(Batch(torch.tensor([[0.0, 10.0], [2.0, 30.0]])))
        >>> s(torch.tensor([[1.0, 30.0]]))
        tensor([[0., 1.]])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event: tuple[int, ...], *, masked: bool = False, scaling: Scaling | None = None) -> None:
        super().__init__()
        self.event, self.masked = tuple(event), masked
        self.scaling: Scaling = scaling or ("element" if len(self.event) == 1 else "shared")
        self.register_buffer("shift", torch.zeros(self.event))
        self.register_buffer("scale", torch.ones(self.event))

    def initialise(self, batch: Batch) -> None:
        """Take mean and scale from the observed entries."""
        self.take(Statistics.of(batch.tensor, batch.observed))

    def take(self, statistics: Statistics) -> None:
        """Take mean and scale from statistics, which may have been merged from those of parts of the data."""
        mean, std = statistics.moments(per_element=self.scaling == "element")
        self.shift.copy_(mean)
        self.scale.copy_(statistics.width() if self.scaling == "range" else std)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return ``(B, *event)``, with the mask appended along axis 1 if ``masked``."""
        if x.shape[1:] != self.event:
            raise ShapeError(
                f"Rows must have the shape {self.event}, but got {tuple(x.shape[1:])}. "
                "Give data of the shape the model was trained on, or train a new model."
            )
        out = ((as_float(x) - self.shift) / self.scale).to(self.shift.dtype)
        if mask is not None:
            out = torch.where(mask, out, torch.zeros_like(out))
        if not self.masked:
            return out
        seen = torch.ones_like(out) if mask is None else mask.to(out.dtype)
        return torch.cat([out, seen], dim=1)


class Encoder(nn.Module, ABC):
    """From a batch to features: ``encoder(batch) -> (B, n_features)``."""

    n_features: int

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Return features of each row."""


class Decoder(nn.Module, ABC):
    """From latents ``(*lead, n_latent)`` to raw numbers: ``decoder(z, c) -> (*lead, *raw_shape)``."""

    raw_shape: tuple[int, ...]
    biased: ClassVar[bool] = False
    """Whether its last layer alone says where numbers start, so that a likelihood adds nothing of its own."""

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, what it says of a row depends on the others of its batch."""
        return False

    @abstractmethod
    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the raw numbers of each row."""
