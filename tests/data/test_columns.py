"""What a column is: dates however they are written, identifiers that are new, values that repeat, steps of the data."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.data.table import Column, codec, identifiers, survey
from senzai.data.table.survey import ColumnFacts
from senzai.runs import fit

R = np.random.default_rng(0)
N = 120
X = R.normal(size=N)
FEW = {"steps": 3, "hidden": [4], "n_latent": 1, "batch_size": 16, "log_every": 1, "validate_every": 2}


def column(values, **options):
    data = pd.DataFrame({"c": values, "x": R.normal(size=len(values))})
    return open_data(data, options=options).schema.details.columns[0]


# --- identifiers ------------------------------------------------------------------------------------------------------
IDENTIFIERS = {
    "padded": [f"C{i:05d}" for i in range(1, 3001)], "beyond": [f"K-{i}" for i in range(900, 1000)],
    "counted": [f"{i} of 500" for i in range(100, 200)], "hex": [f"{int(k):08x}-f" for k in R.integers(0, 2**32, 400)],
    "mixed": [f"{'AB'[i % 2]}{i:03d}x" for i in range(200)],
    "mail": [f"{'abcde'[i % 5] * 3}{i}@example.com" for i in range(90)],
    "last": [f"{a}{b}" for a in "WXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
    "names": [f"{'äöü'[i % 3] * (1 + i)}" for i in range(30)],
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers_are_new_and_different(name):
    told = IDENTIFIERS[name]
    made = column(told)
    assert made.type == "identifier"
    new = [*codec.regenerate(made, 300), *codec.regenerate(made, 300, start=300)]
    assert len(set(new)) == 600
    assert not set(new) & set(told)
    shape = [{len(v) for v in told}, {v[0] for v in told}, {v[-1] for v in told}]
    if name in ("padded", "hex", "mixed"):
        assert {len(v) for v in new} <= shape[0]
    if name != "names":
        assert {c.isalnum() for v in new for c in v} == {c.isalnum() for v in told for c in v}
    if name == "hex":
        assert {c for v in new for c in v} <= set("0123456789abcdef-")
    if name in ("padded", "beyond", "mail", "counted"):
        assert {v[-1] for v in new} <= {v[-1] for v in told} | set("0123456789")
    assert new[:3] == codec.regenerate(made, 3).tolist()


NUMBERS = {
    "large": 1_700_000_000_000_000_000 + np.arange(120) * 4194304 + 7, "row": np.arange(5, 125),
    "small": np.arange(20, dtype="int16") - 10, "top": np.arange(2**63 - 1 - 30, 2**63 - 1, dtype="int64"),
    "unsigned": np.arange(2**64 - 40, 2**64 - 1, dtype="uint64"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbered_identifiers_are_new_and_different(name):
    told = pd.Series(NUMBERS[name])
    made = open_data(pd.DataFrame({"id": told, "x": R.normal(size=len(told))})).schema.details.columns[0]
    assert made.type == "identifier"
    new = pd.concat([codec.regenerate(made, 150), codec.regenerate(made, 50, start=150)])
    assert new.dtype == told.dtype
    assert new.nunique() == 200
    assert not new.isin(told).any()
    step = np.gcd.reduce(np.diff(told.astype(object)))
    assert all((int(v) - int(told[0])) % step == 0 for v in new)


def test_a_dtype_without_room_has_no_identifiers():
    assert column(np.arange(100, dtype="uint8")).type == "count"
    narrow = Column(name="id", type="identifier", dtype="int8", ticks="whole", low=-128, high=120)
    assert codec.regenerate(narrow, 7).tolist() == list(range(121, 128))
    with pytest.raises(InputError, match=r"has room for 7 .* 8 are wanted.*schema\.id=drop"):
        codec.regenerate(narrow, 8)


def test_the_alphabet_of_identifiers_is_that_of_the_data():
    told = Column(name="k", type="identifier", greatest="a9F-zz", alphabet="9Fabz")
    assert identifiers.new_texts(told, 2) == ["b0F-aa", "b0F-ab"]


@pytest.mark.parametrize("most", [500, 50_000])
def test_many_values_that_repeat_are_no_identifiers(monkeypatch, most):
    monkeypatch.setattr(survey, "MOST_VALUES", most)
    repeats = [f"street {k}" for k in R.integers(0, 2500, 6000)]
    found = column(repeats)
    assert (found.type, found.other) == ("categorical", True)
    assert set(found.levels) | set(found.rare) <= set(repeats)
    assert sum(found.shares) == pytest.approx(1)
    once = [f"street {k}" for k in R.permutation(6000)]
    assert column(once).type == "identifier"
    once[17] = once[3]
    assert column(once).type == "categorical" or most == 500  # a part of the values is counted: a rare twin is not seen


def test_what_is_counted_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr(survey, "MOST_VALUES", 100)
    facts = ColumnFacts("k")
    for start in range(0, 20_000, 500):
        facts.see(pd.Series([f"v{k % 5000}" for k in range(start, start + 500)]))
        assert len(facts.counts) <= 100
    assert facts.n_distinct == pytest.approx(5000, rel=0.5)  # five standard errors of a hundred are half
    assert set(facts.counts.values()) == {4}
    assert not facts.all_different


# --- dates ------------------------------------------------------------------------------------------------------------
MOMENTS = pd.date_range("2019-12-30 23:00", periods=N, freq="7h")
WRITTEN = {
    "%Y-%m-%d": [f"{t:%Y-%m-%d}" for t in MOMENTS], "%m/%d/%Y": [f"{t:%m/%d/%Y}" for t in MOMENTS],
    "%d/%m/%Y %H:%M": [f"{t:%d/%m/%Y %H:%M}" for t in MOMENTS],
    "%-m/%-d/%Y": [f"{t.month}/{t.day}/{t.year}" for t in MOMENTS],
    "%d.%m.%Y %H:%M:%S": [f"{t:%d.%m.%Y %H:%M:%S}" for t in MOMENTS], "%Y%m%d": [f"{t:%Y%m%d}" for t in MOMENTS],
    "%Y-%m-%dT%H:%M:%S{+09:00}": [f"{t:%Y-%m-%dT%H:%M:%S}+09:00" for t in MOMENTS],
    "%Y-%m-%d %H:%M{Z}": [f"{t:%Y-%m-%d %H:%M}Z" for t in MOMENTS],
    "%Y-%m-%dT%H:%M:%S{.3}{-0330}": [f"{t:%Y-%m-%dT%H:%M:%S}.125-0330" for t in MOMENTS],
    "%Y-%m-%d %H:%M:%S{.9}": [f"{t:%Y-%m-%d %H:%M:%S}.123456789" for t in MOMENTS],
    "%Y-%m-%dT%H:%M:%S{.06}": [(t + pd.Timedelta(i % 2 * 333, "us")).isoformat() for i, t in enumerate(MOMENTS)],
    "%Y-%m-%d %H:%M:%S{.~3}": [
        f"{t:%Y-%m-%d %H:%M:%S}{('', '.5', '.25', '.125')[i % 4]}" for i, t in enumerate(MOMENTS)],
}


@pytest.mark.parametrize("form", WRITTEN)
def test_dates_are_read_however_they_are_written(form, tmp_path):
    cells = WRITTEN[form]
    (tmp_path / "t.csv").write_text("c,x\n" + "".join(f"{c},{x}\n" for c, x in zip(cells, X, strict=True)))
    for source in (tmp_path / "t.csv", pd.DataFrame({"c": cells, "x": X})):
        data = open_data(source)
        found = data.schema.details.columns[0]
        assert (found.type, found.format) == ("date", form)
        assert data.decode(data.batch().x)["c"].astype(str).tolist() == cells


def test_what_is_no_date_is_none():
    for cells in (
        [*WRITTEN["%Y-%m-%d"][1:], "2024-02-30"], [*WRITTEN["%m/%d/%Y"][1:], "2024-02-03"],
        [f"{c}{'+01:00' if i % 2 else ''}" for i, c in enumerate(WRITTEN["%Y-%m-%dT%H:%M:%S{.06}"])],
        ["20240101", "20240102"] * 60,  # too few values to say so of numbers
    ):
        assert column(cells).type != "date"
    assert column([20200101 + int(k) for k in R.integers(0, 9999, N)]).type == "real"


def test_offsets_that_differ_are_the_same_moments():
    berlin = pd.date_range("2020-03-20", periods=N, freq="3h", tz="Europe/Berlin")
    data = open_data(pd.DataFrame({"c": [t.isoformat() for t in berlin], "x": X}))
    assert data.schema.details.columns[0].format == "%Y-%m-%dT%H:%M:%S{+00:00}"
    back = pd.to_datetime(data.decode(data.batch().x)["c"])
    assert back.tolist() == berlin.tz_convert("UTC").tolist()


def test_numbers_that_are_dates_give_dates():
    for form, dtype in (("%Y%m%d", "int64"), ("%Y%m%d", "Int64"), ("%Y%m%d", "float64"), ("%Y%m", "int32"),
                        ("%Y%m%d%H%M%S", "int64")):
        days = pd.date_range("2015-01-01", periods=N, freq="MS" if form == "%Y%m" else "19D")
        told = pd.Series([int(t.strftime(form)) for t in days]).astype(dtype)
        found = column(told)
        assert (found.type, found.format) == ("date", form)
        new = codec.decode(R.normal(size=400), found, None)
        assert new.dtype == told.dtype
        pd.to_datetime(new.astype("int64").astype(str), format=form)  # a day that does not exist raises


# --- steps ------------------------------------------------------------------------------------------------------------
def test_samples_keep_the_steps_of_the_data():
    seconds = pd.to_timedelta(R.integers(0, 10**6, N), unit="s")
    cases = {
        "timedelta": (pd.Series(seconds).astype("timedelta64[ns]"), lambda v: v.value % 10**9 == 0),
        "milliseconds": (pd.Series(pd.Timestamp("2020") + pd.to_timedelta(R.integers(0, 10**9, N), unit="ms")),
                         lambda v: v.value % 10**6 == 0),
        "fifties": (pd.Series(R.integers(0, 10**6, N) * 50 + 7), lambda v: v % 50 == 7),
    }
    for name, (values, fits) in cases.items():
        found = column(values)
        assert found.type in ("real", "date"), name
        new = codec.decode(R.normal(size=500), found, None)
        assert all(fits(v) for v in new), name
        assert new.between(values.min(), values.max()).all()


def test_a_frequent_value_has_a_probability_of_its_own():
    zero = np.where(R.random(400) < 0.3, 0.0, np.exp(R.normal(size=400)))
    middle = np.where(R.random(400) < 0.3, 1.0, R.normal(size=400))
    grades = np.where(R.random(400) < 0.4, 7, R.integers(0, 12, 400))
    data = open_data(pd.DataFrame({"zero": zero, "middle": middle, "grades": grades, "plain": R.normal(size=400)}))
    low, inside, step, plain = data.schema.details.columns
    assert low.spike < min(low.places)
    assert min(inside.places) < inside.spike < max(inside.places)
    assert (step.spike, plain.spike) == (7, None)
    x = data.batch().x
    assert np.array_equal(x[:, 0] == low.spike, zero == 0)
    assert np.array_equal(x[:, 1] == inside.spike, middle == 1)
    back = data.decode(x)
    assert np.array_equal(back["zero"] == 0, zero == 0)
    np.testing.assert_allclose(back["middle"], middle, rtol=1e-9)
    assert np.array_equal(back["grades"], grades)
    assert data.propose().likelihood.settings["spikes"] == (low.spike, inside.spike, 7, None)
    run = fit(pd.DataFrame({"zero": zero, "x": R.normal(size=400)}), **FEW)
    made = run.sample(400, seed=0)["zero"]
    assert (made == 0).mean() == pytest.approx((zero == 0).mean(), abs=0.15)
    holes = pd.DataFrame({"zero": np.where(np.arange(400) % 4, zero, np.nan), "x": R.normal(size=400)})
    drawn = run.impute(holes, draws=1, k=2)[0]["zero"][::4]
    assert drawn.notna().all()
    assert (drawn == 0).any()


def test_what_is_missing_in_a_frame_is_filled_by_values_of_its_kind():
    data = pd.DataFrame({
        "x": X, "age": pd.cut(X, 4),
        "when": pd.Series([datetime.datetime(2020, 1, 1, 9, i % 60) for i in range(N)], dtype=object),
    })
    run = fit(data, **FEW)
    holes = data.copy()
    holes.loc[:9, ["age", "when"]] = None
    holes["age"] = holes["age"].cat.remove_unused_categories()
    few = holes.assign(age=holes["age"].cat.remove_categories([holes["age"].cat.categories[0]]))
    for given in (holes, few):
        made = run.impute(given, k=5)
        assert made.notna().all().all()
        assert isinstance(made["age"].cat.categories, pd.IntervalIndex)
        assert {type(v) for v in made["when"]} == {datetime.datetime}


def test_values_beside_a_spike_stay_what_they_are():
    few = [0.0, 0.0, 1.0, 2.0, 3.0, 212818.0, 1.75, 1.5, 4.0, 0.004, -18.0]
    rng = np.random.default_rng(0)
    many = np.concatenate([np.zeros(300), rng.normal(scale=1e-3, size=300), rng.normal(size=400)])
    for values in (few, many):
        data = open_data(pd.DataFrame({"v": values, "w": range(len(values))}))
        assert data.schema.details.columns[0].spike is not None
        back = data.decode(data.batch().x)["v"].to_numpy()
        np.testing.assert_allclose(back, values, rtol=0, atol=1e-8)
        assert ((back == 0) == (np.array(values) == 0)).all()
