"""Sequences from a recurrent state with a latent at each step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from ..core.arguments import at_least
from ..core.batch import Batch, Data
from ..core.examples import example
from ..core.random import LaterRows, Noise, current_noise, using
from ..core.spec import part
from ..distributions.ops import Shape, _draw, draw, expected, point
from ..distributions.sequence import Sequence
from ..nn.inputs import Scaling, as_float
from ..nn.layers import hidden_layers
from ..nn.precision import network_precision
from ..nn.recurrent import StepInputs, observed_entries, valid_steps
from ..parts.base import AnyLikelihood, diagonal
from ..parts.conditionals import AnyConditional, moments_of
from .base import Group, Inference, LatentModel
from .state_space import initialise_steps, of_steps

Latents = tuple[Tensor, ...]


@example(recipe="vrnn", data="sequences", settings={})
@example(recipe="vrnn", data="ragged", settings={})
@part("model", "vrnn")
@final
class VRNN(LatentModel):
    r"""A recurrent network that draws: state :math:`h_t = f(x_t, z_t, h_{t-1})`, everything given the state before.

    .. math:: p(x, z) = \prod_t p(z_t | h_{t-1})\, p(x_t | z_t, h_{t-1}), \qquad
        q(z | x) = \prod_t q(z_t | x_t, h_{t-1})

    Given the state, both densities of a step are diagonal normals; the rate is closed conditional on it. Steps behind
    the end of a row do not count.

    Reference:
        A Recurrent Latent Variable Model for Sequential Data (Chung et al., 2015). https://arxiv.org/abs/1506.02216

    Args:
        prior: p(z_t | h_{t-1}), a diagonal normal.
        recognition: q(z_t | features of x_t, h_{t-1}), likewise.
        emission: p(x_t | features of z_t, h_{t-1}), a likelihood of single steps.
        n_features: Entries of one step.
        n_steps: Steps of sequences that are drawn.
        width: Width of the state and of the features of x and z.
        masked: Whether rows come with holes.
        scaling: How inputs are scaled.
    """

    def __init__(
        self, prior: AnyConditional, recognition: AnyConditional, emission: AnyLikelihood, n_features: int,
        n_steps: int, *, width: int = 64, masked: bool = False, scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_features=n_features, n_steps=n_steps, width=width)
        self.prior, self.recognition, self.emission = prior, recognition, emission
        self.n_steps, self.width = n_steps, width
        self.inputs = StepInputs(n_features, masked=masked, scaling=scaling)
        self.from_x = hidden_layers(self.inputs.width, (width,))
        self.from_z = hidden_layers(prior.event[0], (width,))
        self.cell = nn.GRUCell(2 * width, width)

    def initialise(self, batch: Batch) -> None:
        """Let the emission look at single steps."""
        initialise_steps(self, self.emission, batch)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Go along the sequence once; see :meth:`LatentModel.infer`."""
        seen_x = self._features(batch if seen is None else seen)
        own_x = seen_x if seen is None else self._features(batch)
        k = n_samples if z is None else len(z[0])
        h, rows = seen_x.new_zeros(k, batch.rows, self.width), []
        for t in range(seen_x.shape[1]):
            with network_precision(batch.device):
                q, p = self.recognition(seen_x[:, t], h), self.prior(h)
            value = draw(q, grad=torch.is_grad_enabled(), lead=1) if z is None else z[0][:, :, t]
            decoded = torch.cat([self.from_z(value), h], -1)
            rows.append((value, *moments_of(q), *moments_of(p), decoded))
            h = self.advance(own_x[:, t], decoded)
        value, q_loc, q_scale, p_loc, p_scale, decoded = (torch.stack(v, 2) for v in zip(*rows, strict=True))
        valid = valid_steps(batch)
        q, p = Sequence(diagonal(q_loc, q_scale), valid), Sequence(diagonal(p_loc, p_scale), valid)
        return Inference((Group("z", value, q, p),), of_steps(self.emission(decoded), batch), batch.x)

    def _features(self, batch: Batch) -> Tensor:
        with network_precision(batch.device):
            out: Tensor = self.from_x(self.inputs(batch.tensor, observed_entries(batch)))
        return out

    def advance(self, x: Tensor, decoded: Tensor) -> Tensor:
        """Return the next state from features of x, ``(B, width)``, and what the emission saw, features of z and h."""
        z, h = decoded.chunk(2, -1)
        given = torch.cat([x.expand_as(z), z], -1)
        out: Tensor = self.cell(given.flatten(0, -2), h.flatten(0, -2))
        return out.view(h.shape)

    def roll(self, z: Tensor | None, lead: tuple[int, ...], *, drawn: bool) -> tuple[Tensor, Tensor]:
        """Return latents and rows, ``(*lead, T, ...)``, each step from the ones before it.

        Args:
            z: Latents, or ``None`` to draw them from the prior.
            lead: Leading axes, rows last.
            drawn: Draw each step, else take its expected value.
        """
        n, spread = self.n_steps if z is None else z.shape[-2], current_noise().spread
        h, found = self.z_like(lead), []
        for t in range(n):
            value = draw(self.prior(h), grad=False, lead=len(lead) - 1) if z is None else z[..., t, :]
            decoded = torch.cat([self.from_z(value), h], -1)
            p = self.emission(decoded)
            with using(replace(current_noise(), spread=1.0) if spread != 1.0 else current_noise()):
                x = draw(p, grad=False, lead=len(lead) - 1) if drawn else expected(p)
            x = as_float(x)
            h = self.advance(self.from_x(self.inputs(x, torch.ones_like(x, dtype=torch.bool))), decoded)
            found.append((value, x))
        latents, rows = (torch.stack(v, len(lead)) for v in zip(*found, strict=True))
        return latents, rows

    def z_like(self, lead: tuple[int, ...]) -> Tensor:
        """Return the first state."""
        return next(self.cell.parameters()).new_zeros(*lead, self.width)

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return the product over steps of p(x_t | z_t, h_{t-1}), the state fed with the row's own steps."""
        return Fed(self, z[0])

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw latents; those of later steps depend on rows that are drawn on the way and dropped."""
        return (self.roll(None, (n,), drawn=True)[0],)

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw latents and rows together, step by step; without noise the state is fed with expected values."""
        with using(replace(current_noise(), spread=temperature)):
            return self.roll(None, (n,), drawn=noise)[1]

    @property
    def mixes_rows(self) -> bool:
        """Whether the emission estimates its scale from the whole batch."""
        return self.emission.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the recognition network; features and state serve both sides."""
        return list(self.recognition.parameters())


@final
class Fed(Distribution):
    """Rows given latents, each step also given the row's own steps before it: log_prob feeds those, sample its own.

    Args:
        model: The model.
        z: Latents, ``(*lead, T, d)``.
    """

    def __init__(self, model: VRNN, z: Tensor) -> None:
        self.model, self.z = model, z
        super().__init__(z.shape[:-2], torch.Size((z.shape[-2], *model.emission.event)), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # torch: an attribute
        """Draws carry no gradient."""
        return False

    @property
    def support(self) -> constraints.Constraint | None:
        """Support of one step."""
        h = self.model.z_like((1,))
        support: constraints.Constraint | None = self.model.emission(torch.cat([h, h], -1)).support
        return support

    @property
    def mean(self) -> Tensor:
        """Rows whose every step is the expected value given those before it."""
        return self.model.roll(self.z, tuple(self.batch_shape), drawn=False)[1]

    @property
    def mode(self) -> Tensor:
        """The same."""
        return self.mean

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of rows ``(B, T, ...)`` at the latents, ``(*lead, B)``."""
        z = self.z if self.z.ndim == 4 else self.z.unsqueeze(0)
        found = self.model.infer(Batch(x), z=(z,)).log_lik
        return found if self.z.ndim == 4 else found[0]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw step by step."""
        lead = (*tuple(sample_shape), *self.batch_shape)
        return self.model.roll(self.z.expand(*lead, *self.z.shape[-2:]), lead, drawn=True)[1]


@_draw.register(Fed)
def _(p: Fed, shape: Shape, noise: Noise) -> Tensor:
    lead = (*shape, *p.batch_shape)
    with using(noise.inner if isinstance(noise, LaterRows) else noise):  # each step's draw shifts by itself
        return p.model.roll(p.z.expand(*lead, *p.z.shape[-2:]), lead, drawn=True)[1]


@point.register(Fed)
def _(p: Fed) -> Tensor:
    with using(Noise(point=True)):
        return p.model.roll(p.z, tuple(p.batch_shape), drawn=True)[1]
