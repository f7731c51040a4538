"""Concepts: the structural prior, the bound with known concepts, and changes of pictures whose mechanism is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.core.random import forked
from senzai.data import pendulum
from senzai.data.pendulum import GRAPH, NAMES, factors_of, read_off, render
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.models import Concepts, Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO, ConceptBound
from senzai.parts import Likelihood, Posterior, StandardNormal
from senzai.parts.priors import StructuralPrior

EDGES = ((0, 1), (0, 2), (1, 2))


def moved(prior: StructuralPrior, seed: int = 0) -> StructuralPrior:
    with forked(seed), torch.no_grad():
        for p in prior.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return prior


@pytest.fixture
def prior():
    return moved(StructuralPrior(4, edges=EDGES, hidden=5)).double()


def flat(prior) -> Flat:
    with forked(3):
        return Flat(
            prior, Posterior(MLPEncoder((6,), (8,)), NormalFamily(), prior.n_latent),
            Likelihood(MLPDecoder(prior.n_latent, (1, 6), (8,)), BernoulliFamily(), (6,)),
        )


# --- the prior --------------------------------------------------------------------------------------------------------
def test_the_density_is_the_product_of_the_mechanisms(prior):
    z = torch.randn(7, 4, dtype=torch.float64)
    loc, log_scale = prior.mechanisms(z)
    by_hand = torch.distributions.Normal(loc, log_scale.exp()).log_prob(z).sum(-1)
    assert torch.allclose(prior().log_prob(z), by_hand)
    assert (loc[:, [0, 3]] == 0).all()
    assert (log_scale[:, [0, 3]] == 0).all()


def test_no_dimension_sees_what_does_not_cause_it(prior):
    z = torch.randn(1, 4, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: torch.stack(prior.mechanisms(v)), z).squeeze()
    sees = (jacobian.abs().sum(0) > 0).squeeze()
    wanted = torch.zeros(4, 4, dtype=torch.bool)
    for cause, effect in EDGES:
        wanted[effect, cause] = True
    assert torch.equal(sees, wanted)


def test_noise_and_latents_are_each_other_s_inverse_and_the_volume_is_right(prior):
    e = torch.randn(9, 4, dtype=torch.float64)
    z = prior.follow(e)
    assert torch.allclose(prior.noise_of(z), e)
    jacobian = torch.autograd.functional.jacobian(lambda v: prior.follow(v[None])[0], e[0])
    wanted = torch.distributions.Normal(0, 1).log_prob(e[0]).sum() - torch.linalg.slogdet(jacobian)[1]
    assert torch.allclose(prior().log_prob(z)[0], wanted)


def test_what_is_set_cuts_its_causes_and_moves_what_follows(prior):
    e = torch.randn(50, 4, dtype=torch.float64)
    z, set_ = prior.follow(e), prior.follow(e, {1: 2.5})
    assert (set_[:, 1] == 2.5).all()
    assert torch.equal(set_[:, [0, 3]], z[:, [0, 3]])
    loc, log_scale = prior.mechanisms(set_)
    assert torch.allclose(set_[:, 2], loc[:, 2] + log_scale.exp()[:, 2] * e[:, 2])
    assert (set_[:, 2] - z[:, 2]).abs().min() > 1e-6


def test_without_arrows_the_loss_is_that_of_the_plain_autoencoder():
    """Independent latents: the same posterior and likelihood under both priors give the same terms."""
    structural, plain = flat(StructuralPrior(2)), flat(StandardNormal(2))
    batch = Batch(torch.randint(2, (5, 6)).float())
    with forked(1):
        one = ELBO()(structural, batch, 0)
    with forked(1):
        two = ELBO()(plain, batch, 0)
    assert torch.equal(one.loss, two.loss)
    assert not list(StructuralPrior(2).parameters())


def test_arrows_between_latents_that_are_not_there_and_in_circles_are_refused():
    with pytest.raises(SettingError, match="0 to 1"):
        StructuralPrior(2, edges=((0, 2),))
    with pytest.raises(SettingError, match="no circle"):
        StructuralPrior(2, edges=((0, 1), (1, 0)))
    with pytest.raises(CombinationError, match="prior=structural"):
        Concepts(flat(StandardNormal(2)), ("a", "b"))


# --- the bound --------------------------------------------------------------------------------------------------------
def concepts_model() -> Concepts:
    return Concepts(flat(moved(StructuralPrior(3, edges=((0, 1),), hidden=4))), ("a", "b"))


def test_known_concepts_are_taught_to_encoder_and_graph_and_unknown_ones_are_not():
    model = concepts_model()
    numbers = torch.tensor([[0.5, -1.0], [torch.nan, 2.0], [torch.nan, torch.nan]])
    batch = Batch(torch.randint(2, (3, 6)).float(), numbers=numbers)
    with forked(1):
        terms = ConceptBound(alpha=3.0, gamma=2.0)(model, batch, 0)
    with forked(1):
        bound = ELBO()(model, batch, 0)
    q = model.concepts(model.inner.posterior(batch))
    log_q = q.log_prob(torch.nan_to_num(numbers))
    wanted = torch.stack([log_q[0].sum(), log_q[1, 1], log_q[2, 0] * 0])
    z = torch.tensor([[0.5, -1.0, 0.0]])
    loc, log_scale = model.structure.mechanisms(z)
    graph = torch.distributions.Normal(loc, log_scale.exp()).log_prob(z)[0, :2].sum()
    extra = -3.0 * wanted - 2.0 * torch.stack([graph, graph * 0, graph * 0])
    assert torch.allclose(terms.loss - bound.loss, extra, atol=1e-5)
    assert torch.isfinite(terms.loss).all()


def test_counterfactual_latents_keep_what_does_not_follow():
    model, z = concepts_model(), torch.randn(6, 3)
    new = model.changed(z, {"a": 1.5})
    assert (new[:, 0] == 1.5).all()
    assert torch.equal(new[:, 2], z[:, 2])
    same = model.changed(z[:1], {"a": float(z[0, 0])})
    assert torch.allclose(same, z[:1], atol=1e-6)  # composition
    back = model.changed(model.changed(z[:1], {"a": 9.0}), {"a": float(z[0, 0])})
    assert torch.allclose(back, z[:1], atol=1e-4)
    assert torch.equal(model.changed(z, {"b": 0.3})[:, 0], z[:, 0])


# --- the simulator ----------------------------------------------------------------------------------------------------
def test_pictures_are_known_by_their_number():
    some = factors_of([11, 4, 900])
    assert (factors_of(range(12))[11] == some[0]).all()
    assert (render(some)[1] == render(factors_of([4]))[0]).all()


def test_what_is_drawn_can_be_read_off():
    factors = factors_of(range(200))
    error = np.abs(read_off(render(factors)) - factors).max(0)
    assert (error < [1.0, 0.01, 0.3, 0.5]).all()
    free = np.array([[20.0, -0.5, 5.0, 12.0], [-30.0, 0.2, -6.0, 4.0]])  # no such shadow falls
    assert np.allclose(read_off(render(free)), free, atol=0.4)


def test_interventions_of_the_simulator_keep_the_noise_and_cut_the_causes():
    numbers = range(100)
    was, then = factors_of(numbers), factors_of(numbers, given={"light": 0.5})
    assert (then[:, 1] == 0.5).all()
    assert (then[:, 0] == was[:, 0]).all()
    even = [np.stack(pendulum.mechanism(f[:, 0], f[:, 1]), 1) for f in (was, then)]
    assert np.allclose(was[:, 2:] - even[0], then[:, 2:] - even[1])
    shadow = factors_of(numbers, given={"shadow_length": 7.0})
    assert (shadow[:, 3] == 7.0).all()
    assert (shadow[:, :3] == was[:, :3]).all()


def test_what_the_simulator_does_not_know_is_refused():
    with pytest.raises(SettingError, match="Did you mean 'angle'"):
        factors_of([0], given={"angel": 1.0})
    with pytest.raises(InputError, match="from 0 on"):
        factors_of([-1])
    with pytest.raises(InputError, match="finite numbers"):
        render(np.zeros((2, 3)))


# --- runs -------------------------------------------------------------------------------------------------------------
SMALL = {"network": "mlp", "hidden": [64], "sampler": "none", "progress": False}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    factors = factors_of(range(400))
    told = {k: np.where(np.arange(400) < 100, factors[:, i], np.nan) for i, k in enumerate(NAMES)}
    path = tmp_path_factory.mktemp("pendulum") / "p.npz"
    np.savez(path, x=render(factors), **told)
    return path


def test_a_run_with_concepts_sets_them_in_the_user_s_unit(archive, tmp_path):
    run = senzai.fit(str(archive), recipe="causal-vae", concepts=",".join(NAMES), graph=GRAPH, steps=30, **SMALL)
    assert run.model.graph.parents("shadow_length") == ("angle", "light")
    rows = run.do("do", 4, set={"angle": 30.0}, seed=0)
    assert rows.shape == (4, 32, 32)
    run.save(tmp_path / "run")
    assert (senzai.load(tmp_path / "run").do("do", 4, set={"angle": 30.0}, seed=0) == rows).all()
    pictures = render(factors_of(range(500, 503)))
    assert run.counterfactual(pictures, set={"light": 0.5}).shape == pictures.shape
    with pytest.raises(SettingError, match="is a number"):
        run.do("do", 4, set={"angle": "left"})


def test_concepts_that_are_not_there_are_refused(archive):
    with pytest.raises(SettingError, match="Did you mean 'angle'"):
        senzai.fit("pendulum", recipe="causal-vae", concepts="angel", graph="angel>light", steps=1)
    with pytest.raises(SettingError, match="arrays beside the pictures"):
        senzai.fit(render(factors_of(range(20))), concepts="angle", steps=1)
    with pytest.raises(CombinationError, match="Name them"):
        senzai.fit(render(factors_of(range(20))), recipe="causal-vae", graph="a>b", steps=1)


@pytest.mark.slow
def test_interventions_agree_with_the_simulator():
    """Read off pictures, what follows from the angle is nearer to the truth than leaving everything as it was."""
    run = senzai.fit(
        "pendulum", recipe="causal-vae", concepts=",".join(NAMES), graph=GRAPH, steps=1500, batch_size=64,
        **{**SMALL, "hidden": [256, 256]},
    )
    numbers = range(5000, 5100)
    was, truth = factors_of(numbers), factors_of(numbers, given={"angle": 20.0})
    got = read_off(run.counterfactual(render(was), set={"angle": 20.0}))
    error, idle = (np.abs(v - truth).mean(0) for v in (got, was))
    assert (error[[0, 2]] < idle[[0, 2]] / 2).all()
    assert error[1] < 0.15
