"""The page of a table: every section is there, strings are text, and holes and odd columns do no harm."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest

from senzai.report.page import build_report
from senzai.runs import fit

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
    for words in ("Columns", "Pairwise associations", "Quality of generated rows", "Missing values", "Outliers",
                  "Latent space", "column shapes", "pair trends", "closest training row", "Latent traversals",
                  "Interpolations"):
        assert words in page
    assert "<b>y</b>" not in page


def offered(page):
    """What the map can be coloured by: name to what the page knows about it."""
    charts = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    found = next(c for c in (json.loads(t)["colourings"] for t in charts) if c)
    return {c["name"]: {**c, "codes": np.frombuffer(base64.b64decode(c["codes"]), np.uint8)} for c in found}


def test_the_map_is_coloured_by_any_column(table):
    _, page = table
    found = offered(page)
    assert list(found) == ["a", "k", "n", "day", "ok", "distortion, nats"]
    assert page.count("<option selected>") == 1
    k = found["k"]
    assert set(k["texts"]) == {"x", "<b>y</b>"}
    assert len(k["colours"]) == 2
    assert len({len(c["codes"]) for c in found.values()}) == 1
    assert (found["a"]["codes"] == 255).mean() > 0.1  # missing
    assert not (found["n"]["codes"] == 255).any()
    assert found["n"]["texts"] == [str(v) for v in range(9)]
    assert found["n"]["at"] == sorted(found["n"]["at"])
    assert all(re.fullmatch(r"(about )?2024-\d\d-\d\d", t) for t in found["day"]["texts"])
    assert found["day"]["ends"][0] < found["day"]["ends"][1]


def test_points_have_the_users_values(table):
    run, _ = table
    rows = run.sample(30, seed=0)
    found = offered(build_report(run, run.dataset(rows)))
    told = [found["k"]["texts"][c] for c in found["k"]["codes"]]
    assert sorted(told) == sorted(rows["k"])
    told = [found["day"]["texts"][c] for c in found["day"]["codes"]]
    assert sorted(told) == sorted(str(d)[:10] for d in rows["day"])


def test_a_column_that_was_left_out_colours_too():
    frame = pd.DataFrame({"a": R.normal(size=N), "b": R.normal(size=N), "who": R.choice(["u", "v"], N)})
    run = fit(frame, steps=4, hidden=[8], n_latent=2, **{"schema.who": "drop"})
    found = offered(build_report(run, run.dataset(frame)))
    assert set(found["who (left out)"]["texts"]) == {"u", "v"}


def test_ways_are_in_the_users_values(table):
    _, page = table
    ways = page[page.index('<section id="traversals">'):]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", ways)
    assert any(re.fullmatch(r"2024-\d\d-\d\d", c) for c in cells) or "No column changes." in ways


def test_other_rows_and_few_rows(table):
    run, _ = table
    few = run.sample(3, seed=0)
    assert "Columns" in build_report(run, run.dataset(few))
