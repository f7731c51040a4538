"""Priors made of the posterior itself: mixtures of q(z | x) over pseudo-inputs or over training rows."""

from __future__ import annotations

from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.random import current_noise
from ...core.spec import part
from ...distributions.mixtures import Mixture
from ...distributions.spaces import Space
from ...nn.inputs import DataInitialised, as_float
from ..base import AnyPosterior, Prior, check_width, condition_of, diagonal

TOO_SMALL = "`{name} >= {least}` must hold, but got {value!r}. Each is one component of the mixture."


def filled(batch: Batch) -> Tensor:
    """Return the rows as real numbers, the mean of a column where nothing was observed.

    Raises:
        CombinationError: The rows are not one tensor of numbers between which there are others.
    """
    if isinstance(batch.x, dict) or batch.lengths is not None:
        raise CombinationError(
            "A prior made of rows of data needs rows that are one tensor of fixed size, but these have several "
            "modalities or lengths of their own. Choose another prior, mixture for example."
        )
    x, mask = as_float(batch.x), batch.observed
    if mask is None:
        return x
    mean = (x * mask).nan_to_num().sum(0) / mask.sum(0).clamp_min(1)
    return torch.where(mask, x, mean)


def some_rows(n: int, count: int) -> Tensor:
    """Return ``count`` of ``n`` row numbers in random order; each again and again where there are too few."""
    return torch.randperm(n).repeat(-(-count // n))[:count]


class _Within(torch.autograd.Function):
    """Clamp to [0, 1]; outside, only a gradient that leads back in passes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor) -> Tensor:
        return u.clamp(0.0, 1.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        outward = ((u > 1) & (gradient < 0)) | ((u < 0) & (gradient > 0))
        return torch.where(outward, torch.zeros_like(gradient), gradient)


@part("prior", "vamp")
@final
class VampPrior(Prior, DataInitialised):
    r"""The mixture of the posteriors of learned pseudo-inputs.

    .. math:: p(z \mid c) = \frac1K \sum_{k=1}^K q(z \mid u_k, c)

    It holds the very posterior of the model, not a copy: its parameters are trained through both and saved once.
    Pseudo-inputs start at training rows and stay inside the range of the data: of each column for vectors, of all
    values for everything else. The density is exact; the rate is estimated from the draws.

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018). https://arxiv.org/abs/1705.07120

    Args:
        n_latent: Width of the latent code.
        event: Shape of one row of data.
        posterior: The posterior of the model.
        n_components: Number of pseudo-inputs, K.
        n_condition: Width of the condition; 0 for p(z).

    Example:
        >>> from senzai.distributions import NormalFamily
        >>> from senzai.nn import MLPEncoder
        >>> from senzai.parts import Posterior
        >>> prior = VampPrior(2, (5,), Posterior(MLPEncoder((5,), (8,)), NormalFamily(), 2), n_components=3)
        >>> prior().log_prob(torch.zeros(7, 2)).shape, [name for name, _ in prior.named_parameters()]
        (torch.Size([7]), ['unit'])
    """

    keeps_rows = True
    lives_on = "any"
    low: Tensor
    high: Tensor

    def __init__(
        self, n_latent: int, event: tuple[int, ...], posterior: AnyPosterior, *, n_components: int = 128,
        n_condition: int = 0,
    ) -> None:
        super().__init__()
        if n_components < 1:
            raise SettingError(TOO_SMALL.format(name="n_components", least=1, value=n_components))
        check_event(posterior, check_width(n_latent))
        self.n_latent, self.n_components, self.n_condition = n_latent, n_components, n_condition
        self._borrowed = (posterior,)  # in a tuple: a module of its own, it would be saved twice
        self.unit = nn.Parameter(torch.rand(n_components, *event))
        self.register_buffer("low", torch.zeros(event))
        self.register_buffer("high", torch.ones(event))

    @property
    def posterior(self) -> AnyPosterior:
        """The posterior of the model."""
        return self._borrowed[0]

    @property
    def space(self) -> Space:
        """That of the posterior."""
        return self.posterior.space

    def initialise(self, batch: Batch) -> None:
        """Take the range of the data, and training rows as pseudo-inputs; rows taken twice are moved apart."""
        x = filled(batch)
        per_column = x.ndim == 2
        low, high = (v(x, 0) if per_column else v(x).expand_as(x[0]) for v in (torch.amin, torch.amax))
        self.low.copy_(low)
        self.high.copy_(high)
        width = torch.where(high > low, high - low, torch.ones_like(low))
        rows = some_rows(len(x), self.n_components)
        start = (x[rows] - low) / width
        start[len(x) :] += 0.01 * torch.randn_like(start[len(x) :])
        with torch.no_grad():
            self.unit.copy_(start)

    def pseudo_inputs(self) -> Tensor:
        """Return the pseudo-inputs in the units of the data, ``(K, *event)``."""
        inside = cast(Tensor, _Within.apply(self.unit))  # type: ignore[no-untyped-call]  # torch's
        return self.low + (self.high - self.low) * inside

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        u = self.pseudo_inputs()
        given = condition_of(c, self.n_condition)
        if given is None:
            return Mixture(u.new_zeros(self.n_components), self.posterior(Batch(u)))
        k = self.n_components
        given, rows = given.unique(dim=0, return_inverse=True)  # few classes, many rows
        told = Batch(u.repeat(len(given), *[1] * (u.ndim - 1)), c=given.repeat_interleave(k, 0))
        return Mixture(u.new_zeros(len(rows), k), arranged(self.posterior(told), (len(given), k), rows))


def arranged(q: Distribution, shape: tuple[int, int], rows: Tensor) -> Distribution:
    """Return normals of batch shape ``(a * b,)`` as rows of ``b``, those of each of ``rows``.

    Raises:
        CombinationError: They are not diagonal normals.
    """
    base = getattr(q, "base_dist", None)
    if not isinstance(base, torch.distributions.Normal):
        raise CombinationError(
            f"A VampPrior given a condition needs a normal posterior, but got {type(q).__name__}. "
            "Choose posterior=normal, or another prior."
        )
    return diagonal(base.loc.unflatten(0, shape)[rows], base.scale.unflatten(0, shape)[rows])


def check_event(posterior: AnyPosterior, n_latent: int) -> None:
    """Refuse a posterior over other latents.

    Raises:
        CombinationError: Its latents are not vectors of this width.
    """
    if tuple(posterior.event) != (n_latent,):
        raise CombinationError(
            f"A prior made of posteriors has their latents, ({n_latent},), but they have {tuple(posterior.event)}. "
            "Give the posterior of the model."
        )


@part("prior", "exemplar")
@final
class ExemplarPrior(Prior, DataInitialised):
    r"""A kernel density on the codes of training rows, with one learned width.

    .. math:: p(z) = \frac1N \sum_{n=1}^N \mathcal N(z; \mu_\phi(x_n), \sigma^2 I)

    with the posterior mean :math:`\mu_\phi` of the very posterior. In training every step looks at a random subset of
    the exemplars, and a row never at itself (leave-one-out; equal rows count as the row itself). The log of a subset's
    mean is too low in expectation, so that the loss stays an upper bound. Otherwise all exemplars are used and the
    density is exact. The exemplars are rows of data, and **are saved with the model**.

    Reference:
        Exemplar VAE (Norouzi, Fleet and Norouzi, 2020). https://arxiv.org/abs/2004.04795

    Args:
        n_latent: Width of the latent code.
        event: Shape of one row of data.
        posterior: The posterior of the model; it must have a mean.
        n_exemplars: Number of training rows kept, N.
        n_subset: Exemplars per training step.
        n_condition: Width of the condition that the encoder of an exemplar is told; p(z) itself is given none.

    Example:
        >>> from senzai.distributions import NormalFamily
        >>> from senzai.nn import MLPEncoder
        >>> from senzai.parts import Posterior
        >>> prior = ExemplarPrior(2, (5,), Posterior(MLPEncoder((5,), (8,)), NormalFamily(), 2), n_exemplars=9)
        >>> prior().log_prob(torch.zeros(7, 2)).shape
        torch.Size([7])
    """

    keeps_rows = True
    rows: Tensor
    conditions: Tensor
    prints: Tensor
    key: Tensor

    def __init__(
        self, n_latent: int, event: tuple[int, ...], posterior: AnyPosterior, *, n_exemplars: int = 500,
        n_subset: int = 100, n_condition: int = 0,
    ) -> None:
        super().__init__()
        if min(n_exemplars, n_subset) < 2:
            least = min(n_exemplars, n_subset)
            raise SettingError(TOO_SMALL.format(name="n_exemplars, n_subset", least=2, value=least))
        check_event(posterior, check_width(n_latent))
        self.n_latent, self.n_exemplars, self.n_subset = n_latent, n_exemplars, min(n_subset, n_exemplars)
        self._borrowed = (posterior,)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("rows", torch.rand(n_exemplars, *event))
        self.register_buffer("conditions", torch.zeros(n_exemplars, n_condition))
        size = self.rows[0].numel()
        self.register_buffer("key", torch.sin(1.7 * torch.arange(1, size + 1).double()), persistent=False)
        self.register_buffer("prints", torch.zeros(n_exemplars, dtype=torch.float64))

    @property
    def posterior(self) -> AnyPosterior:
        """The posterior of the model."""
        return self._borrowed[0]

    def initialise(self, batch: Batch) -> None:
        """Keep training rows."""
        rows = some_rows(len(batch), self.n_exemplars)
        self.rows.copy_(filled(batch)[rows])
        self.prints.copy_(self.fingerprint(batch)[rows])
        if batch.c is not None and self.conditions.shape[1]:
            self.conditions.copy_(batch.c[rows])

    def fingerprint(self, batch: Batch) -> Tensor:
        """Return a number for each row that no other row has, ``(B,)``."""
        x = as_float(batch.tensor).double()
        seen = x if batch.observed is None else torch.where(batch.observed, x, torch.zeros_like(x))
        return (seen.flatten(1) * self.key.double()).sum(1)

    def components(self, index: Tensor | None = None) -> Distribution:
        """Return the kernels of all exemplars, or of some."""
        x, c = (v if index is None else v[index] for v in (self.rows, self.conditions))
        q = self.posterior(Batch(x, c=c if c.shape[1] else None))
        try:
            centres = q.mean
        except NotImplementedError as err:
            raise CombinationError(
                f"An exemplar prior needs a posterior with a known mean, but {type(q).__name__} has none. "
                "Choose posterior=normal, or prior=vamp."
            ) from err
        return diagonal(centres, self.log_scale.exp().expand_as(centres))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z), all exemplars counted."""
        return Mixture(self.log_scale.new_zeros(self.n_exemplars), self.components())

    def of(self, batch: Batch) -> Distribution:
        """Return in training, for each row, the mixture of a random subset without the row itself."""
        if not self.training:
            return super().of(batch)
        u = current_noise().uniform((self.n_exemplars,), device=self.rows.device)
        index = u.topk(self.n_subset).indices
        own = (self.fingerprint(batch).unsqueeze(1) - self.prints[index]).abs() <= 1e-9 * self.prints[index].abs()
        own = own & ~own.all(1, keepdim=True)  # where nothing else is there, a row has itself
        logits = torch.zeros_like(own, dtype=self.log_scale.dtype).masked_fill(own, -torch.inf)
        return Mixture(logits, self.components(index).expand(own.shape))
