"""Distances of windows in features that were learned without labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.evaluation import context, series_measures
from senzai.evaluation.catalogue import Case, Extras
from senzai.evaluation.features import Features
from senzai.evaluation.samples import frechet_distance


def processes(n, decay, *, seed, steps=16):
    """Windows of an autoregressive process of unit variance: its marginals say nothing of the decay."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, steps))
    for t in range(1, steps):
        x[:, t] = decay * x[:, t - 1] + np.sqrt(1 - decay**2) * x[:, t]
    return torch.from_numpy(x[..., None]).float()


class Windows:
    """A model whose samples are the windows that it was given."""

    infers = False

    def __init__(self, made):
        self.made = made

    def scored(self, batch):
        return batch


def case(made, held, train, **more):
    found = Case(Windows(made), Batch(held), extras=Extras(train=Batch(train)), **more)
    object.__setattr__(found, "samples", lambda n: made[:n])
    return found


def test_features_of_shape_along_time_find_what_marginals_do_not():
    train, held = processes(400, 0.8, seed=0), processes(300, 0.8, seed=1)
    own, other = processes(300, 0.8, seed=2), processes(300, 0.0, seed=3)
    same, far = (series_measures.context_frechet(case(x, held, train)) for x in (own, other))
    assert same["features"] == "contrastive-64"
    assert same["distance"].value < 3 * same["floor"].value
    assert far["distance"].value > 10 * far["floor"].value
    assert far["floor"].value == same["floor"].value


def test_the_distance_is_that_of_normals(monkeypatch):
    r"""With the entries for features and normal windows: |\mu|^2 + d (s - 1)^2."""
    own = Features("own", lambda x: x.flatten(1))
    monkeypatch.setattr(series_measures, "contrastive_features", lambda x, seed: own)
    rng = np.random.default_rng(0)
    train, held, made = (torch.from_numpy(rng.normal(size=(2000, 2, 2))).float() for _ in range(3))
    found = series_measures.context_frechet(case(3.0 * made + 1.0, held, train))
    assert found["distance"].value == pytest.approx(4 * (1 + 4), rel=0.1)
    assert found["floor"].value == frechet_distance(
        held.flatten(1).double().numpy(), train.flatten(1).double().numpy(), seed=0, repeats=0
    ).value
    assert found["features"] == "own"


def test_the_encoder_sees_training_windows_alone(monkeypatch):
    seen = []
    whole = context.fit_network

    def fit(parts, x, *more):
        seen.append(x.clone())
        whole(parts, x, *more)

    monkeypatch.setattr(context, "fit_network", fit)
    train = processes(60, 0.5, seed=0)
    series_measures.context_frechet(case(processes(60, 0.5, seed=1), processes(40, 0.5, seed=2), train))
    assert len(seen) == 1
    assert torch.equal(seen[0], train)


def test_features_are_the_same_again_and_of_windows_only():
    x = processes(50, 0.5, seed=0)
    one, again, other = (context.contrastive_features(x, 8, seed=s, steps=3)(x) for s in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)
    assert one.shape == (50, 8)
    with pytest.raises(InputError, match="of windows"):
        context.contrastive_features(torch.zeros(5, 3))
