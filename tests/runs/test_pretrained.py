"""Runs whose encoder is a network from disk, and runs on its vectors."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from senzai.core.errors import SenzaiError
from senzai.nn.foreign import foreign
from senzai.nn.pretrained import tiny_folder
from senzai.runs import fit, load

pytest.importorskip("transformers")
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, size=(40, 8, 8), dtype=np.uint8)
SMALL = {"steps": 2, "n_latent": 2, "batch_size": 16, "sampler": "none"}


def test_a_run_keeps_the_place_and_hash_of_its_network_and_refuses_another(tmp_path):
    folder = shutil.copytree(tiny_folder(), tmp_path / "net")
    given = {**SMALL, "encoder": "pretrained", "encoder.path": str(folder), "hidden": [8]}
    fit(PICTURES, kind="images", settings=given, out=tmp_path / "run")
    assert foreign(folder).sha256 in json.dumps(json.loads((tmp_path / "run" / "spec.json").read_text())["model"])
    assert load(tmp_path / "run").encode(PICTURES).shape == (40, 2)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.1]}')
    with pytest.raises(SenzaiError, match="was made with the network"):
        load(tmp_path / "run").sample(1)
    shutil.rmtree(folder)
    with pytest.raises(SenzaiError, match="nothing is at"):
        load(tmp_path / "run").sample(1)


def test_vectors_are_scored_and_drawn(tmp_path):
    x = (RNG.normal(size=(120, 3)) @ RNG.normal(size=(3, 12))).astype(np.float32)
    settings = {**SMALL, "steps": 60, "hidden": [16], "lr": 5e-3}
    run = fit(x, recipe="embedding-vae", settings=settings, out=tmp_path / "e")
    drawn = run.sample(5, seed=0)
    assert drawn.shape == (5, 12)
    assert run.nearest(drawn, among=x, k=1) is not None
    far = np.concatenate([x[:20], x[:20] + 8 * RNG.normal(size=(20, 12)).astype(np.float32)])
    scores = run.score(far)
    assert np.median(scores[20:]) > scores[:20].max()
    with pytest.raises(SenzaiError, match="Embeddings are vectors"):
        fit(PICTURES, kind="images", recipe="embedding-vae", settings=SMALL)
