"""Bases of the distributions that torch lacks: independent numbers, parameters of one shape, draws from noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise, current_noise

from .ops import Shape, _draw, stand_in

D = TypeVar("D", bound="Elementwise")


class Elementwise(Distribution, ABC):
    """A distribution over single numbers, made from tensors that broadcast together.

    A subclass names its tensors in the order of its constructor, and its other arguments in :meth:`settings`; both are
    what :meth:`expand` makes it again from.
    """

    tensors: ClassVar[tuple[str, ...]]
    trailing: ClassVar[int] = 0
    """Last axes of every tensor that are not axes of the batch (components, cut points)."""

    def __init__(self, *parameters: Tensor) -> None:
        full = torch.broadcast_tensors(*parameters)
        for name, value in zip(self.tensors, full, strict=True):
            setattr(self, name, value)
        shape = full[0].shape
        super().__init__(shape[: len(shape) - self.trailing], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Names of the tensors; their values are not checked."""
        return dict.fromkeys(self.tensors, constraints.real)

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments that are not broadcast."""
        return {}

    def expand(self: D, batch_shape: Any, _instance: Any = None) -> D:
        """Return the same distribution with a larger batch shape."""
        values = (getattr(self, name) for name in self.tensors)
        return type(self)(*(v.expand(*batch_shape, *self._tail(v)) for v in values), **self.settings())

    def _tail(self, value: Tensor) -> Shape:
        return tuple(value.shape[value.ndim - self.trailing :])

    def inside(self) -> Tensor:
        """Return some value with a finite density; where it lies does not matter."""
        first: Tensor = getattr(self, self.tensors[0])
        return first.new_zeros(self.batch_shape)


@stand_in.register(Elementwise)
def _(p: Elementwise) -> Tensor:
    return p.inside()


class FromNoise(Elementwise):
    """An elementwise distribution that turns standard noise into draws; no draw depends on another row."""

    @abstractmethod
    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Return draws ``(*shape, *batch_shape)`` made from the numbers of ``noise``."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        if not self.has_rsample:
            raise NotImplementedError
        return self.from_noise(tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.from_noise(tuple(sample_shape), current_noise())

    def _uniform(self, shape: Shape, noise: Noise) -> Tensor:
        return open_uniform((*shape, *self.batch_shape), noise, row_dim=len(shape), like=getattr(self, self.tensors[0]))


@_draw.register(FromNoise)
def _(p: FromNoise, shape: Shape, noise: Noise) -> Tensor:
    with torch.set_grad_enabled(p.has_rsample and torch.is_grad_enabled()):
        return p.from_noise(shape, noise)


def as_real(value: Tensor, like: Tensor) -> Tensor:
    """Return whole numbers stored as such in the precision of ``like``; real numbers keep their own."""
    return value if value.is_floating_point() else value.to(like.dtype)


def open_uniform(shape: Shape, noise: Noise, *, row_dim: int, like: Tensor) -> Tensor:
    """Uniform numbers strictly between 0 and 1, so that their logarithms are finite."""
    u = noise.uniform(shape, row_dim=row_dim, dtype=like.dtype, device=like.device)
    return u.clamp(min=torch.finfo(like.dtype).eps / 2)


def pick(logits: Tensor, shape: Shape, noise: Noise) -> Tensor:
    """Draw class indices from the last axis of ``logits``: the largest of logits plus Gumbel noise.

    Args:
        logits: Log weights, ``(*batch, n)``, up to a constant.
        shape: Leading axes to add.
        noise: Source of the random numbers.

    Returns:
        Long tensor, ``(*shape, *batch)``.
    """
    u = open_uniform((*shape, *logits.shape), noise, row_dim=len(shape), like=logits)
    return (logits - torch.log(-torch.log(u))).argmax(-1)
