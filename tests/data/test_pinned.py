"""Small things of reading and decoding, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from senzai.data import encodings, fingerprint, open_data
from senzai.data.frame_files import excel_cell
from senzai.data.sources import is_pair
from senzai.data.table import exact
from senzai.data.table.column import Column, TableDetails
from senzai.data.table.inference import cuts_of
from senzai.data.table.series import as_numbers
from senzai.data.table.survey import ColumnFacts

R = np.random.default_rng(0)


# --- columns seen piece by piece --------------------------------------------------------------------------------------
PIECES = {
    "words then numbers": (["a", "b"], [1, 2], "text"), "whole then parts": ([1, 2], [0.5, 1e-9], "float"),
    "nothing then whole": ([None, None], [3, 4], "int"), "whole then nothing": ([3, 4], [None, None], "int"),
    "nothing": ([None], [None], "float"), "whole then words": ([1, 2], ["a", "b"], "text"),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_column_holds_what_all_its_pieces_hold(name):
    first, second, holds = PIECES[name]
    facts = ColumnFacts("c")
    for piece in (first, second):
        facts.see(pd.Series(piece, dtype=object if "words" in name else None))
    assert facts.holds == holds
    assert facts.n_seen == sum(v is not None for v in first + second)


# --- labels -----------------------------------------------------------------------------------------------------------
def test_a_label_is_the_column_of_that_very_name():
    frame = pd.DataFrame({"area": [1.5, 2.5, 0.5], "kind": ["x", "y", "x"], "kind2": ["u", "u", "v"]})
    batch = open_data(frame, options={"label": "kind"}).batch()
    assert batch.y.tolist() == [0, 1, 0]


def test_an_array_of_another_length_is_no_label(tmp_path):
    x = R.normal(size=(6, 2))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(4))
    data = open_data(tmp_path / "d.npz")
    assert data.schema.label is None
    assert len(data.batch()) == 6


# --- columns as numbers -----------------------------------------------------------------------------------------------
def test_values_between_the_counted_ones_are_counted_too():
    """Learned in fives of a tenth from 0.5; what comes later may lie between, or be no whole number of tenths."""
    column = Column(name="c", type="real", ticks="decimal", scale=1, origin=5, step=5)
    found = as_numbers(pd.Series([0.5, 1.25, np.nan, 2.0]), column)
    np.testing.assert_allclose(found, [0, 1.5, np.nan, 3], rtol=1e-12)


# --- conditions of a table that is streamed ---------------------------------------------------------------------------
def test_combinations_of_a_condition_are_those_of_all_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("senzai.data.table.inference.ROWS", 10)
    frame = pd.DataFrame({"x": R.normal(size=120), "c": np.repeat(["u", "v", "w"], 40), "d": [0.5, 1.5] * 60})
    frame.to_csv(tmp_path / "t.csv", index=False)
    schemas = [
        open_data(tmp_path / "t.csv", options={"condition": ["c", "d"], "in_memory": whole}).schema
        for whole in (True, False)
    ]
    assert schemas[0].condition == schemas[1].condition
    assert schemas[0].condition is not None


def test_labels_may_be_a_column_beside_a_table_of_numbers():
    x = R.normal(size=(6, 2))
    y = np.array([[4], [7], [7], [4], [4], [7]])
    batch = open_data((x, y)).batch()
    assert batch.y.tolist() == [0, 1, 1, 0, 0, 1]
    assert batch.tensor.shape == (6, 2)
    assert not is_pair((x, np.c_[y, y]))


# --- cells ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("most", "dtype"), [(2**62, "int64"), (2**63 - 1, "int64"), (2**63, "uint64"), (2**64, object)]
)
def test_whole_numbers_have_the_type_that_holds_them(most, dtype):
    for values, name in (([0, most], dtype), ([0, most, None], str(dtype).replace("int", "Int").replace("uI", "UI"))):
        found = exact.series_of(values)
        assert found.dtype == (object if dtype is object else name)
        assert found.tolist()[1] == most


@pytest.mark.parametrize(("micro", "kept"), [(0, True), (999, False), (1000, True), (1998, False), (999_000, True)])
def test_excel_has_milliseconds_and_no_more(micro, kept):
    for when in (datetime.datetime(2026, 1, 2, 3, 4, 5, micro), datetime.time(3, 4, 5, micro)):
        assert excel_cell(when) == (when if kept else when.isoformat())


def test_words_are_collected_until_there_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr("senzai.data.encodings.SAMPLE", 20)
    words = [f"caf\u00e9{i}" for i in range(10)]
    (tmp_path / "t.csv").write_text("\n".join(["a", *words, *words]), encoding="utf-8")
    found, mixture = encodings._words(tmp_path / "t.csv")
    assert found.decode().split() == words[:3], "seven bytes each, and one between"
    assert mixture is None


# --- fingerprints -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "seen"), [(256, {0, 1, 2, 255}), (512, {0, 2}), (513, {0, 3})])
def test_of_many_large_files_evenly_spaced_ones_are_read(tmp_path, monkeypatch, n, seen):
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES", 100)
    paths = [tmp_path / f"{i:03d}" for i in range(n)]
    for path in paths:
        path.write_bytes(b"a")
    before, changed = fingerprint.of_files(paths, tmp_path), set()
    for i in (0, 1, 2, 3, n - 1):
        paths[i].write_bytes(b"b")
        changed |= {i} if fingerprint.of_files(paths, tmp_path) != before else set()
        paths[i].write_bytes(b"a")
    assert changed == seen | ({3} if n == 256 else set())


# --- dates that are numbers -------------------------------------------------------------------------------------------
def test_python_numbers_that_are_dates_come_back_as_python_numbers():
    days = [int(f"{t:%Y%m%d}") for t in pd.date_range("2015-01-01", periods=120, freq="19D")]
    frame = pd.DataFrame({"c": pd.Series(days, dtype=object), "x": R.normal(size=120)})
    data = open_data(frame)
    found = data.schema.details.columns[0]
    assert (found.type, found.objects) == ("date", "whole")
    back = data.decode(data.batch().x)["c"].tolist()
    assert back == days
    assert {type(v) for v in back} == {int}


# --- cut points of steps ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "first"), [(4, 0.5e-4 / 4 / (0.75 + 0.5e-4)), (1000, 1e-7)])
def test_cuts_are_logits_of_cumulative_shares(n, first):
    """The first level has a probability of its own: of the others' it has half a ten-thousandth over all levels."""
    column = Column(name="c", type="ordinal", sort="steps", levels=tuple(range(n)), shares=(1 / n,) * n, spike=0)
    (cuts,) = cuts_of(TableDetails(columns=(column,)))
    below = np.r_[0.5e-4 / n, np.full(n - 1, 1 / n + 0.5e-4 / n)].cumsum()
    below = below[:-1] / below[-1]
    assert cuts[0] == pytest.approx(np.log(first / (1 - first)), rel=1e-6)
    np.testing.assert_allclose(cuts[1:], np.log(below / (1 - below))[1:], rtol=1e-6, atol=1e-3)
