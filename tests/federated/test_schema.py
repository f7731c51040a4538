"""The schema of several sites is that of one table with all their rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, open_data
from senzai.data.options import TableOptions

TABLE = KINDS["table"]


def agreed(parts, options=None, *, passes=2, rows=400):
    set_ = options or TableOptions()
    opened = {f"s{i}": TABLE.read(p, set_) for i, p in enumerate(parts)}
    outlines = {n: json.loads(json.dumps(TABLE.outline(o, set_))) for n, o in opened.items()}
    plan = json.loads(json.dumps(TABLE.plan(outlines, set_)))
    sums = sum(TABLE.tally(o, set_, plan) for o in opened.values())
    for _ in range(passes - 1):
        plan = json.loads(json.dumps(TABLE.refined(plan, sums)))
        sums = sum(TABLE.tally(o, set_, plan) for o in opened.values())
    return TABLE.agreed(outlines, plan, sums, set_, rows=rows, seed=0)


@pytest.mark.parametrize("apart", ["dealt", "by value", "by size"])
def test_types_levels_and_shares_are_those_of_all_rows(rows, thirds, apart):
    falling = rows.sort_values("a", ascending=False)
    parts = {
        "dealt": thirds,
        "by value": [own.reset_index(drop=True) for _, own in rows.groupby("part")],  # values that no other site has
        "by size": [falling.iloc[i : i + 100].reset_index(drop=True) for i in (0, 100, 200)],
    }
    schema, _ = agreed(parts[apart])
    for own, pooled in zip(schema.details.columns, open_data(rows).schema.details.columns, strict=True):
        assert (own.name, own.type, own.sort, own.levels, own.spike) == (
            pooled.name, pooled.type, pooled.sort, pooled.levels, pooled.spike)
        assert (own.low, own.high, own.decimals, own.n_missing) == (
            pooled.low, pooled.high, pooled.decimals, pooled.n_missing)
        assert np.allclose(own.shares, pooled.shares, atol=1e-12)
    assert schema.n_rows == len(rows)


@pytest.mark.parametrize("draw", ["normal", "cauchy", "exponential"])
def test_scales_are_nearly_those_of_all_rows(draw):
    rng = np.random.default_rng(1)
    make = {"normal": rng.normal, "cauchy": rng.standard_cauchy, "exponential": rng.exponential}[draw]
    frame = pd.DataFrame({"x": make(size=6000)})
    pooled = open_data(frame).schema.details.columns[0]
    schema, _ = agreed([frame.iloc[i::3].reset_index(drop=True) for i in range(3)], passes=3)
    own = schema.details.columns[0]
    at = np.array(pooled.knots)[1:-1]
    places = np.interp(at, own.knots, own.places)
    assert np.abs(places - np.array(pooled.places)[1:-1]).max() < 0.03  # of a standard deviation of the normal scale


def test_a_value_with_a_probability_of_its_own_keeps_it():
    rng = np.random.default_rng(2)
    x = rng.exponential(size=3000)
    x[rng.random(3000) < 0.3] = 0.0
    frame = pd.DataFrame({"x": x})
    own = agreed([frame.iloc[:1000], frame.iloc[1000:].reset_index(drop=True)])[0].details.columns[0]
    pooled = open_data(frame).schema.details.columns[0]
    assert own.spike_value == pooled.spike_value == 0.0
    others = [0.1, 0.5, 1.0, 2.0]  # the rest is scaled without it
    told = np.interp(others, pooled.knots, pooled.places)
    assert np.interp(others, own.knots, own.places) == pytest.approx(told, abs=0.03)


def test_missing_entries_dates_and_whole_numbers():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, 900), "D"),
        "cents": rng.integers(0, 10**6, 900).astype(float), "name": rng.choice(["a", "b"], 900), "n": range(900),
    })
    frame.loc[rng.random(900) < 0.2, "cents"] = np.nan
    parts = [frame.iloc[:300], frame.iloc[300:].reset_index(drop=True)]
    found = {c.name: c for c in agreed(parts)[0].details.columns}
    pooled = {c.name: c for c in open_data(frame).schema.details.columns}
    for name in ("when", "cents", "name"):
        assert (found[name].type, found[name].n_missing, found[name].step, found[name].decimals) == (
            pooled[name].type, pooled[name].n_missing, pooled[name].step, pooled[name].decimals)


def test_texts_of_one_row_each_are_not_sent():
    frame = pd.DataFrame({"name": [f"person {i}" for i in range(60)], "x": np.arange(60.0) % 7})
    options = TableOptions()
    told = TABLE.outline(TABLE.read(frame, options), options)
    assert "person" not in json.dumps(told["columns"])
    schema, _ = agreed([frame.iloc[:30], frame.iloc[30:].reset_index(drop=True)])
    found = {c.name: c.type for c in schema.details.columns}
    assert found["name"] == "identifier"


def test_rows_that_stand_in_have_the_shares_of_all_rows(rows, thirds):
    schema, drawn = agreed(thirds, rows=4000)
    frame = TABLE.decode(drawn.take(np.arange(4000)).x, schema)
    for name in ("city", "part"):
        own, pooled = frame[name].value_counts(normalize=True), rows[name].value_counts(normalize=True)
        assert (own - pooled).abs().max() < 0.03
    assert abs(frame["a"].mean() - rows["a"].mean()) < 0.06
    assert abs(frame["a"].corr(frame["b"])) < 0.06  # each column by itself


def test_combinations_of_a_condition_are_summed(rows, thirds):
    options = TableOptions(condition=("city", "part"))
    schema, drawn = agreed(thirds, options)
    pooled = open_data(rows, options={"condition": ("city", "part")}).schema.condition
    assert dict(zip(schema.condition.values, schema.condition.shares, strict=True)) == pytest.approx(
        dict(zip(pooled.values, pooled.shares, strict=True)))
    assert drawn.take(np.arange(3)).c.shape == (3, pooled.width)


def test_sites_that_disagree(thirds):
    a, b, _ = thirds
    with pytest.raises(InputError, match=r"same columns.*lacks city.*has town"):
        agreed([a, b.rename(columns={"city": "town"})])
    with pytest.raises(InputError, match=r"'a' holds float and text at 's0' and 's1'.*schema\.a=drop"):
        agreed([a, b.assign(a=b["city"])])
    with pytest.raises(SettingError, match=r"label is none of them"):
        agreed([a, b], TableOptions(label="city"))
    with pytest.raises(SettingError, match=r"no column 'agee'"):
        agreed([a, b], TableOptions(schema={"agee": "real"}))


def test_kinds_without_sums_say_so():
    with pytest.raises(SettingError, match=r"'images' has no such sums|'images' have no such sums|no such sums"):
        KINDS["images"].plan({}, KINDS["images"].options())
