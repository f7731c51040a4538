"""A prior that learns which proposals to accept."""

from __future__ import annotations

from functools import partial
from math import log
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.random import Noise, current_noise, derive
from ...core.spec import part
from ...distributions.vectors import Resampled
from ...nn.layers import hidden_layers, with_condition
from ...nn.products import Linear
from ..base import Prior, check_width, condition_of

SETTLED = 8192
"""Proposals that the normaliser is estimated from outside training, always the same ones."""


@part("prior", "lars")
@final
class ResampledPrior(Prior):
    r"""Learned accept/reject sampling: a standard normal, accepted with a learned probability, at most T tries.

    .. math:: p(z) = \mathcal N(z; 0, I) \Big[ (1 - \alpha) \frac{a(z)}{Z} + \alpha \Big], \quad
        Z = \mathbb E_{\mathcal N}[a(z)], \quad \alpha = (1 - Z)^{T - 1}

    The form is exact for the draws; Z is estimated: in training from fresh proposals, each step, with their gradient;
    otherwise from ``SETTLED`` proposals that never change, so that densities are reproducible. Its standard error is
    :meth:`log_z_se`. It starts as the standard normal.

    Reference:
        Resampled Priors for Variational Autoencoders (Bauer and Mnih, 2019). https://arxiv.org/abs/1810.11428

    Args:
        n_latent: Width of the latent code.
        hidden: Widths of the hidden layers of the accept function.
        n_tries: Proposals at most, T; the last one is taken whatever it is.
        n_estimate: Proposals that Z is estimated from in training.
        n_condition: Width of the condition; 0 for p(z).

    Example:
        >>> ResampledPrior(2)().log_prob(torch.zeros(1, 2))
        tensor([-1.8379], grad_fn=...)
    """

    like: Tensor

    def __init__(
        self, n_latent: int, *, hidden: tuple[int, ...] = (100, 100), n_tries: int = 100, n_estimate: int = 1024,
        n_condition: int = 0,
    ) -> None:
        super().__init__()
        if n_tries < 1 or n_estimate < 1:
            raise SettingError(
                f"`n_tries >= 1` and `n_estimate >= 1` must hold, but got {n_tries!r} and {n_estimate!r}."
            )
        self.n_latent, self.n_condition = check_width(n_latent), n_condition
        self.n_tries, self.n_estimate = n_tries, n_estimate
        self.hidden = hidden_layers(n_latent + n_condition, tuple(hidden), activation="tanh")
        self.out = Linear((n_latent + n_condition, *hidden)[-1], 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("like", torch.zeros(0), persistent=False)

    def log_accept(self, c: Tensor | None, z: Tensor) -> Tensor:
        """Return log a(z, c), ``(*lead,)``."""
        raw: Tensor = self.out(self.hidden(with_condition(z, c))).squeeze(-1)
        return F.logsigmoid(raw)

    def proposals(self) -> Tensor:
        """Return standard normal vectors: fresh ones in training, else always the same."""
        n = self.n_estimate if self.training else SETTLED
        fixed = Noise.seeded(derive(0, "normaliser"), device=self.like.device)
        noise = current_noise() if self.training else fixed
        return noise.normal((n, self.n_latent), row_dim=2, dtype=self.like.dtype, device=self.like.device)

    def log_accepted(self, c: Tensor | None) -> Tensor:
        """Return log a at the proposals: ``(n,)``, or ``(n, B)`` with a condition."""
        z = self.proposals()
        return self.log_accept(c, z if c is None else z.unsqueeze(1).expand(-1, len(c), -1))

    def log_z(self, c: Tensor | None = None) -> Tensor:
        """Return the estimate of log Z, a number or one for each condition."""
        given = condition_of(c, self.n_condition)
        index = None
        if given is not None:
            given, index = given.unique(dim=0, return_inverse=True)
        log_a = self.log_accepted(given)
        log_z = log_a.logsumexp(0) - log(len(log_a))
        return log_z if index is None else log_z[index]

    def log_z_se(self) -> float:
        """Return the standard error of log Z of a prior without condition, in nats."""
        with torch.no_grad():
            a = self.log_accepted(None).double().exp()
            return float(a.std() / a.mean() / len(a) ** 0.5)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        given = condition_of(c, self.n_condition)
        return Resampled(partial(self.log_accept, given), self.log_z(given), self.n_tries, self.n_latent)
