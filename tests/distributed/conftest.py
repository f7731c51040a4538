from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.runs import fit


def rows(n: int = 120) -> pd.DataFrame:
    """Return rows of numbers, a category and holes, all different, each with a key that is no part of the model."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({
        "key": [f"k{i:04d}" for i in range(n)], "a": rng.normal(size=n), "b": rng.normal(size=n) ** 2,
        "city": rng.choice(["Ulm", "Bonn", "Kiel"], n),
    })
    frame.loc[::11, "b"] = np.nan
    return frame


@pytest.fixture(scope="session")
def table_rows():
    return rows()


@pytest.fixture(scope="session")
def saved(tmp_path_factory, table_rows):
    out = tmp_path_factory.mktemp("distributed") / "run"
    return fit(table_rows, settings={"steps": 12, "n_latent": 2, "hidden": [8], "schema.key": "drop"}, out=out)
