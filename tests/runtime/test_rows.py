"""The runtime reads and writes cells as the run does, from the description alone."""

from __future__ import annotations

import decimal
import json

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import CombinationError
from senzai.data import KINDS, open_data
from senzai.runtime import ExportedModelError
from senzai.runtime.arrays import ArrayRows
from senzai.runtime.tables import TableRows, columns_of

N = 300


def described(data, **options):
    opened = open_data(data, options=options)
    told = KINDS[opened.schema.kind].processing(opened.schema)
    return opened, json.loads(json.dumps(told, allow_nan=False))


def table(**columns):
    return pd.DataFrame(columns)


RNG = np.random.default_rng(0)
COLUMNS = {
    "income": np.round(np.exp(RNG.normal(10, 1, N)), 2), "share": RNG.beta(2, 3, N), "kids": RNG.poisson(1.2, N),
    "visits": RNG.negative_binomial(2, 0.02, N), "city": RNG.choice(["Ulm", "Bonn", "Köln"], N),
    "rare": np.where(RNG.random(N) < 0.97, "a", [f"r{i}" for i in range(N)]), "member": RNG.random(N) < 0.3,
    "grade": RNG.choice([1.5, 2.5, 3.5], N), "spike": np.where(RNG.random(N) < 0.4, 0.0, RNG.gamma(2, 50, N)),
    "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(RNG.integers(0, 700, N), "D"),
    "text day": [f"{d:%d.%m.%Y}" for d in pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), "D")],
    "price": pd.Series([decimal.Decimal(int(v)) / 100 for v in RNG.integers(1, 9999, N)], dtype=object),
    "large": 2**60 + RNG.integers(0, 10**6, N) * 1000,
    "single": RNG.normal(0, 1, N).astype("float32"), "yes": RNG.choice(["yes", "no"], N), "fixed": 7,
}


@pytest.mark.parametrize("name", sorted(COLUMNS))
@pytest.mark.parametrize("missing", [False, True])
def test_a_column_is_read_and_written_as_the_run_does(name, missing):
    frame = table(**{name: COLUMNS[name], "other": RNG.normal(0, 1, N)})
    if missing:
        frame[name] = frame[name].astype(object) if frame[name].dtype == bool else frame[name]
        frame.loc[frame.index[::7], name] = None
    opened, told = described(frame)
    rows = TableRows(told)
    ours, theirs = rows.encode(frame), opened.batch(np.arange(N))
    seen = np.ones(ours["mask"].shape, bool) if theirs.mask is None else theirs.mask.numpy()
    assert np.array_equal(ours["mask"], seen)
    np.testing.assert_allclose(ours["x"], theirs.x.numpy().astype(np.float32), rtol=1e-6, atol=1e-6)
    again = rows.decode(theirs.x.numpy())
    back = opened.decode(theirs.x)
    for column in back.columns:
        for a, b in zip(back[column].astype(object), again[str(column)], strict=True):
            assert alike(a, b), (column, a, b)


def alike(a, b) -> bool:
    if a is None or a is pd.NaT or a != a:
        return b is None
    if isinstance(a, pd.Timestamp):
        return np.datetime64(a) == b
    return a == b and isinstance(a, str) == isinstance(b, str)


def test_numbers_as_people_write_them(tmp_path):
    path = tmp_path / "prices.csv"
    cells = [f"{v:,.2f} €".translate(str.maketrans(",.", ".,")) for v in RNG.uniform(5, 5000, N)]
    path.write_text("price;x\n" + "\n".join(f"{c};{v}" for c, v in zip(cells, RNG.integers(0, 9, N), strict=True)))
    opened, told = described(path, schema={"price": "real"})
    rows = TableRows(told)
    theirs = opened.batch(np.arange(N)).x
    np.testing.assert_allclose(rows.encode(str(path))["x"], theirs.numpy(), rtol=1e-6, atol=1e-6)
    assert rows.decode(theirs.numpy())["price"] == opened.decode(theirs)["price"].tolist()


def test_what_cannot_be_read_is_said_with_row_and_column():
    _, told = described(table(city=COLUMNS["city"], income=COLUMNS["income"]))
    rows = TableRows(told)
    with pytest.raises(ExportedModelError, match=r"'city' has the values .* got 'Rom' in row 1"):
        rows.encode({"city": ["Ulm", "Rom"], "income": [1.0, 2.0]})
    with pytest.raises(ExportedModelError, match=r"'income' holds real values, but got 'much' in row 0"):
        rows.encode([{"city": "Ulm", "income": "much"}])
    with pytest.raises(ExportedModelError, match="lack income"):
        rows.encode([{"city": "Ulm"}])


@pytest.mark.parametrize(("column", "why"), [
    (pd.period_range("2020-01", periods=N, freq="M"), "periods"),
    (pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(RNG.integers(0, 9999, N), "h"), "time zone"),
    (pd.to_timedelta(RNG.integers(0, 9999, N), "s"), "durations"),
])
def test_columns_beyond_numpy_are_refused_by_name(column, why):
    opened = open_data(table(when=column, x=RNG.normal(0, 1, N)))
    with pytest.raises(CombinationError, match=f"'when' holds .*{why}"):
        KINDS[opened.schema.kind].processing(opened.schema)


ARRAYS = {
    "bytes": RNG.integers(0, 256, (50, 6, 6, 3), dtype=np.uint8),
    "grey": RNG.integers(0, 17, (50, 8, 8)).astype("uint8"),
    "bits": RNG.random((50, 5)) < 0.5, "black and white": 255 * (RNG.random((50, 6, 6)) < 0.5).astype("uint8"),
    "grid": (RNG.integers(0, 256, (50, 6, 6)) / 255).astype("float32"), "real": RNG.normal(5, 2, (50, 4)),
    "far": 1e6 + RNG.integers(0, 9, (50, 2)) * 0.25, "counts": RNG.poisson(300, (50, 3)), "unit": RNG.random((50, 4)),
    "series": RNG.normal(0, 1, (50, 7, 2)).astype("float32"),
}


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_an_array_is_read_and_written_as_the_run_does(name):
    x = ARRAYS[name]
    opened, told = described(x)
    rows = ArrayRows(told)
    theirs = opened.batch(np.arange(len(x))).x
    np.testing.assert_allclose(rows.encode(x)["x"], theirs.numpy().astype(np.float32), rtol=1e-6)
    back = rows.decode(theirs.numpy())
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, opened.decode(theirs))


def test_missing_numbers_have_a_mask_where_the_model_knows_them():
    x = np.where(RNG.random((60, 4)) < 0.2, np.nan, ARRAYS["real"][:50].repeat(2, 0)[:60])
    opened, told = described(x, missing="keep")
    ours, theirs = ArrayRows(told).encode(x), opened.batch(np.arange(60))
    assert np.array_equal(ours["mask"], theirs.mask.numpy())
    _, strict = described(ARRAYS["real"])
    with pytest.raises(ExportedModelError, match="has a NaN"):
        ArrayRows(strict).encode(x)


def test_arrays_outside_of_what_was_fitted_are_refused():
    _, told = described(ARRAYS["grey"])
    with pytest.raises(ExportedModelError, match=r"levels values from 0 to 16, but got 99 in row 0"):
        ArrayRows(told).encode(np.full((2, 8, 8), 99))
    with pytest.raises(ExportedModelError, match="rows of shape"):
        ArrayRows(told).encode(np.zeros((2, 8, 7)))


def test_records_lack_what_they_do_not_name():
    assert columns_of([{"a": 1}, {"b": 2}]) == {"a": [1, None], "b": [None, 2]}
