"""Tables in many files: every row once, in every form and place, and errors that name the shard."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyarrow import ipc

from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.data.table import shard_rows


def frame(n=230):
    rng = np.random.default_rng(3)
    made = pd.DataFrame({
        "id": np.arange(n), "a": rng.normal(size=n), "b": rng.normal(size=n) ** 2,
        "city": rng.choice(["Ulm", "Bonn"], n),
    })
    made.loc[::17, "b"] = np.nan
    return made


CUTS = (0, 50, 51, 120, 230)


def tables(made):
    table = pa.Table.from_pandas(made, preserve_index=False)
    return [table.slice(a, b - a) for a, b in pairwise(CUTS)]


def write_tar(path, made):
    with tarfile.open(path, "w") as tar:
        for i, row in enumerate(made.to_dict("records")):
            text = json.dumps({k: None if v != v else v for k, v in row.items()}).encode()
            told = tarfile.TarInfo(f"{i:05d}.json")
            told.size = len(text)
            tar.addfile(told, io.BytesIO(text))


def write(folder, form="parquet", made=None):
    folder.mkdir(parents=True)
    for i, table in enumerate(tables(frame() if made is None else made)):
        path = folder / f"part-{i}.{form}"
        if form == "parquet":
            pq.write_table(table, path, row_group_size=30)
        elif form == "arrow":
            with ipc.new_file(path, table.schema) as file:
                file.write_table(table, max_chunksize=30)
        else:
            write_tar(path, table.to_pandas())
    (folder / "_SUCCESS").touch()
    return folder


OPTIONS = {"schema": {"id": "count"}, "in_memory": False}


@pytest.fixture
def whole():
    return open_data(frame(), options={"schema": {"id": "count"}})


def assert_rows(found, whole, at):
    a, b = found.rows.take(at), whole.rows.take(at)
    torch.testing.assert_close(a.x, b.x.to(a.x.dtype))
    assert torch.equal(a.observed, b.observed)


@pytest.mark.parametrize("form", ["parquet", "arrow", "tar"])
def test_shards_are_the_table_they_were_cut_from(form, tmp_path, whole):
    if form == "tar":
        pytest.importorskip("webdataset")
    found = open_data(str(write(tmp_path / "shards", form)), options=OPTIONS)
    assert len(found) == 230
    assert [c.type for c in found.schema.details.columns] == [c.type for c in whole.schema.details.columns]
    assert {n: i.tolist() for n, i in found.split_indices().items()} == {
        n: i.tolist() for n, i in whole.split_indices().items()
    }
    at = np.random.default_rng(0).permutation(230)
    assert_rows(found, whole, at)
    assert_rows(found, whole, np.array([229, 0, 0, 50, 51]))
    assert len(found.rows.take(np.array([], dtype=int))) == 0


def test_a_small_folder_is_read_into_memory(tmp_path, whole):
    found = open_data(str(write(tmp_path / "shards")), options={"schema": {"id": "count"}})
    assert found.rows.in_memory
    assert_rows(found, whole, np.arange(230))


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_object_stores_are_read_through_fsspec(scheme, tmp_path, whole):
    fsspec = pytest.importorskip("fsspec")
    folder = write(tmp_path / "shards")
    address = "file:" + f"//{folder}"
    if scheme == "memory":
        address = "memory://bucket/shards"
        store = fsspec.filesystem("memory")
        store.put(str(folder), "/bucket/shards", recursive=True)
    found = open_data(address, options=OPTIONS)
    assert_rows(found, whole, np.arange(230)[::-1].copy())
    one = open_data(f"{address}/part-3.parquet", options=OPTIONS)
    assert len(one) == 110
    with pytest.raises(InputError, match="has none"):
        open_data(f"{scheme}:///nowhere/at/all")


def test_a_group_is_read_once_and_only_if_it_is_needed(tmp_path):
    found = open_data(str(write(tmp_path / "shards")), options=OPTIONS)
    starts = found.source.shards.starts
    assert starts.tolist() == [0, 30, 50, 51, 81, 111, 120, 150, 180, 210, 230]
    for _ in range(3):
        found.rows.take(np.array([35, 90]))
    assert found.rows.read == {1: 1, 4: 1}


def test_rows_of_many_groups_are_picked_out_and_not_kept(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(shard_rows, "MANY", 3)
    found = open_data(str(write(tmp_path / "shards")), options=OPTIONS)
    assert_rows(found, whole, np.arange(230)[::10])
    assert_rows(found, whole, np.arange(230)[::10])
    assert set(found.rows.read.values()) == {2}
    some = found.rows.some(np.arange(230), 12, seed=0)
    assert len(set(np.searchsorted(found.source.shards.starts, some, side="right"))) <= 3
    assert len(some) == 12


def test_blocks_are_of_bounded_size(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(shard_rows, "BLOCK_BYTES", 0)
    monkeypatch.setattr(shard_rows.ShardRows, "block", 7)
    found = open_data(str(write(tmp_path / "shards")), options=OPTIONS)
    assert np.diff(found.rows.cuts).max() == 7
    assert_rows(found, whole, np.random.default_rng(1).permutation(230))


def test_a_shard_without_rows_is_no_error(tmp_path, whole):
    folder = write(tmp_path / "shards")
    pq.write_table(tables(frame())[0].slice(0, 0), folder / "part-2b.parquet")
    found = open_data(str(folder), options=OPTIONS)
    assert_rows(found, whole, np.arange(230))
    assert any("part-2b.parquet" in r for r in found.schema.reasons)
    for part in folder.glob("part-?.parquet"):
        part.unlink()
    with pytest.raises(InputError, match="0 rows"):
        open_data(str(folder), options=OPTIONS)


def test_one_file_under_two_names_is_noticed(tmp_path):
    folder = write(tmp_path / "shards")
    shutil.copy(folder / "part-3.parquet", folder / "part-9.parquet")
    with pytest.raises(InputError, match=r"'part-3.parquet' and 'part-9.parquet' hold the same"):
        open_data(str(folder), options=OPTIONS)


def test_shards_of_one_size_that_differ_are_no_copies(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for i in range(3):
        pq.write_table(pa.table({"a": np.arange(40.0) + i}), folder / f"{i}.parquet", compression=None)
    assert len(open_data(str(folder), options={"in_memory": False})) == 120


def test_a_damaged_shard_is_named(tmp_path):
    folder = write(tmp_path / "shards")
    path = folder / "part-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"must be whole, but 'part-1.parquet' cannot be read"):
        open_data(str(folder), options=OPTIONS)


def test_a_shard_that_is_damaged_within_is_named(tmp_path):
    folder = write(tmp_path / "shards")
    found = open_data(str(folder), options=OPTIONS)
    path = folder / "part-3.parquet"
    held = bytearray(path.read_bytes())
    held[4:400] = bytes(396)
    path.write_bytes(bytes(held))
    with pytest.raises(InputError, match=r"'part-3.parquet' cannot be read"):
        found.rows.take(np.array([125]))


def test_a_shard_that_went_or_changed_is_named(tmp_path):
    folder = write(tmp_path / "shards")
    found = open_data(str(folder), options=OPTIONS)
    (folder / "part-3.parquet").unlink()
    found.rows.take(np.array([0]))
    with pytest.raises(InputError, match=r"must be there, but 'part-3.parquet' is not"):
        found.rows.take(np.array([229]))
    pq.write_table(tables(frame())[2], folder / "part-3.parquet")
    with pytest.raises(InputError, match="Leave them alone"):
        found.rows.take(np.array([229]))


def test_shards_of_different_columns_are_refused(tmp_path):
    folder = write(tmp_path / "shards")
    table = tables(frame())[1]
    pq.write_table(table.drop_columns(["a"]), folder / "part-8.parquet")
    with pytest.raises(InputError, match=r"'a' is double in 'part-0.parquet' and not there in 'part-8.parquet'"):
        open_data(str(folder), options=OPTIONS)
    pq.write_table(table.set_column(1, "a", pa.array(["x"])), folder / "part-8.parquet")
    with pytest.raises(InputError, match=r"'a' is double in 'part-0.parquet' and string in 'part-8.parquet'"):
        open_data(str(folder), options=OPTIONS)


def test_another_order_of_columns_is_the_same_table(tmp_path, whole):
    folder = write(tmp_path / "shards")
    path = folder / "part-3.parquet"
    pq.write_table(pq.read_table(path).select(["city", "b", "a", "id"]), path)
    found = open_data(str(folder), options=OPTIONS)
    assert_rows(found, whole, np.arange(230))


def test_a_sample_without_a_row_is_named(tmp_path):
    pytest.importorskip("webdataset")
    folder = tmp_path / "shards"
    folder.mkdir()
    with tarfile.open(folder / "a.tar", "w") as tar:
        told = tarfile.TarInfo("one.png")
        told.size = 3
        tar.addfile(told, io.BytesIO(b"abc"))
    with pytest.raises(InputError, match=r"'a.tar' cannot be read: sample 'one' has no object as .json, but png"):
        open_data(str(folder))


def test_a_folder_with_other_files_is_no_table(tmp_path):
    folder = write(tmp_path / "shards")
    (folder / "notes.txt").write_text("x")
    with pytest.raises(InputError):
        open_data(str(folder))
