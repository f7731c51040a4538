"""Weights of another run to begin with."""

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import BundleError, CombinationError, SettingError

HOW = {"recipe": "kl-autoencoder", "width": 8, "sampler": "none", "progress": False, "batch_size": 8}


def pictures(side, n=60):
    return np.random.default_rng(0).integers(0, 255, (n, side, side, 3), np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    where = tmp_path_factory.mktemp("runs") / "at16"
    return where, senzai.fit(pictures(16), out=where, steps=3, **HOW)


def test_larger_pictures_begin_with_the_weights_of_small_ones(small):
    where, before = small
    with pytest.warns(UserWarning, match=r"one tensor, which starts anew: likelihood\.bias"):  # one number a pixel
        large = senzai.fit(pictures(32), steps=1, lr=1e-12, init_from=str(where), **HOW)
    old = dict(before.model.named_parameters())
    new = dict(large.model.named_parameters())
    assert new.keys() == old.keys()
    for name, tensor in new.items():
        if name == "likelihood.bias":
            continue
        torch.testing.assert_close(tensor, old[name], rtol=0, atol=1e-8)
    assert large.spec.training.init_from == str(where)


def test_what_has_another_shape_starts_anew_and_is_named(small):
    where, _ = small
    with pytest.warns(UserWarning, match=r"has no weights for \d+ tensors, which start anew: .*weight"):
        run = senzai.fit(pictures(16), steps=1, lr=1e-12, init_from=str(where), **HOW, **{"posterior.channels": 2})
    assert np.isfinite(run.log_likelihood(pictures(16)[:4], k=1)).all()


def test_units_are_those_of_the_data_at_hand(tmp_path):
    rng = np.random.default_rng(0)
    senzai.fit(rng.normal(size=(80, 3)), out=tmp_path / "a", steps=3, progress=False)
    far = rng.normal(100, 50, size=(80, 3))
    run = senzai.fit(far, init_from=str(tmp_path / "a"), steps=1, lr=1e-12, progress=False, sampler="none")
    assert abs(run.sample(400, seed=0).mean() - 100) < 40


def test_tables_of_quantisers_are_taken_too(tmp_path):
    how = {"recipe": "vq-vae", "progress": False, "sampler": "none", "batch_size": 8}
    old = senzai.fit(pictures(8), out=tmp_path / "a", steps=3, **how)
    new = senzai.fit(pictures(8), init_from=str(tmp_path / "a"), steps=1, lr=1e-12, seed=1, **how)
    fresh = senzai.fit(pictures(8), steps=1, lr=1e-12, seed=1, **how)

    def vectors(run):
        return torch.cat([b.flatten() for name, b in run.model.named_buffers() if name.endswith("vectors")])

    found, expected, other = map(vectors, (new, old, fresh))
    assert (found - expected).norm() < 0.2 * (other - expected).norm()


def test_a_stopped_run_does_not_need_the_other_one(small, tmp_path):
    where, _ = small
    whole = senzai.fit(pictures(16), out=tmp_path / "whole", steps=4, init_from=str(where), seed=1, **HOW)
    longer = senzai.resume(tmp_path / "whole", data=pictures(16), steps=5)
    assert longer.metrics["fit"]["steps"] == 5
    assert whole.metrics["fit"]["steps"] == 4


def test_bad_input_is_refused(small, tmp_path):
    where, _ = small
    with pytest.raises(CombinationError, match=r"none of .* do"):
        senzai.fit(np.zeros((60, 3)) + np.arange(60)[:, None], init_from=str(where), steps=1, progress=False)
    with pytest.raises(BundleError):
        senzai.fit(pictures(16), init_from=str(tmp_path / "nowhere"), steps=1, **HOW)
    with pytest.raises(SettingError, match="init_from"):
        senzai.fit(pictures(16), init_from=str(where), steps=1, progress=False, **{"private.epsilon": 3})
