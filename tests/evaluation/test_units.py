"""Scores in the units of the data: the way back from quantiles, densities of single columns, clusters of anomalies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import gaussian_kde

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import BundleError
from senzai.core.random import forked
from senzai.distributions import NormalFamily
from senzai.evaluation.marginals import Marginals, middle_and_spread, quantile
from senzai.evaluation.rarity import joined, rarity_among
from senzai.evaluation.scores import METHODS, Reference, make_reference, score
from senzai.evaluation.units import units_of
from senzai.evaluation.vectors import vectors
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal


@pytest.fixture(scope="module")
def frame():
    r = np.random.default_rng(0)
    return pd.DataFrame({
        "income": np.exp(1.5 * r.normal(size=400)), "grade": r.choice([1, 2, 3, 10], 400),
        "town": r.choice(["Ulm", "Bonn", "Kiel"], 400), "height": 170 + 8 * r.normal(size=400),
    })


@pytest.fixture(scope="module")
def run(frame):
    return senzai.fit(frame, steps=40, progress=False, sampler="none")


def test_units_are_those_of_the_data_up_to_shift_and_scale(run, frame):
    dataset = run.dataset(frame)
    x, owner = vectors(run.model.likelihood.family, dataset.batch().tensor.float(), None)
    back = units_of(run.model, dataset.schema)(x)
    for name, place in (("income", 0), ("grade", 1), ("height", 5)):
        assert np.corrcoef(back[:, place].numpy(), frame[name])[0, 1] > 0.99999
        assert 0.3 < back[:, place].std() < 3
    torch.testing.assert_close(back[:, 2:5], x[:, 2:5])  # codes of towns have no units
    assert owner.tolist() == [0, 1, 2, 2, 2, 3]


def test_what_is_missing_stays_missing_in_units(run, frame):
    batch = run.dataset(frame.assign(income=np.nan)).batch()
    x, _ = vectors(run.model.likelihood.family, batch.tensor.float(), batch.mask)
    back = units_of(run.model, run.schema)(x)
    assert back[:, 0].isnan().all()
    assert not back[:, 1:].isnan().any()


def test_a_value_far_beyond_all_others_is_strange_in_proportion(run, frame):
    """By quantiles alone a hundred times the greatest income would hardly differ from it."""
    odd = frame[:3].assign(income=frame["income"].max() * np.array([1.0, 10.0, 100.0]))
    for method in ("residual", "knn", "input_knn", "middle"):
        first, second, third = run.score(odd, method=method)
        assert second > 3 * first
        assert third > 3 * second


def test_the_greatest_value_is_as_far_as_in_the_data(run, frame):
    """By quantiles it would be twice as far as one in ten, by its size it is 14 times as far."""
    odd = frame[:2].assign(income=frame["income"].quantile([0.9, 1.0]).to_numpy(), height=170.0, grade=2, town="Ulm")
    for method, least in (("middle", 4), ("residual", 20)):
        usual, greatest = run.score(odd, method=method)
        assert greatest > least * usual


def test_rows_kept_by_another_version_are_refused_with_a_way_out(run, tmp_path):
    tensors = run.reference.tensors()
    again = Reference.of(tensors)
    assert again.units is not None
    torch.testing.assert_close(again.units.data, run.reference.units.data)
    assert set(again.held) == set(METHODS)
    with pytest.raises(BundleError, match="reference="):
        Reference.of({n: t for n, t in tensors.items() if n != "rows.x"})


# --- single columns ---------------------------------------------------------------------------------------------------
def test_a_marginal_is_the_kernel_density_of_its_column():
    r = np.random.default_rng(1)
    x = r.normal(size=(2000, 1))
    at = np.linspace(-2.5, 2.5, 21)
    width = 1.06 * min(x.std(), np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.349) * 2000**-0.2
    density = gaussian_kde(x[:, 0], bw_method=width / x.std(ddof=1))(at) * x.std()
    found = Marginals.of(torch.from_numpy(x), torch.zeros(1, dtype=torch.long))(torch.from_numpy(at)[:, None])
    np.testing.assert_allclose(found[:, 0], -np.log(density + 1 / 2000), atol=0.02)


def test_a_value_far_from_all_others_is_as_rare_as_one_row():
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    rare = Marginals.of(x, torch.zeros(1, dtype=torch.long))(torch.tensor([[1e6], [-1e6], [torch.nan]]))
    torch.testing.assert_close(rare[:, 0], torch.tensor([np.log(500), np.log(500), 0.0]).float(), atol=0.03, rtol=0)


def test_a_category_is_as_rare_as_its_share():
    codes = torch.eye(3)[[0] * 70 + [1] * 29 + [2]] * 0.5**0.5
    rare = Marginals.of(codes, torch.zeros(3, dtype=torch.long))(torch.eye(3) * 0.5**0.5).sum(1)
    torch.testing.assert_close(rare, -torch.log((torch.tensor([70.0, 29.0, 1.0]) + 1) / 103))


def test_quantiles_pass_over_what_is_missing():
    x = torch.tensor([[1.0, torch.nan], [3.0, torch.nan], [torch.nan, torch.nan], [2.0, torch.nan]])
    assert quantile(x, 0.0).tolist() == [1, 0]
    assert quantile(x, 1.0).tolist() == [3, 0]
    middle, usual = middle_and_spread(torch.tensor([[0.0]] * 9 + [[100.0]]), torch.tensor([30.0]))
    assert (middle.item(), usual.item()) == (0, 30)  # quartiles that are equal say nothing about the spread


# --- together ---------------------------------------------------------------------------------------------------------
def test_a_rarity_is_the_logarithm_of_a_p_value_and_has_no_jumps():
    held = torch.tensor([1.0, 2.0, 5.0, 9.0, 9.5, 11.0, 12.0, 20.0], dtype=torch.float64)
    at = torch.linspace(-3, 60, 6001, dtype=torch.float64)
    rarity = rarity_among(at, held)
    assert (rarity.diff() >= 0).all()
    assert rarity.diff().max() < 0.02
    assert rarity_among(held[3:4], held).item() == pytest.approx(np.log(9 / 5))
    assert rarity_among(torch.tensor([-100.0]), held).item() == 0


@pytest.mark.parametrize("n", [40, 2000])
def test_of_an_exponential_score_the_rarity_is_known_also_far_beyond_the_largest(n):
    """-log P(S > s) = s; what is measured at the quartile and the median excess differs by a few standard errors."""
    held = torch.from_numpy(np.random.default_rng(0).exponential(size=n))
    at = torch.tensor([1.0, 2.0, 10.0, 100.0], dtype=torch.float64)
    error = 5 * at * (4 / n) ** 0.5 / np.log(2)
    assert ((rarity_among(at, held) - at).abs() <= error).all()


def test_anomalies_among_held_out_rows_do_not_stretch_the_scale():
    """A tenth of the held-out rows are a thousand times as strange; measured by them all others would be usual."""
    r = np.random.default_rng(1)
    clean = torch.from_numpy(r.exponential(size=300))
    dirty = torch.cat([clean, torch.from_numpy(1000 + r.exponential(size=33))])
    at = torch.tensor([10.0, 1000.0], dtype=torch.float64)
    assert (rarity_among(at, dirty) > 0.3 * rarity_among(at, clean)).all()


def test_equal_held_out_scores_leave_a_scale():
    for held in (torch.ones(20), torch.tensor([0.0] * 19 + [1.0]), torch.tensor([0.0] * 2 + [1.0] * 18)):
        found = rarity_among(torch.tensor([0.5, 1.0, 3.0, 30.0]), held)
        assert found.isfinite().all()
        assert (found.diff() >= 0).all()
        assert found[3] > found[1]


@pytest.fixture(scope="module")
def crowd():
    """Normal rows, and thirty anomalies that lie together."""
    r = np.random.default_rng(3)
    x = np.r_[r.normal(size=(970, 4)), 3.5 + 0.05 * r.normal(size=(30, 4))]
    with forked(1):
        model = Flat(
            StandardNormal(2), Posterior(MLPEncoder((4,), (8,)), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (2, 4), (8,)), NormalFamily(), (4,)),
        )
    return model.eval(), Batch(torch.from_numpy(x).float())


@pytest.mark.parametrize("method", ["input_knn", "middle", "auto"])
def test_anomalies_that_lie_together_are_found(crowd, method):
    model, batch = crowd
    reference = make_reference(model, batch, batch.take(slice(0, 1000, 5)), k=4)
    found = score(model, batch, method, reference=reference, k=4).values
    assert found[970:].min() > found[:970].quantile(0.9)


def test_auto_is_the_root_mean_square_of_the_rarities_of_its_members(crowd):
    model, batch = crowd
    reference = make_reference(model, batch, batch.take(slice(0, 200)), k=4)
    some = batch.take(slice(900, 1000))
    members = ("elbo", "knn", "input_knn", "marginal", "middle")
    each = torch.stack([
        rarity_among(score(model, some, m, reference=reference, k=4).values, reference.held[m]) for m in members
    ])
    found = score(model, some, "auto", reference=reference, k=4).values
    torch.testing.assert_close(found, each.square().mean(0).sqrt())
    torch.testing.assert_close(joined(each), found)


def test_one_score_that_has_never_been_so_high_counts_whatever_the_others_say():
    usual = torch.full((4, 1), 3.0)
    assert joined(torch.cat([usual, torch.tensor([[30.0]])])) > joined(torch.full((5, 1), 10.0))
