"""Parts with one illness each, as a third party might write them, and the exam that must find it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch.distributions import Distribution, Independent, Normal, kl_divergence
from torch.distributions.kl import register_kl

from senzai.core.errors import CombinationError
from senzai.core.examples import example
from senzai.core.random import current_noise
from senzai.core.spec import REGISTRIES, part
from senzai.distributions import NormalFamily, Observed
from senzai.distributions.ops import marginal
from senzai.evaluation import RowNoise
from senzai.models.base import Group, Inference, LatentModel
from senzai.models.flat import Flat
from senzai.objectives.base import Objective, Terms
from senzai.objectives.elbo import ELBO
from senzai.objectives.warmup import Warmup
from senzai.parts.base import AnyLikelihood, AnyPosterior, Prior, diagonal
from senzai.parts.posteriors.amortised import Posterior
from senzai.recipes.registry import Recipe

SICK: dict[str, tuple[str, object]] = {}
"""``role/name`` → the exam that finds the illness, and what is registered while it is examined."""


def sick(role, name, *, found_by):
    """Remember a part as registered, but take it out of the registry: other tests are not to meet it."""

    def keep(cls):
        kept = part(role, name)(cls)
        SICK[f"{role}/{name}"] = (found_by, REGISTRIES[role].pop(name))
        return kept

    return keep


# --- posteriors ---------------------------------------------------------------------------------------------------
class Diagonal(AnyPosterior):
    """A healthy posterior, to be made ill."""

    def __init__(self, event, n_latent):
        super().__init__()
        self.event = (n_latent,)
        self.head = nn.Linear(event[0], 2 * n_latent)

    def numbers(self, x):
        loc, raw = self.head(torch.as_tensor(x, dtype=self.head.weight.dtype)).chunk(2, -1)
        return loc, nn.functional.softplus(raw) + 0.3

    def forward(self, batch):
        x = batch.tensor if batch.mask is None else torch.where(batch.mask, batch.tensor, 0.0)
        return diagonal(*self.numbers(x))


@sick("posterior", "looks_aside", found_by="rows")
class LooksAside(Diagonal):
    def forward(self, batch):
        x = batch.tensor if batch.mask is None else torch.where(batch.mask, batch.tensor, 0.0)
        return diagonal(*self.numbers(x + 0.1 * x.roll(1, 0)))


@sick("posterior", "reads_placeholders", found_by="masks")
class ReadsPlaceholders(Diagonal):
    def forward(self, batch):
        return diagonal(*self.numbers(batch.tensor))


@sick("posterior", "reads_on", found_by="padding")
@example(data="ragged")
class ReadsOn(AnyPosterior):
    """It sees holes, and does not know where a row ends."""

    def __init__(self, encoder, n_latent):
        super().__init__()
        self.event = (n_latent,)
        self.inner = Posterior(encoder, NormalFamily(), n_latent)

    def forward(self, batch):
        return self.inner(replace(batch, lengths=None))


@sick("posterior", "rolls_dice", found_by="points")
class RollsDice(Diagonal):
    def forward(self, batch):
        q = super().forward(batch)
        return q if self.training else diagonal(q.mean + 0.1 * torch.randn_like(q.mean), q.stddev)


@sick("posterior", "bare_noise", found_by="batch size")
class BareNoise(Diagonal):
    def forward(self, batch):
        q = super().forward(batch)
        return diagonal(q.mean + 0.1 * torch.randn_like(q.mean), q.stddev) if self.training else q


class OwnNormal(Distribution):
    """A normal that senzai has never seen."""

    has_rsample = True
    arg_constraints = {}  # noqa: RUF012
    stretch = 1.0

    def __init__(self, loc, scale):
        self.base = Normal(loc, scale)
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    support = torch.distributions.constraints.real_vector

    @property
    def mean(self):
        return self.base.loc

    @property
    def stddev(self):
        return self.base.scale

    def rsample(self, sample_shape=()):
        return self.base.loc + self.stretch * self.base.scale * torch.randn(*sample_shape, *self.base.loc.shape)

    def log_prob(self, x):
        return self.base.log_prob(x).sum(-1)


@sick("posterior", "not_drawn_by_row", found_by="noise")
class NotDrawnByRow(Diagonal):
    def forward(self, batch):
        q = super().forward(batch)
        return OwnNormal(q.mean, q.stddev)


class Stretched(OwnNormal):
    stretch = 1.3


@sick("posterior", "draws_too_wide", found_by="density")
@example(excused={"noise": "A distribution of its own, without a rule for drawing by rows."})
class DrawsTooWide(Diagonal):
    def forward(self, batch):
        q = super().forward(batch)
        return Stretched(q.mean, q.stddev)


class OddNormal(Independent):
    """Its closed form lacks a constant."""


@register_kl(OddNormal, Independent)
def _odd(q, p):
    return kl_divergence(Independent(q.base_dist, 1), p) + 0.2


@sick("posterior", "wrong_closed_form", found_by="rates")
class WrongClosedForm(Diagonal):
    def forward(self, batch):
        return OddNormal(super().forward(batch).base_dist, 1)


@sick("posterior", "forgets_an_argument", found_by="spec")
class ForgetsAnArgument(Diagonal):
    def __init__(self, event, n_latent, *, floor=None):
        super().__init__(event, n_latent)
        self.floor = float(torch.rand(())) if floor is None else floor  # what was chosen is not what is remembered

    def numbers(self, x):
        loc, scale = super().numbers(x)
        return loc, scale + self.floor


@sick("posterior", "keeps_it_to_itself", found_by="saved")
class KeepsItToItself(Diagonal):
    """Learns a shift in training, which is in no buffer."""

    def __init__(self, event, n_latent):
        super().__init__(event, n_latent)
        self.shift = 0.0

    def numbers(self, x):
        loc, scale = super().numbers(x)
        if self.training:
            self.shift += 0.1
        return loc if self.training else loc + self.shift, scale


# --- priors -------------------------------------------------------------------------------------------------------
@sick("prior", "too_much_mass", found_by="density")
class TooMuchMass(Prior):
    def __init__(self, n_latent):
        super().__init__()
        self.n_latent = n_latent

    def forward(self, c=None):
        return Heavier(torch.zeros(self.n_latent), torch.ones(self.n_latent))


class Heavier(OwnNormal):
    def log_prob(self, x):
        return super().log_prob(x) + 0.3


@sick("prior", "idle_parameter", found_by="gradients")
class IdleParameter(Prior):
    def __init__(self, n_latent):
        super().__init__()
        self.n_latent = n_latent
        self.loc = nn.Parameter(torch.zeros(n_latent))
        self.log_scale = nn.Parameter(torch.zeros(n_latent))

    def forward(self, c=None):
        return diagonal(self.loc, self.log_scale.detach().exp())


@sick("prior", "lost_axis", found_by="shapes")
class LostAxis(Prior):
    def __init__(self, n_latent):
        super().__init__()
        self.n_latent = n_latent

    def forward(self, c=None):
        return Normal(torch.zeros(self.n_latent), 1.0)


@sick("prior", "crashes", found_by="settings")
class Crashes(Prior):
    def __init__(self, n_latent, *, n_components: int = 2):
        super().__init__()
        self.n_latent = n_latent
        self.scale = 2 / n_components

    def forward(self, c=None):
        return diagonal(torch.zeros(self.n_latent), torch.full((self.n_latent,), self.scale))


# --- likelihoods --------------------------------------------------------------------------------------------------
class Nosy(OwnNormal):
    """Its marginal looks at what was not observed."""


@marginal.register(Nosy)
def _nosy(p, observed):
    return Observed(Independent(p.base, 1), torch.ones_like(observed))


@sick("likelihood", "nosy", found_by="masks")
class NosyLikelihood(AnyLikelihood):
    def __init__(self, event, n_latent):
        super().__init__()
        self.event = tuple(event)
        self.net = nn.Linear(n_latent, event[0])

    def forward(self, z, c=None):
        loc = self.net(z)
        return Nosy(loc, torch.ones_like(loc))


# --- models -------------------------------------------------------------------------------------------------------
class Copied(LatentModel):
    """The flat model, written again so that it can be made ill."""

    def __init__(self, prior, posterior, likelihood):
        super().__init__()
        self.inner = Flat(prior, posterior, likelihood)

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        return self.changed(self.inner.infer(batch, n_samples, seen=seen, z=z))

    def changed(self, seen):
        return seen

    def generate(self, z, c=None):
        return self.inner.generate(z, c)

    def sample_prior(self, n, c=None):
        return self.inner.sample_prior(n, c)

    def encoder_parameters(self):
        return self.inner.encoder_parameters()


def ill_model(name, *, found_by):
    def keep(cls):
        kept = part("model", name)(cls)
        REGISTRIES["model"].pop(name)

        def make(frame):
            return kept(frame.prior(), frame.posterior(), frame.likelihood()), frame.elbo()

        SICK[f"recipe/{name}"] = (found_by, Recipe(name, "An ill model", "none", make))
        SICK[f"model/{name}"] = (found_by, kept)
        return kept

    return keep


@ill_model("half_a_posterior", found_by="evidence")
class HalfAPosterior(Copied):
    def changed(self, seen):
        g = seen.groups[0]
        group = Group("z", g.z, g.q, g.p, analytic=False, log_q=g.q.log_prob(g.z) + 0.3)
        return Inference((group,), seen.likelihood, seen.x)


@ill_model("never_learns", found_by="bounds")
class NeverLearns(Copied):
    """The likelihood falls where evaluation asks for a hundred draws, but not where one looks by hand."""

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        found = super().infer(batch, n_samples, seen=seen, z=z)
        judged = isinstance(current_noise(), RowNoise) and n_samples == 100
        return replace(found, x=found.x + 3.0) if judged else found


# --- objectives ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Wrapped(Objective):
    def change(self, terms, batch, step):
        return terms

    def __call__(self, model, batch, step):
        return self.change(ELBO()(model, batch, step), batch, step)


def scaled(terms, factor):
    return Terms(terms.loss * factor, {k: v * factor for k, v in terms.parts.items()}, terms.watch)


@sick("objective", "counts_rows", found_by="batch size")
@dataclass(frozen=True)
class CountsRows(Wrapped):
    def change(self, terms, batch, step):
        return scaled(terms, len(batch))


@sick("objective", "loses_a_part", found_by="terms")
@dataclass(frozen=True)
class LosesAPart(Wrapped):
    def change(self, terms, batch, step):
        return replace(terms, parts={"rate": terms.parts["rate"]})


@sick("objective", "shows_the_weighted_rate", found_by="watch")
@dataclass(frozen=True)
class ShowsTheWeightedRate(Wrapped):
    def change(self, terms, batch, step):
        return replace(terms, watch={**terms.watch, "rate": 4 * terms.watch["rate"]})


@sick("objective", "refuses_late", found_by="combinations")
@dataclass(frozen=True)
class RefusesLate(Wrapped):
    def __call__(self, model, batch, step):
        if not isinstance(model.posterior(batch), Independent):
            raise CombinationError("This objective needs independent latents. Choose posterior=normal.")
        return super().__call__(model, batch, step)


@sick("objective", "counts_its_calls", found_by="resume")
@dataclass(frozen=True)
class CountsItsCalls(Wrapped):
    calls: list = field(default_factory=list, init=False, compare=False)

    def change(self, terms, batch, step):
        self.calls.append(step)
        return scaled(terms, 1 + 0.1 * len(self.calls))


# --- a schedule ---------------------------------------------------------------------------------------------------
@sick("schedule", "overshoots", found_by="schedule")
@dataclass(frozen=True)
class Overshoots(Warmup):
    steps: int = 4

    @property
    def end(self):
        return self.steps

    def factor(self, step):
        return min(1.5, step / self.steps)
