"""A folder with a few small runs, and the studio on it in process; made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastapi.testclient import TestClient

import senzai
from senzai.studio.api import create_studio

TOKEN = "a-token-for-the-tests"
NAUGHTY = "<script>window.pwned = 1</script>"
TINY = {"network": "mlp", "hidden": (24,), "sampler": "none"}


def people(n: int = 260, seed: int = 0) -> pd.DataFrame:
    """A table with holes, a category, a strange row, and a column whose name would like to be markup."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n).astype(float)
    frame = pd.DataFrame({
        "age": age, "income": (20_000 + 600 * age + rng.normal(0, 2000, n)).round(),
        "city": rng.choice(["Ulm", "Kyoto", "Lima"], n), NAUGHTY: rng.normal(size=n).round(3), "member": age > 50,
    })
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    frame.loc[7, ["age", "income"]] = [21.0, 400_000.0]
    return frame


def train(folder: Path, name: str, data: object, **settings: Any) -> None:
    recipe = settings.pop("recipe", None)
    senzai.fit(data, recipe=recipe, out=folder / name, progress=False, settings={**TINY, **settings})


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on a table, on pictures, on pictures given their class, and one that is ill; nobody changes them."""
    folder = tmp_path_factory.mktemp("studio") / "runs"
    source = folder.parent / "people.csv"
    people().to_csv(source, index=False)
    with torch.random.fork_rng():
        train(folder, "people", str(source), steps=120, n_latent=3)
        train(folder, "people two", str(source), steps=40, n_latent=2)
        train(folder, "digits", "digits", steps=60, n_latent=4)
        train(folder, "given", "digits", steps=30, n_latent=3, condition="label")
        train(folder, "ill", "digits", steps=60, n_latent=4, recipe="beta-vae", beta=40.0)
    found = senzai.load(folder / "ill").diagnose(rows=150, k=4)
    assert any(f.remedy.can_be_tried for f in found.findings)
    return folder


@pytest.fixture(scope="session")
def workspace(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the runs in a studio's folder, for requests that may leave something behind."""
    folder = tmp_path_factory.mktemp("workspace") / "runs"
    shutil.copytree(runs, folder)
    return folder


@pytest.fixture(scope="session")
def client(workspace: Path) -> Iterator[TestClient]:
    """The studio in process, asked as its page asks."""
    app = create_studio(workspace, token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url="http://127.0.0.1:8737", headers=headers) as found:
        yield found


def until_ready(client: TestClient, path: str) -> Any:
    """Ask until the work is done."""
    while (answer := client.get(path)).status_code == 202:
        assert 0 <= answer.json()["part"] <= 1
    assert answer.status_code == 200, answer.text
    return answer.json()
