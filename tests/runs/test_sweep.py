"""A curve of rate against distortion from one run."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import senzai
from senzai.core.errors import CombinationError
from senzai.objectives import ELBO
from senzai.objectives.base import Objective
from senzai.objectives.warmup import Constant
from senzai.runs.sweep import rate_distortion, trained_on, weighted


@pytest.fixture(scope="module")
def run():
    return senzai.fit("digits", steps=60, n_latent=3, network="mlp", hidden=(16,))


def test_the_rate_falls_and_the_distortion_rises_with_beta(run):
    before = [p.clone() for p in run.model.parameters()]
    found = rate_distortion(run, betas=(10.0, 0.1, 1.0), steps=60, rows=100)
    assert [p.beta for p in found] == [0.1, 1.0, 10.0]
    rates, distortions = ([getattr(p, name).value for p in found] for name in ("rate", "distortion"))
    assert rates == sorted(rates, reverse=True)
    assert distortions == sorted(distortions)
    assert found[0].rate.n == 100
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))


def test_the_same_seed_trains_the_same_model(run):
    dataset = run.dataset("digits")
    a, b = (trained_on(run, dataset, 2.0, steps=3, seed=5) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_only_the_weight_is_changed():
    found = weighted(ELBO(beta=2.0, free_bits=0.5), 7.0)
    assert found == ELBO(beta=7.0, free_bits=0.5, warmup=Constant())


def test_an_objective_without_a_weight_is_refused():
    @dataclass(frozen=True)
    class Other(Objective):
        def __call__(self, model, batch, step):
            raise NotImplementedError

    with pytest.raises(CombinationError, match="has none"):
        weighted(Other(), 1.0)
