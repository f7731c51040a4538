"""Cells of typed files: no whole number, decimal or text is changed on the way in, through a model's verbs, or out."""

from __future__ import annotations

import datetime
import decimal
import json
import sqlite3

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from senzai.core.errors import InputError, UnknownNameError
from senzai.data import KINDS, open_data
from senzai.data.frame_files import FrameWriter
from senzai.data.table.exact import joined, series_of
from senzai.data.table.filling import fill
from senzai.data.table.ticks import in_unit, narrow

try:
    import polars  # here, because it sets a variable of the environment
except ImportError:
    polars = None

N = 60
X = [(i * 37 % 101) / 7 for i in range(N)]
IDS = [None if i % 7 == 0 else 2**60 + 1 + i * i for i in range(N)]
HASHES = [None if i % 7 == 0 else 2**64 - 1 - i * i for i in range(N)]
MONEY = [None if i % 9 == 0 else decimal.Decimal(i * 37 % 1000) / 100 for i in range(N)]
BIG = [None if i % 8 == 0 else decimal.Decimal(10**30 + i).scaleb(-5) for i in range(N)]
STEPS = [decimal.Decimal(i % 3) / 10 for i in range(N)]
TWO = [decimal.Decimal(1 + i % 2) / 10 for i in range(N)]
ARROW = pa.table({
    "x": X, "id": pa.array(IDS, pa.int64()), "hash": pa.array(HASHES, pa.uint64()),
    "money": pa.array(MONEY, pa.decimal128(10, 2)), "big": pa.array(BIG, pa.decimal128(38, 5)),
    "steps": pa.array(STEPS, pa.decimal128(5, 1)), "two": pa.array(TWO, pa.decimal128(5, 1)),
    "one": pa.array([decimal.Decimal("0.3")] * N, pa.decimal128(5, 1)),
    "number": pa.array([None if i % 6 == 0 else i % 4 for i in range(N)], pa.int8()),
})


def cells(frame, name):
    return [None if v is pd.NA or v is None or v != v else v for v in frame[name].tolist()]


def sqlite(path):
    link = sqlite3.connect(path)
    link.execute("create table t(x real, id integer)")
    link.executemany("insert into t values (?, ?)", list(zip(X, IDS, strict=True)))
    link.commit()
    link.close()
    return path


def arrow_file(path):
    with ipc.new_file(str(path), ARROW.schema) as writer:
        writer.write_table(ARROW, max_chunksize=25)
    return path


def parquet(path, table=ARROW):
    pq.write_table(table, path, row_group_size=25)
    return path


def json_lines(path):
    rows = [{"x": a, "id": b} if b is not None or a > 5 else {"x": a} for a, b in zip(X, IDS, strict=True)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


# --- whole numbers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("make", "suffix"), [(parquet, "parquet"), (arrow_file, "arrow"), (json_lines, "jsonl")])
def test_whole_numbers_with_holes_keep_every_digit(tmp_path, make, suffix, streamed):
    data = open_data(make(tmp_path / f"t.{suffix}"), options={"in_memory": not streamed})
    for rows in (10, 1000):
        assert [v for f in data.source.pieces(rows) for v in cells(f, "id")] == IDS
    if suffix != "jsonl":
        assert [v for f in data.source.pieces(10) for v in cells(f, "hash")] == HASHES


@pytest.mark.parametrize("make", [
    lambda d: sqlite(d / "t.db"), lambda d: f"sqlite:///{sqlite(d / 't.db')}", lambda d: ARROW,
    pytest.param(lambda d: polars.from_arrow(ARROW), marks=pytest.mark.skipif(polars is None, reason="no polars")),
])
def test_whole_numbers_of_databases_and_frames_keep_every_digit(tmp_path, make):
    data = open_data(make(tmp_path))
    assert cells(data.source.whole, "id") == IDS
    assert str(data.source.whole["id"].dtype) in ("Int64", "int64[pyarrow]")


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl", "csv", "xlsx"])
def test_observed_cells_are_written_as_they_were(tmp_path, suffix):
    data = open_data(ARROW)
    filled = fill(data.source.whole, data.batch().tensor, data.schema.details)
    path = tmp_path / f"o.{suffix}"
    with FrameWriter(path) as writer:
        writer.write(filled)
    if suffix == "xlsx":  # its numbers have 15 digits, as they do in Excel
        assert cells(pd.read_excel(path), "number")[1:6] == [1, 2, 3, 0, 1]
        return
    if suffix == "csv":
        back = [line.split(",") for line in path.read_text().splitlines()]
        found = {n: [row[j] for row in back[1:]] for j, n in enumerate(back[0])}
    elif suffix == "jsonl":
        rows = [json.loads(s, parse_float=str, parse_int=str) for s in path.read_text().splitlines()]
        found = {n: [r[n] for r in rows] for n in rows[0]}
    else:
        read = pq.read_table(path) if suffix == "parquet" else ipc.open_file(path).read_all()
        assert read.schema.remove_metadata() == ARROW.schema.remove_metadata()
        found = read.to_pydict()
    for name in ARROW.column_names[1:]:
        was = ARROW[name].to_pylist()
        assert [str(b) for a, b in zip(was, found[name], strict=True) if a is not None] == [
            str(a) for a in was if a is not None], name


def test_parts_of_a_table_are_joined_without_loss():
    def one(*parts):
        return joined([pd.DataFrame({"a": series_of(p)}) for p in parts])["a"]

    assert one([None, None], [2**60 + 1]).tolist()[2] == 2**60 + 1
    assert one([2**60 + 1], [2.5]).tolist() == [2**60 + 1, 2.5]
    assert one([2**63 + 1], [-1]).tolist() == [2**63 + 1, -1]
    assert str(one([1], [2.5]).dtype) == "float64"
    assert str(one([1], [2, None]).dtype) == "Int64"
    assert one([1], ["x"], [None]).tolist() == [1, "x", None]


# --- decimals -------------------------------------------------------------------------------------------------------
def test_decimals_are_modelled_as_numbers_and_come_back_as_decimals():
    data = open_data(ARROW)
    types = {c.name: (c.type, c.dtype) for c in data.schema.details.columns}
    assert types["money"] == ("real", "arrow: decimal128(10, 2)")
    assert types["steps"] == ("ordinal", "arrow: decimal128(5, 1)")
    assert types["two"][0] == "boolean"
    assert types["one"][0] == "constant"
    made = data.decode(data.batch().x)
    table = pa.Table.from_pandas(made)
    for name in ("money", "steps", "two", "one"):
        assert table.schema.field(name).type == ARROW.schema.field(name).type
        was, back = ARROW[name].to_pylist(), table[name].to_pylist()
        assert [b for a, b in zip(was, back, strict=True) if a is not None] == [a for a in was if a is not None]


# --- JSON lines -----------------------------------------------------------------------------------------------------
def test_numbers_in_json_lines_come_back_to_the_last_digit(tmp_path):
    r = np.random.default_rng(0)
    rows = [{"tiny": float(v) * 1e-12, "any": float(v), "whole": i, "text": "é\n\"", "yes": i % 2 == 0,
             "none": None if i % 3 else 0.1 + i} for i, v in enumerate(r.normal(size=N))]
    (tmp_path / "t.jsonl").write_text("\ufeff" + "".join(json.dumps(row) + "\n\n" for row in rows), "utf-8")
    data = open_data(tmp_path / "t.jsonl")
    with FrameWriter(tmp_path / "o.jsonl") as writer:
        for piece in data.source.pieces(7):
            writer.write(piece)
    assert [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()] == rows
    times = pd.DataFrame({"t": pd.to_datetime(["2026-03-01T12:00:00.123456", None]).as_unit("us")})
    with FrameWriter(tmp_path / "d.jsonl") as writer:
        writer.write(times)
    assert (tmp_path / "d.jsonl").read_text() == '{"t":"2026-03-01T12:00:00.123456"}\n{"t":null}\n'


def test_dates_in_json_lines_are_dates_and_numbers_are_none(tmp_path):
    rows = [{"day": f"2026-01-{1 + i % 28:02d}", "timestamp": 1_600_000_000 + i * i, "x": X[i]} for i in range(N)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    data = open_data(tmp_path / "t.jsonl")
    types = {c.name: c.type for c in data.schema.details.columns}
    assert types == {"day": "date", "timestamp": "real", "x": "real"}
    assert data.decode(data.batch().x)["day"].tolist() == [r["day"] for r in rows]


@pytest.mark.parametrize(("line", "said"), [("[1, 2]", "line 3 is"), ('{"x": 1', "line 3 is not"), ("x", "line 3")])
def test_a_line_that_is_no_object_is_named(tmp_path, line, said):
    (tmp_path / "t.jsonl").write_text('{"x": 1}\n{"x": 2}\n' + line + "\n")
    with pytest.raises(InputError, match=said):
        open_data(tmp_path / "t.jsonl")


# --- what a table cannot have ---------------------------------------------------------------------------------------
def test_lists_structures_and_bytes_are_left_out_by_name(tmp_path):
    odd = {"list": [[1, 2]] * N, "struct": [{"a": 1}] * N, "bytes": [b"\xff\x00"] * N,
           "map": pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64()))}
    table = pa.table({"x": X, **odd})
    link = sqlite3.connect(tmp_path / "t.db")
    link.execute("create table t(x real, bytes blob)")
    link.executemany("insert into t values (?, ?)", [(x, b"\xff\x00") for x in X])
    link.commit()
    link.close()
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"x": x, "list": [1], "struct": {}}) + "\n" for x in X))
    frame = pd.DataFrame({"x": X, "list": [[1]] * N})
    for source in (parquet(tmp_path / "t.parquet", table), table, tmp_path / "t.db", tmp_path / "t.jsonl", frame):
        for streamed in (False, True):
            data = open_data(source, options={"in_memory": not streamed})
            assert [c.name for c in data.schema.details.columns] == ["x"]
            assert data.schema.reasons[0].startswith("Left out")
            assert "bytes" in data.schema.reasons[0] or "list" in data.schema.reasons[0]


# --- Excel ----------------------------------------------------------------------------------------------------------
def test_excel_keeps_text_as_text(tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({
            "code": [f"{501 + i % 9:05d}" for i in range(N)], "land": ["NA", "DE", "FR"] * 20,
            "mixed": [1.5, "NA", 2.5, 4.25, 5] * 12, "whole": [None if i % 7 == 0 else 2**40 + i for i in range(N)],
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(range(N), unit="D"), "flag": [True, False] * 30,
        }).to_excel(book, sheet_name="first", index=False, startrow=2)
        pd.DataFrame({"x": X}).to_excel(book, sheet_name="2020", index=False)
        pd.DataFrame({"x": [*X, 1.0]}).to_excel(book, sheet_name="third", index=False)
    data = open_data(tmp_path / "t.xlsx")
    whole = data.source.whole
    assert whole["code"].tolist() == [f"{501 + i % 9:05d}" for i in range(N)]
    assert whole["land"].tolist() == ["NA", "DE", "FR"] * 20
    assert (whole["mixed"].isna().sum(), str(whole["mixed"].dtype)) == (12, "float64")
    assert cells(whole, "whole") == [None if i % 7 == 0 else 2**40 + i for i in range(N)]
    assert [str(whole[n].dtype)[:8] for n in ("day", "flag")] == ["datetime", "bool"]
    said = " ".join(data.schema.reasons)
    assert "The sheet 'first' is read; 2020, third are left (option sheet=...)." in said
    assert "code: text in Excel, though it looks like numbers" in said
    sheets = {s: len(open_data(tmp_path / "t.xlsx", options={"sheet": s})) for s in (0, 1, 2, 2020, "2020", "third")}
    assert sheets == {0: N, 1: N, 2: N + 1, 2020: N, "2020": N, "third": N + 1}
    assert open_data(tmp_path / "t.xlsx", options={"na": "NA"}).source.whole["land"].isna().sum() == 20
    with pytest.raises(UnknownNameError, match="has the sheets first, 2020, third, but got sheet='2021'"):
        open_data(tmp_path / "t.xlsx", options={"sheet": "2021"})


def test_times_with_a_zone_do_not_shift_through_excel(tmp_path):
    pytest.importorskip("openpyxl")
    zone = "Europe/Berlin"  # with the night when the clocks go back: two hours of one name
    frame = pd.DataFrame({"t": pd.date_range("2026-10-24 20:00", periods=N, freq="37min", tz=zone), "x": X})
    data = open_data(frame)
    KINDS["table"].write(data.decode(data.batch().x), tmp_path / "t.xlsx", data.schema)
    again = open_data(tmp_path / "t.xlsx", schema=data.schema)
    np.testing.assert_allclose(again.batch().x, data.batch().x, atol=1e-9)
    first = pd.read_excel(tmp_path / "t.xlsx")["t"][0]
    assert datetime.datetime.fromisoformat(first) == frame["t"][0].to_pydatetime()


def test_whole_numbers_are_64_bits_where_these_hold_them():
    for low, high, kind in ((-(2**63), 2**63 - 1, np.int64), (-(2**63) - 1, 0, object), (0, 2**63, object)):
        assert narrow(np.array([low, high], dtype=object)).dtype == kind


def test_ticks_of_a_finer_unit_are_counted_whole_in_a_coarser_one():
    assert in_unit(np.array([5_999, 6_000]), "ms", "s").tolist() == [5, 6]
    assert in_unit(np.array([2, 3]), "D", "s").tolist() == [172_800, 259_200]
