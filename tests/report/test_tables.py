"""The page of a table: every section is there, strings are text, and holes and odd columns do no harm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.face import fit
from senzai.report.page import build_report

R = np.random.default_rng(0)
N = 160


@pytest.fixture(scope="module")
def table():
    frame = pd.DataFrame({
        "a": R.normal(size=N), "k": R.choice(["x", "<b>y</b>"], N), "n": R.integers(0, 9, N),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(R.integers(0, 99, N), unit="D"), "ok": R.random(N) < 0.5,
    })
    frame.loc[R.random(N) < 0.2, "a"] = np.nan
    run = fit(frame, steps=6, hidden=[8], n_latent=2)
    return run, build_report(run, run.dataset(frame))


def test_every_section_is_there(table):
    _, page = table
    for words in ("Columns", "Associations", "Quality of generated rows", "Missing values", "Strangest rows",
                  "Latent map", "column shapes", "pair trends", "closest training row"):
        assert words in page
    assert "<b>y</b>" not in page


def test_other_rows_and_few_rows(table):
    run, _ = table
    few = run.sample(3, seed=0)
    assert "Columns" in build_report(run, run.dataset(few))
