"""Graphs say what their models say, on batch sizes they were not traced with; what cannot be said is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Gamma, Independent, Normal

from senzai.core.errors import CombinationError
from senzai.core.random import Noise, forked, using
from senzai.distributions.gamma_poisson import log_gamma_variate, poisson_variate
from senzai.distributions.numeric import log_rising
from senzai.distributions.ops import draw
from senzai.exporting import graphs
from senzai.exporting.checking import check, difference, inputs_of, session_of
from senzai.exporting.graphs import Graph
from senzai.exporting.onnx_files import onnx_of
from senzai.exporting.parts import need_whole_rows, parts_of
from senzai.exporting.tape import Recorder, Replay, Wanted, wanted
from senzai.models.base import LatentModel
from senzai.models.modes import judging
from senzai.recipes import RECIPES
from senzai.testing.subject import subjects

REFUSED = {
    "hamiltonian-vae": "gradients", "riemannian-vae": "gradients", "sa-vae": "gradients", "made-vae": "entry by entry",
    "pixel-vae": "entry by entry", "cvae-structured": "a part of a row", "text-vae": "lengths of their own",
    "music-vae": "lengths of their own", "language-model": "as its values need",
    "residual-vq-vae": "any number of rows", "wave-codec": "any number of rows",
    "sylvester-vae": "cannot be written as a graph",
}
QUICK = ("gan", "cvae-structured", "sa-vae")


def exported(recipe: str):
    """Export what a recipe makes: every graph is checked, or the reason is raised."""
    subject = next(iter(subjects(f"recipe/{recipe}")))
    model, _ = subject.fresh()
    batch = subject.batch(13)
    found = {}
    with judging(model):
        need_whole_rows(model)
        makes = (graphs.encoder, graphs.decoder) if isinstance(model, LatentModel) else (graphs.simulator,)
        for make in makes:
            graph = make(model, batch)
            found[graph.name] = check(graph, onnx_of(graph).SerializeToString(), timed=False)
    return found


@pytest.mark.parametrize(
    "recipe", [pytest.param(r, marks=() if r in QUICK else pytest.mark.slow) for r in sorted(RECIPES)]
)
def test_every_recipe_is_exported_or_refused_with_the_reason(recipe):
    if recipe in REFUSED:
        with pytest.raises(CombinationError, match=REFUSED[recipe]):
            exported(recipe)
    else:
        found = exported(recipe)
        assert max(c.error for c in found.values()) <= 1e-5


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *given):
        return self.function(given[0])


def ran(function, x):
    graph = Graph("function", Function(function), {"x": x}, tuple("abcdefgh"[: len(function(x))]))
    return session_of(onnx_of(graph).SerializeToString()).run(None, {"x": x.numpy()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_that_runtimes_lack_have_all_their_digits(dtype):
    x = torch.tensor([1e-12, 1e-7, 1e-3, 0.2, 0.299, 0.301, 1.0, 7.5, 40.0, 95.0, 120.0], dtype=dtype)

    def all_of_them(v):
        return (torch.expm1(-v), torch.log1p(v), nn.functional.softplus(-v), nn.functional.logsigmoid(-v),
                nn.functional.logsigmoid(v), torch.lgamma(v), log_rising(v, v))

    rtol = 2e-6 if dtype == torch.float32 else 1e-8
    pairs = list(zip(all_of_them(x), ran(all_of_them, x), strict=True))
    np.testing.assert_allclose(pairs[1][1], pairs[1][0].numpy(), rtol=rtol, atol=0)  # however small it is
    for told, got in pairs:
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, told.numpy(), rtol=rtol, atol=rtol)


def test_a_graph_that_holds_for_one_batch_size_is_refused():
    x = torch.randn(13, 3, generator=torch.Generator().manual_seed(0))
    told = Graph("mean", Function(lambda v: v - v.mean(0)), {"x": x}, ("y",))
    alone = Graph("sum", Function(lambda v: v + torch.ones(len(x), 1)), {"x": x}, ("y",))
    check(told, onnx_of(told).SerializeToString(), timed=False)
    with pytest.raises(CombinationError):
        check(alone, onnx_of(alone).SerializeToString(), timed=False)


def test_a_graph_that_says_something_else_is_refused():
    x = torch.randn(13, 3, generator=torch.Generator().manual_seed(0))
    right = Graph("double", Function(lambda v: 2 * v), {"x": x}, ("y",))
    wrong = Graph("double", Function(lambda v: 2 * v + 1e-4 * (v.shape[0] == 64)), {"x": x}, ("y",))
    blob = onnx_of(right).SerializeToString()
    assert check(right, blob, timed=False).error < 1e-6
    with pytest.raises(CombinationError, match="differs by"):
        check(wrong, blob, timed=False)


def test_differences_are_shares_of_the_scale_and_holes_must_agree():
    assert difference(torch.tensor([1000.0, 1.0]), np.array([1000.0, 1.5])) == pytest.approx(5e-4)
    assert difference(torch.tensor([0.1]), np.array([0.2])) == pytest.approx(0.1)
    assert difference(torch.tensor([float("inf")]), np.array([1.0])) == float("inf")
    assert difference(torch.zeros(2), np.zeros(3)) == float("inf")


# --- noise ----------------------------------------------------------------------------------------------------------
def test_what_a_draw_asks_for_becomes_inputs():
    p = Independent(Normal(torch.zeros(1, 2), 1.0), 1)
    found = wanted(lambda n: draw(p.expand((n,)), (4,)), "a normal")
    assert found == (Wanted("normal", (4, None, 2), torch.float32),)
    numbers = found[0].example(3, 0)
    with using(Replay(given=[numbers])):
        assert torch.equal(draw(p.expand((3,)), (4,)), numbers)


def test_a_draw_with_a_sampler_of_torch_is_refused_and_leaves_its_numbers_alone():
    before = torch.random.get_rng_state()
    with pytest.raises(CombinationError, match="sampler of torch"):
        wanted(lambda n: Gamma(torch.ones(n), 1.0).sample(), "a gamma")
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_draw_that_takes_what_it_needs_is_refused():
    def rejected(n):
        noise = Noise()
        from senzai.core.random import current_noise

        for _ in range(n):
            noise = current_noise()
            noise.normal((n, 1))

    with pytest.raises(CombinationError, match="a fixed number of random numbers"):
        wanted(rejected, "this one")


@pytest.mark.parametrize("alpha", [0.3, 1.0, 8.0])
def test_gamma_variates_of_a_fixed_number_of_rounds_are_gamma(alpha):
    noise = Recorder(torch.Generator().manual_seed(0))
    x = log_gamma_variate(torch.full((4000, 1), alpha, dtype=torch.float64), noise, 0).exp().flatten()
    assert len(noise.asked) == 3
    assert stats.kstest(x.numpy(), "gamma", args=(alpha,)).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.2, 3.0, 9.5, 14.0, 400.0])
def test_poisson_variates_of_a_fixed_number_of_rounds_are_poisson(rate):
    noise = Recorder(torch.Generator().manual_seed(0))
    x = poisson_variate(torch.full((4000, 1), rate), noise, 0).flatten().numpy()
    assert len(noise.asked) == 3
    edges = np.unique(stats.poisson(rate).ppf(np.linspace(0, 1, 12)[1:-1]))
    bins = np.concatenate([[-0.5], edges + 0.5, [np.inf]])
    seen = np.histogram(x, np.where(np.isinf(bins), 1e9, bins))[0]
    share = np.diff(stats.poisson(rate).cdf(np.where(np.isinf(bins), 1e9, bins)))
    assert stats.chisquare(seen, share / share.sum() * seen.sum()).pvalue > 1e-3


# --- a model --------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_parts_that_cannot_be_drawn_are_left_out_with_the_reason():
    subject = next(iter(subjects("recipe/vq-vae")))
    model, _ = subject.fresh()
    made = parts_of(model, subject.batch(13), timed=False, scores=False)
    assert {"encoder", "decoder"} <= set(made.parts)
    assert "entry by entry" in made.missing["sample"]


@pytest.mark.slow
def test_graphs_of_one_batch_size_take_that_one():
    subject = next(iter(subjects("recipe/vae")))
    model, _ = subject.fresh()
    made = parts_of(model, subject.batch(13), fixed=4, timed=False, scores=False)
    for part in made.parts.values():
        sizes = {i.name: i.shape for i in session_of(part.blob).get_inputs()}
        assert all(part.graph.rows_axis(n) is None or s[part.graph.rows_axis(n)] == 4 for n, s in sizes.items())


def test_checks_use_other_rows_than_the_trace():
    x = torch.arange(13.0).unsqueeze(1)
    graph = Graph("any", nn.Identity(), {"x": x}, ("y",))
    assert not torch.equal(inputs_of(graph, 13)["x"], x)
    assert inputs_of(graph, 64)["x"].unique().numel() == 13


def test_tracing_leaves_a_model_as_it_was():
    subject = next(iter(subjects("recipe/vae")))
    with forked(0):
        model, _ = subject.fresh()
    batch = subject.batch(13)
    with judging(model):
        before = [z.clone() for z in model.points(batch)]
        onnx_of(graphs.encoder(model, batch))
        assert all(torch.equal(a, b) for a, b in zip(before, model.points(batch), strict=True))
