"""Tables: types are found with a reason, and every column comes back as it was."""

from __future__ import annotations

import datetime
import string

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from senzai.core.errors import InputError, SettingError, ShapeError, UserError
from senzai.data import KINDS, Schema, detect_kind, open_data
from senzai.data.table import rows as table_rows

try:
    import polars  # here, because it sets a variable of the environment
except ImportError:
    polars = None

R = np.random.default_rng(0)
N = 200
GRADES = ["low", "mid", "top"]


def big():
    """A column of every sort."""
    return pd.DataFrame({
        "row": np.arange(N),
        "real": R.normal(size=N).round(3),
        "whole": R.integers(-50, 50, size=N) * 1000 + R.integers(0, 999, size=N),
        "age": R.integers(18, 30, size=N),
        "income": np.where(R.random(N) < 0.6, 0.0, np.exp(R.normal(8, 1, size=N)).round(2)),
        "member": R.random(N) < 0.3,
        "flag": R.integers(0, 2, size=N),
        "city": R.choice(["Ulm", "Bonn", "Köln", "=cmd|' /C calc'!A0"], size=N),
        "grade": pd.Categorical(R.choice(GRADES, size=N), categories=GRADES, ordered=True),
        "colour": pd.Categorical(R.choice(["red", "blue"], size=N), categories=["red", "green", "blue"]),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(R.integers(0, 400, size=N), unit="D"),
        "when": pd.Timestamp("2024-01-01", tz="Europe/Berlin")
        + pd.to_timedelta(R.integers(0, 10**7, size=N), unit="s"),
        "maybe": pd.array(R.integers(0, 9, size=N), dtype="Int64"),
        "same": "x",
        "note": [" ".join(R.choice(list(string.ascii_lowercase), size=9)) for _ in range(N)],
        "code": [f"K{i:05d}" for i in range(N)],
        "nothing": np.nan,
        "float32": R.normal(size=N).astype(np.float32),
    })


BIG = big()
BIG.loc[R.random(N) < 0.2, "maybe"] = pd.NA
BIG.loc[R.random(N) < 0.2, "city"] = None
BIG.loc[R.random(N) < 0.1, "when"] = pd.NaT
BIG.loc[R.random(N) < 0.1, "real"] = np.nan
LEFT_OUT = ("row", "note", "code", "nothing")


def there_and_back(frame, **options):
    data = open_data(frame, kind="table", options=options)
    batch = data.batch()
    back = data.decode(batch.x)
    mask = torch.ones(batch.x.shape, dtype=torch.bool) if batch.mask is None else batch.mask
    return data, back, dict(zip(data.schema.columns, mask.T.numpy(), strict=True))


def test_types_are_found():
    types = {c.name: c.type for c in open_data(BIG).schema.details.columns}
    assert types == {
        "row": "identifier", "real": "real", "whole": "real", "age": "ordinal", "income": "real", "member": "boolean",
        "flag": "boolean", "city": "categorical", "grade": "ordinal", "colour": "categorical", "day": "date",
        "when": "date", "maybe": "ordinal", "same": "constant", "note": "text", "code": "identifier",
        "nothing": "constant", "float32": "real",
    }
    assert all(c.reason for c in open_data(BIG).schema.details.columns)


def test_every_column_comes_back_as_it_was():
    data, back, seen = there_and_back(BIG)
    assert list(back.columns) == list(BIG.columns)
    assert [str(t) for t in back.dtypes] == [str(t) for t in BIG.dtypes]
    for name in BIG.columns:
        if name in LEFT_OUT:
            continue
        there = seen.get(name, np.ones(N, dtype=bool))
        want, got = BIG[name][there].reset_index(drop=True), back[name][there].reset_index(drop=True)
        if name == "float32":
            np.testing.assert_allclose(got, want, rtol=1e-6)
        else:
            pd.testing.assert_series_equal(got, want)
    assert back["row"].tolist() == list(range(N, 2 * N))  # new ones
    assert back["code"].iloc[0] == f"K{N:05d}"
    assert back["note"].isna().all()
    assert list(back["grade"].cat.categories) == ["low", "mid", "top"]
    assert back["grade"].cat.ordered
    assert Schema.model_validate_json(data.schema.model_dump_json()) == data.schema


def test_missing_entries_are_masked_and_never_filled_in():
    _, _, seen = there_and_back(BIG)
    for name in ("maybe", "city", "when", "real"):
        assert np.array_equal(seen[name], BIG[name].notna().to_numpy())


VALUES = {
    "int64": st.integers(-(2**53), 2**53),
    "float": st.floats(-1e6, 1e6).map(lambda v: round(v, 3)),
    "text": st.text(min_size=1, max_size=8),
    "bool": st.booleans(),
    "date": st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2250, 1, 1)).map(
        lambda d: d.replace(microsecond=0)),
    "formula": st.sampled_from(["=cmd|' /C calc'!A0", "+1", "-1", "@x", "=1+1"]),
}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_table_comes_back(draw):
    n = draw.draw(st.integers(1, 30))
    sorts = draw.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    frame = pd.DataFrame({
        f"c{i}": pd.Series(draw.draw(st.lists(st.one_of(st.none(), VALUES[s]), min_size=n, max_size=n)),
                           dtype={"int64": "Int64", "bool": "boolean"}.get(s))
        for i, s in enumerate(sorts)
    })
    if all(frame[c].nunique() < 2 for c in frame):
        with pytest.raises(InputError, match="column to learn from"):
            there_and_back(frame)
        return
    if not any(frame[c].nunique() > 1 and not (frame[c].nunique() == n >= 20) for c in frame):
        return  # identifiers only
    data, back, seen = there_and_back(frame)
    assert list(back.columns) == list(frame.columns)
    for column in data.schema.details.columns:
        if not column.modelled:
            continue
        there = seen[column.name]
        assert np.array_equal(there, frame[column.name].notna().to_numpy())
        want, got = frame[column.name][there].tolist(), back[column.name][there].tolist()
        if column.type == "real" and column.decimals is None:
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
        else:
            assert got == want, column


def test_what_was_set_wins():
    frame = pd.DataFrame({
        "n": R.integers(0, 9, N), "p": np.exp(R.normal(size=N)), "b": R.random(N), "k": R.choice(["a", "b"], N),
    })
    data, back, _ = there_and_back(frame, schema={"n": "count", "p": "positive", "b": "bounded", "k": "drop"})
    assert [(c.type, c.sort) for c in data.schema.details.columns] == [
        ("count", "count"), ("positive", "normal"), ("bounded", "normal"), ("dropped", "")]
    assert list(back.columns) == ["n", "p", "b"]
    pd.testing.assert_series_equal(back["n"], frame["n"])
    np.testing.assert_allclose(back[["p", "b"]], frame[["p", "b"]], rtol=1e-9)
    for wrong, why in (
        ({"p": "count"}, "whole numbers"), ({"k": "real"}, "numbers"), ({"n": "date"}, "dates"),
        ({"q": "real"}, "no column 'q'"), ({"n": "cuont"}, "Did you mean 'count'"), ({"n": "constant"}, "one value"),
        ({"n": "boolean"}, "two different"),
    ):
        with pytest.raises(SettingError, match=why):
            open_data(frame, options={"schema": wrong})


def test_many_categories_share_a_level_by_a_stated_rule():
    names = np.repeat([f"v{i:03d}" for i in range(60)], np.r_[np.full(10, 40), np.full(50, 3)])
    data, back, _ = there_and_back(pd.DataFrame({"k": names, "x": R.normal(size=len(names))}), max_categories=11)
    column = data.schema.details.columns[0]
    assert (len(column.levels), column.other, column.size) == (10, True, 11)
    assert "10 most frequent" in column.reason
    assert column.shares[-1] == pytest.approx(150 / 550)
    frequent = np.isin(names, column.levels)
    assert (back["k"][frequent] == names[frequent]).all()
    assert set(back["k"][~frequent]) <= set(names[~frequent])
    never = open_data(pd.DataFrame({"k": ["new"], "x": [0.0]}), schema=data.schema)
    assert never.batch().x[0, 0] == 10


def test_a_category_that_was_never_seen():
    frame = pd.DataFrame({"k": ["a", "b"] * 20, "x": R.normal(size=40)})
    new = pd.DataFrame({"k": ["c", "a"], "x": [0.0, 1.0]})
    with pytest.raises(InputError, match=r"never seen.*unknown=missing"):
        open_data(new, schema=open_data(frame).schema)
    taken = open_data(new, schema=open_data(frame, options={"unknown": "missing"}).schema)
    assert taken.batch().mask.tolist() == [[False, True], [True, True]]


# --- files ------------------------------------------------------------------------------------------------------------
SMALL = BIG.drop(columns=["nothing", "maybe", "grade", "colour"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".arrow", ".jsonl", ".xlsx"])
def test_files_give_what_the_frame_gives(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    frame = SMALL.drop(columns=["when", "float32"])
    kind = KINDS["table"]
    kind.write(frame, path, open_data(frame).schema)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    data = open_data(path)
    types = {c.name: c.type for c in data.schema.details.columns}
    want = {c.name: c.type for c in open_data(frame).schema.details.columns}
    if suffix == ".jsonl":
        want["day"] = types["day"]
    assert types == want
    back = data.decode(data.batch().x)
    for name in ("age", "member", "whole", "same"):
        assert back[name].tolist() == frame[name].tolist()
    there = frame["city"].notna().to_numpy()
    assert back["city"][there].tolist() == frame["city"][there].tolist()  # formulas are text


def test_a_text_table_comes_back_as_text(tmp_path):
    path = tmp_path / "t.csv"
    text = "day,ok,zip,n,name\n" + "".join(
        f"2024-{1 + i % 12:02d}-01,{str(i % 3 == 0).lower()},{i % 4:05d},"
        f"{'' if i % 7 == 0 else i * 37},\"a, {i % 2}\"\n"
        for i in range(60)
    )
    path.write_text(text)
    data = open_data(path)
    assert [c.type for c in data.schema.details.columns] == ["date", "boolean", "categorical", "real", "categorical"]
    back = data.decode(data.batch().x)
    mask = data.batch().mask[:, 3].numpy()
    assert mask.sum() == 51
    KINDS["table"].write(back[mask], tmp_path / "o.csv", data.schema)
    kept = [line for line, there in zip(text.splitlines()[1:], mask, strict=True) if there]
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == kept


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found(tmp_path, encoding, mark):
    path = tmp_path / "t.csv"
    lines = [mark.join(["Größe", "Ort"]), *(mark.join([f"{i}.5", ["Köln", "Ulm"][i % 2]]) for i in range(40))]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    data = open_data(path)
    assert data.schema.columns == ("Größe", "Ort")
    assert data.decode(data.batch().x)["Ort"].tolist() == ["Köln", "Ulm"] * 20


def test_a_file_without_names(tmp_path):
    (tmp_path / "t.csv").write_text("1;0.5\n2;0.25\n3;0.75\n")
    assert [c.name for c in open_data(tmp_path / "t.csv").schema.details.columns] == [0, 1]


def test_polars_comes_back_as_polars():
    if polars is None:
        pytest.skip("polars is not installed")
    frame = polars.DataFrame({"a": R.normal(size=50).tolist(), "k": ["x", "y"] * 25})
    data = open_data(frame)
    back = data.decode(data.batch().x)
    assert isinstance(back, polars.DataFrame)
    assert back["k"].to_list() == frame["k"].to_list()


def test_databases(tmp_path):
    import sqlite3

    path = tmp_path / "shop.sqlite"
    link = sqlite3.connect(path)
    BIG[["age", "city", "income"]].to_sql("people", link, index=False)
    link.close()
    assert open_data(path).schema.columns == ("age", "city", "income")
    assert len(open_data(path, options={"query": "select age, city from people where age > 20"})) < N
    pytest.importorskip("sqlalchemy")
    assert detect_kind(f"sqlite:///{path}") == "table"
    assert open_data(f"sqlite:///{path}", options={"table": "people"}).schema.columns == ("age", "city", "income")
    with pytest.raises(UserError, match="people"):
        open_data(path, options={"table": "peple"})


def test_a_large_file_is_streamed_to_the_same_rows(tmp_path):
    frame = SMALL.drop(columns=["when"])
    for suffix in (".csv", ".parquet", ".jsonl"):
        path = tmp_path / f"t{suffix}"
        KINDS["table"].write(frame, path, open_data(frame).schema)
        whole, streamed = (open_data(path, options={"in_memory": m}) for m in (True, False))
        assert (whole.rows.in_memory, streamed.rows.in_memory) == (True, False)
        assert [c.type for c in whole.schema.details.columns] == [c.type for c in streamed.schema.details.columns]
        index = [5, 3, 199, 3, 0]
        a, b = whole.batch(index), streamed.batch(index)
        assert torch.equal(a.mask, b.mask)
        torch.testing.assert_close(torch.where(a.mask, a.x, 0), torch.where(b.mask, b.x, 0))
        assert whole.schema.fingerprint == streamed.schema.fingerprint


def test_rows_of_a_streamed_file_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(table_rows, "ROWS", 7)
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"k": ["a", "b"] * 20, "x": np.arange(40) * 0.37, "note": "left"})
    frame.to_csv(path, index=False)
    data = open_data(path, options={"in_memory": False})
    assert len(data) == 40
    frame.loc[30, "k"] = "new"
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=r"'new' in row 2 \(from 0\).*counted from row 28"):
        open_data(path, schema=data.schema, options={"in_memory": False})
    frame.rename(columns={"k": "kk"}).to_csv(path, index=False)
    with pytest.raises(ShapeError, match=r"lacks k\..*Did you mean 'kk'"):
        open_data(path, schema=data.schema, options={"in_memory": False})


# --- what is refused --------------------------------------------------------------------------------------------------
def test_bad_tables(tmp_path):
    path = tmp_path / "t.csv"
    for text, why in (
        ("", "is empty"), ("a,b\n", "0 rows"), ("a,a\n1,2\n3,4\n", "'a'.*more than once"),
        ("a,b\n1,2\n3,4,5\n6,7\n", "2 cells in every line"), ("a,b,c\n1,2,3\n4,5,6\n7,8", "cut off"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=why):
            open_data(path)
    path.write_bytes("a,b\nKöln,1\n".encode() + b"K\xf6ln,2\n")
    with pytest.raises(InputError, match="line 2 and not in line 3"):
        open_data(path)
    path.write_text(",b\n1.5,2\n2.5,3\n3.5,5\n")
    assert open_data(path).schema.columns[0] == "unnamed_0"
    with pytest.raises(InputError, match="column to learn from"):
        open_data(pd.DataFrame({"a": [np.nan, np.nan]}))
    with pytest.raises(InputError, match="infinite in row 1"):
        open_data(pd.DataFrame({"a": [1.0, np.inf]}))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="must be a whole file"):
        open_data(tmp_path / "t.parquet")


def test_other_rows_for_a_model(tmp_path):
    schema = open_data(BIG).schema
    some = BIG.iloc[:5]
    shuffled = some[list(BIG.columns)[::-1]].assign(more=1)
    assert torch.equal(open_data(shuffled, schema=schema).batch().x, open_data(some, schema=schema).batch().x)
    with pytest.raises(ShapeError, match="lacks age"):
        open_data(some.drop(columns=["age"]), schema=schema)
    with pytest.raises(InputError, match="'age' holds ordinal values, but got 'old' in row 0"):
        open_data(some.assign(age="old"), schema=schema)
    with pytest.raises(InputError, match="'day' holds dates"):
        open_data(some.assign(day="the 30th of February"), schema=schema)
    path = tmp_path / "t.csv"
    path.write_text("age,x\n" + "".join(f"{20 + i % 9},{i * 0.37}\n" for i in range(90)))
    csv = open_data(path).schema
    path.write_text("age,x\n20,1.5\nold,2.5\n")
    with pytest.raises(InputError, match=r"'age' holds numbers, but .* has 'old' there in row 1"):
        open_data(path, schema=csv)


def test_whole_numbers_beyond_doubles_are_kept_exactly_where_they_repeat():
    values = [2**60 + 1, 2**60 + 2, 2**60 + 3]
    frame = pd.DataFrame({"n": values * 20, "x": R.normal(size=60)})
    data, back, _ = there_and_back(frame)
    assert data.schema.details.columns[0].type == "ordinal"
    assert back["n"].tolist() == frame["n"].tolist()
    many = pd.DataFrame({"n": R.integers(2**61, 2**62, size=60), "x": R.normal(size=60)})
    assert any("beyond 2^53" in r for r in open_data(many).schema.reasons)


def test_one_row_and_very_many_columns(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    with pytest.raises(InputError, match=r"column to learn from.*one value only"):
        open_data(frame.iloc[:1])
    (tmp_path / "one.csv").write_text("a,b\n1.5,x\n")
    with pytest.raises(InputError, match=r"column to learn from.*one value only"):
        open_data(tmp_path / "one.csv")
    assert len(open_data(frame)) == 2
    assert len(open_data(frame.iloc[:1], schema=open_data(frame).schema)) == 1  # one row is enough for a model
    wide = pd.DataFrame(R.normal(size=(8, 10_000)), columns=[f"c{i}" for i in range(10_000)])
    assert open_data(wide).batch().x.shape == (8, 10_000)


def test_dates_far_away_and_dates_that_are_none(tmp_path):
    path = tmp_path / "t.csv"
    days = ["9999-12-31", "0001-01-01", "2024-05-05"]
    path.write_text("day,x\n" + "".join(f"{days[i % 3]},{i * 0.3}\n" for i in range(60)))
    data = open_data(path)
    assert data.schema.details.columns[0].type == "date"
    assert data.decode(data.batch().x)["day"].tolist() == days * 20
    for day, row in (("2023-02-30", 1), ("12 May", 1)):
        (tmp_path / "other.csv").write_text(f"day,x\n2024-01-01,0.5\n{day},0.6\n")
        with pytest.raises(InputError, match=r"'day' holds dates.*leave it empty") as told:
            open_data(tmp_path / "other.csv", schema=data.schema)
        assert f"row {row} (from 0)" in str(told.value)
        assert repr(day) in str(told.value)
