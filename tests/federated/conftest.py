"""Small tables at several sites."""

from __future__ import annotations

from contextlib import contextmanager

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


@pytest.fixture
def stopped_in_round(monkeypatch):
    """A server that is stopped when a round begins, inside the block."""
    from senzai.federated import rounds as rounds_module

    whole = rounds_module._Rounds._round

    @contextmanager
    def stopped_in(last):
        def stopped(self, number):
            if number == last:
                raise KeyboardInterrupt
            whole(self, number)

        with monkeypatch.context() as patch:
            patch.setattr(rounds_module._Rounds, "_round", stopped)
            with pytest.raises(KeyboardInterrupt):
                yield

    return stopped_in
