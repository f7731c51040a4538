"""Small tables at several sites."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("flwr")


def table(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return pd.DataFrame({
        "a": x[:, 0], "b": np.round(x[:, 0] + 0.3 * x[:, 1], 2), "city": np.where(x[:, 2] > 0, "Ulm", "Bonn"),
        "count": rng.poisson(3, n), "part": rng.choice(["x", "y", "z"], n, p=[0.5, 0.3, 0.2]),
    })


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="session")
def thirds(rows) -> list[pd.DataFrame]:
    return [rows.iloc[:150].reset_index(drop=True), rows.iloc[150:240].reset_index(drop=True),
            rows.iloc[240:].reset_index(drop=True)]
