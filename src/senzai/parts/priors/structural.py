"""A prior whose dimensions cause each other: noise of their own, sent along a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.arguments import at_least
from ...core.causal_graph import CausalGraph
from ...core.errors import SettingError
from ...core.examples import example
from ...core.spec import part
from ...distributions.flow import Flow, Step
from ..base import Prior, check_width, diagonal

LIMIT = 4.0
"""Log scales of noise stay between its negative and this."""


@part("prior", "structural")
@example(settings={"prior": "structural", "prior.edges": ((0, 1),), "prior.hidden": 4})
@final
class StructuralPrior(Prior):
    r"""Latents in a graph of causes, :math:`z_i = f_i(z_{pa(i)}) + \sigma_i(z_{pa(i)})\, e_i` with normal noise.

    .. math:: \log p(z) = \sum_i \log \mathcal N\big(z_i;\, f_i(z_{pa(i)}),\, \sigma_i^2(z_{pa(i)})\big)

    Dimensions without a cause are standard normal, so that a graph without arrows is the standard normal itself. The
    density is exact, in one pass; a draw takes a pass for each generation of the graph. Setting a dimension
    (:meth:`follow`) cuts what leads to it; the noise of given latents is exact (:meth:`noise_of`).

    Reference:
        CausalVAE (Yang et al., 2021), whose layer is linear. https://arxiv.org/abs/2004.08697
        Weakly Supervised Disentangled Generative Causal Representation Learning (Shen et al., 2022).
        https://arxiv.org/abs/2010.02637

    Args:
        n_latent: Width of the latent code.
        edges: Pairs of the number of a cause and that of its effect, from 0.
        hidden: Hidden units of each mechanism; 0 for linear ones.

    Example:
        >>> prior = StructuralPrior(3, edges=((0, 1), (1, 2)))
        >>> e = torch.randn(5, 3)
        >>> z = prior.follow(e, {1: 2.0})
        >>> bool((z[:, 1] == 2).all()), bool((z[:, 0] == e[:, 0]).all())
        (True, True)
    """

    exact = True
    loc: Tensor
    scale: Tensor
    sees: Tensor

    def __init__(self, n_latent: int, *, edges: tuple[tuple[int, int], ...] = (), hidden: int = 32) -> None:
        super().__init__()
        at_least(0, hidden=hidden)
        self.n_latent, self.n_hidden = check_width(n_latent), hidden
        if any(not 0 <= i < n_latent for edge in edges for i in edge):
            raise SettingError(f"Arrows are between latents 0 to {n_latent - 1}, but got edges={edges!r}.")
        self.graph = CausalGraph(tuple(map(str, range(n_latent))), tuple((str(a), str(b)) for a, b in edges))
        sees = torch.zeros(n_latent, n_latent, dtype=torch.bool)  # effect, cause
        for cause, effect in edges:
            sees[effect, cause] = True
        self.register_buffer("sees", sees, persistent=False)
        self.register_buffer("loc", torch.zeros(n_latent), persistent=False)
        self.register_buffer("scale", torch.ones(n_latent), persistent=False)
        if not edges:
            return
        self.bias = nn.Parameter(torch.zeros(2, n_latent))
        self.straight = nn.Parameter(0.1 * torch.randn(2, n_latent, n_latent))
        if hidden:
            self.inner = nn.Parameter(torch.randn(n_latent, hidden, n_latent))
            self.inner_bias = nn.Parameter(torch.randn(n_latent, hidden))
            self.outer = nn.Parameter(0.1 * torch.randn(2, n_latent, hidden) / hidden**0.5)

    def mechanisms(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and log scale of every dimension given its causes among ``z``, ``(*lead, n_latent)``."""
        caused = self.sees.any(1)
        raw = self.bias + torch.einsum("...j,kij->...ki", z, self.straight * self.sees)
        if self.n_hidden:
            inner = torch.einsum("...j,ihj->...ih", z, self.inner * self.sees.unsqueeze(1)) + self.inner_bias
            raw = raw + torch.einsum("...ih,kih->...ki", nn.functional.silu(inner), self.outer)
        loc, log_scale = raw.unbind(-2)
        zero = torch.zeros_like(loc)
        return torch.where(caused, loc, zero), torch.where(caused, LIMIT * torch.tanh(log_scale / LIMIT), zero)

    def follow(self, e: Tensor, values: Mapping[int, float] | None = None) -> Tensor:
        """Return the latents that noise makes, ``(*lead, n_latent)``, causes first.

        Args:
            e: Noise of each dimension.
            values: Dimensions that are set, whatever causes them, and to what.
        """
        fixed = {} if values is None else dict(values)
        z = torch.zeros_like(e)
        for generation in self.graph.generations:
            made = e if not self.n_edges else self._made(z, e)
            for i in map(int, generation):
                value = torch.full_like(e[..., i], fixed[i]) if i in fixed else made[..., i]
                z = torch.where(torch.arange(self.n_latent, device=e.device) == i, value.unsqueeze(-1), z)
        return z

    def _made(self, z: Tensor, e: Tensor) -> Tensor:
        loc, log_scale = self.mechanisms(z)
        return loc + log_scale.exp() * e

    @property
    def n_edges(self) -> int:
        """How many arrows there are."""
        return len(self.graph.edges)

    def noise_of(self, z: Tensor) -> Tensor:
        """Return the noise that makes given latents, same shape."""
        if not self.n_edges:
            return z
        loc, log_scale = self.mechanisms(z)
        return (z - loc) * torch.exp(-log_scale)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        base = diagonal(self.loc, self.scale)
        return Flow(base, [_Mechanisms(self)]) if self.n_edges else base


@final
class _Mechanisms(Step):
    """The way from noise to latents and back."""

    def __init__(self, prior: StructuralPrior) -> None:
        self.prior = prior

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of noise, and the log volume of that map."""
        made = self.prior.follow(z)
        return made, self.prior.mechanisms(made)[1].sum(-1)

    def inverse(self, y: Tensor) -> Tensor:
        """Return the noise of latents."""
        return self.prior.noise_of(y)
