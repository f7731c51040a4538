"""Perceptual distance: features of a network from disk, compared layer by layer."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import InputError, SettingError
from senzai.core.random import Noise, using
from senzai.models.modes import judging
from senzai.nn.foreign import foreign, network_of
from senzai.nn.perceptual import PerceptualNet, perceptual_distance
from senzai.nn.pretrained import tiny_folder

pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path):
    """A tiny vision transformer of one's own."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "vit"))


def test_the_distance_is_the_mean_over_places_and_layers_of_unit_differences():
    rng = np.random.default_rng(0)
    ours, theirs = ([rng.normal(size=(2, n, 3)) for n in (4, 5)] for _ in range(2))

    def direct(row):
        layers = []
        for a, b in zip(ours, theirs, strict=True):
            gaps = [u / np.linalg.norm(u) - v / np.linalg.norm(v) for u, v in zip(a[row], b[row], strict=True)]
            layers.append(np.mean([g @ g for g in gaps]))
        return np.mean(layers)

    found = perceptual_distance(*([torch.tensor(f) for f in fs] for fs in (ours, theirs)))
    assert found.tolist() == pytest.approx([direct(0), direct(1)], rel=1e-9)


def test_features_are_the_hidden_states_of_transformers(folder):
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.2], "image_std": [0.4]}')
    x = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        expected = network_of(foreign(folder))(pixel_values=(x - 0.2) / 0.4, output_hidden_states=True).hidden_states
        found = PerceptualNet(str(folder)).features(x)
    assert len(found) == len(expected) == 2
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_gradients_reach_the_reconstruction_alone(folder):
    net = PerceptualNet(str(folder))
    x, y = (torch.rand(2, 1, 8, 8).requires_grad_() for _ in range(2))
    net.distance(x, y).sum().backward()
    assert x.grad is None
    assert y.grad.abs().sum() > 0
    assert all(p.grad is None for p in net.net.parameters())
    assert net.distance(x, x).abs().max() == 0


def test_it_is_a_term_of_the_objective_with_its_weight_and_range(folder, tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), np.uint8)
    how = {"recipe": "vae", "objective": "image_terms", "ssim_weight": 0, "perceptual": str(folder), "steps": 2,
           "n_latent": 2, "progress": False, "sampler": "none", "data_range": 255}
    run = senzai.fit(x, out=tmp_path / "run", perceptual_weight=30, **how)
    objective = run.spec.make_objective()
    assert objective.perceptual_sha256 == foreign(folder).sha256
    batch = run.dataset(x).batch().take(slice(0, 5))
    with torch.no_grad(), judging(run.model):

        def terms(**more):
            with using(Noise.seeded(1)):
                return replace(objective, **more)(run.model, batch, 5).parts["perceptual"]

        one, ten = terms(perceptual_weight=1.0), terms(perceptual_weight=10.0)
    assert torch.allclose(ten, 10 * one)
    assert (one > 0).all()
    assert (one <= 4).all()
    config = folder / "config.json"
    config.write_text(config.read_text().replace("0.02", "0.03"))
    with pytest.raises(InputError, match="Put the old one back"):
        senzai.resume(tmp_path / "run", data=x, steps=3)
    assert senzai.load(tmp_path / "run").sample(2).shape[0] == 2  # what was learned does not need it


def test_networks_that_cannot_be_used_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="nothing is at"):
        PerceptualNet(str(tmp_path / "none"))
    net = PerceptualNet(str(folder))
    with pytest.raises(SettingError, match="takes 1 channels, but pictures have 3"):
        net.need(3)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"image_size"', '"picture_size"'))
    with pytest.raises(SettingError, match="vision network"):
        PerceptualNet(str(folder))
