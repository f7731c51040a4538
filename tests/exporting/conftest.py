from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.random import forked
from senzai.exporting import checking
from senzai.exporting.folder import export


def people(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Columns of many sorts, some cells of which are missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "id": [f"K-{i:04d}" for i in range(n)], "age": rng.integers(18, 90, n),
        "income": np.round(np.exp(rng.normal(10, 1, n)), 2), "city": rng.choice(["Ulm", "Bonn", "Köln"], n),
        "member": rng.random(n) < 0.3, "kids": rng.poisson(1.2, n), "height": rng.normal(170, 9, n),
        "grade": rng.choice([1, 2, 3, 4, 5], n), "visits": rng.negative_binomial(2, 0.02, n),
        "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), "D"),
        "spent": np.where(rng.random(n) < 0.4, 0, rng.gamma(2, 50, n).round(1)), "fixed": 7,
    })
    for name in ("income", "city", "day"):
        frame.loc[rng.random(n) < 0.1, name] = None
    return frame


def pictures(n: int = 40, side: int = 16) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def frame():
    return people()


@pytest.fixture(scope="session")
def table_run(frame):
    torch.set_num_threads(1)
    with forked(0):
        return senzai.fit(frame, steps=5, n_latent=3, hidden=(16,))


@pytest.fixture(scope="session")
def table_export(table_run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "CALLS", 3)
        return table_run.export(path=tmp_path_factory.mktemp("table") / "out")


@pytest.fixture(scope="session")
def images():
    return pictures()


@pytest.fixture(scope="session")
def picture_run(images):
    with forked(0):
        return senzai.fit(images, steps=2, n_latent=2, width=4)


@pytest.fixture(scope="session")
def picture_export(picture_run, tmp_path_factory):
    return export(picture_run, tmp_path_factory.mktemp("pictures") / "out", timed=False)
