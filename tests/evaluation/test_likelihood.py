from __future__ import annotations

import resource

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.distributions import FullNormalFamily, NormalOptimalFamily
from senzai.evaluation import chunks, elbo, log_likelihood
from senzai.evaluation.likelihood import effective_sample_size, log_estimate_se
from senzai.models import Flat
from senzai.models.base import Inference, LatentModel
from senzai.models.modes import judging
from senzai.parts import VampPrior


def log_p(model, batch, **options):
    return log_likelihood(model, batch, **options).per_row


# --- chunks ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("q", [None, FullNormalFamily()])
@pytest.mark.parametrize("k", [1, 30, 700])
def test_memory_does_not_change_the_result(made, binary, k, q):
    model = made(q=q).double()
    batch = binary.take(slice(0, 6)).map(lambda t: t.double())
    whole = log_likelihood(model, batch, k=k)
    for memory_gb in (3e-4, 1e-5):
        found = log_likelihood(model, batch, k=k, memory_gb=memory_gb)
        for name in ("per_row", "ess", "monte_carlo_se"):
            torch.testing.assert_close(getattr(found, name), getattr(whole, name), equal_nan=True)


def test_the_chunks_differ_in_that_test(made, binary):
    batch = binary.take(slice(0, 6)).map(lambda t: t.double())
    plans = {chunks.plan(made().double(), batch, 700, gb) for gb in (0.5, 3e-4, 1e-5)}
    assert len(plans) == 3
    assert {draws < 700 for _, draws in plans} == {True, False}


def test_other_rows_do_not_change_a_row(made, binary):
    model = made().double()
    batch = binary.map(lambda t: t.double())
    whole = log_p(model, batch, k=20)
    torch.testing.assert_close(log_p(model, batch.take(slice(0, 7)), k=20), whole[:7])
    torch.testing.assert_close(log_p(model, batch.take(slice(7, 9)), k=20, first_row=7), whole[7:9])


def test_seeds_give_other_draws_and_leave_the_callers_random_state(made, binary):
    model = made()
    state = torch.get_rng_state()
    a, b, c = (log_p(model, binary, k=5, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_every_row_and_draw_has_its_own_noise(made):
    found = elbo(made(), Batch(torch.ones(40, 6)), n_samples=1)
    assert len(found.distortion.unique()) == 40
    one, two = (log_p(made(), Batch(torch.ones(1, 6)), k=k) for k in (1, 2))
    assert not torch.equal(one, two)


def test_one_row_is_encoded_seldom(made, binary, monkeypatch):
    model, encoded = made(), []
    forward = model.posterior.forward
    monkeypatch.setattr(model.posterior, "forward", lambda batch: (encoded.append(len(batch)), forward(batch))[1])
    log_likelihood(model, binary, k=500)
    assert sum(encoded) <= len(binary) + 2  # two rows to measure their memory


def test_memory_is_kept_to(made):
    model = made(D=2000)
    batch = Batch((torch.rand(2, 2000) < 0.5).float())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    log_likelihood(model, batch, k=20_000, memory_gb=0.03)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; all at once takes 800 MB


def test_bytes_of_a_draw_are_measured(made):
    fixed, each = chunks.bytes_of_draws(made(D=1000), Batch(torch.zeros(1, 1000)), 64)
    assert 4 * 1000 < each < 10 * 4 * 1000
    assert fixed < 10 * 4 * 1000


def test_what_a_prior_needs_once_is_not_counted_for_every_draw(made):
    """Five hundred pseudo-inputs are encoded once per chunk, however many draws it has."""
    row = Batch(torch.zeros(1, 1000))
    _, plain = chunks.bytes_of_draws(made(D=1000), row, 1000)
    model = made(D=1000)
    n_latent = model.prior.n_latent
    fixed, each = chunks.bytes_of_draws(
        Flat(VampPrior(n_latent, (1000,), model.posterior, n_components=500), model.posterior, model.likelihood), row,
        1000,
    )
    assert fixed > 500 * 1000 * 4
    assert plain <= each < 2 * (plain + 500 * 8 * 4)


# --- mode and gradients ---------------------------------------------------------------------------------------------
def test_modes_are_put_back_and_nothing_tracks_gradients(made, binary):
    model = made(dropout=0.5)
    model.posterior.eval()
    before = [m.training for m in model.modules()]
    found = log_likelihood(model, binary, k=3)
    assert [m.training for m in model.modules()] == before
    assert not found.per_row.requires_grad
    assert torch.equal(found.per_row, log_p(model, binary, k=3)), "dropout was on"


def test_training_can_go_on_after_an_evaluation(made, binary):
    model = made(q=FullNormalFamily())
    log_likelihood(model, binary, k=3)
    (-model.infer(binary).bound().mean()).backward()
    assert model.posterior.head.weight.grad.abs().sum() > 0


def test_modes_are_put_back_after_a_failure(made):
    model = made()
    with pytest.raises(ValueError, match="shape"):
        log_likelihood(model, Batch(torch.ones(3, 5)), k=3)
    assert model.training


def test_a_scale_taken_from_the_batch_is_fixed_in_evaluation(made):
    model = made(family=NormalOptimalFamily())
    batch = Batch(torch.randn(9, 6))
    model.infer(batch)
    whole = log_p(model, batch, k=8)
    torch.testing.assert_close(log_p(model, batch.take(slice(0, 1)), k=8), whole[:1])


# --- weights --------------------------------------------------------------------------------------------------------
def test_one_draw_is_the_elbo_of_the_same_noise(made, binary):
    model = made(prior=None).double()
    batch = binary.map(lambda t: t.double())
    with judging(model):
        (chunk,) = chunks.chunks(model, batch, 1, seed=3)
    torch.testing.assert_close(log_p(model, batch, k=1, seed=3), chunk.seen.log_w[0])
    found = elbo(model, batch, seed=3)
    torch.testing.assert_close(found.distortion, -chunk.seen.log_lik[0])


def test_the_estimate_is_the_mean_of_the_weights(made, binary):
    model = made().double()
    batch = binary.map(lambda t: t.double())
    with judging(model):
        (chunk,) = chunks.chunks(model, batch, 9, seed=0)
    w = chunk.seen.log_w.exp()
    found = log_likelihood(model, batch, k=9)
    torch.testing.assert_close(found.per_row, w.mean(0).log())
    torch.testing.assert_close(found.ess, w.sum(0) ** 2 / w.square().sum(0))
    torch.testing.assert_close(found.monte_carlo_se, w.std(0) / w.mean(0) / 3)
    assert found.mean == pytest.approx(float(found.per_row.mean()))
    assert found.se == pytest.approx(float(found.per_row.std()) / 30**0.5)


def test_equal_weights_have_no_spread_and_one_weight_takes_all():
    equal, single = torch.zeros(4, 1).double(), torch.tensor([[0.0], [-800.0], [-900.0], [-900.0]]).double()
    for log_w, ess in ((equal, 4.0), (single, 1.0)):
        found = effective_sample_size(log_w.logsumexp(0), (2 * log_w).logsumexp(0))
        assert float(found) == pytest.approx(ess)
    assert float(log_estimate_se(torch.tensor(4.0), 4)) == 0
    assert float(log_estimate_se(torch.tensor(1.0), 4)) == pytest.approx(1.0)
    assert log_estimate_se(torch.tensor(1.0), 1).isnan()


def test_weights_that_would_underflow_are_kept(made):
    found = log_likelihood(made(D=6), Batch(torch.ones(2, 6) * 1e4), k=5)  # a log weight of about -1e4 or 1e4
    assert found.per_row.isfinite().all()


class Labelled(LatentModel):
    """Enumerates two labels for each draw, so that it gives ``2 n`` draws with weights of their own."""

    def __init__(self, inner, log_mix):
        super().__init__()
        self.inner, self.log_mix = inner, log_mix

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        found = self.inner.infer(batch, n_samples)
        both = self.inner.infer(batch, 2 * n_samples, z=(torch.cat([found.groups[0].z] * 2),))
        log_mix = self.log_mix.log().repeat_interleave(n_samples).unsqueeze(1) - torch.tensor(n_samples).log()
        return Inference(both.groups, both.likelihood, both.x, log_mix=log_mix)

    generate = sample_prior = encoder_parameters = None


def test_weights_of_the_draws_are_respected_over_chunks(made, binary):
    model = made().double()
    batch = binary.map(lambda t: t.double())
    labelled = Labelled(model, torch.tensor([0.3, 0.7]).double())
    batch = batch.take(slice(0, 5))
    for memory_gb in (0.5, 1e-5):
        found = log_p(labelled, batch, k=100, memory_gb=memory_gb)
        torch.testing.assert_close(found, log_p(model, batch, k=100))


# --- settings -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", [{"k": 0}, {"memory_gb": 0.0}])
def test_nothing_to_do_is_refused(made, binary, wrong):
    with pytest.raises(SettingError):
        log_likelihood(made(), binary, **wrong)


def test_no_rows_are_refused(made, binary):
    with pytest.raises(SettingError):
        log_likelihood(made(), binary.take(slice(0, 0)))


def test_shorter_numbers_in_the_networks_stay_close(made, binary):
    model = made()
    exact, short = (log_likelihood(model, binary, k=50, precision=p) for p in (None, torch.bfloat16))
    assert short.per_row.dtype == torch.float64
    assert abs(short.mean - exact.mean) < 0.05
