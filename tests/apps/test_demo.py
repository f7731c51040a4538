"""The demonstration learns, judges and says so."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from senzai.apps import demo
from senzai.data import open_data


def test_the_baseline_is_a_distribution_over_the_pixels_of_the_test_rows():
    data = open_data("digits")
    found = demo.histogram(data)
    x = data.batch().x.flatten(1).numpy()
    parts = data.split_indices()
    log_p = np.zeros(len(parts["test"]))
    for pixel in range(64):
        counts = np.bincount(x[parts["train"], pixel].astype(int), minlength=17) + found["smoothing"]
        assert counts.shape == (17,)
        log_p += np.log(counts / counts.sum())[x[parts["test"], pixel].astype(int)]
    assert found["log_likelihood"] == pytest.approx(log_p.mean())
    assert found["log_likelihood_se"] == pytest.approx(log_p.std(ddof=1) / math.sqrt(len(log_p)))
    assert found["bits_per_dim"] == pytest.approx(-log_p.mean() / 64 / math.log(2))


def test_a_free_name_is_found(tmp_path):
    parent = tmp_path / "runs"
    assert demo.free_folder(parent) == parent / "demo"
    (parent / "demo").mkdir()
    (parent / "demo-2").mkdir()
    assert demo.free_folder(parent) == parent / "demo-3"


def test_the_demo_ends_in_plain_words(cli, tmp_path, monkeypatch):
    pytest.importorskip("senzai.report")
    monkeypatch.setattr(demo, "SETTINGS", {"steps": 10, "network": "mlp", "hidden": [16], "n_latent": 2})
    monkeypatch.setattr(demo, "DRAWS", 3)
    done = cli.run("demo", "--out", tmp_path / "demo")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 5 <= len(lines) <= 8
    assert "1,437 handwritten digits of 8x8 pixels with 17 grey levels" in lines[0]
    assert "±" in lines[1]
    assert "every pixel on its own" in lines[2]
    assert (tmp_path / "demo" / "report.html").exists()
    found = json.loads(cli.run("demo", "--out", tmp_path / "again", "--json").stdout)
    assert {"evaluate", "baseline", "report", "seconds"} <= found.keys()
