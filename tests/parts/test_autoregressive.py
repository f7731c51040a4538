"""Decoders that go entry by entry: strictly causal, normalised, and drawn as they are scored."""

from __future__ import annotations

from itertools import product
from math import log

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import (
    Autoregressive,
    BernoulliFamily,
    CategoricalFamily,
    DiscretisedLogisticMixtureFamily,
    NormalFamily,
    draw,
    marginal,
    point,
)
from senzai.distributions.ops import expected
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import MADE, IndependentCodes, PixelCNN, Posterior, StandardNormal, TransformerCodes, UniformCodes


def shake(module):
    """Weights that are far from any start, so that nothing is causal or normalised by chance."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return module.double().eval()


def pixelcnn(event, family=None, **settings):
    maps = MLPDecoder(2, (2, *event), (4,))
    return shake(PixelCNN(maps, family or BernoulliFamily(), event, **{"width": 6, "n_layers": 2, **settings}))


def made(event, family=None, **settings):
    return shake(MADE(2, event, family or BernoulliFamily(), **{"hidden": (9, 7), **settings}))


MIXTURE = DiscretisedLogisticMixtureFamily(levels=5, components=2)
LIKELIHOODS = {
    "pixelcnn": lambda: pixelcnn((1, 3, 3)),
    "pixelcnn in colour": lambda: pixelcnn((3, 3, 2), MIXTURE, width=9),
    "pixelcnn of one layer and wide view": lambda: pixelcnn((2, 2, 4), CategoricalFamily(n=3), n_layers=1, size=5),
    "made": lambda: made((5,)),
    "made of levels": lambda: made((2, 3), MIXTURE),
    "made of one entry": lambda: made((1,)),
}


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request):
    return LIKELIHOODS[request.param]()


def seen_by(likelihood, z):
    """Which raw numbers depend on which entries, both in the order they are drawn."""
    p, found = likelihood(z), 0.0
    n = torch.Size(likelihood.event).numel()
    for _ in range(8):  # rectifiers that are shut here may be open there
        x = torch.rand(n, dtype=torch.double)
        J = torch.autograd.functional.jacobian(lambda v: p.raw(v.view(1, *likelihood.event)).reshape(-1, n), x)
        found = found + J.abs().amax(0)
    return found[p.order][:, p.order] > 0


# --- causal ---------------------------------------------------------------------------------------------------------
def test_an_entry_depends_on_earlier_ones_only(likelihood):
    sees = seen_by(likelihood, torch.randn(1, 2, dtype=torch.double))
    assert not sees.triu().any()


@pytest.mark.parametrize("make", [
    lambda: pixelcnn((1, 3, 3)), lambda: pixelcnn((3, 2, 2), width=24), lambda: made((6,), activation="tanh"),
])
def test_an_entry_depends_on_all_earlier_ones_in_view(make):
    sees = seen_by(make(), torch.randn(1, 2, dtype=torch.double))
    n = len(sees)
    assert sees.sum() == n * (n - 1) // 2


def test_the_view_of_a_pixelcnn_is_as_wide_as_said():
    model = pixelcnn((1, 7, 7), n_layers=2, size=3)
    sees = seen_by(model, torch.randn(1, 2, dtype=torch.double)).view(7, 7, 7, 7)
    rows, columns = torch.where(sees[4, 3])
    assert model.net.reach == 2
    assert (rows.min(), rows.max()) == (2, 4)
    assert (columns.min(), columns.max()) == (1, 5)
    assert len(rows) == 2 * 5 + 2  # no blind spot: two whole rows above, two pixels to the left


def test_every_entry_depends_on_the_latents(likelihood):
    z = torch.randn(1, 2, dtype=torch.double)
    x = torch.ones(1, *likelihood.event, dtype=torch.double)
    J = torch.autograd.functional.jacobian(lambda z: likelihood(z).terms(x).flatten(), z)
    assert (J.abs().flatten(1).sum(-1) > 0).all()


# --- normalised -----------------------------------------------------------------------------------------------------
def every(event, n):
    size = torch.Size(event).numel()
    return torch.tensor(list(product(range(n), repeat=size)), dtype=torch.double).view(-1, *event)


@pytest.mark.parametrize(("make", "n"), [
    (lambda: pixelcnn((1, 3, 3)), 2), (lambda: made((9,)), 2), (lambda: pixelcnn((2, 1, 2), MIXTURE), 5),
    (lambda: made((4,), CategoricalFamily(n=3)), 3),
], ids=["512 images", "512 vectors", "colours", "classes"])
def test_all_rows_together_have_probability_one(make, n):
    likelihood = make()
    x = every(likelihood.event, n)
    total = likelihood(torch.randn(3, 1, 2, dtype=torch.double)).log_prob(x).logsumexp(-1)
    torch.testing.assert_close(total, torch.zeros(3, dtype=torch.double), atol=1e-9, rtol=0)


@pytest.mark.parametrize("make", [
    lambda: UniformCodes(3, 4), lambda: IndependentCodes(3, 4), lambda: TransformerCodes(3, 4, width=8, n_heads=2),
])
def test_a_prior_over_codes_is_normalised_at_any_temperature(make):
    prior = shake(make())
    for temperature in (1.0, 0.3):
        p = prior(temperature=temperature)
        total = p.log_prob(every((4,), 3)).logsumexp(-1)
        assert total.item() == pytest.approx(0.0, abs=1e-9)
        one = torch.tensor([[1.0, 2.0, 0.0, 1.0]], dtype=torch.double)
        for i in range(4):  # whole numbers have no gradient: change one and look
            other = one.clone()
            other[0, i] = (one[0, i] + 1) % 3
            assert torch.equal(p.raw(one)[..., : i + 1], p.raw(other)[..., : i + 1])


def test_the_uniform_prior_costs_the_log_of_the_number_of_codes():
    assert float(UniformCodes(7, 3)().log_prob(torch.zeros(1, 3))) == pytest.approx(-3 * log(7))


def test_a_temperature_divides_logits_and_a_condition_is_heeded():
    prior = shake(TransformerCodes(3, 4, width=8, n_heads=2, n_condition=2))
    c = torch.eye(2, dtype=torch.double)
    x = torch.zeros(2, 4, dtype=torch.double)
    p = prior(c)
    assert p.batch_shape == (2,)
    assert (p.log_prob(x)[0] - p.log_prob(x)[1]).abs().item() > 1e-3
    torch.testing.assert_close(prior(c, temperature=2.0).raw(x), p.raw(x) / 2)
    torch.testing.assert_close(p.log_prob(torch.stack([x, x]))[1], p.log_prob(x))


# --- draws ----------------------------------------------------------------------------------------------------------
def frequencies(x, n):
    place = n ** torch.arange(x[0].numel(), dtype=torch.double)
    index = (x.flatten(1) * place).sum(-1).long()
    return torch.bincount(index, minlength=n ** x[0].numel()) / len(x), place


@pytest.mark.parametrize("make", [lambda: pixelcnn((1, 2, 2)), lambda: made((4,)), lambda: pixelcnn((2, 1, 2))])
def test_draws_are_as_frequent_as_they_are_likely(make):
    n, likelihood = 20_000, make()
    p = likelihood(torch.randn(1, 2, dtype=torch.double))
    with using(Noise.seeded(0)):
        x = draw(p, (n,), grad=False)[:, 0]
    found, place = frequencies(x, 2)
    rows = every(likelihood.event, 2)
    expected_ = torch.zeros(16, dtype=torch.double)
    expected_[(rows.flatten(1) * place).sum(-1).long()] = p.log_prob(rows).exp()
    error = (expected_ * (1 - expected_) / n).sqrt()
    assert ((found - expected_).abs() < 5 * error + 1e-12).all()


def test_draws_of_codes_are_as_frequent_as_they_are_likely():
    p, n = shake(TransformerCodes(3, 2, width=8, n_heads=2))(), 20_000
    with using(Noise.seeded(0)):
        found, place = frequencies(draw(p, (n,), grad=False), 3)
    rows = every((2,), 3)
    expected_ = torch.zeros(9, dtype=torch.double)
    expected_[(rows * place).sum(-1).long()] = p.log_prob(rows).exp()
    assert ((found - expected_).abs() < 5 * (expected_ * (1 - expected_) / n).sqrt()).all()


def test_one_entry_is_scored_from_its_window_as_from_the_whole(likelihood):
    z = torch.randn(3, 2, dtype=torch.double)
    p = likelihood(z)
    x = draw(p, grad=False)
    raw = p.raw(x).flatten(2)
    for i in range(raw.shape[-1]):
        torch.testing.assert_close(p.entry(x, i), raw[..., i : i + 1])


def test_a_draw_is_a_matter_of_its_row(likelihood):
    z = torch.randn(5, 2, dtype=torch.double)

    def drawn(a, b):
        with using(Noise.seeded(1, offset=a, total=5)):
            return draw(likelihood(z[a:b]), grad=False)

    assert torch.equal(drawn(0, 5), drawn(0, 5))
    torch.testing.assert_close(torch.cat([drawn(0, 2), drawn(2, 5)]), drawn(0, 5))


def test_the_point_is_greedy(likelihood):
    p = likelihood(torch.randn(2, 2, dtype=torch.double))
    x = p.mode
    assert torch.equal(x, expected(p))
    assert torch.equal(x, point(p))
    conditionals = p.family(p.raw(x), tuple(p.event_shape))
    torch.testing.assert_close(x, conditionals.mode.to(x.dtype))


def test_a_start_is_kept():
    p = made((5,))(torch.randn(2, 2, dtype=torch.double))
    start = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    x = p.decode((), point, start=start, first=3)
    assert torch.equal(x[:, :3].double(), start[:3].expand(2, 3).double())


# --- in a model -----------------------------------------------------------------------------------------------------
def test_the_bound_of_a_toy_is_below_its_evidence_and_equals_it_with_the_prior_as_posterior():
    """Where the decoder cannot see z, the evidence is its own density and the rate is all that is lost."""
    likelihood = made((4,))
    with torch.no_grad():
        for layer in [*likelihood.net.contexts, likelihood.net.context_out]:
            layer.weight.zero_()
    model = Flat(StandardNormal(2), Posterior(MLPEncoder((4,), (5,)), NormalFamily(), 2), likelihood).double()
    batch = Batch(every((4,), 2))
    seen = model.infer(batch, 3)
    evidence = likelihood(torch.zeros(1, 2, dtype=torch.double)).log_prob(batch.tensor)
    bound = seen.log_lik.mean(0) - seen.groups[0].rate()[0]
    assert (bound <= evidence + 1e-9).all()
    torch.testing.assert_close(seen.log_lik[0], evidence)
    torch.testing.assert_close(bound + seen.groups[0].rate()[0], evidence)


def test_the_output_starts_at_the_data():
    x = (torch.rand(4000, 1, 2, 2) < torch.tensor([[0.1, 0.5], [0.8, 0.3]])).float()
    likelihood = PixelCNN(MLPDecoder(2, (2, 1, 2, 2), (4,)), BernoulliFamily(), (1, 2, 2), width=4)
    likelihood.initialise(Batch(x))
    torch.testing.assert_close(torch.sigmoid(likelihood.bias[0]), x.mean(0), atol=1e-3, rtol=0)


def test_missing_entries_and_real_numbers_are_refused():
    with pytest.raises(CombinationError, match="no known marginals"):
        MADE(2, (4,), BernoulliFamily(), masked=True)
    with pytest.raises(CombinationError, match="bits, levels or classes"):
        MADE(2, (4,), NormalFamily())
    with pytest.raises(CombinationError, match="Autoregressive has none"):
        marginal(made((4,))(torch.zeros(1, 2).double()), torch.ones(1, 4, dtype=torch.bool))


@pytest.mark.parametrize("settings", [{"size": 4}, {"size": 1}, {"n_layers": 0}, {"width": 0}])
def test_sizes_that_cannot_be_are_refused(settings):
    with pytest.raises(SettingError, match="odd"):
        pixelcnn((1, 3, 3), **settings)


def test_shapes_of_many_draws():
    p = pixelcnn((1, 3, 3))(torch.randn(4, 2, 2, dtype=torch.double))
    assert p.log_prob(torch.ones(2, 1, 3, 3, dtype=torch.double)).shape == (4, 2)
    assert p.sample((3,)).shape == (3, 4, 2, 1, 3, 3)
    assert p.mode.shape == (4, 2, 1, 3, 3)
    assert isinstance(p, Autoregressive)
