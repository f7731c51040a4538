"""Scores of disentanglement against codes made by hand and the published toy values."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from senzai.core.errors import InputError
from senzai.evaluation import (
    FactorTable,
    Rendered,
    beta_vae_score,
    dci,
    dci_completeness,
    dci_disentanglement,
    factor_vae_score,
    interventional_robustness,
    modularity,
    modularity_of,
    mutual_information_gap,
    separated_attribute_predictability,
    unsupervised_disentanglement_ranking,
)
from senzai.evaluation.disentanglement import discretise, information_table

SIZES = (4, 3, 5)
FACTORS = np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), -1).reshape(-1, 3).repeat(10, 0)
PERFECT = FACTORS.astype(float)
TWICE = np.hstack([PERFECT, PERFECT])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def mixed(rng):
    """Every code holds every factor: a rotation."""
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return (PERFECT - PERFECT.mean(0)) / PERFECT.std(0) @ q


# --- MIG and modularity ---------------------------------------------------------------------------------------------
def test_one_code_per_factor_has_mig_one():
    found = mutual_information_gap(PERFECT[:, [2, 0, 1]], FACTORS)
    assert found.value == pytest.approx(1)
    assert found.details["per_factor"] == pytest.approx([1, 1, 1])
    assert found.se < 0.01


def test_a_factor_in_two_codes_has_mig_zero():
    assert mutual_information_gap(TWICE, FACTORS).value == pytest.approx(0)


def test_mig_of_half_a_factor_by_hand():
    """A code that knows whether a factor of four values is below two: half its entropy, and no other code knows."""
    factors = np.arange(4).repeat(5)[:, None]
    codes = np.hstack([(factors < 2).astype(float), np.zeros((20, 1))])
    assert mutual_information_gap(codes, factors).value == pytest.approx(0.5)


def test_information_is_measured_in_nats():
    table, entropies = information_table(FACTORS, FACTORS)
    np.testing.assert_allclose(entropies, [log(n) for n in SIZES])
    np.testing.assert_allclose(table, np.diag(entropies), atol=1e-12)


def test_bins_are_equally_wide():
    assert discretise(np.array([[0.0], [0.24], [0.26], [1.0]]), 4)[:, 0].tolist() == [0, 0, 1, 3]
    assert discretise(np.ones((3, 1)))[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("table", "value"),
    [
        (np.diag(5.0 * np.ones(5)), 1),
        (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 2 / 3),
        (np.zeros((10, 10)), 0),
        (np.diag(5.0 * np.ones(5))[:2], 1),
        (np.hstack([np.diag(5.0 * np.ones(5))] * 2), 1 - 1 / 9),
    ],
)
def test_modularity_has_the_published_toy_values(table, value):
    """The values are those of disentanglement_lib (Locatello et al., 2019)."""
    assert modularity_of(table) == pytest.approx(value)


def test_modularity_of_codes(mixed):
    assert modularity(PERFECT, FACTORS).value == pytest.approx(1)
    assert modularity(TWICE, FACTORS).value == pytest.approx(1)
    assert modularity(mixed, FACTORS).value < 0.9


# --- DCI ------------------------------------------------------------------------------------------------------------
DIAGONAL = np.diag(5.0 * np.ones(5))


@pytest.mark.parametrize(
    ("table", "disentangled", "complete"),
    [
        (DIAGONAL, 1, 1),
        (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 1, 1),
        (np.zeros((10, 10)), 0, 0),
        (np.vstack([DIAGONAL, DIAGONAL]), 1, 1 - log(2) / log(10)),
        (DIAGONAL[:2], 1, 1),
        (np.hstack([DIAGONAL, DIAGONAL]), 1 - log(2) / log(10), 1),
        (np.ones((4, 4)), 0, 0),
    ],
)
def test_dci_has_the_published_toy_values(table, disentangled, complete):
    """The values are those of disentanglement_lib (Locatello et al., 2019)."""
    assert dci_disentanglement(table) == pytest.approx(disentangled, abs=1e-12)
    assert dci_completeness(table) == pytest.approx(complete, abs=1e-12)


def test_dci_weighs_codes_by_their_importance():
    table = np.array([[3.0, 0.0], [0.5, 0.5]])
    assert dci_disentanglement(table) == pytest.approx(0.75)


def test_dci_of_codes(mixed):
    good, twice, bad = (dci(z, FACTORS) for z in (PERFECT, TWICE, mixed))
    for name in ("disentanglement", "completeness", "informativeness"):
        assert good[name].value > 0.97
    assert twice["disentanglement"].value > 0.97
    assert twice["completeness"].value < 0.75
    assert bad["disentanglement"].value < 0.7
    assert bad["informativeness"].value > 0.9


# --- SAP, IRS -------------------------------------------------------------------------------------------------------
def test_sap_by_hand(rng):
    y = rng.integers(0, 2, 400)[:, None]
    codes = np.hstack([y + 0.01 * rng.standard_normal((400, 1)), rng.standard_normal((400, 1))])
    assert separated_attribute_predictability(codes, y).value == pytest.approx(0.5, abs=0.08)
    assert separated_attribute_predictability(codes, y, continuous=(0,)).value == pytest.approx(1, abs=0.03)
    assert separated_attribute_predictability(codes[:, [0, 0]], y).value == pytest.approx(0, abs=0.01)
    assert separated_attribute_predictability(np.hstack([codes, np.ones((400, 1))]), y, continuous=(0,)).value > 0.9


def test_irs_of_codes_that_stay_and_codes_that_do_not(mixed, rng):
    assert interventional_robustness(PERFECT, FACTORS).value == pytest.approx(1)
    assert interventional_robustness(np.zeros_like(PERFECT), FACTORS).value == 0
    assert interventional_robustness(rng.standard_normal((len(FACTORS), 2)), FACTORS).value < 0.5
    assert interventional_robustness(mixed, FACTORS).value < 0.75


def test_irs_by_hand():
    """Held at either value of the first factor the code still moves by 1 of at most 2."""
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = factors @ np.array([[2.0], [2.0]])
    assert interventional_robustness(codes, factors, quantile=1.0).value == pytest.approx(0.5)


# --- held factors ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
@pytest.mark.parametrize("world", ["table", "rendered"])
def test_held_factors_are_found_in_perfect_codes_and_not_in_noise(rng, score, world):
    def make(values, encode):
        return FactorTable(values, FACTORS) if world == "table" else Rendered(SIZES, encode)

    good = score(make(PERFECT, lambda f: f.astype(float)), votes=150)
    noise = np.random.default_rng(3)
    bad = score(
        make(rng.standard_normal(PERFECT.shape), lambda f: noise.standard_normal(f.shape)), votes=150
    )
    assert good.value > 0.97
    assert abs(bad.value - 1 / 3) < 0.17
    assert good.details["chance"] == pytest.approx(1 / 3)


def test_a_held_factor_is_held_and_the_others_are_not(rng):
    table = FactorTable(PERFECT, FACTORS)
    for held in range(3):
        rows = table.codes(rng, 50, held)
        assert (np.ptp(rows, axis=0) == 0).tolist() == [j == held for j in range(3)]
        a, b = table.pairs(rng, 50, held)
        assert ((a == b).all(0)).tolist() == [j == held for j in range(3)]
        assert np.ptp(a[:, held]) > 0


def test_latents_that_do_nothing_do_not_vote():
    still = np.hstack([PERFECT, 1e-3 * PERFECT[:, :1]])
    assert factor_vae_score(FactorTable(still, FACTORS), votes=100).details["active"] == 3
    assert factor_vae_score(FactorTable(0 * PERFECT, FACTORS), votes=10).value == 0


# --- without factors ------------------------------------------------------------------------------------------------
def test_models_with_the_same_latents_agree_and_a_rotated_one_does_not(rng):
    z = rng.standard_normal((400, 3))
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    found = unsupervised_disentanglement_ranking(
        [z, -z[:, [2, 0, 1]], np.exp(z), z @ q], [np.ones(3)] * 4
    )
    assert found[0].value == pytest.approx(found[1].value)
    assert min(f.value for f in found[:3]) > 0.85
    assert found[3].value < 0.75
    assert found[0].details == {"models": 4}


def test_latents_that_say_nothing_do_not_count(rng):
    z = rng.standard_normal((300, 2))
    wide = np.hstack([z, rng.standard_normal((300, 4))])
    rates = [np.array([1.0, 1, 0, 0, 0, 0]), np.ones(2)]
    assert unsupervised_disentanglement_ranking([wide, z], rates)[0].value > 0.85


def test_what_does_not_belong_together_is_refused(rng):
    with pytest.raises(InputError, match="two models"):
        unsupervised_disentanglement_ranking([PERFECT], [np.ones(3)])
    with pytest.raises(InputError, match="do not"):
        mutual_information_gap(PERFECT, np.hstack([FACTORS, np.zeros_like(FACTORS[:, :1])]))
    with pytest.raises(InputError, match="two tables"):
        dci(PERFECT[:5], FACTORS)
