"""Rows of several modalities at the command line."""

import numpy as np
import pandas as pd

import senzai


def test_shares_have_the_names_of_modalities(cli, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(80, 1))
    np.savez(tmp_path / "views.npz", left=z + 0.1 * rng.normal(size=(80, 3)), right=-z + 0.1 * rng.normal(size=(80, 2)))
    small = {"steps": 20, "n_latent": 2, "hidden": (8,), "progress": False}
    run = senzai.fit(tmp_path / "views.npz", kind="multimodal", out=tmp_path / "run", **small)
    done = cli.run("score", tmp_path / "run", tmp_path / "views.npz", "--shares", "-o", tmp_path / "s.csv")
    assert done.exit_code == 0, done.stderr
    found = pd.read_csv(tmp_path / "s.csv")
    told = run.score(tmp_path / "views.npz", shares=True)
    assert list(found) == list(told)
    assert {"share: left", "share: right", "misfit: left", "misfit: right", "fits_worst"} <= set(found)
    np.testing.assert_allclose(found["misfit: left"], told["misfit: left"], rtol=1e-5)
