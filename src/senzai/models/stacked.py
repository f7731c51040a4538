"""One model on top of another: the latents of the lower are the data of the upper."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from ..core.batch import Batch, Data
from ..core.errors import CombinationError
from ..core.random import CopiedRows, current_noise, using
from ..core.spec import part
from ..distributions.copies import split_copies
from ..distributions.ops import draw, expected
from ..distributions.within import within
from ..nn.inputs import DataInitialised, initialise_all
from ..parts.base import AnyLikelihood, AnyPosterior, Prior, diagonal
from .base import Classifies, Group, Inference, LatentModel

Latents = tuple[Tensor, ...]


@part("model", "stacked")
@final
class Stacked(LatentModel, Classifies):
    r"""Bottom-up inference: :math:`q(z_1 | x)`, then whatever the upper model infers about :math:`z_1`.

    .. math:: p(x, z) = p_{\text{upper}}(z_1, z_{>1})\; p(x | z_1), \qquad
        q(z | x) = q(z_1 | x)\; q_{\text{upper}}(z_{>1} | z_1)

    With a flat model on top this is the two-level model of Burda et al.; with a semi-supervised one it is M1+M2. The
    rate of z_1 has no closed form: its prior p(z_1 | z_2) depends on a draw that depends on z_1. Rates of the upper
    groups are those of the upper model at the draws of z_1. The upper model is fitted to codes that move while it
    learns, so that it keeps the identity as its scaling.

    Reference:
        Importance Weighted Autoencoders (Burda, Grosse and Salakhutdinov, 2016). https://arxiv.org/abs/1509.00519
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014). https://arxiv.org/abs/1406.5298

    Args:
        posterior: q(z_1 | x).
        likelihood: p(x | z_1).
        upper: A model of rows shaped like z_1.

    Raises:
        CombinationError: The upper model's scale is estimated from a whole batch, or its prior is made of data.
    """

    def __init__(self, posterior: AnyPosterior, likelihood: AnyLikelihood, upper: LatentModel) -> None:
        super().__init__()
        if upper.mixes_rows:
            raise CombinationError(
                "A model of codes needs a density of its own for each row, but the upper one takes its scale from the "
                "whole batch. Use the likelihood normal there."
            )
        if any(isinstance(m, Prior) and isinstance(m, DataInitialised) for m in upper.modules()):
            raise CombinationError(
                "The upper model's prior looks at data before training, but its data are codes, which do not exist "
                "then. Use prior=standard_normal or mixture."
            )
        self.posterior, self.likelihood, self.upper = posterior, likelihood, upper

    def initialise(self, batch: Batch) -> None:
        """Let the lower networks look at data; the upper model sees codes, which do not exist yet."""
        initialise_all(batch, self.posterior, self.likelihood)

    def lower(self, batch: Batch, n_samples: int, z: Tensor | None = None) -> tuple[Tensor, Distribution]:
        """Return draws of z_1, ``(K, B, width)``, and their posterior."""
        q = self.posterior(batch)
        return draw(q, (n_samples,), grad=torch.is_grad_enabled()) if z is None else z, q

    def above(self, z: Tensor, batch: Batch, given: Latents | None = None) -> Inference:
        """Return what the upper model infers about codes ``(K, B, width)``: ``K * B`` rows, copy after copy."""
        copies = replace(batch.repeat(len(z)), x=z.flatten(0, 1), mask=None, lengths=None, present=None)
        flat = None if given is None else tuple(g.flatten(0, 1).unsqueeze(0) for g in given)
        with using(CopiedRows.of(current_noise(), draws=len(z))):
            return self.upper.infer(copies, z=flat)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Go up; see :meth:`LatentModel.infer`."""
        value, q = self.lower(batch if seen is None else seen, n_samples, None if z is None else z[-1])
        k = len(value)
        found = self.above(value, replace(batch, c=None), None if z is None else z[:-1])
        n = found.n_samples
        wide = value.repeat(n, 1, 1)
        log_p = found.log_lik.unflatten(1, (k, -1)).flatten(0, 1)
        groups = [unfolded(g, k, n) for g in found.groups]
        groups.append(Group("z1", wide, q, None, analytic=False, log_p=log_p))
        p: Distribution = within(self.likelihood(wide, batch.c), batch)
        self.likelihood.observe(p, batch.x)
        mix = None if found.log_mix is None else found.log_mix.expand(n, k * batch.rows)
        log_mix = None if mix is None else mix.unflatten(1, (k, -1)).flatten(0, 1) - log(k)
        return Inference(tuple(groups), p, batch.x, log_mix)

    def infer_lower(self, batch: Batch) -> Inference:
        """Return what the lower layer alone infers, as if the prior of z_1 were standard normal."""
        value, q = self.lower(batch, 1)
        p: Distribution = within(self.likelihood(value, batch.c), batch)
        self.likelihood.observe(p, batch.x)
        standard = diagonal(torch.zeros_like(value[0, 0]), torch.ones_like(value[0, 0]))
        return Inference((Group("z1", value, q, standard),), p, batch.x)

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | z_1)."""
        p: Distribution = self.likelihood(z[-1], c)
        return p

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw from the upper model, latents and codes; a label to condition on is the upper model's."""
        given = c if isinstance(self.upper, Classifies) else None
        above = self.upper.sample_prior(n, given)
        return (*above, draw(self.upper.generate(above, given), grad=False))

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw rows; a label is only for the upper model."""
        with using(replace(current_noise(), spread=temperature)):
            z = self.sample_prior(n, c)
        p = self.generate(z, None if isinstance(self.upper, Classifies) else c)
        return draw(p, grad=False) if noise else expected(p)

    def scored(self, batch: Batch) -> Batch:
        """Return what the upper model would score of the labels."""
        return self.upper.scored(batch)

    @property
    def n_classes(self) -> int:
        """Classes of the upper model; 0 where it has none."""
        return self.upper.n_classes if isinstance(self.upper, Classifies) else 0

    def classify(self, batch: Batch) -> Tensor:
        """Return the upper model's log q(y | z_1) at a draw of z_1 (its mean under a point), ``(B, n_classes)``."""
        if not isinstance(self.upper, Classifies):
            raise CombinationError("Classes need a model with a classifier, but the upper one has none. Use m1-m2.")
        value, _ = self.lower(batch, 1)
        return self.upper.classify(replace(batch, x=value[0], mask=None, lengths=None, present=None, c=None))

    @property
    def top_prior(self) -> Prior | None:
        """The prior of the upper model."""
        return self.upper.top_prior

    def with_prior(self, prior: Prior) -> LatentModel:
        """Return the model with another prior in its upper model, everything else shared.

        Raises:
            CombinationError: The upper model has no such prior, or the prior is over other latents.
        """
        return Stacked(self.posterior, self.likelihood, self.upper.with_prior(prior)).train(self.training)

    @property
    def mixes_rows(self) -> bool:
        """Whether the likelihood estimates its scale from the whole batch."""
        return self.likelihood.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of both posteriors."""
        return [*self.posterior.parameters(), *self.upper.encoder_parameters()]


def unfolded(group: Group, k: int, n: int) -> Group:
    """Return a group over ``k`` copies of the rows with ``(n * k, B)`` draws, one level higher by name."""
    q, p = (None if d is None else spread(d, k, n) for d in (group.q, group.p))

    def rows(values: Tensor) -> Tensor:
        wide: Tensor = values.unflatten(1, (k, -1))
        return wide.flatten(0, 1)

    known = group.closed if q is None or p is None else None
    return Group(
        raised(group.name), rows(group.z), q, p, analytic=group.analytic,
        log_q=rows(group.log_q) if q is None else None, log_p=rows(group.log_p) if p is None else None,
        closed=None if known is None else rows(known.expand(n, -1)),
    )


def spread(p: Distribution, k: int, n: int) -> Distribution | None:
    """Return a distribution over ``(k * B,)`` or ``(n, k * B)`` with batch ``(n * k, B)``; ``None`` if it has none."""
    if not p.batch_shape:
        return p
    if len(p.batch_shape) == 1:
        return split_copies(p, k) if n == 1 else None
    if not (isinstance(p, Independent) and isinstance(p.base_dist, Normal)):
        return None
    loc, scale = (v.flatten(0, 1).unflatten(0, (n * k, -1)) for v in (p.base_dist.loc, p.base_dist.scale))
    return Independent(Normal(loc, scale, validate_args=False), p.reinterpreted_batch_ndims, validate_args=False)


def raised(name: str) -> str:
    """Return the name of a group one level higher: z is z2, z1 is z2, z2 is z3; other names stay.

    Example:
        >>> raised("z"), raised("z2"), raised("y")
        ('z2', 'z3', 'y')
    """
    found = re.fullmatch(r"z(\d*)", name)
    return name if found is None else f"z{int(found[1] or 1) + 1}"
