"""The exams find what they are for: every illness is found, by exactly the exam meant for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.distributions import Independent, Normal, Poisson

from senzai.core.batch import tensors
from senzai.core.errors import CombinationError, SettingError, UnknownNameError
from senzai.core.examples import example, examples_of
from senzai.core.spec import REGISTRIES
from senzai.models.flat import Flat
from senzai.parts.likelihoods.decoded import Likelihood
from senzai.recipes import RECIPES
from senzai.recipes.basic import vae
from senzai.testing import DATA, EXAMS, NotAsked, cases, entries, exam, exam_of, examine, subjects, transcript
from senzai.testing.densities import faults_of

from .sick import SICK, Diagonal, IdleParameter, Stretched


@pytest.fixture
def registered(monkeypatch):
    """Everything ill is registered while the test runs."""
    for entry, (_, what) in SICK.items():
        role, _, name = entry.partition("/")
        monkeypatch.setitem(RECIPES if role == "recipe" else REGISTRIES[role], name, what)


@pytest.mark.parametrize("entry", SICK)
def test_an_illness_is_found_by_its_exam_alone(registered, entry):
    found = examine(entry)
    assert [f.exam for f in found] == [SICK[entry][0]], "\n".join(map(str, found))


def test_every_exam_has_an_illness_to_find():
    assert {found_by for found_by, _ in SICK.values()} == set(EXAMS)
    assert all(e.asks.endswith("?") for e in EXAMS.values())


# --- excuses ------------------------------------------------------------------------------------------------------
@pytest.fixture
def ill_prior(monkeypatch):
    """An ill prior that declares something about itself."""

    def declare(**declared):
        cls = example(**declared)(type("Declared", (IdleParameter,), {}))
        cls._senzai_name = "prior/declared"
        monkeypatch.setitem(REGISTRIES["prior"], "declared", cls)
        return "prior/declared"

    return declare


def test_a_declared_idle_parameter_is_no_fault(ill_prior):
    assert not examine(ill_prior(idle={"prior.log_scale": "kept at one"}), ["gradients"])


def test_an_idle_declaration_that_is_not_needed_is_a_fault(ill_prior):
    (found,) = examine(ill_prior(idle={"prior.log_scale": "kept at one", "prior.loc": "not true"}), ["gradients"])
    assert "prior.loc is declared idle" in found.text


def test_an_excused_exam_is_told_with_its_reason(ill_prior):
    (found,) = transcript(ill_prior(excused={"gradients": "It is a test."}), ["gradients"])
    assert (found.verdict, found.text) == ("excused", "It is a test.")


def test_an_excuse_that_is_not_needed_is_a_fault(ill_prior):
    (found,) = examine(ill_prior(excused={"rows": "It is a test."}), ["rows"])
    assert "passes. Drop the excuse" in found.text


def test_several_examples_are_all_examined(ill_prior):
    entry = ill_prior(idle={"prior.log_scale": "kept at one"})
    example(data="binary")(REGISTRIES["prior"]["declared"])
    found = transcript(entry, ["gradients"])
    assert [f.verdict for f in found] == ["failed", "passed"]
    assert "on binary data" in found[0].where


def test_examples_are_not_inherited():
    @example(data="binary")
    class Base: ...

    class Derived(Base): ...

    assert len(examples_of(Base)) == 1
    assert examples_of(Derived) == ()


# --- ways in ------------------------------------------------------------------------------------------------------
def test_entries_are_given_by_name_by_class_or_by_recipe():
    assert transcript("model/flat", ["shapes"]) == transcript(Flat, ["shapes"])
    assert transcript("recipe/vae", ["shapes"]) == transcript(vae, ["shapes"])


@pytest.mark.parametrize("what", ["prior/nothing", "wall/paper", "recipe/nothing", object(), "mixture"])
def test_what_is_not_registered_is_refused(what):
    with pytest.raises(UnknownNameError):
        examine(what)


def test_an_unknown_exam_or_role_is_refused():
    with pytest.raises(UnknownNameError, match="shapes"):
        examine("prior/mixture", ["shape"])
    with pytest.raises(UnknownNameError):
        cases("wall")


def test_a_helper_makes_a_test_of_an_entry(registered):
    exam_of("prior/learned_normal", ["gradients"])()
    with pytest.raises(AssertionError, match=r"nothing moves prior\.log_scale"):
        exam_of("prior/idle_parameter", ["gradients"])()


def test_cases_cover_the_registry():
    found = cases()["argvalues"]
    assert {f"{role}/{name}" for role, names in REGISTRIES.items() for name in names} < set(found)
    assert {f"recipe/{name}" for name in RECIPES} < set(found)
    assert cases("prior")["argvalues"] == entries("prior") == [f"prior/{n}" for n in sorted(REGISTRIES["prior"])]


def test_an_exam_of_ones_own_is_sat(monkeypatch):
    before = dict(EXAMS)

    @exam("mood")
    def mood(subject):
        """Is it in a good mood?"""
        if subject.entry == "prior/mixture":
            yield "it sulks"
        raise NotAsked("nobody knows")

    try:
        assert [f.verdict for e in ("prior/mixture", "prior/learned_normal") for f in transcript(e, ["mood"])] == [
            "not asked", "not asked"
        ]
    finally:
        del EXAMS["mood"]
    assert dict(EXAMS) == before


def test_an_entry_that_fits_nowhere_is_told_how(monkeypatch):
    class Picky(Diagonal):
        def __init__(self, event, n_latent):
            raise SettingError("I want nothing of this, whatever it is, so there.")

    monkeypatch.setattr(Picky, "_senzai_name", "posterior/picky", raising=False)
    monkeypatch.setitem(REGISTRIES["posterior"], "picky", Picky)
    (found,) = examine("posterior/picky")
    assert found.exam == "construction"
    assert "I want nothing" in found.text
    assert "senzai.core.examples.example" in found.text


def test_pytest_is_not_imported():
    code = "import sys, senzai.testing as t; t.cases(); t.exam_of('prior/mixture'); print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800)
    assert done.stdout.strip() == "False", done.stderr


# --- densities, by themselves -------------------------------------------------------------------------------------
class Off(Normal):
    def log_prob(self, x):
        return super().log_prob(x) + 0.15


class Often(Poisson):
    def sample(self, sample_shape=()):
        x = super().sample(sample_shape)
        return torch.where((x == 0) & (torch.rand_like(x) < 0.3), 1.0, x)


class Missing(Poisson):
    def log_prob(self, x):
        return super().log_prob(x) - 0.1


LOC = torch.tensor([0.3, -2.0])


@pytest.mark.parametrize(
    ("ill", "says"),
    [
        (Independent(Off(LOC, 1.0), 1), "integrate to 1"), (Stretched(LOC, torch.ones(2)), "follow its density"),
        (Independent(Often(LOC.exp()), 1), "follow its probabilities"),
        (Independent(Missing(LOC.exp()), 1), "add up to 1"),
    ],
)
def test_a_density_that_is_not_what_it_draws_is_found(ill, says):
    (fault,) = faults_of(ill)
    assert says in fault


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "p",
    [
        Independent(Normal(LOC, 1.0), 1), torch.distributions.Dirichlet(torch.tensor([2.0, 1.5, 3.0])),
        Independent(torch.distributions.LogNormal(LOC, 0.7), 1), Independent(Poisson(LOC.exp()), 1),
        Independent(torch.distributions.StudentT(3.0, LOC, 1.0), 1), torch.distributions.Categorical(torch.ones(3, 5)),
        torch.distributions.MultivariateNormal(LOC, torch.tensor([[1.0, 0.9], [0.9, 1.0]])),
        Independent(torch.distributions.Uniform(LOC, LOC + 2), 1), torch.distributions.Beta(2.0, 3.0),
    ],
    ids=lambda p: type(getattr(p, "base_dist", p)).__name__,
)
def test_a_density_that_is_what_it_draws_is_not(p, seed):
    torch.manual_seed(seed)
    assert list(faults_of(p)) == []


def test_a_large_event_is_left_alone():
    with pytest.raises(NotAsked, match="too large"):
        list(faults_of(Independent(Normal(torch.zeros(50), 1.0), 1)))


# --- what was found in this library, and mended -------------------------------------------------------------------
def test_a_family_that_pools_rows_is_no_posterior():
    (subject,) = subjects("family/normal_optimal")
    with pytest.raises(CombinationError, match="tells rows apart"):
        subject.other(settings={"posterior": "normal_optimal"}).build()


def test_a_full_covariance_is_a_likelihood_and_shares_nothing():
    likelihoods = [s for s in subjects("family/full_normal") if "likelihood" in s.example.settings]
    model, _ = likelihoods[0].build()
    assert isinstance(model.likelihood, Likelihood)
    with pytest.raises(CombinationError, match="element by element"):
        likelihoods[0].other(settings={"shared": ("loc",)}).build()


def test_missing_values_are_refused_when_the_likelihood_is_built():
    likelihoods = [s for s in subjects("family/full_normal") if "likelihood" in s.example.settings]
    with pytest.raises(CombinationError, match="marginals are known"):
        likelihoods[0].other(masked=True).build()


@pytest.mark.parametrize("name", DATA)
def test_small_data_are_the_same_every_time_and_have_what_was_asked_for(name):
    data = DATA[name]
    a, b = (data.rows(7, seed=3, n_classes=3, n_condition=2, masked=True) for _ in range(2))
    assert all(torch.equal(u, v) for u, v in zip(tensors(a.x), tensors(b.x), strict=True))
    if isinstance(a.x, dict):
        assert set(a.x) == set(data.modalities)
    else:
        assert a.tensor.shape == a.mask.shape == (7, *data.event)
    assert a.c.shape == (7, 2)
    assert set(a.y.tolist()) == {0, 1, 2}
    assert 0 < int(a.y_known.sum()) < 7
    assert not torch.equal(tensors(a.x)[0], tensors(data.rows(7, seed=4).x)[0])


@pytest.mark.parametrize("family", ["von_mises_fisher", "wrapped_normal", "dirichlet"])
def test_what_lives_on_a_space_of_its_own_is_no_likelihood(family):
    (subject,) = subjects("prior/mixture")
    with pytest.raises(CombinationError, match="a space of its own"):
        subject.other(settings={"likelihood": family}).build()
