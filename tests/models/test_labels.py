"""Labels among the latents: enumeration by hand, known labels, and the limits where everything is a plain model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal
from torch.nn import functional as F

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.data import Choice, Proposal
from senzai.distributions import BernoulliFamily, NormalFamily, NormalOptimalFamily
from senzai.models import Flat, Probed, SemiSupervised, Structured, verbs
from senzai.models.structured import places
from senzai.nn import MLPDecoder
from senzai.objectives import ELBO, Layerwise, ProbedBound, SemiSupervisedBound
from senzai.objectives.labels import cross_entropy, imbalance
from senzai.parts import Classifier, ConditionalPrior, Likelihood, MixtureOfNormals, Posterior, StandardNormal
from senzai.recipes import Frame, Settings, build

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo

C = zoo.CLASSES


@pytest.fixture
def batch():
    return Batch(zoo.bits()[:5])


def joint(model, batch, y, z):
    """log p(x, y, z) - log q(z | x, y) for one label and given styles ``(S, B, d)``, written out."""
    code = F.one_hot(torch.full((len(batch),), y), C).double()
    q, p = model.posterior(replace(batch, c=code)), model.prior()
    prior_y = -torch.tensor(float(C)).log().double()
    return model.likelihood(z, code).log_prob(batch.x) + prior_y + p.log_prob(z) - q.log_prob(z)


def by_class(seen, s):
    """Styles of each class, ``(C, S, B, d)``."""
    return seen.groups[0].z.unflatten(0, (C, s))


# --- enumeration ----------------------------------------------------------------------------------------------------
def test_the_bound_sums_over_labels(batch):
    model, s = zoo.make("m2"), 4
    seen = model.infer(batch, s)
    log_w = torch.stack([joint(model, batch, y, z) for y, z in enumerate(by_class(seen, s))])
    expected = log_w.flatten(0, 1).logsumexp(0) - torch.tensor(float(s)).log()
    torch.testing.assert_close(seen.bound(), expected)


def test_the_elbo_weighs_labels_and_pays_for_their_entropy(batch):
    model, s = zoo.make("m2"), 3
    seen = model.infer(batch, s)
    q = model.classify(batch).exp()
    bound = torch.stack([joint(model, batch, y, z).mean(0) for y, z in enumerate(by_class(seen, s))], 1)
    expected = (q * (bound - q.log())).sum(1)
    torch.testing.assert_close(seen.average(seen.log_w), expected)


def test_of_a_known_label_only_its_class_counts(batch):
    model, s = zoo.make("m2"), 3
    y = torch.tensor([0, 2, 1, 1, 2])
    seen = model.infer(replace(batch, y=y), s)
    log_w = torch.stack([joint(model, batch, c, z) for c, z in enumerate(by_class(seen, s))])[y, :, torch.arange(5)].T
    torch.testing.assert_close(seen.bound(), log_w.logsumexp(0) - torch.tensor(float(s)).log())
    torch.testing.assert_close(seen.average(seen.log_w), log_w.mean(0))
    assert torch.isfinite(ELBO()(model, replace(batch, y=y), 0).loss).all()


def test_labelled_and_unlabelled_rows_share_a_batch(batch, with_noise):
    model = zoo.make("m2")
    y, known = torch.tensor([0, 2, 1, 1, 2]), torch.tensor([True, False, True, False, True])
    mixed = with_noise(lambda: model.infer(replace(batch, y=y, y_known=known), 2).bound())
    with_y = with_noise(lambda: model.infer(replace(batch, y=y), 2).bound())
    without = with_noise(lambda: model.infer(batch, 2).bound())
    torch.testing.assert_close(mixed, torch.where(known, with_y, without))


def test_a_known_label_teaches_the_classifier_only_through_its_own_loss(batch):
    model, y = zoo.make("m2"), torch.tensor([0, 2, 1, 1, 2])

    def moved(alpha):
        model.zero_grad()
        SemiSupervisedBound(alpha=alpha)(model, replace(batch, y=y), 0).loss.sum().backward()
        return model.classifier.head.weight.grad.abs().sum()

    assert moved(0.0) == 0
    assert moved(2.0) > 0


def test_the_classification_loss_is_weighted_and_of_labelled_rows(batch):
    model, y, known = zoo.make("m2"), torch.tensor([0, 2, 1, 1, 2]), torch.tensor([True, False, True, False, True])
    rows = replace(batch, y=y, y_known=known)
    with using(Noise.seeded(0)):
        bound = ELBO()(model, rows, 0)
    with using(Noise.seeded(0)):
        terms = SemiSupervisedBound(alpha=3.0)(model, rows, 0)
    own = torch.where(known, -model.classify(batch)[torch.arange(5), y], torch.zeros(5).double())
    torch.testing.assert_close(terms.loss, bound.loss + 3 * own)
    torch.testing.assert_close(sum(terms.parts.values()), terms.loss)
    torch.testing.assert_close(cross_entropy(model, rows), own)


def test_a_balance_weighs_how_frequent_the_classes_of_unlabelled_rows_are(batch):
    model, y, known = zoo.make("m2"), torch.tensor([0, 2, 1, 1, 2]), torch.tensor([True, False, True, False, False])
    rows = replace(batch, y=y, y_known=known)

    def terms(**settings):
        with using(Noise.seeded(0)):
            return SemiSupervisedBound(alpha=3.0, **settings)(model, rows, 0)

    mean = model.classify(batch)[~known].exp().mean(0)
    uniform = torch.distributions.Categorical(torch.full((3,), 1 / 3).double())
    nats = torch.distributions.kl_divergence(torch.distributions.Categorical(mean), uniform)
    found = terms(balance=2.0)
    torch.testing.assert_close(found.loss - terms().loss, 2 * nats * (~known))
    torch.testing.assert_close(sum(found.parts.values()), found.loss)
    assert SemiSupervisedBound(balance=2.0).mixes_rows(model)
    assert SemiSupervisedBound(balance=2.0).players(model)[0].mixes_rows
    assert not SemiSupervisedBound().mixes_rows(model)
    stack = zoo.make("m1_m2")
    assert Layerwise(balance=2.0).mixes_rows(stack)
    assert [p.mixes_rows for p in Layerwise(balance=2.0).players(stack)] == [False, True]
    labelled = SemiSupervisedBound(balance=2.0)(model, replace(batch, y=y), 0)
    assert (labelled.parts["imbalance"] == 0).all()


def test_gradients_stay_finite_where_a_class_is_certain(batch):
    """In single precision probabilities of other classes underflow to zero, in every row of a batch perhaps."""
    model, known = zoo.make("m2"), torch.tensor([True, False, True, False, False])
    rows = replace(batch, y=torch.zeros(5, dtype=torch.long), y_known=known)
    with torch.no_grad():
        for p in model.classifier.parameters():
            p.zero_()
        list(model.classifier.parameters())[-1][0] = 2000.0
    SemiSupervisedBound(balance=2.0)(model, rows, 0).loss.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    log_q = torch.tensor([[0.0, -500.0, -500.0]], dtype=torch.float32).expand(5, 3).requires_grad_()
    imbalance(log_q, rows).sum().backward()
    assert torch.isfinite(log_q.grad).all()


def test_with_one_class_it_is_a_plain_autoencoder(batch, with_noise):
    torch.manual_seed(0)
    model = zoo.m2(n_classes=1).double()
    flat = Flat(model.prior, model.posterior, model.likelihood)
    one = replace(batch, c=torch.ones(5, 1).double())
    for k in (1, 3):
        a = with_noise(lambda k=k: model.infer(batch, k))
        b = with_noise(lambda k=k: flat.infer(one, k))
        torch.testing.assert_close(a.log_w, b.log_w)
        torch.testing.assert_close(a.bound(), b.bound())
    torch.testing.assert_close(
        with_noise(lambda: ELBO()(model, batch, 0).loss), with_noise(lambda: ELBO()(flat, one, 0).loss)
    )


def test_a_label_can_be_given_to_samples():
    model = zoo.make("m2")
    y = F.one_hot(torch.full((6,), 2), C).double()
    z, got = model.sample_prior(6, y)
    assert torch.equal(got, y)
    p = model.generate((z, got))
    torch.testing.assert_close(p.mean, model.likelihood(z, y).mean)


def test_the_code_of_a_row_is_that_of_its_class(batch):
    model = zoo.make("m2")
    z, y = verbs.encode(model, batch)
    best = model.classify(batch).argmax(1)
    assert torch.equal(y.argmax(1), best)
    q = model.posterior(replace(batch, c=F.one_hot(best, C).double()))
    torch.testing.assert_close(z, q.mean)
    drawn = verbs.encode(model, Batch(zoo.bits()[:1].repeat(4000, 1)), seed=0)[1].mean(0)
    share = model.classify(batch)[0].exp()
    assert ((drawn - share).abs() < 5 * (share * (1 - share) / 4000).sqrt()).all()


# --- probes and stacks ----------------------------------------------------------------------------------------------
def test_a_probe_never_moves_the_model(batch):
    model = zoo.make("m1")
    rows = replace(batch, y=torch.tensor([0, 2, 1, 1, 2]))
    model_player, probe = ProbedBound().players(model)
    probe.loss(model, rows, 0).loss.sum().backward()
    assert all(p.grad is None for p in model.inner.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.head.parameters())
    mine = {id(p) for p in probe.parameters}
    assert not mine & {id(p) for p in model_player.parameters}
    assert {id(p) for p in model.parameters()} == mine | {id(p) for p in model_player.parameters}


def test_layer_by_layer_each_player_moves_its_own_layer(batch):
    model = zoo.make("m1_m2")
    rows = replace(batch, y=torch.tensor([0, 2, 1, 1, 2]))
    lower, upper = Layerwise(alpha=1.0).players(model)
    upper.loss(model, rows, 0).loss.sum().backward()
    assert all(p.grad is None for p in (*model.posterior.parameters(), *model.likelihood.parameters()))
    assert all(p.grad.abs().sum() > 0 for p in upper.parameters)
    model.zero_grad(set_to_none=True)
    terms = lower.loss(model, rows, 0)
    terms.loss.sum().backward()
    assert all(p.grad is None for p in model.upper.parameters())
    assert set(terms.watch) == {"distortion", "rate"}


def test_the_upper_layer_begins_where_the_lower_one_ends():
    model = zoo.make("m1_m2")
    lower, upper = Layerwise(start=0.3).over(10).players(model)
    assert [lower.plays_at(s) for s in range(10)] == [True] * 3 + [False] * 7
    assert [upper.plays_at(s) for s in range(10)] == [False] * 3 + [True] * 7
    assert (lower.span, upper.span) == ((0, 3), (3, None))
    lower, upper = Layerwise(start=0.0).over(10).players(model)  # side by side
    assert all(p.plays_at(s) and p.span in ((0, None), (0, 0)) for p in (lower, upper) for s in range(10))
    assert Layerwise(start=0.3).over(10).settled_after == 3
    with pytest.raises(SettingError, match="share of the training"):
        Layerwise(start=0.3).upper_plays(0)
    with pytest.raises(SettingError, match="start >= 0"):
        Layerwise(start=-1.0)


def test_a_model_of_codes_begins_with_a_wide_likelihood():
    """However narrow scales may begin, a model that was not shown its data must not be sure of them."""
    frame = Frame(
        (30,), Proposal(likelihood=Choice("bernoulli")), n_classes=C, n_rows=100, n_labelled=10,
        settings=Settings({"n_lower": 20}),
    )
    torch.manual_seed(0)
    model, _ = build("m1-m2", frame)
    codes = Batch(torch.randn(500, 20))
    with using(Noise.seeded(0)), torch.no_grad():
        distortion = -model.upper.infer(codes).log_lik
    assert float(distortion.mean()) < 20 * 3  # 28.4 nats at the best scale


def test_the_upper_layer_learns_from_draws(batch):
    model = zoo.make("m1_m2")
    rows = replace(batch, y=torch.tensor([0, 2, 1, 1, 2]), y_known=torch.tensor([True, False, True, False, True]))
    with using(Noise.seeded(3)):
        found = Layerwise(alpha=2.0).upper(model, rows, 0)
    with using(Noise.seeded(3)):
        codes, q = model.lower(rows, 1)
        fixed = replace(rows, x=codes[0].detach())
        expected = ELBO()(model.upper, fixed, 0).loss + 2 * cross_entropy(model.upper, fixed)
    assert not torch.isclose(codes[0], q.mean).any()
    torch.testing.assert_close(found.loss, expected)


def test_the_lower_layer_is_a_plain_autoencoder(batch, with_noise):
    model = zoo.make("m1_m2")
    flat = Flat(StandardNormal(2).double(), model.posterior, model.likelihood)
    a = with_noise(lambda: Layerwise()(model, batch, 0).loss)
    torch.testing.assert_close(a, with_noise(lambda: ELBO()(flat, batch, 0).loss))


def test_stacked_labels_are_summed_over(batch):
    """log p(x) from the stack equals the enumeration at the same draws of both levels, written out."""
    model = zoo.make("m1_m2")
    seen = model.infer(batch, 2)
    z2, _, z1 = (g.z for g in seen.groups)
    low = z1[:2]
    assert torch.equal(z1, low.repeat(C, 1, 1))
    q = model.posterior(batch)
    total = []
    for k in range(2):
        codes = Batch(low[k])
        styles = z2.unflatten(0, (C, 2))[:, k]
        log_w = torch.stack([joint(model.upper, codes, y, styles[y].unsqueeze(0))[0] for y in range(C)])
        total.append(log_w.logsumexp(0) + model.likelihood(low[k]).log_prob(batch.x) - q.log_prob(low[k]))
    torch.testing.assert_close(seen.bound(), torch.stack(total).logsumexp(0) - torch.tensor(2.0).log())


# --- conditions -----------------------------------------------------------------------------------------------------
def test_under_one_condition_a_conditional_model_is_a_plain_one(batch, with_noise):
    """A constant condition is a bias: fold it into the first layers and take the condition away."""
    torch.manual_seed(1)
    told, c = zoo.cvae_of(2).double(), torch.tensor([1.0, -0.5]).double()
    plain = Flat(StandardNormal(2), zoo.posterior(2), zoo.decoded(2)).double()
    with torch.no_grad():
        for a, b in (
            (told.posterior.encoder.hidden[0], plain.posterior.encoder.hidden[0]),
            (told.likelihood.decoder.hidden[0], plain.likelihood.decoder.hidden[0]),
        ):
            b.weight.copy_(a.weight[:, :-2])
            b.bias.copy_(a.bias + a.weight[:, -2:] @ c)
        plain.posterior.head.load_state_dict(told.posterior.head.state_dict())
        plain.likelihood.decoder.out.load_state_dict(told.likelihood.decoder.out.state_dict())
        told.prior.head.weight.zero_()
    rows = replace(batch, c=c.expand(5, 2))
    a, b = with_noise(lambda: told.infer(rows, 3)), with_noise(lambda: plain.infer(batch, 3))
    torch.testing.assert_close(a.log_w, b.log_w)
    torch.testing.assert_close(ELBO()(told, rows, 0).watch["rate"], ELBO()(plain, batch, 0).watch["rate"])


def test_a_conditional_prior_starts_near_the_standard_normal_and_is_told():
    prior = ConditionalPrior(3, n_condition=2)
    p = prior(torch.randn(100, 2))
    assert (p.mean.abs() < 1).all()
    assert ((p.stddev - 1).abs() < 0.6).all()
    assert (prior(torch.ones(1, 2)).mean != prior(-torch.ones(1, 2)).mean).all()
    with pytest.raises(CombinationError, match="condition"):
        prior()
    with pytest.raises(CombinationError, match="condition=label"):
        ConditionalPrior(3, n_condition=0)


def test_a_centred_conditional_prior_is_a_normal_around_zero_whose_scale_alone_is_told():
    prior = ConditionalPrior(3, n_condition=2, hidden=(4,), centred=True)
    c, z = torch.randn(5, 2), torch.randn(5, 3)
    scale = F.softplus(prior.head(prior.hidden(c))) + 1e-4
    assert torch.allclose(prior(c).log_prob(z), Normal(0.0, scale).log_prob(z).sum(-1))
    assert prior.head.out_features == 3
    assert not torch.allclose(scale[0], scale[1])
    assert ((scale - 1).abs() < 0.6).all()


# --- a part given the rest ------------------------------------------------------------------------------------------
def test_densities_of_the_rest_add_up_to_one_for_each_given_part():
    model = zoo.make("structured")
    from senzai.evaluation import log_likelihood

    found = log_likelihood(model, Batch(zoo.bits()), k=2000)
    p, se = found.per_row.exp(), found.per_row.exp() * found.monte_carlo_se
    for value in (0.0, 1.0):
        here = zoo.bits()[:, 1] == value
        error = float(se[here].square().sum().sqrt())
        assert float(p[here].sum()) == pytest.approx(1, abs=5 * error)


def test_completed_rows_are_drawn_from_the_conditional():
    from senzai.evaluation import log_likelihood

    model, n = zoo.make("structured"), 20_000
    x = torch.tensor([[0.0, 1.0, 0.0]]).double()
    with using(Noise.seeded(0)):
        rows = model.complete(x.repeat(n, 1))
    assert (rows[:, 1] == 1).all()
    every = zoo.bits()[zoo.bits()[:, 1] == 1]
    found = log_likelihood(model, Batch(every), k=4000)
    p = found.per_row.exp()
    spread = (p * (1 - p) / n + (p * found.monte_carlo_se).square()).sqrt()
    counts = torch.stack([(rows == e).all(1).double().mean() for e in every])
    assert ((counts - p).abs() < 5 * spread).all()


def test_what_is_to_be_predicted_is_not_looked_at():
    model, rest = zoo.make("structured"), torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]]).double()
    with using(Noise(point=True)):
        a = model.complete(rest, noise=False)
        b = model.complete(torch.where(torch.tensor([False, True, False]), rest, 1 - rest), noise=False)
    assert torch.equal(a, b)
    batch = Batch(rest)
    assert torch.equal(verbs.reconstruct(model, batch)[:, 1], rest[:, 1])
    seen = model.scored(batch).mask
    assert torch.equal(seen, torch.tensor([[True, False, True]] * 2))


def test_a_batch_without_what_is_not_scored_is_encoded_the_same(batch, with_noise):
    model = zoo.make("structured")
    a, b = (with_noise(lambda r=r: model.infer(r, 2).log_w) for r in (batch, model.scored(batch)))
    assert torch.equal(a, b)


@pytest.mark.parametrize(("observed", "event", "count"), [
    ("quarter", (1, 4, 4), 4), ("three_quarters", (2, 4, 4), 24), ("top", (1, 5, 3), 6), ("right", (1, 2, 3), 4),
    ("half", (10,), 5), ("0-2,7", (10,), 4), ("bottom", (3, 2), 2),
])
def test_places(observed, event, count):
    assert int(places(observed, event).sum()) == count


def test_places_that_cannot_be():
    for observed, event in (("upper", (1, 4, 4)), ("0-9", (10,)), ("12", (10,)), ("a", (10,)), ("quarter", (1,))):
        with pytest.raises(SettingError):
            places(observed, event)
    assert isinstance(zoo.make("structured"), Structured)


# --- refusals -------------------------------------------------------------------------------------------------------
def test_what_cannot_work_is_refused(batch):
    q = Posterior(zoo.encoder(n_condition=C), NormalFamily(), 2)
    classifier = Classifier(zoo.encoder(), C)
    pooled = Likelihood(MLPDecoder(2, (1, 3), (5,), n_condition=C), NormalOptimalFamily(), (3,))
    with pytest.raises(CombinationError, match="once per class"):
        SemiSupervised(StandardNormal(2), q, pooled, classifier)
    holder = MixtureOfNormals(2, n_components=2)
    holder.posterior = q
    with pytest.raises(CombinationError, match="needs a label"):
        SemiSupervised(holder, q, zoo.decoded(2, n_condition=C), classifier)
    flat = Flat(StandardNormal(2), zoo.posterior(2), zoo.decoded(2))
    for objective in (SemiSupervisedBound(), ProbedBound(), Layerwise()):
        with pytest.raises(CombinationError):
            objective.check(flat)
    with pytest.raises(CombinationError, match="classifier"):
        verbs.classify(flat, batch)
    with pytest.raises(CombinationError, match="cvae-structured"):
        verbs.complete(flat, batch)
    with pytest.raises(SettingError):
        SemiSupervisedBound(alpha=-1.0)
    for objective in (SemiSupervisedBound, Layerwise):
        with pytest.raises(SettingError, match="balance"):
            objective(balance=-1.0)
    with pytest.raises(SettingError, match="start"):
        Layerwise(start=-1.0)
    with pytest.raises(CombinationError, match="have none"):
        Classifier(zoo.encoder(), 0)
    assert isinstance(zoo.make("m1"), Probed)
    assert BernoulliFamily().support == "binary"
