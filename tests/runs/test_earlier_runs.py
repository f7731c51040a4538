"""Runs that version 0.1 saved load, with the same numbers. Their weights follow a formula, so that none are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from senzai.runs import load

EARLIER = Path(__file__).parent / "version_0_1"
R = np.random.default_rng(0)
N = 60


def data():
    """The data of the runs, drawn in this order."""
    frame = pd.DataFrame({
        "id": np.arange(N) + 5, "income": np.round(np.exp(R.normal(size=N)), 2),
        "city": R.choice(["Ulm", "Bonn", "Köln"], N), "visits": R.poisson(3, N), "member": R.random(N) < 0.4,
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(R.integers(0, 300, N), unit="D"),
    })
    frame.loc[::7, "income"] = np.nan
    array = R.normal(size=(N, 3)).round(2)
    sequences = R.normal(size=(N, 4, 2)).round(2)
    sequences[::3, 3] = np.nan
    images = R.integers(0, 17, size=(N, 8, 8)).astype(np.uint8)
    labels = R.integers(0, 3, N)
    return {
        "table": frame[:4], "array": array[:4], "images": (images[:4], labels[:4]), "sequences": sequences[:4],
    }


DATA = data()


def weights(told):
    made = {}
    for i, (name, (dtype, shape, values)) in enumerate(sorted(told.items())):
        n, kind = int(np.prod(shape)), getattr(torch, dtype)
        waves = 0.4 + 0.3 * torch.sin(torch.arange(n, dtype=torch.float64) + i)
        plain = waves if values is None else torch.tensor(values)
        made[name] = plain.to(kind).reshape(shape)
    return made


@pytest.mark.parametrize("name", DATA)
def test_a_run_of_version_0_1_gives_the_same_numbers(name, tmp_path):
    told = json.loads((EARLIER / name / "expected.json").read_text())
    shutil.copy(EARLIER / name / "spec.json", tmp_path)
    save_file(weights(told["tensors"]), tmp_path / "weights.safetensors", metadata=told["metadata"])
    run, few = load(tmp_path), DATA[name]
    found = {
        "sample": run.sample(3, seed=1, sampler="prior"), "encode": run.encode(few),
        "reconstruct": run.reconstruct(few), "log_likelihood": run.log_likelihood(few, k=5, seed=0),
    }
    for verb, rows in found.items():
        if isinstance(rows, pd.DataFrame):
            old = pd.DataFrame(**told[verb]).set_axis(rows.index)
            for column in rows:
                if pd.api.types.is_datetime64_any_dtype(rows[column]):
                    old[column] = pd.to_datetime(old[column])
            pd.testing.assert_frame_equal(rows, old, check_dtype=False, rtol=1e-4)
        else:
            np.testing.assert_allclose(np.asarray(rows, dtype=float), np.array(told[verb]), rtol=1e-4, atol=1e-5)
