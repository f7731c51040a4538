"""A prior by flow matching: noise is carried to latents along a learned velocity field."""

from __future__ import annotations

from copy import copy
from functools import partial
from itertools import pairwise
from math import inf
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ...core.errors import CombinationError, SettingError
from ...core.examples import example
from ...core.random import Noise, current_noise
from ...core.spec import part
from ...distributions.numeric import broadcast_shapes
from ...distributions.ops import Shape
from ...distributions.vectors import Vector, standard_log_prob
from ...nn.layers import initialise_weights, with_condition
from ...nn.listed import ModulesOf
from ...nn.products import Linear, linear
from ...nn.spatial import Grid
from ...nn.unet import Guided, UNetField, VelocityNet
from ..base import Prior, check_width, condition_of

UNTOLD = 0.1
"""Share of rows whose condition is kept from a field that is to be guided."""


@final
class VelocityField(VelocityNet):
    """A fully connected velocity field v(z, t, c).

    The divergence is exact: the tangents of all latent directions go through the layers with the value.

    Args:
        n_latent: Width of the latent code.
        hidden: Widths of the hidden layers.
        n_condition: Width of the condition.
    """

    def __init__(self, n_latent: int, hidden: tuple[int, ...], n_condition: int) -> None:
        super().__init__()
        self.n_latent, self.n_condition = n_latent, n_condition
        widths = (n_latent + 3 + n_condition, *hidden, n_latent)
        self.layers: ModulesOf[Linear] = ModulesOf(Linear(a, b) for a, b in pairwise(widths))
        initialise_weights(self.layers, "silu")
        nn.init.zeros_(self.layers[-1].weight)

    @property
    def like(self) -> Tensor:
        """The last bias."""
        bias: Tensor = self.layers[-1].bias
        return bias

    def inputs(self, z: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        """Return latents, time and condition side by side."""
        clock = torch.stack([t, torch.sin(torch.pi * t), torch.cos(torch.pi * t)], -1)
        return with_condition(torch.cat([z, clock.expand(*z.shape[:-1], 3)], -1), c)

    def forward(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the velocity, shaped like ``z``; ``t`` broadcasts against its leading axes."""
        h = self.inputs(z, t, c)
        for layer in self.layers[:-1]:
            h = F.silu(layer(h))
        v: Tensor = self.layers[-1](h)
        return v

    def with_divergence(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the velocity and its divergence in z, ``(*lead,)``."""
        h = self.inputs(z, t, c)
        tangents = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)[: self.n_latent]
        for layer in self.layers[:-1]:
            raw = layer(h)
            gate = torch.sigmoid(raw)
            h = raw * gate
            slope = gate * (1 + raw * (1 - gate))
            tangents = linear(tangents, layer.weight) * slope.unsqueeze(-2)
        last = self.layers[-1]
        turned = linear(tangents, last.weight)
        return last(h), turned.diagonal(dim1=-2, dim2=-1).sum(-1).expand(z.shape[:-1])


class Carried(Vector):
    r"""The distribution of standard normal vectors carried by a velocity field from t = 0 to t = 1.

    .. math:: \log p(z_1) = \log \mathcal N(z_0; 0, I) - \int_0^1 \nabla \cdot v(z_t, t) \, dt

    Args:
        field: The velocity field.
        c: Condition of each row.
        n_steps: Steps of the classical Runge-Kutta method, which both density and draws take.
    """

    has_rsample = True

    def __init__(self, field: VelocityNet, c: Tensor | None, n_steps: int) -> None:
        self.field, self.c, self.n_steps = field, c, n_steps
        super().__init__(() if c is None else (len(c),), field.n_latent, field.like)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, ``(*lead,)``, by following every vector back to the noise it came from."""
        total = torch.zeros_like(z[..., 0])
        z = z.expand(broadcast_shapes(z.shape, (*self.batch_shape, 1)))
        h = -1.0 / self.n_steps
        at = partial(self.field.with_divergence, c=self.c)
        for i in range(self.n_steps):
            t = z.new_tensor(1 + i * h)
            v1, d1 = at(z, t)
            v2, d2 = at(z + 0.5 * h * v1, t + 0.5 * h)
            v3, d3 = at(z + 0.5 * h * v2, t + 0.5 * h)
            v4, d4 = at(z + h * v3, t + h)
            z = z + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            total = total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        return standard_log_prob(z) + total

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Carry standard normal vectors along the field."""
        z = self.numbers(shape, noise)
        h = 1.0 / self.n_steps
        at = partial(self.field, c=self.c)
        for i in range(self.n_steps):
            t = z.new_tensor(i * h)
            v1 = at(z, t)
            v2 = at(z + 0.5 * h * v1, t + 0.5 * h)
            v3 = at(z + 0.5 * h * v2, t + 0.5 * h)
            z = z + h / 6 * (v1 + 2 * v2 + 2 * v3 + at(z + h * v3, t + h))
        return z


@part("prior", "flow_matching")
@example(settings={"prior": "flow_matching", "prior.hidden": (8,), "prior.n_steps": 2})
@example(
    settings={"prior": "flow_matching", "prior.grid": (1, 2), "prior.width": 8, "prior.n_steps": 2, "n_latent": 2}
)
@final
class FlowMatchingPrior(Prior):
    r"""Noise carried to latents by a learned velocity field: latent diffusion in its deterministic form.

    The field is fitted by :meth:`matching_loss`, without ever solving the equation, or by maximum likelihood through
    it where a bound asks for ``log_prob``. It starts as the standard normal.

    Exact: the divergence, hence the change of volume of the field as it is. Not exact: the path, which is followed in
    ``n_steps`` Runge-Kutta steps (error of order ``n_steps ** -4``), and any claim that the field is the right one.

    Reference:
        Flow Matching for Generative Modeling (Lipman et al., 2023). https://arxiv.org/abs/2210.02747
        Score-Based Generative Modeling through SDEs (Song et al., 2021), the probability-flow equation.
        https://arxiv.org/abs/2011.13456
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022).
        https://arxiv.org/abs/2112.10752

    Args:
        n_latent: Width of the latent code.
        hidden: Widths of the hidden layers.
        n_steps: Runge-Kutta steps from noise to latents.
        n_condition: Width of the condition; 0 for p(z).
        grid: Height and width of the map that the latents are, for a field of convolutions (a small U-Net).
        width: Channels of that field.
        guidance: Weight of the condition in draws; other than 1 the field also learns without it. See
            :class:`senzai.nn.unet.Guided`.

    Example:
        >>> FlowMatchingPrior(2)().log_prob(torch.zeros(1, 2))
        tensor([-1.8379], grad_fn=...)
    """

    def __init__(
        self, n_latent: int, *, hidden: tuple[int, ...] = (128, 128), n_steps: int = 8, n_condition: int = 0,
        grid: Grid | None = None, width: int = 32, guidance: float = 1.0,
    ) -> None:
        super().__init__()
        need_guidance(guidance)
        if n_steps < 1:
            raise SettingError(f"`n_steps >= 1` must hold, but got {n_steps!r}. More steps follow the path closer.")
        self.n_latent, self.n_steps, self.n_condition = check_width(n_latent), n_steps, n_condition
        self.guidance = guidance
        self.field: VelocityNet = (
            VelocityField(n_latent, tuple(hidden), n_condition) if grid is None
            else UNetField(n_latent, grid, width=width, n_condition=n_condition)
        )

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        c = condition_of(c, self.n_condition)
        guided = c is not None and self.guidance != 1.0 and not self.training
        return Carried(Guided(self.field, self.guidance) if guided else self.field, c, self.n_steps)

    @property
    def dear(self) -> bool:
        """Whether its field is a U-Net, whose divergence takes a gradient at every step of the way."""
        return isinstance(self.field, UNetField)

    def guided(self, weight: float) -> FlowMatchingPrior:
        """Return the prior with another guidance, its field shared.

        Raises:
            CombinationError: It has no condition, or did not learn without it.
        """
        need_guidance(weight)
        if not self.n_condition or (self.guidance == 1.0 and weight != 1.0):
            why = "was not" if self.n_condition else "has no condition"
            raise CombinationError(
                f"Guidance needs a prior with a condition that was trained to be guided, but this one {why}. "
                "Fit recipe=latent-image with condition=label."
            )
        found = copy(self)
        found.guidance = weight
        return found

    def matching_loss(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        r"""Squared distance of the field from the straight way between noise and latents, one number per row.

        .. math:: \| v(z_t, t) - (z - \epsilon) \|^2, \quad z_t = (1 - t) \epsilon + t z

        Args:
            z: Latents, ``(*lead, B, n_latent)``.
            c: Condition of each row.

        Returns:
            Shape ``(*lead, B)``.
        """
        noise, rows = current_noise(), z.ndim - 2
        eps = noise.normal(tuple(z.shape), row_dim=rows, dtype=z.dtype, device=z.device)
        t = noise.uniform(tuple(z.shape[:-1]), row_dim=rows, dtype=z.dtype, device=z.device)
        mixed = eps + t.unsqueeze(-1) * (z - eps)
        missed: Tensor = self.field(mixed, t, self._told(c)) - (z - eps)
        return missed.square().sum(-1)

    def _told(self, c: Tensor | None) -> Tensor | None:
        """Return the condition, kept from some rows where the field is to be guided."""
        c = condition_of(c, self.n_condition)
        if c is None or self.guidance == 1.0 or not self.training:
            return c
        u = current_noise().uniform((len(c),), row_dim=0, dtype=c.dtype, device=c.device)
        return torch.where(u.unsqueeze(-1) < UNTOLD, torch.zeros_like(c), c)


def need_guidance(weight: float) -> None:
    """Refuse a weight that leads away from the condition."""
    if not 0 <= weight < inf:
        raise SettingError(f"`guidance >= 0` must hold, but got {weight!r}. 1 is the condition as it is, 2 more of it.")
