"""Each check on facts by hand: both sides of its threshold, its order among others, what is missing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import NormalFamily, NormalFixedFamily
from senzai.evaluation import Case, Extras
from senzai.evaluation.diagnosis import CHECKS, DiagnosisFacts, Finding, Remedy, Told, examine, gather, ranked
from senzai.evaluation.diagnosis.fitting import dominating, predictive, structure, values
from senzai.evaluation.diagnosis.price import price_of_rate
from senzai.evaluation.diagnosis.training_checks import worst_jump
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal

WELL = DiagnosisFacts(
    told=Told(n_train=1000, settled_after=0, total_steps=500, beta=1.0, objective="ELBO"), elbo=-10.0, spread=2.0,
    rate=4.0, rates=(2.0, 2.0), n_latent=2, active=2, price=1.0, looseness=0.1, looseness_se=0.01, amortisation=0.1,
    amortisation_se=0.01, generalisation=0.1, generalisation_se=0.1, dispersion=1.0, bulk=1.0, tails=0.0, outside=0.0,
    values="real", density=True, structure=1.0, column_share=0.2, column="1", reconstruction_sharpness=0.9,
    samples_frechet=0.05, reconstructions_frechet=0.04, variety=1.0, memorisation=0.4, memorisation_se=0.02,
    duplicates=0.0, n_dims=8, used_codes=1.0, n_codes=64,
)


def train_line(step, **more):
    return {"kind": "train", "step": step, "loss": 10.0 + 0.1 * (step % 20), "grad_norm": 1.0, "rate": 4.0, **more}


def told(**changes):
    return {"told": replace(WELL.told, **changes)}


LINES = tuple(train_line(10 * i) for i in range(1, 30))
VANISHED = tuple(train_line(10 * i, rate=4.0 if 3 < i < 10 else 0.01) for i in range(1, 30))
SPIKED = (*LINES[:15], train_line(155, loss=500.0), *LINES[15:])
WILD = (*LINES[:15], train_line(155, grad_norm=900.0), *LINES[15:])
BROKEN = (*LINES, {"kind": "recovered", "step": 300, "back_to": 290, "explanation": "the term 'distortion'"})
RISING = tuple(
    line for i in range(1, 30) for line in (
        train_line(10 * i, loss=20.0 - 0.5 * i),
        {"kind": "validation", "step": 10 * i, "settled": True, "loss": 20.0 - 2 * min(i, 8) + 0.5 * max(0, i - 8)},
    )
)

ILL = {
    "posterior_collapse": {"rate": 0.01, "rates": (0.005, 0.005)},
    "rate_vanishes": told(history=VANISHED),
    "warmup_unfinished": told(settled_after=480),
    "over_regularised": {"price": 4.0, **told(beta=4.0)},
    "under_regularised": {"price": 0.1, **told(beta=0.1)},
    "unused_latents": {"rates": (2.0, 0.01, 0.01, 0.02), "n_latent": 4},
    "too_few_latents": {"structure": 6.0},
    "amortisation_gap": {"amortisation": 5.0},
    "loose_bound": {"looseness": 5.0},
    "dead_codes": {"used_codes": 0.1},
    "barren_plateau": {"gradient_power": 1e-5},
    "likelihood_binary": {"values": "binary"},
    "likelihood_counts": {"values": "count"},
    "likelihood_bounded": {"values": "unit", "outside": 0.2},
    "likelihood_too_wide": {"dispersion": 0.1, "bulk": 0.1},
    "likelihood_too_narrow": {"dispersion": 9.0, "bulk": 9.0, "tails": 0.3},
    "likelihood_tails": {"tails": 0.02, "bulk": 0.3},
    "column_dominates": {"column_share": 0.9},
    "leak": {"duplicates": 0.3},
    "too_little_data": {"generalisation": 4.0, **told(n_train=40)},
    "overfitting": {"generalisation": 4.0},
    "overfitting_starts": told(history=RISING),
    "memorisation": {"memorisation": 0.9},
    "blur": {"reconstruction_sharpness": 0.1},
    "holes": {"samples_frechet": 0.9},
    "low_diversity": {"variety": 0.1},
    "disentanglement_unproven": told(objective="TotalCorrelation"),
    "unstable": told(history=BROKEN),
    "spikes": told(history=SPIKED),
}


def test_nothing_is_found_in_the_healthy():
    assert examine(WELL).findings == ()
    assert "rate_vanishes" in examine(WELL).not_judged
    assert examine(replace(WELL, **told(history=LINES))).findings == ()


def test_every_check_has_its_illness_here():
    assert set(ILL) == set(CHECKS)


@pytest.mark.parametrize("name", ILL)
def test_each_illness_is_found_first_with_all_that_belongs_to_a_finding(name):
    found = examine(replace(WELL, **ILL[name])).first
    assert found is not None
    assert found.name == name
    assert found.severity > 0
    assert (found.value > found.threshold) is found.above
    assert found.source
    assert found.sentence
    assert found.remedy.words
    assert found.document()["wrong"] == ("above" if found.above else "below")


@pytest.mark.parametrize(("name", "fact"), [
    ("amortisation_gap", "amortisation"), ("loose_bound", "looseness"), ("memorisation", "memorisation"),
])
@pytest.mark.parametrize(("errors", "sure"), [(1.5, False), (2.5, True)])
def test_a_finding_is_sure_two_standard_errors_beyond_its_threshold(name, fact, errors, sure):
    ill = replace(WELL, **ILL[name])
    found = CHECKS[name].run(ill)
    se = (found.value - found.threshold) / errors
    assert CHECKS[name].run(replace(ill, **{f"{fact}_se": se})).sure is sure


def test_wild_gradients_are_found_without_a_spike_of_the_loss():
    found = examine(replace(WELL, **told(history=WILD))).first
    assert found is not None
    assert "gradient" in found.quantity


@pytest.mark.parametrize(("cause", "effect"), [
    ("warmup_unfinished", "under_regularised"), ("likelihood_too_wide", "blur"),
    ("likelihood_binary", "likelihood_tails"),
    ("too_little_data", "overfitting"), ("leak", "memorisation"), ("spikes", "amortisation_gap"),
    ("rate_vanishes", "posterior_collapse"), ("over_regularised", "blur"), ("low_diversity", "holes"),
])
def test_a_cause_comes_before_its_consequence_however_small(cause, effect):
    def made(name, value):
        return Finding(name, "illness", "", value, 1.0, True, "", "", Remedy(""))

    assert [f.name for f in ranked([made(effect, 100.0), made(cause, 1.1)])] == [cause, effect]


def test_nothing_explains_itself_in_a_circle():
    from senzai.evaluation.diagnosis.finding import explained

    for name in CHECKS:
        assert not [other for other in explained(name) if name in explained(other)], name


def test_consequences_of_consequences_count():
    from senzai.evaluation.diagnosis.finding import explained

    for entry in CHECKS.values():
        assert {far for near in entry.explains for far in CHECKS[near].explains} <= explained(entry.name) | {entry.name}
    assert any(explained(n) != set(CHECKS[n].explains) for n in CHECKS)


def test_what_explains_exists():
    assert all(other in CHECKS for entry in CHECKS.values() for other in entry.explains)


def test_notes_come_last():
    note = Finding("disentanglement_unproven", "note", "", 50.0, 1.0, True, "", "", Remedy(""))
    ill = Finding("blur", "illness", "", 1.1, 1.0, True, "", "", Remedy(""))
    assert [f.name for f in ranked([note, ill])] == ["blur", "disentanglement_unproven"]


def test_missing_facts_are_said():
    found = examine(DiagnosisFacts(missing={"rate": "no rate could be measured"}))
    assert not found.findings
    assert "no rate could be measured" in found.not_judged["posterior_collapse"]


# --- quantities -----------------------------------------------------------------------------------------------------

@pytest.fixture
def simple():
    """x = z + noise with variances 1 and 1, and its exact posterior N(x / 2, 1 / 2): every number is known."""
    torch.manual_seed(0)
    return Flat(
        StandardNormal(2), Posterior(MLPEncoder((2,), ()), NormalFamily(), 2),
        Likelihood(MLPDecoder(2, (1, 2), ()), NormalFixedFamily(), (2,)),
    )


def set_exact(model, shrink=0.5, scale=0.5**0.5):
    """Make decoder the identity, and the encoder the posterior with this mean and scale."""
    from math import expm1, log

    encoder = [m for m in model.posterior.modules() if isinstance(m, torch.nn.Linear)][-1]
    decoder = [m for m in model.likelihood.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        for layer in (encoder, decoder):
            layer.weight.zero_(), layer.bias.zero_()
        decoder.weight.copy_(torch.eye(2))
        encoder.weight[:2].copy_(shrink * torch.eye(2))
        encoder.bias[2:] = log(expm1(scale - 1e-4))
    return model


def test_the_price_is_one_at_the_exact_posterior_and_beta_at_that_of_beta(simple):
    x = torch.randn(300, 2) * 2**0.5
    assert price_of_rate(set_exact(simple), Batch(x), draws=64) == pytest.approx(1.0, abs=0.1)
    # with beta the best scale is sqrt(beta / (beta + 1)), the best mean x / (1 + beta)
    four = set_exact(simple, 1 / 5, (4 / 5) ** 0.5)
    assert price_of_rate(four, Batch(x), draws=64) == pytest.approx(4.0, rel=0.15)
    tenth = set_exact(simple, 1 / 1.1, (0.1 / 1.1) ** 0.5)
    assert price_of_rate(tenth, Batch(x), draws=64) == pytest.approx(0.1, rel=0.15)


def test_errors_are_as_large_as_an_exact_model_says(simple):
    family = NormalFixedFamily(scale=0.5)
    simple.likelihood.family = family
    x = torch.randn(300, 2) * 1.25**0.5
    case = Case(set_exact(simple, 0.8, 0.2**0.5), Batch(x))
    found = predictive(case, case.data)
    assert found["dispersion"] == pytest.approx(1.0, abs=0.15)
    assert found["tails"] < 0.001
    far = predictive(case, Batch(torch.where(torch.rand(300, 2) < 0.02, 40.0, x)))
    assert far["tails"] > 0.005


def test_gathered_facts_are_those_of_the_exact_model(simple):
    x, y = (torch.randn(200, 2) * 2**0.5 for _ in range(2))
    facts = gather(Case(set_exact(simple), Batch(x), k=64, extras=Extras(train=Batch(y))), Told(n_train=200))
    assert facts.rate == pytest.approx(0.5 * 2 * (0.5 + 0.5 - 1 - np.log(0.5)), abs=0.15)
    assert facts.looseness == pytest.approx(0.0, abs=0.01)
    assert abs(facts.amortisation) < 0.1
    assert facts.duplicates == 0.0
    assert facts.values == "real"
    assert facts.density is True
    assert "used_codes" in facts.missing


@pytest.mark.parametrize(("seen", "sort"), [
    ([0.0, 1.0], "binary"), ([0.0, 2.0], "count"), ([0.5, 1.0], "unit"), ([-0.5, 0.5], "real"),
    ([-1.0, 1.0], "real"), ([0.5, 1.5], "real"),
])
def test_the_sort_of_the_values_is_told_by_their_range(simple, seen, sort):
    assert values(Case(simple, Batch(torch.tensor([seen]))), Batch(torch.zeros(1, 2)))["values"] == sort


def test_held_out_rows_among_training_rows_are_counted(simple):
    x = torch.randn(100, 2)
    facts = gather(Case(set_exact(simple), Batch(x[:40]), k=8, extras=Extras(train=Batch(x[30:]))), Told())
    assert facts.duplicates == pytest.approx(0.25)


def test_equal_rows_of_few_values_are_no_leak(simple):
    x = torch.randint(0, 2, (100, 2)).float()
    facts = gather(Case(set_exact(simple), Batch(x), k=8, extras=Extras(train=Batch(x))), Told())
    assert facts.duplicates is None


def test_structure_is_the_edge_of_noise_or_far_above():
    noise = np.random.default_rng(0).normal(size=(2000, 8))
    assert structure(noise) == pytest.approx(1.0, abs=0.15)
    assert structure(noise + 3 * noise[:, :1]) > 5


def test_the_column_that_moves_is_named():
    cost = torch.randn(200, 4)
    cost[:, 2] *= 100
    found = dominating(cost, Told(columns=("a", "b", "c", "d")))
    assert found["column"] == "c"
    assert found["column_share"] > 0.9
    assert dominating(cost[:, :2], Told()) == {}


def test_a_jump_is_counted_in_usual_moves():
    quiet = [100.0, 60, 40, 30, 25, 24, 25, 24, 25, 24]
    assert worst_jump(quiet) == 0.0
    assert worst_jump([*quiet, 90.0, 24.0]) == pytest.approx(66 / 5)


def test_a_loss_that_rises_while_its_rate_is_weighed_in_does_not_jump():
    rising = [100.0, 60, 40, *np.linspace(30, 70, 80), *[69.0, 70.0] * 20]
    assert worst_jump(rising) > 10
    assert worst_jump(rising, rising=83) == 0.0
    assert worst_jump([*rising[:40], 140.0, *rising[41:]], rising=83) > 10
    assert worst_jump([*rising, 140.0], rising=83) > 10


def test_a_loss_that_a_critic_has_a_say_in_may_jump_but_gradients_may_not():
    for history, told_of in ((SPIKED, False), (WILD, True)):
        found = CHECKS["spikes"].run(replace(WELL, **told(history=history, comparable=False)))
        assert (found is not None) == told_of


@pytest.mark.parametrize(("settled_after", "told_of"), [(0, True), (2000, False)])
def test_spikes_know_the_warm_up(settled_after, told_of):
    losses = [100.0, 60, 40, *np.linspace(30, 70, 30), *[69.0, 70.0] * 5]
    lines = [{"kind": "train", "step": 50 * i, "loss": v} for i, v in enumerate(losses, 1)]
    found = CHECKS["spikes"].run(replace(WELL, **told(history=lines, settled_after=settled_after, lr=3e-3)))
    assert (found is not None) == told_of
    assert found is None or found.remedy.settings["lr"] == 3e-4
