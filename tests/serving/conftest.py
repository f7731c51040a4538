"""Small runs, and a server that is asked in this process."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

import senzai
from senzai.serving import ServeSettings, Shelf, create_app


def people(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age, tall = rng.integers(18, 90, n), rng.normal(170, 10, n).round(1)
    frame = pd.DataFrame({
        "age": age, "tall": tall, "weight": (tall - 100 + rng.normal(0, 5, n)).round(2),
        "city": rng.choice(["Ulm", "Bonn", "Köln"], n), "member": rng.random(n) < 0.4,
    })
    frame.loc[rng.random(n) < 0.1, "weight"] = np.nan
    return frame


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return people()


@pytest.fixture(scope="session")
def folder(tmp_path_factory, frame):
    """A folder with three runs: of a table, of an array, and of pictures with a classifier."""
    base = tmp_path_factory.mktemp("runs")
    settings = {"steps": 20, "n_latent": 3, "hidden": (16,)}
    frame.to_csv(base / "people.csv", index=False)
    senzai.fit(base / "people.csv", out=base / "people", **settings)
    rows = np.random.default_rng(1).normal(size=(120, 4)).astype(np.float32)
    senzai.fit(rows, out=base / "numbers", **settings)
    senzai.fit("digits", out=base / "digits", recipe="m1", **settings)
    return base


@pytest.fixture(scope="session")
def pictures(folder, tmp_path_factory):
    """A folder of pictures, and one with a run of them."""
    base, digits = tmp_path_factory.mktemp("pictures"), senzai.load(folder / "digits")
    digits.kind.write(digits.sample(40, seed=5), base / "files", digits.schema)
    senzai.fit(base / "files", out=base / "drawn", steps=5, n_latent=2, hidden=(8,))
    return base


@pytest.fixture(scope="session")
def runs(folder):
    return {name: senzai.load(folder / name) for name in ("people", "numbers", "digits")}


@contextmanager
def serving(places, **settings):
    shelf = places if isinstance(places, Shelf) else Shelf.of([places])
    with TestClient(create_app(shelf, ServeSettings(**settings)), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="session")
def client(folder):
    with serving(folder) as found:
        yield found


def records(frame: pd.DataFrame) -> list[dict]:
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.astype(object).to_dict("records")]
