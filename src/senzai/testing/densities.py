"""Exams of probability: densities against draws, closed forms against draws, bounds against the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, pi, prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, biject_to, constraints
from torch.distributions.constraints import MixtureSameFamilyConstraint
from torch.distributions.transforms import Transform

from ..core.batch import Batch, only
from ..core.errors import CombinationError
from ..core.random import Noise, forked, using
from ..core.row_noise import RowNoise
from ..distributions.autoregressive import Begun
from ..distributions.modalities import Modalities, PresentModalities
from ..distributions.ops import Observed, draw
from ..distributions.sequence import Sequence
from ..evaluation import log_likelihood
from ..models.base import Inference, LatentModel
from ..models.generative import Generative
from ..models.modes import judging
from ..models.structured import Given
from .exam import NotAsked, exam
from .linear import LinearGaussian
from .looking import inferred, latent, mean_and_se, terms_of, too_far
from .subject import Subject

DRAWS = 4000
WIDEST = 8
"""Most dimensions of an event whose density is integrated by importance sampling."""
STATES = 400
"""Most different values of a discrete event that are counted."""
FEATURES = 12
DENSE = ("prior", "posterior", "likelihood", "family", "model", "recipe")


# --- densities ------------------------------------------------------------------------------------------------------
@exam("density", roles=DENSE, after=["shapes", "points"])
def density(subject: Subject) -> Iterator[str]:
    """Does every density integrate to one, and do draws follow it?"""
    model, _ = subject.fresh()
    if not isinstance(model, LatentModel):
        yield from _of_rows(model, subject)
        return
    seen = inferred(model, subject.batch(2), 1)
    found: dict[str, Distribution] = {}
    for g in seen.groups:
        found |= {f"{what}({g.name})": d for what, d in (("q", g.q), ("p", g.p)) if d is not None}
    found["p(x|z)"] = seen.likelihood
    asked = False
    with forked(11), torch.no_grad():
        for what, p in found.items():
            try:
                for fault in faults_of(p):
                    yield f"{what}: {fault}"
                asked = True
            except NotAsked:
                continue
    if not asked:
        raise NotAsked("no density here is small enough to be integrated")


class DensityRows(Distribution):
    """The rows of a model with an exact density, as a distribution: all given one condition, if there is one."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, model: Generative, event: tuple[int, ...], c: Tensor | None) -> None:
        self.model, self.c = model, c
        super().__init__(torch.Size(), torch.Size(event), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All real numbers."""
        everywhere: constraints.Constraint = constraints.independent(constraints.real, len(self.event_shape))
        return everywhere

    def _given(self, n: int) -> Tensor | None:
        return None if self.c is None else self.c.expand(n, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Exact log density."""
        with judging(self.model):
            log_p = self.model.log_prob(Batch(value, c=self._given(len(value))))
        assert log_p is not None  # only models that are exact are asked
        return log_p

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with the ambient noise."""
        with judging(self.model):
            return only(self.model.simulate(sample_shape[0], self._given(sample_shape[0])))


def _of_rows(model: Generative, subject: Subject) -> Iterator[str]:
    if not model.exact:
        raise NotAsked(f"the model ({type(model).__name__}) has no density with these parts")
    c = subject.batch(1).c
    with forked(11):
        for fault in faults_of(DensityRows(model, subject.event, c)):
            yield f"p(x): {fault}"


def faults_of(p: Distribution) -> Iterator[str]:
    """Yield what is wrong with a distribution: not normalised, or drawn otherwise than its density says.

    Continuous ones are integrated by importance sampling from a defensive mixture around their own draws; discrete
    ones by adding up the probability of every value that was drawn. All errors are five standard errors.

    Raises:
        NotAsked: The event is too large to be integrated.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> with forked(0):
        ...     list(faults_of(Independent(Normal(torch.zeros(2), 1.0), 1)))
        []
    """
    if isinstance(p, Modalities):
        yield from _of_parts(p)
        return
    in_part = isinstance(p, Observed | Given | Begun | PresentModalities)
    if in_part or (isinstance(p, Sequence) and not bool(p.valid.all())):
        raise NotAsked("its density is of a part of what it draws")
    support = _support(p)
    if support.event_dim < len(p.event_shape):
        raise NotAsked(f"{type(p).__name__} does not say what its values as a whole may be")
    if support.is_discrete:
        yield from _counted(p)
    elif prod(p.event_shape) <= WIDEST:
        yield from _integrated(p, _way_to(support))
    else:
        raise NotAsked(f"an event of {prod(p.event_shape)} numbers is too large to be integrated")


def _of_parts(p: Modalities) -> Iterator[str]:
    asked = False
    for name, part in p.parts.items():
        try:
            yield from (f"{name}: {fault}" for fault in faults_of(part))
            asked = True
        except NotAsked:
            continue
    if not asked:
        raise NotAsked("no modality has a density that is integrated")


def _way_to(support: constraints.Constraint) -> Transform:
    try:
        way: Transform = biject_to(support)
    except NotImplementedError:
        raise NotAsked("its values lie on a curved set, which is not integrated over here") from None
    return way


def _support(p: Distribution) -> constraints.Constraint:
    try:
        support: constraints.Constraint | None = p.support
    except NotImplementedError:
        support = None
    while isinstance(support, MixtureSameFamilyConstraint):
        support = support.base_constraint
    return constraints.independent(constraints.real, len(p.event_shape)) if support is None else support


def _draws(p: Distribution, n: int) -> Tensor:
    try:
        return draw(p, (n,), grad=False, noise=Noise(torch.Generator().manual_seed(3)))
    except CombinationError as err:  # known only where the model itself drew, and it says so
        raise NotAsked(str(err)) from None


def _integrated(p: Distribution, way: Transform) -> Iterator[str]:
    n, lead = DRAWS, len(p.batch_shape)
    x = _draws(p, n)
    u = way.inv(x)
    u = u.reshape(*u.shape[: 1 + lead], -1)
    if not bool(torch.isfinite(u).all()):
        yield "its draws must lie inside its support, and be finite, but do not"
        return
    guess = _Around(u)
    v = guess.sample(n)
    shaped = v.view(n, *u.shape[1:-1], *way.inverse_shape(p.event_shape))
    y = way(shaped)
    slope = way.log_abs_det_jacobian(shaped, y)
    log_w = p.log_prob(y) - guess.log_prob(v) + slope.reshape(n, *p.batch_shape, -1).sum(-1)
    if bool(torch.isnan(log_w).any()):
        yield "its density must be a number wherever its support is, but is NaN somewhere"
        return
    w = log_w.double().exp()
    total, se = mean_and_se(w)
    if too_far(total, 1.0, se, slack=5e-3):
        worst = (total - 1).abs().flatten().argmax()
        yield f"its density must integrate to 1, but gives {total.flatten()[worst]:.3f} +- {se.flatten()[worst]:.3f}"
        return
    yield from _followed(u, v, w)


class _Around:
    """A mixture that covers draws ``(n, *lead, d)``: half a wide Student-t, half narrow ones at some of the draws.

    With three degrees of freedom, so that a density with heavy tails is covered as well.
    """

    def __init__(self, u: Tensor) -> None:
        some = u[:32]
        self.loc, scale = u.mean(0), u.std(0).clamp_min(1e-3)
        self.centres = torch.cat([self.loc.unsqueeze(0), some])
        self.widths = torch.cat([1.5 * scale.unsqueeze(0), (0.5 * scale).expand_as(some)])
        self.weights = torch.full((len(self.centres),), 0.5 / len(some))
        self.weights[0] = 0.5

    def sample(self, n: int) -> Tensor:
        which = torch.multinomial(self.weights, n, replacement=True)
        numbers = torch.randn(4, n, *self.loc.shape)
        return self.centres[which] + self.widths[which] * numbers[0] / numbers[1:].square().mean(0).sqrt()

    def log_prob(self, v: Tensor) -> Tensor:
        far = ((v.unsqueeze(1) - self.centres) / self.widths).square()
        each = log(2 / (pi * 3**0.5)) - self.widths.log() - 2 * torch.log1p(far / 3)
        weights = self.weights.log().view(-1, *[1] * (self.loc.ndim - 1))
        return torch.logsumexp(each.sum(-1) + weights, 1)


def _followed(u: Tensor, v: Tensor, w: Tensor) -> Iterator[str]:
    """Compare bounded features of draws with the same features weighed by the density."""
    loc, scale = u.mean(0), u.std(0).clamp_min(1e-3)
    for _ in range(FEATURES):
        direction = torch.randn(u.shape[-1])
        phase = 2 * pi * torch.rand(())
        drawn, drawn_se = mean_and_se(torch.cos(((u - loc) / scale) @ direction + phase))
        weighed, weighed_se = mean_and_se(w * torch.cos(((v - loc) / scale) @ direction + phase).double())
        if too_far(drawn, weighed, (drawn_se.square() + weighed_se.square()).sqrt(), slack=5e-3):
            gap = (drawn - weighed).abs().max()
            yield f"its draws must follow its density, but the mean of a bounded function differs by {gap:.3f}"
            return


def _counted(p: Distribution) -> Iterator[str]:
    x = _draws(p, DRAWS).flatten(1, len(p.batch_shape)) if p.batch_shape else _draws(p, DRAWS).unsqueeze(1)
    asked = False
    for row in range(min(2, x.shape[1])):
        values, counts = torch.unique(x[:, row].reshape(len(x), -1), dim=0, return_counts=True)
        if len(values) > STATES:
            continue
        asked = True
        shaped = values.view(-1, *[1] * len(p.batch_shape), *p.event_shape)
        spread = shaped.expand(-1, *p.batch_shape, *p.event_shape)
        log_p = p.log_prob(spread)
        probability = (log_p.flatten(1)[:, row] if p.batch_shape else log_p).double().exp()
        yield from _agree(probability, counts)
    if not asked:
        raise NotAsked(f"more than {STATES} different values were drawn, which is too many to count")


def _agree(probability: Tensor, counts: Tensor) -> Iterator[str]:
    total, unseen = float(probability.sum()), float((counts == 1).sum()) / DRAWS
    if not 1 - unseen - 5 * (max(unseen, 1 / DRAWS) / DRAWS) ** 0.5 - 0.01 <= total <= 1 + 1e-3:
        yield f"its probabilities must add up to 1 over what it draws, but give {total:.4f}"
        return
    expected = DRAWS * probability
    z = (counts - expected).abs() / (expected * (1 - probability)).clamp_min(1e-9).sqrt()
    worst = float(z[expected >= 10].max()) if bool((expected >= 10).any()) else 0.0
    if worst > 5:
        yield f"its draws must follow its probabilities, but a value is {worst:.1f} standard errors off"


# --- rates ----------------------------------------------------------------------------------------------------------
@exam("rates", without=["schedule"], after=["shapes", "density"])
def rates(subject: Subject) -> Iterator[str]:
    """Is every closed-form rate at least zero, and what draws say within five standard errors?"""
    model, _ = subject.fresh()
    seen = inferred(model, subject.batch(4), 2000)
    known = [g for g in seen.groups if g.closed is not None]
    if not known:
        raise NotAsked("no rate here has a closed form")
    for g in known:
        assert g.closed is not None  # only these were kept
        if bool((g.closed < -1e-4).any()):
            yield f"the closed-form rate of {g.name!r} must not be negative, but is {float(g.closed.min()):.4g}"
        gap = g.monte_carlo_rate() - g.closed  # per draw, where the closed form depends on draws above
        mean, se = mean_and_se(gap if seen.log_mix is None else gap * seen.log_mix.exp() * len(gap))
        if too_far(mean, 0.0, se):
            worst = mean.abs().max()
            yield f"the closed-form rate of {g.name!r} must agree with draws, but differs by {worst:.3g} nats"


# --- bounds ---------------------------------------------------------------------------------------------------------
@exam("bounds", without=["schedule"], after=["shapes", "density", "points"])
def bounds(subject: Subject) -> Iterator[str]:
    """Is the estimate with one draw the one-sample bound, and does it rise with the number of draws?"""
    found, _ = subject.fresh()
    batch = subject.batch(8)
    if found.exact and not found.infers:
        yield from _exact(found, batch)
        return
    model = latent(found)
    with forked(0), judging(model), using(RowNoise.of(0, 1, range(8), range(1))):
        seen = model.infer(batch, 1)
        one = seen.bound()
    estimate = log_likelihood(model, batch, k=1, seed=0)
    if not torch.allclose(estimate.per_row, one.double(), rtol=1e-5, atol=1e-4):
        yield "log_likelihood with one draw must be the bound of that draw, but is another number"
    seen = inferred(model, batch, 100)
    weight = torch.full((), 1 / seen.n_samples) if seen.log_mix is None else seen.log_mix.exp()
    low, se = (seen.log_w * weight).sum(0).double(), seen.log_w.double().std(0) / seen.n_samples**0.5
    high = log_likelihood(model, batch, k=100, seed=3)
    error = (se.square().mean() + high.monte_carlo_se.nan_to_num().square().mean()).sqrt() / len(batch) ** 0.5
    if float(high.per_row.mean() - low.mean()) < -5 * float(error) - 1e-3:
        yield f"the bound must rise with the draws, but falls from {low.mean():.4f} to {high.mean:.4f} with a hundred"


def _exact(model: Generative, batch: Batch) -> Iterator[str]:
    with judging(model):
        log_p = model.log_prob(batch)
    estimate = log_likelihood(model, batch, k=7)
    same = log_p is not None and torch.allclose(estimate.per_row, log_p.double(), rtol=1e-5, atol=1e-5)
    if not (same and estimate.exact and estimate.k == 0):
        yield "log_likelihood must be the exact density of a model that has it, without draws, but is another number"


@exam("evidence", roles=DENSE, after=["shapes", "density"])
def evidence(subject: Subject) -> Iterator[str]:
    """Do posterior and prior of all latents together add up to one, and do both say the same p(x)?

    Draws of both are weighed by the density of their even mixture, so that no weight is above two.
    """
    model = latent(subject.fresh()[0])
    batch = subject.batch(2)
    first = inferred(model, batch, DRAWS)
    if first.log_mix is not None or any(g.q is None for g in first.groups):
        raise NotAsked("its latents are enumerated or have no density")
    with forked(12), judging(model):
        given = model.given(batch)
        c = None if given is None else given.repeat(DRAWS, 1)
        z = model.sample_prior(DRAWS * len(batch), c)
        try:
            second = model.infer(batch, DRAWS, z=tuple(g.view(DRAWS, len(batch), *g.shape[1:]) for g in z))
            sides = [_joint(seen) for seen in (first, second)]
        except CombinationError as err:
            raise NotAsked(str(err)) from None
    both = [torch.logaddexp(log_q, log_p) - log(2) for log_q, log_p, _ in sides]
    for i, what in enumerate(("q(z|x)", "p(z)")):
        total, se = _balanced([side[i] - m for side, m in zip(sides, both, strict=True)])
        if too_far(total, 1.0, se, slack=5e-3):
            yield f"{what} of all latents must add up to 1 over draws of both, but gives {_worst(total, 1.0)}"
    top = sides[1][2].amax(0)
    mixed, mixed_se = _balanced([p + lik - m - top for (_, p, lik), m in zip(sides, both, strict=True)])
    plain, plain_se = mean_and_se((sides[1][2] - top).exp())
    error = (mixed_se.square() + plain_se.square()).sqrt() / plain
    if bool((error < 0.15).all()) and too_far(mixed / plain, 1.0, error, slack=5e-3):
        yield f"draws of q and of p must say the same p(x), but the ratio is {_worst(mixed / plain, 1.0)}"


def _joint(seen: Inference) -> tuple[Tensor, Tensor, Tensor]:
    log_q = torch.stack([g.log_q.double() for g in seen.groups]).sum(0)
    log_p = torch.stack([g.log_p.double() for g in seen.groups]).sum(0)
    return log_q, log_p, seen.log_lik.double()


def _balanced(log_v: list[Tensor]) -> tuple[Tensor, Tensor]:
    (a, a_se), (b, b_se) = (mean_and_se(v.exp()) for v in log_v)
    return (a + b) / 2, (a_se.square() + b_se.square()).sqrt() / 2


def _worst(values: Tensor, truth: float) -> str:
    return f"{float(values[(values - truth).abs().argmax()]):.3f}"


# --- what objectives watch ------------------------------------------------------------------------------------------
@exam("watch", roles=["objective"], after=["combinations"])
def watch(subject: Subject) -> Iterator[str]:
    """Are the watched rate and distortion the true ones: minus the evidence where the posterior is exact?"""
    oracle = LinearGaussian.random(seed=4)
    model = oracle.model()
    with forked(0):
        _, objective = subject.build()
        try:
            objective.admit(model)
            objective.equip(model.train())
        except Exception as err:
            raise NotAsked(f"it refuses the linear model: {err}") from None
    model.aux.double()
    x = oracle.sample(1000, seed=5)
    player = objective.players(model)[0]
    found = terms_of(model, player, Batch(x), objective.settled_after)
    gap = -(found.watch["distortion"] + found.watch["rate"]).double() - oracle.log_p(x)
    mean, se = mean_and_se(gap)
    if too_far(mean, 0.0, se):
        yield f"minus distortion and rate must be the evidence, but is {float(mean):.4f} +- {float(se):.4f} nats away"
