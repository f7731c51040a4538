"""Missing entries: what stands in a hole is no data, in no measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.evaluation import MEASURES, Case, Extras, evaluate, imputation_calibration
from senzai.evaluation import measures as room
from senzai.evaluation.annealing import Annealing
from senzai.evaluation.diagnosis import gather
from senzai.evaluation.holes import filled, middle_of, with_same_holes

OTHER_ROWS = {
    "steps", "symbols", "users", "figures", "numbers", "distance", "topics", "codes", "pairs", "returns", "batches",
    "modalities", "strangers",
}
"""What measures need of rows that are windows, symbols or histories, or of a kind with figures of its own."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def holed(x, share=0.4, *, stand_in=0.0, rng):
    mask = torch.from_numpy(rng.random(tuple(x.shape)) >= share)
    return Batch(torch.where(mask, x, torch.as_tensor(stand_in, dtype=x.dtype)), mask=mask)


class Perfect(Case):
    """A case whose model draws from where the data come from: normal about ten."""

    def samples(self, n):
        return torch.from_numpy(10 + np.random.default_rng(99).standard_normal((n, 5))).float()


# --- the mechanism --------------------------------------------------------------------------------------------------
def test_the_middle_is_that_of_observed_entries():
    mask = torch.tensor([[True, False], [True, False], [False, False]])
    batch = Batch(torch.tensor([[1.0, 7.0], [3.0, 7.0], [99.0, 7.0]]), mask=mask)
    assert middle_of(batch).tolist() == [2.0, 0.0]
    assert filled(batch).tolist() == [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]
    assert middle_of(Batch(torch.tensor([[1], [4]]))).tolist() == [2.5]
    whole = Batch(torch.tensor([[1], [4]]))
    assert filled(whole) is whole.tensor


@pytest.mark.parametrize(("held_has", "known_has"), [(True, True), (True, False), (False, True)])
def test_holes_come_alike_in_all_three_sets(rng, held_has, known_has):
    """A column in which 80 % are missing, one in which none is: so in every set, and pairs of holes stay together."""
    share = np.array([0.8, 0.0, 0.5, 0.5])

    def rows(n, has):
        gone = rng.random((n, 4)) < share
        gone[:, 3] = gone[:, 2]
        x = torch.from_numpy(rng.standard_normal((n, 4)) + 5)
        return Batch(x, mask=torch.from_numpy(~gone)) if has else Batch(x)

    held, known, made = rows(800, held_has), rows(600, known_has), torch.from_numpy(rng.standard_normal((900, 4)) + 5)
    middle = torch.full((4,), -50.0).double()
    found = with_same_holes(held, made, known, middle=middle, seed=3)
    for x in found[:3]:
        gone = x == -50
        np.testing.assert_allclose(gone.double().mean(0), share, atol=0.07)
        assert bool((gone[:, 2] == gone[:, 3]).all())
    assert found[3] == pytest.approx(share.mean(), abs=0.03)
    assert bool((found[1] == made)[found[1] != -50].all()), "what is not hidden stays"
    if held_has:
        assert bool(((found[0] == -50) == ~held.mask).all()), "rows keep their own holes"


def test_whole_rows_are_left_alone(rng):
    held, made, known = (torch.from_numpy(rng.standard_normal((n, 3))) for n in (5, 6, 7))
    found = with_same_holes(Batch(held), made, Batch(known), middle=torch.zeros(3), seed=0)
    assert (found[0] is held, found[1] is made, found[2] is known, found[3]) == (True, True, True, 0.0)


# --- samples against data -------------------------------------------------------------------------------------------
def test_a_perfect_model_of_rows_with_holes_is_found_perfect(rng):
    """Placeholders are zero and data about ten: counted as data they would be twenty deviations away."""
    def rows(n):
        return holed(torch.from_numpy(10 + rng.standard_normal((n, 5))).float(), rng=rng)

    extras = Extras(rows(800), features=("entries", "random"))
    found = room.generation(Perfect(None, rows(400), extras=extras))
    for name, limits in {"frechet": (0, 0.15), "precision": (0.9, 1), "recall": (0.9, 1), "coverage": (0.9, 1),
                         "c2st": (0.42, 0.58), "memorisation": (0.42, 0.58), "spread": (0.9, 1.1)}.items():
        assert limits[0] <= found[f"{name}[entries]"].value <= limits[1], name
    assert abs(found["c2st[random-64]"].value - 0.5) < 0.1
    assert found["kernel[random-64]"].value < 5 * found["kernel[random-64]"].se
    assert found["missing"] == pytest.approx(0.4, abs=0.03)
    assert "given holes" in found["note"]


def test_a_bad_model_of_rows_with_holes_is_found_bad(rng):
    data = [holed(torch.from_numpy(13 + rng.standard_normal((n, 5))).float(), rng=rng) for n in (400, 800)]
    found = room.generation(Perfect(None, data[0], extras=Extras(data[1], features=("entries",))))
    assert found["frechet[entries]"].value > 10, "three deviations in five columns, four in ten of them hidden"


@pytest.mark.parametrize("one", ["rows", "training rows"])
def test_a_set_without_holes_is_compared_all_the_same(rng, one):
    x = [torch.from_numpy(10 + rng.standard_normal((n, 5))).float() for n in (400, 800)]
    whole = one == "rows", one != "rows"
    sets = [Batch(v) if w else holed(v, rng=rng) for v, w in zip(x, whole, strict=True)]
    found = room.generation(Perfect(None, sets[0], extras=Extras(sets[1], features=("entries",))))
    assert found["frechet[entries]"].value < 0.2
    assert found["floor"]["frechet[entries]"].value < 0.2


# --- every measure --------------------------------------------------------------------------------------------------
@pytest.fixture
def small(monkeypatch):
    sizes = {"SLOW_ROWS": 3, "SIMULATED": 3, "SAMPLES": 60, "TRAIN_ROWS": 80, "HIDDEN_ROWS": 20, "HIDDEN_K": 10}
    for name, value in {**sizes, "STRANGE_ROWS": 40, "STRANGE_K": 5, "CURVE_ROWS": 10, "VOTES": 20}.items():
        monkeypatch.setattr(room, name, value)
    monkeypatch.setattr(room, "Annealing", lambda seed=0: Annealing(4, 2, 2, seed=seed))


@pytest.fixture
def quick(monkeypatch):
    """Learned features that learned for three steps."""
    from senzai.evaluation import features

    whole = features.fit_network
    monkeypatch.setattr(features, "fit_network", lambda parts, x, loss, steps, size: whole(parts, x, loss, 3, size))


def another(batch):
    """The same rows with other bits in the holes."""
    return replace(batch, x=torch.where(batch.mask, batch.x, 1 - batch.x))


@pytest.fixture
def bits(rng):
    def rows(n, share):
        y = torch.from_numpy(rng.integers(0, 3, n))
        x = torch.from_numpy(rng.random((n, 6))) < 0.2 + 0.3 * torch.nn.functional.one_hot(y, 3).repeat(1, 2)
        return Batch(x.float(), y=y, mask=torch.from_numpy(rng.random((n, 6)) > share))

    return rows(60, 0.3), rows(90, 0.4), rows(40, 0.2)


def test_what_stands_in_a_hole_changes_no_figure(made, bits, small, quick):
    model, factors = made(masked=True), np.c_[np.arange(60) % 3, np.arange(60) % 2]
    features = ("pca", "entries", "denoising", "classifier")

    def figures(rows, train, other):
        extras = Extras(train, other, factors, 1, features)
        found = evaluate(model, rows, k=16, measures=tuple(MEASURES), extras=extras)
        assert set(found["measured"]) == {n for n, m in MEASURES.items() if not OTHER_ROWS & set(m.needs)}
        return {k: v for k, v in found.items() if k not in ("timing", "seconds")}

    assert figures(*bits) == figures(*map(another, bits))


def test_what_stands_in_a_hole_changes_no_diagnosis(made, bits):
    def facts(rows, train):
        case = Case(made(masked=True), rows, k=16, extras=Extras(train, factors=np.c_[np.arange(60) % 3]))
        return gather(case).numbers()

    torch.manual_seed(1)
    first = facts(*bits[:2])
    torch.manual_seed(1)
    assert facts(*map(another, bits[:2])) == first
    assert first["column_share"] is not None


def test_a_column_that_is_mostly_missing_can_be_the_one_that_dominates():
    from senzai.evaluation.diagnosis import Told
    from senzai.evaluation.diagnosis.fitting import dominating

    torch.manual_seed(0)
    cost = torch.randn(400, 4).double()
    cost[:, 2] *= 50
    cost[torch.rand(400) < 0.7, 2] = torch.nan
    found = dominating(cost, Told())
    assert found["column"] == "2"
    assert found["column_share"] > 0.9


def test_a_cost_of_what_is_not_there_is_none(made, bits, monkeypatch):
    from senzai.evaluation.diagnosis import Told, fitting

    costs = []
    monkeypatch.setattr(fitting, "dominating", lambda cost, told: costs.append(cost) or {})
    fitting.columns(Case(made(masked=True), bits[0]), bits[1], Told())
    assert bool((costs[0].isnan() == ~bits[1].mask).all())


def test_rows_with_holes_are_copies_only_where_enough_is_there(rng):
    """A row without any entry is like every other such row; one with all but one entry is like none by chance."""
    from senzai.evaluation.diagnosis.gather import duplicates

    x = torch.from_numpy(rng.standard_normal((300, 6)))
    mask = torch.from_numpy(rng.random((300, 6)) > 0.2)
    mask[::2] = False
    train, held = Batch(x[:200], mask=mask[:200]), Batch(x[200:], mask=mask[200:])
    assert duplicates(Case(None, held, extras=Extras(train)), None) == {"duplicates": 0.0}
    leaked = Batch(torch.cat([x[200:250], x[:50]]), mask=torch.cat([mask[200:250], mask[:50]]))
    assert duplicates(Case(None, leaked, extras=Extras(train)), None)["duplicates"] == pytest.approx(0.5, abs=0.02)


def test_the_error_of_column_means_is_that_of_what_was_seen(linear, rng):
    x = linear.sample(300) + 30
    batch = holed(x, 0.3, stand_in=1e4, rng=rng)
    found = imputation_calibration(linear.model(), batch, n_draws=4, k=10)["rmse"].details["of_column_means"]
    assert found == pytest.approx(float(x.std(0).square().mean().sqrt()), rel=0.1)
