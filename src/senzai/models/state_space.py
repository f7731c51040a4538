"""A nonlinear state-space model of sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch, first
from ..core.examples import example
from ..core.spec import part
from ..distributions.ops import draw
from ..distributions.sequence import Sequence
from ..distributions.within import within
from ..nn.inputs import DataInitialised, Standardise
from ..nn.precision import network_precision
from ..nn.recurrent import Recurrent, flat_steps, valid_steps
from ..parts.base import AnyLikelihood, diagonal
from ..parts.conditionals import AnyConditional, moments_of
from .base import Group, Inference, LatentModel

Latents = tuple[Tensor, ...]


def of_steps(p: Distribution, batch: Batch) -> Distribution:
    """Return a distribution over steps, ``(K, B, T)``, as one over the sequences of a batch."""
    every = torch.ones(p.batch_shape[-2:], dtype=torch.bool, device=batch.device)
    return within(Sequence(p, every), batch)


def without_padding(batch: Batch, other: Batch) -> Batch:
    """Return a batch without the steps that no row of it or of the other one has.

    Example:
        >>> rows = Batch(torch.zeros(2, 9, 1), lengths=torch.tensor([1, 3]))
        >>> without_padding(rows, rows).tensor.shape
        torch.Size([2, 3, 1])
    """
    if batch.lengths is None or other.lengths is None:
        return batch
    n = max(1, *(int(first(b.lengths).max()) for b in (batch, other) if b.lengths is not None))
    mask = None if batch.mask is None else first(batch.mask)[:, :n]
    return replace(batch, x=batch.tensor[:, :n], mask=mask)


def padded(values: Tensor, n_steps: int) -> Tensor:
    """Return ``(K, B, T, d)`` with ones behind, ``(K, B, n_steps, d)``; nothing depends on them."""
    return F.pad(values, (0, 0, 0, n_steps - values.shape[2]), value=1.0)


def initialise_steps(model: LatentModel, emission: AnyLikelihood, batch: Batch) -> None:
    """Let the emission look at single steps, and everything else at sequences."""
    inside = {id(m) for m in emission.modules()}
    steps = flat_steps(batch)
    for module in model.modules():
        if isinstance(module, DataInitialised) and not isinstance(module, Standardise):
            module.initialise(steps if id(module) in inside else batch)


@example(recipe="dmm", data="sequences", settings={})
@example(recipe="dmm", data="ragged", settings={})
@part("model", "state_space")
@final
class StateSpace(LatentModel):
    r"""The deep Markov model: a latent for each step, each given the one before.

    .. math:: p(x, z) = \prod_t p(z_t | z_{t-1})\, p(x_t | z_t), \qquad q(z | x) = \prod_t q(z_t | z_{t-1}, h_t(x))

    with a learned :math:`z_0`. With features :math:`h_t` from the rest of the sequence, :math:`x_t, \dots, x_T`, the
    inference has the form of the true posterior ("DKS", or "ST-R"). Given the draw of the step before, both densities
    of a step are diagonal normals; the rate is closed conditional on it. Steps behind the end of a row do not count.

    Reference:
        Structured Inference Networks for Nonlinear State Space Models (Krishnan et al., 2017).
        https://arxiv.org/abs/1609.09869

    Args:
        transition: p(z_t | z_{t-1}), a diagonal normal.
        features: States h_t of a recurrent network.
        recognition: q(z_t | z_{t-1}, h_t), or q(z_t | h_t) if not ``structured``.
        emission: p(x_t | z_t), a likelihood of single steps.
        n_steps: Steps of sequences that are drawn.
        structured: Whether inference sees the draw of the step before; if not, it is the mean field.
    """

    def __init__(
        self, transition: AnyConditional, features: Recurrent, recognition: AnyConditional, emission: AnyLikelihood,
        n_steps: int, *, structured: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, n_steps=n_steps)
        self.transition, self.features, self.recognition = transition, features, recognition
        self.emission, self.n_steps, self.structured = emission, n_steps, structured
        self.z_0 = nn.Parameter(torch.zeros(transition.event))
        if structured:
            self.z_q_0 = nn.Parameter(torch.zeros(transition.event))

    def initialise(self, batch: Batch) -> None:
        """Let the emission look at single steps."""
        initialise_steps(self, self.emission, batch)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Go back through the data, then forward through the latents; see :meth:`LatentModel.infer`."""
        shown = batch if seen is None else seen
        with network_precision(batch.device):
            h = self.features(without_padding(shown, batch))
        valid = valid_steps(batch)
        found = self._follow(h, n_samples, None if z is None else z[0][:, :, : h.shape[1]])
        value, loc, scale = (padded(v, valid.shape[1]) for v in found)
        value = value if z is None else z[0]
        q = Sequence(diagonal(loc, scale), valid)
        p = Sequence(self.transition(self._before(value)), valid)
        return Inference((Group("z", value, q, p),), within(self.generate((value,)), batch), batch.x)

    def _follow(self, h: Tensor, n_samples: int, z: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents with location and scale of their posterior, each ``(K, B, T, d)``."""
        if not self.structured:
            loc, scale = moments_of(self.recognition(h))
            found = [draw(diagonal(loc[:, t], scale[:, t]), (n_samples,), grad=torch.is_grad_enabled())
                     for t in range(h.shape[1])] if z is None else list(z.unbind(2))
            full = (len(found[0]), *loc.shape)
            return torch.stack(found, 2), loc.expand(full), scale.expand(full)
        lead = (n_samples if z is None else len(z), h.shape[0])
        last, rows = self.z_q_0.expand(*lead, -1), []
        for t in range(h.shape[1]):
            q = self.recognition(last, h[:, t])
            last = draw(q, grad=torch.is_grad_enabled(), lead=1) if z is None else z[:, :, t]
            rows.append((last, *moments_of(q)))
        value, loc, scale = (torch.stack(v, 2) for v in zip(*rows, strict=True))
        return value, loc, scale

    def _before(self, z: Tensor) -> Tensor:
        """Return the latent before each step, ``(K, B, T, d)``."""
        first = self.z_0.expand(*z.shape[:2], 1, -1)
        return torch.cat([first, z[:, :, :-1]], 2)

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) of whole sequences."""
        p = self.emission(z[0])
        return Sequence(p, torch.ones(p.batch_shape[-2:], dtype=torch.bool, device=z[0].device))

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw latents of sequences as long as the longest one in training, ``(n, T, d)``."""
        last, found = self.z_0.expand(n, -1), []
        for _ in range(self.n_steps):
            last = draw(self.transition(last), grad=False)
            found.append(last)
        return (torch.stack(found, 1),)

    @property
    def mixes_rows(self) -> bool:
        """Whether the emission estimates its scale from the whole batch."""
        return self.emission.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the recurrent network and of the recognition."""
        own = [self.z_q_0] if self.structured else []
        return [*own, *self.features.parameters(), *self.recognition.parameters()]
