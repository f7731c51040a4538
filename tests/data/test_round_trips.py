"""Every dtype that frames, files and databases know comes back from every verb, or `fit` refuses it by name."""

from __future__ import annotations

import datetime
import decimal
import json
import sqlite3
import uuid
from fractions import Fraction

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyarrow import feather

from senzai.core.errors import InputError
from senzai.data import KINDS, open_data
from senzai.runs import fit, load

N = 48
FEW = {"steps": 2, "hidden": [4], "n_latent": 1, "batch_size": 16, "log_every": 1, "validate_every": 2}
R = np.random.default_rng(0)
X = R.normal(size=N)
K = R.integers(0, 4, size=N)
"""Few values: ordered values, categories."""
W = R.permutation(N) * 37 % 101
"""Many values."""
START = datetime.datetime(2020, 1, 1, 13, 45)
TIMES = [START + datetime.timedelta(hours=7 * int(k), seconds=int(k)) for k in W]
DECIMALS = [decimal.Decimal(int(k)) / 4 + decimal.Decimal("12345678901234567890.25") for k in W]
LARGE = 2**60 + 1 + W.astype(object) ** 2


def objects(values):
    made = np.empty(len(values), dtype=object)
    made[:] = list(values)
    return pd.Series(made, dtype=object)


def whole(kind):
    info = np.iinfo(kind.lower())
    many = [int(info.min) + int(k) if info.min and i % 2 else int(info.max) - int(k) for i, k in enumerate(W)]
    return {f"{kind} many": pd.Series(many, dtype=kind), f"{kind} few": pd.Series([int(k) for k in K], dtype=kind)}


WHOLE = [f"{a}int{b}" for a in ("", "u") for b in (8, 16, 32, 64)]
PANDAS = {
    "numpy": {
        **{k: v for t in WHOLE for k, v in whole(t).items()}, "bool": pd.Series(K > 1),
        **{t: pd.Series(X, dtype=t) for t in ("float16", "float32", "float64")},
        "object int": objects([int(v) for v in LARGE]), "huge int": objects([2**90 + int(k) for k in W]),
        "few huge int": objects([2**90 + int(k) for k in K]), "object float": objects(X.tolist()),
        "object bool": objects([bool(k) for k in K > 1]), "object text": objects([f"v{k}" for k in K]),
    },
    "nullable": {
        **{k: v for t in WHOLE for k, v in whole(t.replace("i", "I").replace("u", "U")).items()},
        "boolean": pd.Series(K > 1, dtype="boolean"), "Float32": pd.Series(X, dtype="Float32"),
        "Float64": pd.Series(X, dtype="Float64"), "str": pd.Series([f"v{k}" for k in K], dtype="str"),
        **{f"string {s}": pd.Series([f"v{k}" for k in K], dtype=pd.StringDtype(s)) for s in ("python", "pyarrow")},
    },
    "arrow": {
        **{f"{t} many": whole(t)[f"{t} many"].astype(f"{t}[pyarrow]") for t in WHOLE},
        **{f"arrow {t}": pd.Series(X, dtype=f"{t}[pyarrow]") for t in ("float", "double")},
        "arrow bool": pd.Series(K > 1, dtype="bool[pyarrow]"),
        **{f"arrow {t}": pd.Series([f"v{k}" for k in K], dtype=pd.ArrowDtype(getattr(pa, t)()))
           for t in ("string", "large_string")},
        **{f"arrow timestamp {u} {z}": pd.Series(TIMES).astype(pd.ArrowDtype(pa.timestamp(u, z)))
           if z is None else pd.Series(TIMES).dt.tz_localize(z).astype(pd.ArrowDtype(pa.timestamp(u, z)))
           for u in ("s", "ms", "us", "ns") for z in (None, "Europe/Berlin")},
        "arrow date32": pd.Series([t.date() for t in TIMES], dtype=pd.ArrowDtype(pa.date32())),
        "arrow date64": pd.Series([t.date() for t in TIMES], dtype=pd.ArrowDtype(pa.date64())),
        **{f"arrow time {u}": pd.Series([t.time() for t in TIMES], dtype=pd.ArrowDtype(k(u)))
           for k in (pa.time32, pa.time64) for u in (("s", "ms") if k is pa.time32 else ("us", "ns"))},
        **{f"arrow duration {u}": pd.Series([t - START for t in TIMES], dtype=pd.ArrowDtype(pa.duration(u)))
           for u in ("s", "ms", "us", "ns")},
        "arrow decimal": pd.Series(DECIMALS, dtype=pd.ArrowDtype(pa.decimal128(30, 4))),
        "arrow dictionary": pd.Series(
            [f"v{k}" for k in K], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    },
    "times": {
        **{f"datetime64 {u}": pd.Series(TIMES, dtype=f"datetime64[{u}]") for u in ("s", "ms", "us", "ns")},
        **{f"zone {z}": pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert(z)
           for z in ("UTC", "Europe/Berlin", "UTC+05:30")},
        **{f"timedelta64 {u}": pd.Series([t - START for t in TIMES], dtype=f"timedelta64[{u}]")
           for u in ("s", "ms", "us", "ns")},
        **{f"period {f}": pd.Series(pd.period_range("2015-01-01", periods=101, freq=f)[W])
           for f in ("M", "D", "Y", "Q", "h")},
        "datetimes": objects(TIMES), "dates": objects([t.date() for t in TIMES]),
        "timestamps": objects([pd.Timestamp(t) + pd.Timedelta(1, "ns") for t in TIMES]),
        "times": objects([t.time() for t in TIMES]), "timedeltas": objects([t - START for t in TIMES]),
        "pandas timedeltas": objects([pd.Timedelta(t - START) for t in TIMES]),
        "aware datetimes": objects([t.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2))) for t in TIMES]),
        "yyyymmdd": pd.Series([int(f"{t:%Y%m%d}") for t in TIMES]), "yyyymmdd nullable": pd.Series(
            [int(f"{t:%Y%m%d}") for t in TIMES], dtype="Int64"),
        "yyyymmdd float": pd.Series([float(f"{t:%Y%m%d}") for t in TIMES]),
        "written": pd.Series([t.isoformat() for t in TIMES]),
        "written day": pd.Series([f"{t:%m/%d/%Y}" for t in TIMES]),
        "written zone": pd.Series([f"{t.isoformat()}.250+02:00" for t in TIMES]),
    },
    "labels": {
        "category": pd.Series([f"v{k}" for k in K], dtype="category"),
        "ordered": pd.Series(
            pd.Categorical([f"v{k}" for k in K], categories=["v3", "v1", "v2", "v0", "none"], ordered=True)),
        "category int": pd.Series(K, dtype="category"), "category float": pd.Series(K / 4, dtype="category"),
        "category bool": pd.Series(K > 1, dtype="category"), "category date": pd.Series(TIMES, dtype="category"),
        "category decimal": pd.Series([decimal.Decimal(int(k)) for k in K], dtype="category"),
        "150 categories": pd.Series(
            pd.Categorical([f"k{k}" for k in W], categories=[f"k{k}" for k in range(150)][::-1])),
        "cut": pd.cut(pd.Series(X), 4), "interval": pd.cut(pd.Series(X), 4).astype("interval"),
        "interval of times": pd.cut(pd.Series(TIMES), 4).astype("interval"),
        "sparse int": pd.Series(pd.arrays.SparseArray(K.astype("int64"))),
        "sparse float": pd.Series(pd.arrays.SparseArray(np.where(K, X, np.nan))),
        "sparse bool": pd.Series(pd.arrays.SparseArray(K > 1)),
        "decimals": objects(DECIMALS), "few decimals": objects([decimal.Decimal(int(k)) / 4 for k in K]),
        "uuid": objects([uuid.UUID(int=int(k)) for k in K]),
        "fraction": objects([Fraction(int(k), 3) for k in K]),
        "mixed text": objects([int(k) if k else "none" for k in K]),
    },
}
REFUSED = {
    "complex": pd.Series(X + 1j), "object": objects([object()] * N),
    "mixed": objects([START if k else "none" for k in K]),
    "zones": objects([START.replace(tzinfo=datetime.UTC) if k else START for k in K]),
}


def frame(group, holes):
    made = {"x": pd.Series(X)}
    for name, series in PANDAS[group].items():
        if not holes:
            made[name] = series
        elif series.dtype not in [*WHOLE, "bool"] and not isinstance(series.dtype, pd.SparseDtype):  # these have none
            made[name] = series.mask(pd.Series(np.arange(N) % 5 == 0))
    return pd.DataFrame(made)


def kinds(series):
    return {getattr(v, "dtype", type(v)) for v in series.dropna()}


def check(data, run):
    """Observed cells of what was filled in are those of the data; samples and reconstructions have their dtypes."""
    filled = run.impute(data, k=2)
    assert filled.dtypes.tolist() == data.dtypes.tolist()
    pd.testing.assert_index_equal(filled.columns, data.columns, exact="equiv")
    pd.testing.assert_index_equal(filled.index, data.index, exact="equiv")
    for i in range(len(data.columns)):
        there = data.iloc[:, i].notna().to_numpy()
        pd.testing.assert_series_equal(filled.iloc[:, i][there], data.iloc[:, i][there])
    for name in run.schema.details.modelled:
        place = [c.name for c in run.schema.details.columns].index(name.name)
        assert filled.iloc[:, place].notna().all(), name.name
    for back in (run.sample(9, seed=0), run.reconstruct(data)):
        assert back.dtypes.tolist() == data.dtypes.tolist()
        pd.testing.assert_index_equal(back.columns, data.columns, exact="equiv")
        for i in range(len(data.columns)):
            assert kinds(back.iloc[:, i]) <= kinds(data.iloc[:, i]), data.columns[i]
    pd.testing.assert_index_equal(run.reconstruct(data).index, data.index, exact="equiv")


@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("group", PANDAS)
def test_model_values_are_those_of_the_data(group, holes):
    data = frame(group, holes)
    opened = open_data(data)
    batch = opened.batch()
    back = opened.decode(batch.x)
    there = torch.ones(batch.x.shape, dtype=torch.bool) if batch.mask is None else batch.mask
    seen = dict(zip(opened.schema.columns, there.T.numpy(), strict=True))
    for column in opened.schema.details.modelled:
        want, got = (f[column.name][seen[column.name]] for f in (data, back))
        assert np.array_equal(seen[column.name], data[column.name].notna())
        if column.decimals is None and column.type == "real":
            near = 1e-3 if "16" in column.name else 1e-6
            np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=near)
        elif column.ticks and column.high - column.low > 2**53:  # more steps than floating point tells apart
            np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=1e-15)
        else:
            pd.testing.assert_series_equal(got, want)
    if group in ("numpy", "nullable", "arrow"):
        drawn = opened.decode(torch.full((1, batch.x.shape[1]), 40.0, dtype=torch.float64))
        for name in data.columns[1:]:
            if drawn[name].dtype.kind in "iuf" and name in seen:
                assert drawn[name].max() <= data[name].max()


@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("group", PANDAS)
def test_every_dtype_of_pandas_comes_back(group, holes):
    data = frame(group, holes)
    check(data, fit(data, **FEW))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_come_back_is_refused_by_name(name):
    data = pd.DataFrame({"x": X, "bad": REFUSED[name]})
    with pytest.raises(InputError, match=r"'bad' has .*schema\.bad=drop"):
        open_data(data)
    data.loc[3, "x"] = np.nan
    run = fit(data, **FEW, schema={"bad": "drop"})
    assert list(run.sample(3, seed=0).columns) == ["x"]
    filled = run.impute(data, k=2)
    assert filled["x"].notna().all()
    assert [repr(v) for v in filled["bad"]] == [repr(v) for v in data["bad"]]


# --- names of columns and rows ----------------------------------------------------------------------------------------
LABELS = {
    "whole": [3, 1, 2], "floats": [0.5, 1.5, 2.5], "bools": [True, False, "x"], "dates": [t.date() for t in TIMES[:3]],
    "times": pd.DatetimeIndex(TIMES[:3], name="when"), "periods": pd.period_range("2020", periods=3, freq="Y"),
    "tuples": [("a", 1), ("b", 2), "c"],
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None]),
    "none": [None, "a", "b"], "nan": [float("nan"), "a", 1], "named": pd.Index(["a", "b", "c"], name="fields"),
    "category": pd.CategoricalIndex(["a", "b", "c"], categories=["c", "b", "a"], name="g"),
    "intervals": pd.interval_range(0, 3), "numpy": pd.Index(np.array([3, 1, 2], dtype="int8")),
    "moments": [pd.Timestamp("2020", tz="UTC"), datetime.timedelta(1), b"x"],
    "durations": pd.to_timedelta([1, 2, 3], "h"),
}
INDEXES = {
    "range": pd.RangeIndex(5, 5 + 2 * N, 2, name="r"), "text": pd.Index([f"r{i}" for i in range(N)]),
    "twice": pd.Index(K), "none": pd.Index([None] * N),
    "times": pd.DatetimeIndex(TIMES, name="t"), "levels": pd.MultiIndex.from_arrays([K, W], names=["a", "b"]),
    "category": pd.CategoricalIndex([f"v{k}" for k in K]), "intervals": pd.interval_range(0, N),
}


@pytest.mark.parametrize("called", LABELS)
def test_columns_and_rows_are_called_as_they_were(called, tmp_path):
    data = pd.DataFrame({0: X, 1: K, 2: [f"v{k}" for k in K]})
    data.columns = LABELS[called]
    data.iloc[::5, 0] = np.nan
    run = fit(data, **FEW, out=tmp_path / "run")
    for index in list(INDEXES.values()) if called == "whole" else [INDEXES["text"]]:
        check(data.set_axis(index, axis=0), load(tmp_path / "run"))
    name = str(data.columns.tolist()[2])
    given = run.sample(4, seed=0, given={name: "v1"})
    assert given.iloc[:, 2].tolist() == ["v1"] * 4
    left = fit(data, **FEW, schema={str(data.columns.tolist()[1]): "drop"}).sample(3, seed=0)
    pd.testing.assert_index_equal(left.columns, data.columns[[0, 2]], exact="equiv")


def test_names_that_cannot_come_back_are_refused():
    data = pd.DataFrame({0: X, 1: K}).set_axis([frozenset("ab"), "k"], axis=1)
    with pytest.raises(InputError, match=r"called by a frozenset.*Rename"):
        open_data(data)
    with pytest.raises(InputError, match="more than once"):
        open_data(data.set_axis([1, "1"], axis=1))


# --- other sources ----------------------------------------------------------------------------------------------------
POLARS = {
    **{t: polars.Series([int(k) for k in W], dtype=getattr(polars, t)) for t in (
        "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")},
    "UInt64 large": polars.Series([2**64 - 1 - int(k) for k in W], dtype=polars.UInt64),
    **{str(t): polars.Series(X.tolist(), dtype=t) for t in (polars.Float32, polars.Float64)},
    "Boolean": polars.Series((K > 1).tolist()), "String": polars.Series([f"v{k}" for k in K]),
    "Categorical": polars.Series([f"v{k}" for k in K], dtype=polars.Categorical),
    "Enum": polars.Series([f"v{k}" for k in K], dtype=polars.Enum(["v3", "v1", "none", "v0", "v2"])),
    "Date": polars.Series([t.date() for t in TIMES]), "Time": polars.Series([t.time() for t in TIMES]),
    **{f"Datetime {u} {z}": polars.Series(TIMES, dtype=polars.Datetime(u)).dt.replace_time_zone(z)
       for u in ("ms", "us", "ns") for z in (None, "Europe/Berlin")},
    **{f"Duration {u}": polars.Series([t - START for t in TIMES], dtype=polars.Duration(u))
       for u in ("ms", "us", "ns")},
    "Decimal": polars.Series(DECIMALS, dtype=polars.Decimal(30, 3)),
}


@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
def test_every_dtype_of_polars_comes_back(holes):
    there = polars.Series(np.arange(N) % 5 > 0) if holes else polars.Series([True] * N)
    data = polars.DataFrame({k: s.zip_with(there, polars.Series([None] * N, dtype=s.dtype)) for k, s in POLARS.items()})
    run = fit(data, **FEW)
    filled = run.impute(data, k=2)
    for back in (filled, run.sample(9, seed=0), run.reconstruct(data)):
        assert back.schema == data.schema
    assert filled.filter(there).equals(data.filter(there))
    left_out = [c.name for c in run.schema.details.columns if not c.modelled]
    assert filled.drop(left_out).null_count().sum_horizontal().item() == 0
    nested = polars.DataFrame({"x": X, "list": [[1]] * N, "struct": [{"a": 1}] * N, "bytes": [b"a"] * N})
    assert open_data(nested).schema.reasons[0].endswith("list, struct, bytes.")
    with pytest.raises(InputError, match="'bad'"):
        open_data(polars.DataFrame({"x": X, "bad": polars.Series([1] * N, dtype=polars.Int128)}))


def written(path, data):
    """Write a pandas frame as something else than senzai does."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pandas(data), path)
    elif path.suffix == ".feather":
        feather.write_feather(data, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({k: None if pd.isna(v) else v for k, v in row.items()}) + "\n"
                                for row in data.astype(object).to_dict("records")))
    elif path.suffix == ".sqlite":
        link = sqlite3.connect(path)
        data.astype(object).where(data.notna(), None).to_sql("t", link, index=False)
        link.commit()
        link.close()
    elif path.suffix == ".xlsx":
        data.to_excel(path, index=False)
    else:
        data.to_csv(path, index=False)


@pytest.mark.parametrize("group", ["nullable", "arrow", "times"])
@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_every_dtype_of_a_typed_file_comes_back(tmp_path, suffix, group):
    data = frame(group, True).drop(columns=["arrow time ns", "arrow dictionary", "timestamps"], errors="ignore")
    if suffix == ".feather":
        data = data.drop(columns=[c for c in data if str(data[c].dtype).startswith("period")])
    written(tmp_path / f"t{suffix}", data)
    run = fit(tmp_path / f"t{suffix}", **FEW)
    filled = run.impute(tmp_path / f"t{suffix}", k=2)
    for back in (run.sample(9, seed=0), run.reconstruct(tmp_path / f"t{suffix}")):
        assert back.dtypes.tolist() == filled.dtypes.tolist()
    for name in data:
        there = data[name].notna().to_numpy()
        assert filled[name][there].tolist() == data[name][there].tolist(), name
        assert filled[name].notna().all(), name
    kind = KINDS["table"]
    kind.write(filled, tmp_path / f"o{suffix}", run.schema)  # and again, from what was written
    again = open_data(tmp_path / f"o{suffix}", schema=run.schema)
    np.testing.assert_allclose(again.batch().x, open_data(filled, schema=run.schema).batch().x)


PLAIN = {
    "large": [2**60 + 1 + int(k) ** 2 for k in W], "small": [1.37e-12 * int(k) for k in W], "x": X.tolist(),
    "truth": [bool(k) for k in K > 1], "text": [f"v {k}" for k in K], "few": [int(k) for k in K],
    "zone": [f"{t.isoformat()}+09:00" for t in TIMES], "day": [f"{t:%m/%d/%Y}" for t in TIMES],
    "moment": [f"{t.isoformat()}.125" for t in TIMES], "number": [int(f"{t:%Y%m%d}") for t in TIMES],
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".sqlite", ".xlsx"])
def test_every_value_of_a_plain_file_comes_back(tmp_path, suffix):
    data = pd.DataFrame({k: objects(v) for k, v in PLAIN.items()})
    data = data.mask(np.arange(N)[:, None] % 5 == [0, 1, 2, 3, 4] * 2).astype(
        {"large": "Int64", "few": "Int64", "number": "Int64", "truth": "boolean", "x": float, "small": float})
    if suffix == ".xlsx":
        data = data.drop(columns="large")
        data[["x", "small"]] = data[["x", "small"]].map(lambda v: float(f"{v:.15g}"))  # Excel has no more digits
    source = tmp_path / f"t{suffix}"
    written(source, data)
    run = fit(source, **FEW)
    types = {c.name: c.type for c in run.schema.details.columns}
    assert [types[n] for n in ("zone", "day", "moment", "number")] == ["date"] * 4
    filled = run.impute(source, k=2)
    for back in (run.sample(9, seed=0), run.reconstruct(source)):
        assert back.dtypes.tolist() == filled.dtypes.tolist()
        assert all(2020 <= v // 10_000 <= 2021 and 1 <= v // 100 % 100 <= 12 for v in back["number"])
    for name in data:
        there = data[name].notna().to_numpy()
        assert filled[name][there].tolist() == data[name][there].tolist(), name
        assert filled[name].notna().all(), name
    for other in (".csv", ".jsonl", ".parquet", ".xlsx"):
        kind = KINDS["table"]
        kind.write(filled, tmp_path / f"o{other}", run.schema)
        again = open_data(tmp_path / f"o{other}", schema=run.schema)
        np.testing.assert_allclose(again.batch().x, open_data(filled, schema=run.schema).batch().x, rtol=1e-12)
