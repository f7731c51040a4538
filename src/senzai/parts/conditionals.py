"""Conditionals: ``conditional(*given) -> p(a | given)``, between one group of latents and the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from ..core.arguments import at_least
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..distributions.family import Family
from ..distributions.numeric import broadcast_shapes, positive_raw
from ..nn.layers import calmed, hidden_layers, linear_out, size_of
from ..nn.precision import network_precision
from .base import Prior, check_width, diagonal, full_precision


def beside(given: tuple[Tensor, ...]) -> Tensor:
    """Return tensors ``(*lead, n)`` side by side, their leading axes broadcast.

    Example:
        >>> beside((torch.zeros(7, 3, 2), torch.zeros(3, 4))).shape
        torch.Size([7, 3, 6])
    """
    lead = broadcast_shapes(*(g.shape[:-1] for g in given))
    return torch.cat([g.expand(*lead, g.shape[-1]) for g in given], dim=-1)


class AnyConditional(nn.Module, ABC):
    """Base of all conditionals: from tensors ``(*lead, n)`` to a distribution over latents."""

    event: tuple[int, ...]
    """Shape of what is distributed."""

    @abstractmethod
    def forward(self, *given: Tensor) -> Distribution:
        """Return p(a | given) with the leading axes of ``given`` as its batch."""


@part("conditional", "mlp")
@final
class Conditional(AnyConditional):
    """Hidden layers on everything given, side by side, then a linear head and a family.

    Args:
        n_in: Width of everything given together.
        n_latent: Width of what is distributed.
        family: What the raw numbers mean.
        hidden: Widths of the hidden layers; none for a linear one.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        dropout: Share of hidden units dropped in training.
        calm: Whether the last layer starts with a tenth of the usual weights, so that at first nearly the same is said
            whatever is given: a level of latents that starts with arbitrary values gives its neighbours gradients of
            arbitrary size.

    Example:
        >>> from senzai.distributions import NormalFamily
        >>> p = Conditional(5, 2, NormalFamily(), (8,))
        >>> p(torch.zeros(7, 3, 4), torch.zeros(3, 1)).batch_shape
        torch.Size([7, 3])
    """

    def __init__(
        self, n_in: int, n_latent: int, family: Family, hidden: tuple[int, ...] = (), *, activation: str = "relu",
        dropout: float = 0.0, calm: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, n_in=n_in)
        self.n_in, self.event, self.family = n_in, (check_width(n_latent),), family
        self.raw_shape = family.raw_shape(self.event)
        self.hidden = hidden_layers(n_in, tuple(hidden), activation=activation, dropout=dropout)
        self.head = linear_out(hidden[-1] if hidden else n_in, size_of(self.raw_shape))
        if calm:
            calmed(self.head)

    def forward(self, *given: Tensor) -> Distribution:
        """Return p(a | given) with the leading axes of ``given`` as its batch."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.hidden(beside(given)))
        return self.family(full_precision(raw).unflatten(-1, self.raw_shape), self.event)


@part("prior", "conditional")
@final
class ConditionalPrior(Prior):
    r"""A diagonal normal whose mean and scale are computed from the condition; it starts near the standard normal.

    .. math:: p(z | c) = \mathcal{N}(z; \mu(c), \mathrm{diag}\,\sigma^2(c))

    Reference:
        Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015).
        https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html

    Args:
        n_latent: Width of the latent code.
        n_condition: Width of the condition.
        hidden: Widths of the hidden layers.
        centred: Whether the mean is zero whatever the condition, so that the scale alone depends on it.

    Raises:
        CombinationError: There is no condition.

    Example:
        >>> ConditionalPrior(2, n_condition=3)(torch.zeros(5, 3)).batch_shape
        torch.Size([5])
        >>> ConditionalPrior(2, n_condition=3, centred=True)(torch.ones(1, 3)).mean
        tensor([[0., 0.]])
    """

    def __init__(
        self, n_latent: int, *, n_condition: int, hidden: tuple[int, ...] = (64,), centred: bool = False
    ) -> None:
        super().__init__()
        self.n_latent, self.centred = check_width(n_latent), centred
        if n_condition < 1:
            raise CombinationError(
                "The prior 'conditional' needs something to be conditioned on, but there is no condition. "
                "Set condition=label (or names of columns), or choose another prior."
            )
        self.hidden = hidden_layers(n_condition, tuple(hidden), activation="silu")
        self.head = linear_out(hidden[-1] if hidden else n_condition, n_latent if centred else 2 * n_latent)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias[-n_latent:] = positive_raw(torch.ones(n_latent), 1e-4)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c) with the leading axes of ``c`` as its batch."""
        if c is None:
            raise CombinationError("The prior 'conditional' needs a condition, but got none. Give one row per sample.")
        with network_precision(self.head.weight.device):
            raw = self.head(self.hidden(c.to(self.head.weight.dtype)))
        numbers = full_precision(raw)
        loc, scale = (torch.zeros_like(numbers), numbers) if self.centred else numbers.chunk(2, -1)
        return diagonal(loc, torch.nn.functional.softplus(scale) + 1e-4)


# --- one level of a hierarchy that is inferred from above -----------------------------------------------------------
class Rung(nn.Module, ABC):
    """One level between the latents above and what is below: a prior given those, a posterior given data as well."""

    event: tuple[int, ...]
    """Shape of this level's latent."""

    @abstractmethod
    def prior(self, above: Tensor) -> Distribution:
        """Return p(z | above)."""

    @abstractmethod
    def posterior(self, features: Tensor, above: Tensor, p: Distribution) -> Distribution:
        """Return q(z | features, above); ``p`` is :meth:`prior` of the same ``above``."""

    @abstractmethod
    def inference_parameters(self) -> list[nn.Parameter]:
        """Parameters of the posterior alone."""


@part("rung", "concatenated")
@final
class Concatenated(Rung):
    r"""Features of the data and the latents above are concatenated as the input of one network.

    .. math:: q(z_l | x, z_{l+1}) = q(z_l | h(x), z_{l+1})

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018), section 4. https://arxiv.org/abs/1705.07120

    Args:
        transition: p(z | above).
        recognition: q(z | features, above).
    """

    def __init__(self, transition: Conditional, recognition: Conditional) -> None:
        super().__init__()
        self.transition, self.recognition, self.event = transition, recognition, transition.event

    def prior(self, above: Tensor) -> Distribution:
        """Return p(z | above)."""
        p: Distribution = self.transition(above)
        return p

    def posterior(self, features: Tensor, above: Tensor, p: Distribution) -> Distribution:
        """Return q(z | features, above)."""
        q: Distribution = self.recognition(features, above)
        return q

    def inference_parameters(self) -> list[nn.Parameter]:
        """Parameters of the recognition network."""
        return list(self.recognition.parameters())


@part("rung", "merged")
@final
class Merged(Rung):
    r"""The product of the evidence from the data and the prior from the level above, weighted by their precisions.

    .. math:: \sigma^2 = \frac{1}{\hat\sigma^{-2} + \sigma_p^{-2}}, \qquad
        \mu = \sigma^2 \left(\hat\mu \hat\sigma^{-2} + \mu_p \sigma_p^{-2}\right)

    Reference:
        Ladder Variational Autoencoders (Sønderby et al., 2016), equations 17 to 19. https://arxiv.org/abs/1602.02282

    Args:
        transition: p(z | above), a diagonal normal.
        recognition: What the data say, a diagonal normal given the features.

    Raises:
        CombinationError: One of the two is no diagonal normal.
    """

    def __init__(self, transition: Conditional, recognition: Conditional) -> None:
        super().__init__()
        self.transition, self.recognition, self.event = transition, recognition, transition.event
        for name in (type(transition.family).__name__, type(recognition.family).__name__):
            if name not in ("NormalFamily", "NormalFixedFamily"):
                raise CombinationError(f"A ladder merges diagonal normals, but got {name}. Use the family normal.")

    def prior(self, above: Tensor) -> Distribution:
        """Return p(z | above)."""
        p: Distribution = self.transition(above)
        return p

    def posterior(self, features: Tensor, above: Tensor, p: Distribution) -> Distribution:
        """Return the product of both normals."""
        return merged(self.recognition(features), p)

    def inference_parameters(self) -> list[nn.Parameter]:
        """Parameters of the recognition network."""
        return list(self.recognition.parameters())


def merged(a: Distribution, b: Distribution) -> Distribution:
    """Return the normalised product of two diagonal normals.

    Example:
        >>> q = merged(diagonal(torch.zeros(1), torch.ones(1)), diagonal(torch.full((1,), 2.0), torch.ones(1)))
        >>> q.mean, q.variance
        (tensor([1.]), tensor([0.5000]))
    """
    (m, s), (n, t) = moments_of(a), moments_of(b)
    u, v = s.square().reciprocal(), t.square().reciprocal()
    variance = (u + v).reciprocal()
    return diagonal((m * u + n * v) * variance, variance.sqrt())


def moments_of(p: Distribution | Independent[Any]) -> tuple[Tensor, Tensor]:
    """Return location and scale of a diagonal normal.

    Raises:
        SettingError: It is something else.
    """
    base = p.base_dist if isinstance(p, Independent) else p
    if not isinstance(base, Normal):
        raise SettingError(f"Location and scale are those of a normal, but got {type(base).__name__}. Use one.")
    return base.loc, base.scale
