"""Sequence models: exact evidence of linear-normal ones, padding that changes nothing, ways of the inference."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.distributions.numeric import positive_raw
from senzai.evaluation import elbo, log_likelihood
from senzai.models import VRNN, StateSpace, verbs
from senzai.nn import MLPDecoder, Recurrent
from senzai.nn.recurrent import backwards, valid_steps
from senzai.objectives import ELBO
from senzai.parts import Combined, Conditional, Likelihood
from senzai.parts.base import diagonal

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo

FLOOR = NormalFamily().floor
T, D = 4, 2
NAMES = list(zoo.SEQUENCES)


@pytest.fixture(autouse=True)
def in_double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def linear_conditional(A, a, s):
    made = Conditional(A.shape[1], len(a), NormalFamily())
    with torch.no_grad():
        made.head.weight.zero_()
        made.head.weight[: len(a)].copy_(A)
        made.head.bias.copy_(torch.cat([a, positive_raw(s, FLOOR)]))
    return made


class Messages(nn.Module):
    """What x_t, ..., x_T say of z_t in chains that do not touch: precision and precision times mean, by recursion."""

    def __init__(self, a, c, s, w, b, r):
        super().__init__()
        self.law, self.width = (a, c, s, w, b, r), 4

    def forward(self, batch):
        a, c, s, w, b, r = self.law
        valid, x = valid_steps(batch), batch.x.nan_to_num(0.0)
        J, eta, found = torch.zeros(len(x), 2), torch.zeros(len(x), 2), []
        for t in range(x.shape[1] - 1, -1, -1):
            there = valid[:, t].unsqueeze(-1)
            back = 1 + s.square() * J
            J, eta = a.square() * J / back, a * (eta - J * c) / back
            J = torch.where(there, J + (w / r).square(), torch.zeros_like(J))
            eta = torch.where(there, eta + w * (x[:, t] - b) / r.square(), torch.zeros_like(eta))
            found.append(torch.cat([eta, J], -1))
        return torch.stack(found[::-1], 1)


class Exact(nn.Module):
    """q(z_t | z_{t-1}, x_t, ..., x_T): the transition times what the messages say; off by a little if asked."""

    def __init__(self, messages, off=0.0):
        super().__init__()
        self.law, self.off = messages.law, off

    def forward(self, z, h):
        a, c, s = self.law[:3]
        eta, J = h.chunk(2, -1)
        precision = s.square().reciprocal() + J
        mean = ((a * z + c) / s.square() + eta) / precision
        return diagonal(mean + self.off, precision.rsqrt() * (1 + self.off))


def chains(off=0.0):
    """Two chains side by side, as a model with the exact posterior, and the law of whole rows."""
    a, c, s, w, b, r = (torch.tensor(v) for v in (
        [0.8, -0.6], [0.3, -0.2], [0.7, 0.5], [1.3, 0.7], [0.1, -0.4], [0.6, 0.9],
    ))
    emission = Likelihood(MLPDecoder(2, (1, D), ()), NormalFamily(), (D,), shared=("scale",))
    messages = Messages(a, c, s, w, b, r)
    model = StateSpace(linear_conditional(torch.diag(a), c, s), messages, Exact(messages, off), emission, T)
    with torch.no_grad():
        emission.decoder.out.weight.copy_(torch.diag(w))
        emission.decoder.out.bias.zero_()
        emission.bias[0].copy_(b)
        emission.bias[1].copy_(positive_raw(r, FLOOR))
        model.z_q_0.copy_(model.z_0.copy_(torch.tensor([0.5, -1.0])))
    return (model, *law(model, torch.diag(a), c, s, torch.diag(w), b, r))


def law(model, A, a, s, W, b, r):
    """Mean and covariance of whole rows: z_t as a mean and a matrix on all the noise so far."""
    mean, on_noise, means, rows = model.z_0.detach(), torch.zeros(2, 2 * T), [], []
    for t in range(T):
        mean, on_noise = A @ mean + a, A @ on_noise
        on_noise[:, 2 * t : 2 * t + 2] += torch.diag(s)
        means.append(W @ mean + b)
        rows.append(W @ on_noise)
    M = torch.cat(rows)
    return torch.cat(means), M @ M.T + torch.diag(r.square().repeat(T))


@pytest.fixture
def linear():
    """z_t = A z_{t-1} + a + s noise from z_0; x_t = W z_t + b + r noise: the model and the law of whole rows."""
    g = torch.Generator().manual_seed(5)
    A, W = 0.7 * torch.linalg.qr(torch.randn(2, 2, generator=g)).Q, torch.randn(D, 2, generator=g)
    a, b, z_0 = (torch.randn(2, generator=g) for _ in range(3))
    s, r = torch.tensor([0.8, 0.5]), torch.tensor([0.6, 0.9])
    emission = Likelihood(MLPDecoder(2, (1, D), ()), NormalFamily(), (D,), shared=("scale",))
    torch.manual_seed(0)
    model = StateSpace(linear_conditional(A, a, s), Recurrent(D, 6), Combined(2, 6), emission, T)
    with torch.no_grad():
        emission.decoder.out.weight.copy_(W)
        emission.decoder.out.bias.zero_()
        emission.bias[0].copy_(b)
        emission.bias[1].copy_(positive_raw(r, FLOOR))
        model.z_0.copy_(z_0)
    return (model, *law(model, A, a, s, W, b, r))


@pytest.mark.parametrize("lengths", [[4, 4, 4], [1, 2, 3]])
def test_with_the_exact_posterior_every_draw_weighs_the_evidence(lengths):
    model, mean, covariance = chains()
    x = MultivariateNormal(mean, covariance).sample((3,))
    rows = x.view(3, T, D).clone()
    for i, n in enumerate(lengths):
        rows[i, n:] = torch.nan
    exact = torch.stack([
        MultivariateNormal(mean[: n * D], covariance[: n * D, : n * D]).log_prob(x[i, : n * D])
        for i, n in enumerate(lengths)
    ])
    found = model.infer(Batch(rows, lengths=torch.tensor(lengths)), 5).log_w
    torch.testing.assert_close(found, exact.expand(5, 3), rtol=0, atol=1e-9)


def test_with_another_posterior_the_bound_is_below_and_rises_to_the_evidence():
    model, mean, covariance = chains(off=0.2)
    x = MultivariateNormal(mean, covariance).sample((4,))
    with torch.no_grad(), using(Noise.seeded(0)):
        seen = model.infer(Batch(x.view(4, T, D)), 30_000)
    exact, log_w = MultivariateNormal(mean, covariance).log_prob(x), seen.log_w
    few, many = ((log_w.view(-1, k, 4).logsumexp(1) - torch.tensor(float(k)).log()).mean(0) for k in (1, 100))
    assert (few < many).all()
    assert (many < exact + 0.01).all()
    assert ((exact - many) < 0.1 * (exact - few)).all()
    weight = (log_w - exact).exp()
    assert ((weight.mean(0) - 1).abs() < 5 * weight.std(0) / 30_000**0.5).all()
    closed = -seen.log_lik + seen.groups[0].rate()  # the closed rate of each step, at the draw of the step before
    gap = closed.mean(0) + log_w.mean(0)
    assert (gap.abs() < 5 * (closed + log_w).std(0) / 30_000**0.5).all()


def test_samples_have_the_moments_of_the_exact_law(linear):
    model, mean, covariance = linear
    with using(Noise.seeded(0)), torch.no_grad():
        x = model.simulate(20_000).flatten(1)
    assert ((x.mean(0) - mean).abs() < 5 * (covariance.diagonal() / 20_000).sqrt()).all()
    found = torch.cov(x.T)
    spread = ((covariance.diagonal().outer(covariance.diagonal()) + covariance.square()) / 20_000).sqrt()
    assert ((found - covariance).abs() < 5 * spread).all()


# --- padding --------------------------------------------------------------------------------------------------------
def padded(x, lengths, steps, fill):
    wide = torch.full((len(x), steps, x.shape[2]), fill)
    for i, n in enumerate(lengths):
        wide[i, :n] = x[i, :n]
    return Batch(wide, lengths=torch.tensor(lengths))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", [0.0, 1.0, -7.0, float("nan"), float("inf")])
@pytest.mark.parametrize("steps", [3, 7])
def test_what_stands_behind_the_end_changes_nothing(name, fill, steps, with_noise):
    model, x, lengths = zoo.make(name), zoo.bits()[[1, 3, 6]].view(3, 3, 1), [3, 1, 2]

    def judged(batch):
        model.zero_grad()
        with torch.enable_grad():
            terms = with_noise(lambda: ELBO(free_bits=0.2)(model, batch, 0))
            terms.loss.sum().backward()
        return terms.loss.detach(), [p.grad.clone() for p in model.parameters()]

    loss, grads = judged(padded(x, lengths, 3, 0.0))
    other, other_grads = judged(padded(x, lengths, steps, fill))
    torch.testing.assert_close(other, loss, rtol=1e-11, atol=1e-11)
    for a, b in zip(other_grads, grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    for i, n in enumerate(lengths):  # and a row alone, cut to its own length, says the same
        alone = log_likelihood(model, Batch(x[i : i + 1, :n]), k=3, first_row=i).per_row
        among = log_likelihood(model, padded(x, lengths, steps, fill), k=3).per_row[i : i + 1]
        torch.testing.assert_close(alone, among, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("structured", [True, False])
def test_steps_that_no_row_has_are_not_gone_through(structured, monkeypatch):
    model, gone = zoo.make("state_space" if structured else "mean_field"), []
    inner = model.features.forward
    monkeypatch.setattr(model.features, "forward", lambda batch: gone.append(batch.tensor.shape[1]) or inner(batch))
    rows = padded(zoo.bits()[[1, 3]].view(2, 3, 1), [3, 1], 9, 0.0)
    short = replace(rows, lengths=torch.tensor([2, 1]))
    assert model.infer(rows).groups[0].z.shape[2] == 9
    model.infer(rows, seen=short)  # what is scored is longer than what is shown: it needs latents too
    given = model.infer(short, 2, z=(torch.randn(2, 2, 9, 2),))
    assert gone == [3, 3, 2]
    assert torch.isfinite(given.log_w).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "mean_field"])
def test_densities_of_short_rows_add_up_to_one(name):
    model = zoo.blinded(zoo.make(name))
    rows = zoo.bits(2).view(4, 2, 1)
    found = log_likelihood(model, padded(rows, [2] * 4, 3, float("nan")), k=3000)
    p, se = found.per_row.exp(), found.per_row.exp() * found.monte_carlo_se
    assert float(p.sum()) == pytest.approx(1, abs=5 * float(se.square().sum().sqrt()))


@pytest.mark.parametrize("name", NAMES)
def test_rates_and_entries_are_told_apart(name):
    split = elbo(zoo.make(name), padded(zoo.bits().view(8, 3, 1), [3, 2, 1, 3, 2, 1, 3, 3], 5, float("nan")))
    per_dimension = split.rate_per_dimension["z"]
    assert per_dimension.shape == (2,)
    assert float(per_dimension.sum()) == pytest.approx(float(split.rate.mean()))
    assert split.distortion_per_feature.shape == (5, 1)
    assert (split.distortion_per_feature[3:] == 0).all()
    assert float(split.distortion_per_feature.sum()) == pytest.approx(float(split.distortion.mean()))


def test_a_hole_inside_a_row_is_no_end(with_noise):
    x, mask = torch.tensor([[[1.0], [float("nan")], [1.0]]]), torch.tensor([[[True], [False], [True]]])
    changed = x.clone()
    changed[0, 2] = 0.0
    for name in NAMES:
        model = zoo.make(name)
        a, b, c = (with_noise(model.infer, Batch(v, mask=mask), 2).log_w for v in (x, x.nan_to_num(0.0), changed))
        assert torch.equal(a, b)
        assert (a != c).all()


# --- ways of the inference ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("direction", "allowed"), [
    ("backward", [[1, 1, 1], [0, 1, 1], [0, 0, 1]]), ("forward", [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
    ("both", [[1, 1, 1]] * 3),
])
def test_features_see_what_they_may(direction, allowed):
    torch.manual_seed(0)
    net, x = Recurrent(1, 3, direction=direction), torch.randn(1, 3, 1)
    J = torch.autograd.functional.jacobian(lambda x: net(Batch(x))[0].sum(-1), x)[:, 0, :, 0]
    assert (J != 0).int().tolist() == allowed


def test_rows_are_turned_within_their_own_steps():
    x = torch.arange(8.0).view(2, 4, 1)
    valid = valid_steps(Batch(x, lengths=torch.tensor([4, 2])))
    assert backwards(x, valid).squeeze(-1).tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
    assert torch.equal(backwards(backwards(x, valid), valid), x)


def test_a_network_without_memory_is_an_autoencoder_of_steps():
    """With a state that nobody reads, a row's weight is the sum over its steps of a flat model's."""
    model = zoo.make("vrnn")
    with torch.no_grad():
        for net in (model.prior, model.recognition):
            net.hidden[0].weight[:, -4:] = 0
        model.prior.hidden[0].weight.zero_()
        model.emission.decoder.hidden[0].weight[:, -4:] = 0
    x = Batch(zoo.bits()[:5].view(5, 3, 1))
    seen = model.infer(x, 2)
    z = seen.groups[0].z
    h = torch.zeros(2, 5, 4)
    total = 0
    for t in range(3):
        p, q = model.prior(h), model.recognition(model._features(x)[:, t], h)
        emitted = model.emission(torch.cat([model.from_z(z[:, :, t]), h], -1))
        total = total + emitted.log_prob(x.x[:, t]) + p.log_prob(z[:, :, t]) - q.log_prob(z[:, :, t])
    torch.testing.assert_close(seen.log_w, total)


def test_one_step_of_a_deep_markov_model_is_a_flat_model():
    """p(z_1 | z_0) is a prior, and one step of the network an encoder."""
    model = zoo.make("state_space")
    x = Batch(zoo.bits(1).view(2, 1, 1))
    seen = model.infer(x, 3)
    z = seen.groups[0].z[:, :, 0]
    h = model.features(x)[:, 0]
    q, p = model.recognition(model.z_q_0.expand(2, -1), h), model.transition(model.z_0)
    expected = model.emission(z).log_prob(x.x[:, 0]) + p.log_prob(z) - q.log_prob(z)
    torch.testing.assert_close(seen.log_w, expected)


def test_reconstructions_and_samples_have_the_right_shapes():
    for name in NAMES:
        model, x = zoo.make(name), Batch(zoo.bits().view(8, 3, 1))
        assert verbs.reconstruct(model, x).shape == verbs.reconstruct(model, x, seed=0).shape == (8, 3, 1)
        z = verbs.encode(model, x)
        assert verbs.decode(model, z).shape == (8, 3, 1)
        assert verbs.sample(model, 5, seed=0, noise=False).shape == (5, 3, 1)
    assert {VRNN, StateSpace} == {type(zoo.make(n)) for n in NAMES}


# --- a Kalman filter --------------------------------------------------------------------------------------------------
def kalman(x, A, a, s, W, b, r, z_0):
    """Return the log evidence of rows ``(T, D)``, NaN where nothing was seen, and mean and covariance of each step."""
    mean, cov, total, steps = z_0, torch.zeros(len(z_0), len(z_0)), torch.zeros(()), []
    for row in x:
        mean, cov = A @ mean + a, A @ cov @ A.T + torch.diag(s**2)
        expected, spread = W @ mean + b, W @ cov @ W.T + torch.diag(r**2)
        steps.append((expected, spread))
        seen = ~torch.isnan(row)
        if bool(seen.any()):
            inner = spread[seen][:, seen]
            total = total + MultivariateNormal(expected[seen], inner).log_prob(row[seen])
            gain = cov @ W[seen].T @ torch.linalg.inv(inner)
            mean, cov = mean + gain @ (row[seen] - expected[seen]), cov - gain @ W[seen] @ cov
    return total, steps


def test_evidence_and_forecast_are_those_of_a_kalman_filter():
    """With the exact posterior every draw weighs the filter's evidence; what comes next has its mean and variance."""
    model, mean, covariance = chains()
    a, c, s, w, b, r = model.features.law
    law = torch.diag(a), c, s, torch.diag(w), b, r, model.z_0.detach()
    rows = MultivariateNormal(mean, covariance).sample((3,)).view(3, T, D)
    for n in (2, T):
        seen = rows.clone()
        seen[:, n:] = torch.nan
        told = Batch(seen, lengths=torch.full((3,), n))
        filtered = [kalman(row, *law) for row in seen]
        exact = torch.stack([total for total, _ in filtered])
        torch.testing.assert_close(model.infer(told, 5).log_w, exact.expand(5, 3), rtol=0, atol=1e-9)
    seen = rows.clone()
    seen[:, 2:] = torch.nan
    with using(Noise.seeded(0)), torch.no_grad():
        last = model.infer(Batch(seen, lengths=torch.full((3,), 2)), 20_000).groups[0].z[:, :, 1]
        z = last * a + c + s * torch.randn(last.shape)
        x = z * w + b + r * torch.randn(last.shape)
    for i, row in enumerate(seen):
        expected, spread = kalman(row, *law)[1][2]
        sd = spread.diagonal().sqrt()
        assert ((x[:, i].mean(0) - expected).abs() < 5 * sd / 20_000**0.5).all()
        assert ((x[:, i].std(0) / sd - 1).abs() < 0.03).all()
