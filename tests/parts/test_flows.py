"""Flow posteriors: determinants against autograd, inverses, and limits that are known."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.distributions.flow import Flow
from senzai.distributions.flow_steps import Affine, Planar, Radial, Sylvester, solve_tanh
from senzai.distributions.ops import draw, draw_scored, point
from senzai.nn import MLPEncoder
from senzai.parts import IAFPosterior, PlanarPosterior, RadialPosterior, SplinePosterior, SylvesterPosterior
from senzai.parts.flow_steps import GatedStep

B, D = 4, 3
X = Batch(torch.linspace(-1, 1, B * 5).reshape(B, 5).double())
MADE = {
    "planar": lambda e, d: PlanarPosterior(e, d, n_steps=3),
    "radial": lambda e, d: RadialPosterior(e, d, n_steps=3),
    "sylvester": lambda e, d: SylvesterPosterior(e, d, n_steps=3, width=2),
    "householder": lambda e, d: SylvesterPosterior(e, d, n_steps=3, directions="householder", width=2),
    "triangular": lambda e, d: SylvesterPosterior(e, d, n_steps=3, directions="triangular"),
    "iaf": lambda e, d: IAFPosterior(e, d, n_steps=3, n_context=4, hidden=(8,)),
    "nsf": lambda e, d: SplinePosterior(e, d, n_steps=3, n_context=4, hidden=(8,)),
}


def flow_of(name: str, d: int = D, *, size: float = 1.0) -> Flow:
    """A flow whose parameters are far from the identity and differ from row to row."""
    posterior = MADE[name](MLPEncoder((5,), (6,), activation="tanh"), d).double()
    with torch.no_grad():
        posterior.bends.weight.copy_(size * torch.randn_like(posterior.bends.weight))
        posterior.bends.bias.copy_(size * torch.randn_like(posterior.bends.bias))
        return posterior(X)


def jacobian(step, z):
    """Jacobians of one step row by row, ``(B, d, d)``."""
    J = torch.autograd.functional.jacobian(lambda v: step.forward(v)[0], z)
    return torch.stack([J[i, :, i] for i in range(len(z))])


@pytest.fixture(params=sorted(MADE))
def name(request):
    return request.param


@pytest.mark.parametrize("d", [1, 3])
def test_log_determinants_agree_with_autograd(name, d):
    z = torch.randn(B, d).double()
    for step in flow_of(name, d).steps:
        _, log_det = step.forward(z)
        expected = torch.linalg.slogdet(jacobian(step, z))
        assert (expected.sign > 0).all()
        torch.testing.assert_close(log_det, expected.logabsdet, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_steps_are_invertible_for_any_parameters(name, size):
    if name in ("iaf", "nsf") and size > 1:
        size = 3.0  # gates and slopes below the precision of numbers cannot be undone
    z = 2 * torch.randn(7, B, D).double()
    for step in flow_of(name, size=size).steps:
        y, log_det = step.forward(z)
        assert torch.isfinite(log_det).all()
        torch.testing.assert_close(step.inverse(y), z, rtol=1e-5, atol=1e-5)


def test_no_step_can_be_changed_once_it_is_made(name):
    for step in flow_of(name).steps:
        with pytest.raises(AttributeError):
            setattr(step, next(iter(vars(step))), None)


def test_draws_score_themselves_as_their_density_does(name):
    q = flow_of(name)
    z, log_q = draw_scored(q, (6,))
    torch.testing.assert_close(q.log_prob(z), log_q, rtol=1e-8, atol=1e-8)
    every = q.log_prob(z.unsqueeze(2))  # every draw under every row
    torch.testing.assert_close(every.diagonal(dim1=1, dim2=2), log_q, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("far", [10.0, 100.0, 1000.0])
def test_points_that_were_not_drawn_have_a_density_in_single_precision(name, far):
    """Also where the gates of an autoregressive step close: what was pulled back lands where it came from."""
    posterior = MADE[name](MLPEncoder((5,), (6,)), 4)
    with torch.no_grad():
        for p in (p for n, p in posterior.named_parameters() if not n.startswith("encoder")):
            p.mul_(2.0)
        q = posterior(Batch(torch.randn(50, 5)))
        y = far * torch.randn(30, 50, 4)
        log_q = q.log_prob(y)
        assert torch.isfinite(log_q).all()
        assert log_q.dtype is y.dtype
        if name != "nsf":  # whose couplings shrink a thousandfold, as far out as single precision goes
            torch.testing.assert_close(q.push(q.pull(y))[0].to(y.dtype), y, rtol=1e-2, atol=1e-2 * far)


@pytest.mark.parametrize("name", ["planar", "radial", "sylvester"])
def test_the_density_integrates_to_one(name):
    q = flow_of(name, 2, size=0.5)
    axis = torch.linspace(-10, 10, 251).double()
    grid = torch.cartesian_prod(axis, axis).unsqueeze(1)
    with torch.no_grad():
        mass = q.log_prob(grid).exp().sum(0) * (axis[1] - axis[0]) ** 2
    torch.testing.assert_close(mass, torch.ones(B).double(), rtol=0, atol=5e-3)


def test_a_posterior_that_does_not_bend_is_its_base(name):
    posterior = MADE[name](MLPEncoder((5,), (6,)), D).double()
    with torch.no_grad():
        posterior.bends.weight.zero_()
        posterior.bends.bias.zero_()
        for net in getattr(posterior, "nets", []):
            net.openness = 60.0  # gates that are open to the last digit
            net.net[-1].weight.zero_()
        for spline in getattr(posterior, "splines", []):
            for p in spline.hyper[-1].parameters():
                p.zero_()
        raw = posterior.head(posterior.encoder(X)).unflatten(-1, (2, D))
        base = Independent(Normal(raw[:, 0], torch.nn.functional.softplus(raw[:, 1]) + 1e-4), 1)
        q, z = posterior(X), torch.randn(7, B, D).double()
        torch.testing.assert_close(q.log_prob(z), base.log_prob(z), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(point(q), base.mean, rtol=1e-6, atol=1e-6)


# --- each for itself ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("backwards", [False, True])
def test_an_autoregressive_step_has_a_triangular_jacobian(backwards):
    (step,) = [s for s in flow_of("iaf").steps if s.backwards is backwards][:1]
    J = jacobian(step, torch.randn(B, D).double())
    J = J.flip(1, 2) if backwards else J
    assert (J.triu(1) == 0).all()
    assert (J.tril(-1).abs() > 0).any()
    assert ((J.diagonal(dim1=1, dim2=2) > 0) & (J.diagonal(dim1=1, dim2=2) < 1)).all()


def test_every_entry_sees_the_context():
    (step, *_) = flow_of("iaf").steps
    z = torch.randn(B, D).double()
    J = torch.autograd.functional.jacobian(lambda c: GatedStep(step.net, c).forward(z)[0], step.context)
    assert (J.diagonal(0, 0, 2).abs().sum(1) > 0).all()


@pytest.mark.parametrize("directions", ["orthogonal", "householder", "triangular"])
def test_directions_are_orthonormal(directions):
    name = "sylvester" if directions == "orthogonal" else directions
    for step in flow_of(name).steps:
        product = step.q.mT @ step.q
        torch.testing.assert_close(product, torch.eye(product.shape[-1]).double().expand_as(product))
        assert (step.r.tril(-1) == 0).all()
        assert (step.r_tilde.tril(-1) == 0).all()
        assert (step.r.diagonal(dim1=-2, dim2=-1).abs() < 1).all()


def test_a_planar_push_never_folds_space():
    u, w = 50 * torch.randn(2, 500, D).double()
    step = Planar(u, w, torch.zeros(500, 1).double())
    u_hat, along = step.push()
    torch.testing.assert_close((u_hat * w).sum(-1, keepdim=True), along)
    assert (along > -1).all()
    flat = Planar(-1e4 * w.float(), w.float(), torch.zeros(500, 1))
    assert torch.isfinite(flat.forward(torch.zeros(500, D))[1]).all()


def test_a_radial_push_keeps_directions_and_its_centre():
    raw = torch.randn(2, B, 1).double()
    step = Radial(torch.randn(B, D).double(), raw[0], 5 * raw[1])
    torch.testing.assert_close(step.forward(step.centre)[0], step.centre)
    assert (step.beta > -step.alpha).all()


def test_one_push_along_axes_is_planar():
    """Sylvester with one direction is a planar step along it."""
    b = torch.randn(B, 1).double()
    q = torch.nn.functional.normalize(torch.randn(B, D, 1).double(), dim=1)
    r, t = torch.full((B, 1, 1), 0.7).double(), torch.full((B, 1, 1), 0.9).double()
    z = torch.randn(5, B, D).double()
    found, log_det = Sylvester(q, r, t, b).forward(z)
    along = (z * q.squeeze(-1)).sum(-1, keepdim=True)
    h = torch.tanh(0.9 * along + b)
    torch.testing.assert_close(found, z + 0.7 * q.squeeze(-1) * h)
    torch.testing.assert_close(log_det, torch.log(1 + 0.63 * (1 - h.square())).squeeze(-1))


def test_an_affine_flow_is_the_normal_distribution():
    loc, scale = torch.randn(B, D).double(), torch.rand(B, D).double() + 0.1
    base = Independent(Normal(torch.zeros(B, D).double(), 1.0), 1)
    z = torch.randn(7, B, D).double()
    torch.testing.assert_close(
        Flow(base, [Affine(loc, scale)]).log_prob(z), Independent(Normal(loc, scale), 1).log_prob(z)
    )


def test_the_solver_carries_gradients():
    def solved(y, r, a):
        return solve_tanh(y, r, torch.ones_like(r), a)

    values = [torch.tensor(v).double().requires_grad_() for v in ([0.3, -2.0], [0.8, -0.7], [0.1, 1.0])]
    assert torch.autograd.gradcheck(solved, values)


def test_moments_of_draws_are_those_of_the_density():
    q = flow_of("sylvester", 2)
    axis = torch.linspace(-12, 12, 301).double()
    grid = torch.cartesian_prod(axis, axis).unsqueeze(1)
    with torch.no_grad():
        weight = q.log_prob(grid).exp() * (axis[1] - axis[0]) ** 2
        mean = (weight.unsqueeze(-1) * grid).sum(0)
        z = draw(q, (20_000,), grad=False)
    assert ((z.mean(0) - mean).abs() < 5 * z.std(0) / 20_000**0.5 + 1e-3).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda e: PlanarPosterior(e, 2, n_steps=0),
        lambda e: SylvesterPosterior(e, 2, width=0),
        lambda e: SylvesterPosterior(e, 2, directions="diagonal"),
        lambda e: SplinePosterior(e, 2, n_bins=1),
    ],
)
def test_settings_that_cannot_work_are_refused(make):
    with pytest.raises(SettingError):
        make(MLPEncoder((5,), (6,)))
