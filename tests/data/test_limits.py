"""What a file is and what it announces is looked at before memory is asked for; sizes are announced, never there."""

import gzip
import io
import os
import socket
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from senzai.core.errors import InputError, UserError
from senzai.data import limits, open_data, readers
from senzai.data.table import files

NUMBERS = np.random.default_rng(0).normal(size=(40, 2))
ROWS = pd.DataFrame({"a": np.arange(50) % 7 + 0.5, "b": np.arange(50) * 1.25, "c": ["x", "y"] * 25})


@pytest.fixture
def little(monkeypatch):
    """A machine with a megabyte of free memory."""
    monkeypatch.setattr(limits, "free_memory", lambda: 1e6)


# --- what is no file ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["a.csv", "a.npy", "a.npz", "a.png", "a.parquet", "a.feather", "a.jsonl", "a.xlsx", "a.sqlite",
             "train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"],
)
@pytest.mark.parametrize("kind", [None, "array", "table", "images"])
def test_a_device_is_not_read(tmp_path, name, kind):
    (tmp_path / name).symlink_to("/dev/null")
    with pytest.raises(InputError, match=rf"{name}' leads to a device.*into a file"):
        open_data(tmp_path / name, kind=kind)


def test_pipes_and_sockets_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match="leads to a pipe"):
        open_data(tmp_path / "a.csv")
    with socket.socket(socket.AF_UNIX) as open_socket:
        open_socket.bind(str(tmp_path / "s.csv"))
        with pytest.raises(InputError, match="leads to a socket"):
            open_data(tmp_path / "s.csv")
    with pytest.raises(InputError, match="leads to a device"):
        open_data("/dev/zero", kind="array")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.jsonl", "a.xlsx", "a.sqlite", "a.npy", "a.npz"])
@pytest.mark.parametrize("kind", [None, "table", "array", "images"])
def test_a_folder_that_is_called_like_a_file_is_none(tmp_path, name, kind):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="folder"):
        open_data(tmp_path / name, kind=kind)


def test_pipes_in_folders_are_not_waited_for(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "cat" / "1.png")
    os.mkfifo(tmp_path / "cat" / "2.png")
    with pytest.raises(InputError, match=r"2\.png' leads to a pipe"):
        open_data(tmp_path)
    assert len(open_data(tmp_path, options={"skip_bad": True})) == 1


def test_a_pipe_beside_idx_images_is_not_their_labels(tmp_path):
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images.shape) + images.tobytes())
    os.mkfifo(tmp_path / "train-labels-idx1-ubyte")
    assert open_data(tmp_path / "train-images-idx3-ubyte").schema.label is None


def test_links_to_files_are_read(tmp_path):
    ROWS.to_csv(tmp_path / "real.csv", index=False)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert len(open_data(tmp_path / "link.csv")) == 50


@pytest.mark.parametrize("kind", ["table", "array"])
def test_text_with_places_that_were_never_written_is_not_read(tmp_path, kind):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 3000)
        file.truncate(10**11)
    with path.open("rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 10**11:
            pytest.skip("the file system does not tell")
    with pytest.raises(InputError, match=r"a\.csv' must be text, but it is 100\.0 GB long and was never written"):
        open_data(path, kind=kind)


def test_a_short_text_with_a_place_that_was_never_written_is_not_read(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 3000)
        file.truncate(10**6)
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 10**6:
            pytest.skip("the file system does not tell")
    with pytest.raises(InputError, match="never written from byte"):
        open_data(tmp_path / "a.csv")


# --- what is announced ----------------------------------------------------------------------------------------------
def idx(shape):
    return b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize(
    ("shape", "why"),
    [((60_000, 4000, 4000), "announces 60000 x 4000 x 4000"), ((2**32 - 1,) * 3, "announces"), ((1,) * 70, "32 axes")],
)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_headers(tmp_path, shape, why, end):
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    data = idx(shape) + bytes(100)
    path.write_bytes(gzip.compress(data) if end else data)
    for kind in (None, "images", "array"):
        with pytest.raises(InputError, match=f"{why}.*damaged"):
            open_data(path, kind=kind)


def test_gzip_streams_that_unpack_to_more_than_fits(tmp_path, little):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx((40, 300, 300)) + bytes(40 * 300 * 300)))
    with pytest.raises(InputError, match=r"40 x 300 x 300, 3\.6 MB, but only 1\.0 MB of memory are free"):
        open_data(path)


def npy(shape, descr="<f8", body=b""):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    head += b" " * (117 - len(head)) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + body


@pytest.mark.parametrize("shape", [(10**9, 10**3), (2**62, 2**62), (10**30, 2), (-1, 5)])
def test_headers_of_arrays(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(npy(shape, body=bytes(800)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(shape, body=bytes(800)))
    for path in tmp_path.iterdir():
        for kind in (None, "array", "images"):
            with pytest.raises(InputError, match="damaged"):
                open_data(path, kind=kind)


def test_labels_and_lengths_of_an_archive_are_looked_at_as_well(tmp_path):
    x = np.zeros((5, 3, 2))
    for name in ("y", "lengths"):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            archive.writestr("x.npy", npy(x.shape, body=x.tobytes()))
            archive.writestr(f"{name}.npy", npy((10**12,), "<i8", body=bytes(40)))
        with pytest.raises(InputError, match=r"announces 1000000000000 of int64.*damaged"):
            open_data(tmp_path / f"{name}.npz")


def test_members_of_an_archive_that_announce_more_than_their_bytes_unpack_to(tmp_path):
    out = io.BytesIO()
    np.savez_compressed(out, x=np.zeros((40, 3)))
    data = out.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (member,) = archive.infolist()
    old, new = (struct.pack("<II", member.compress_size, size) for size in (member.file_size, 2**31))
    at = data.index(b"PK\1\2")  # the list of members at the end, which is what a reader believes
    (tmp_path / "a.npz").write_bytes(data[:at] + data[at:].replace(old, new))
    with pytest.raises(InputError, match=r"the member 'x\.npy', 2\.1 GB, and can hold .* it is damaged"):
        open_data(tmp_path / "a.npz")


def test_archives_that_unpack_to_more_than_fits(tmp_path, little):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((400, 30, 30)))
    with pytest.raises(InputError, match=r"2\.9 MB, but only 1\.0 MB of memory are free"):
        open_data(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"<a/>" * 10**6)
    with pytest.raises(InputError, match=r"4\.0 MB, but only 1\.0 MB"):
        open_data(tmp_path / "a.xlsx")


def test_arrays_that_do_not_fit_stay_on_disk(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(400, 400)))
    monkeypatch.setattr(readers, "free_memory", lambda: 1e6)
    data = open_data(tmp_path / "a.npy")
    assert not data.rows.in_memory
    monkeypatch.setattr(limits, "free_memory", lambda: 1e6)
    with pytest.raises(InputError, match=r"400 x 400, 1\.3 MB, but only"):
        open_data(tmp_path / "a.npy", options={"in_memory": True})


def test_pictures_that_unpack_to_more_than_fits(tmp_path, little):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(10**6)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b""))
    with pytest.raises(InputError, match=r"9000 x 9000 pixels, 324\.0 MB, but only 1\.0 MB"):
        open_data(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather", "jsonl"])
def test_tables_that_do_not_fit_are_refused_or_streamed(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        ROWS.to_csv(path, index=False)
    elif suffix == "jsonl":
        ROWS.to_json(path, orient="records", lines=True)
    else:
        getattr(ROWS, f"to_{suffix}")(path)
    monkeypatch.setattr(limits, "free_memory", lambda: 500)
    with pytest.raises(InputError, match=rf"a\.{suffix}' announces rows that in memory take, .* in_memory=false"):
        open_data(path)
    assert len(open_data(path, options={"in_memory": False})) == 50


# --- what is inside -------------------------------------------------------------------------------------------------
def test_an_arrow_file_that_points_beyond_its_end_is_refused(tmp_path):
    names = pd.DataFrame({"name": ["ab", "cde", "f"] * 20})
    names.to_feather(tmp_path / "a.feather", compression="uncompressed")
    data = (tmp_path / "a.feather").read_bytes()
    offsets = np.array([0, 2, 5, 6, 8], "<i4")
    width = next(w for w in ("<i4", "<i8") if offsets.astype(w).tobytes() in data)
    wrong = np.array([0, 2, 500, 6, 8], width)
    (tmp_path / "a.feather").write_bytes(data.replace(offsets.astype(width).tobytes(), wrong.tobytes()))
    with pytest.raises(InputError, match=r"a\.feather' must be a whole .*[Oo]ffset"):
        open_data(tmp_path / "a.feather")


def test_text_in_an_arrow_file_that_is_no_text_is_refused(tmp_path):
    pd.DataFrame({"name": ["Jörg", "Änne", "Bob"] * 20}).to_feather(tmp_path / "a.feather", compression="uncompressed")
    data = (tmp_path / "a.feather").read_bytes()
    (tmp_path / "a.feather").write_bytes(data.replace("Jörg".encode(), b"J\xff\xffrg"))
    with pytest.raises(InputError, match="UTF8"):
        open_data(tmp_path / "a.feather")


@pytest.mark.parametrize("code", [0x7FFFFFFF, 0x110000, 0xD800])
@pytest.mark.parametrize("order", ["<", ">"])
def test_labels_that_are_no_characters_are_refused(code, order):
    y = np.array(["ab", "b"] * 20).astype(f"{order}U2")
    open_data((NUMBERS, y))
    y.view(f"{order}u4")[6] = code
    with pytest.raises(InputError, match=r"numbers or text, but row 3 \(from 0\) has no characters"):
        open_data((NUMBERS, y))


def test_a_table_of_a_database_without_a_name_is_named(tmp_path):
    import sqlite3

    path = tmp_path / "a.sqlite"
    link = sqlite3.connect(path)
    link.execute("create table t (a)")
    link.execute("create table u (a)")
    link.execute("pragma writable_schema = on")
    link.execute("update sqlite_master set name = 7 where name = 'u'")
    link.commit()
    link.close()
    with pytest.raises(UserError, match=r"tables|malformed|SQLite"):
        open_data(path)


def workbook(path, old, new):
    """A workbook of fifty rows whose sheet was written by somebody else."""
    ROWS.to_excel(path.with_name("whole.xlsx"), index=False)
    with zipfile.ZipFile(path.with_name("whole.xlsx")) as whole, zipfile.ZipFile(path, "w") as made:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith("sheet1.xml"):
                assert data.count(old) == 1
                data = data.replace(old, new)
            made.writestr(name, data)


@pytest.mark.parametrize("says", [b"A1", b"A1:A2", b"A1:XFD1048576"])
def test_a_workbook_that_is_wrong_about_its_size_is_read_whole(tmp_path, says):
    workbook(tmp_path / "a.xlsx", b'<dimension ref="A1:C51"', b'<dimension ref="%s"' % says)
    data = open_data(tmp_path / "a.xlsx")
    assert len(data) == 50
    assert list(data.decode(data.batch().x).columns) == ["a", "b", "c"]


def test_a_workbook_that_counts_beyond_the_last_row_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "EXCEL_ROWS", 1000)
    workbook(tmp_path / "a.xlsx", b'<row r="5"', b'<row r="999999999"')
    with pytest.raises(InputError, match=r"1,000 rows at most, but .*a\.xlsx' counts more"):
        open_data(tmp_path / "a.xlsx")


def test_a_table_of_nothing_but_empty_cells_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(("," * 2000 + "\n") * 300)
    with pytest.raises(InputError, match=r"a\.csv"):
        open_data(tmp_path / "a.csv")


# --- half characters ------------------------------------------------------------------------------------------------
HALF = "a\ud800"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ((NUMBERS, np.array([HALF, "b"] * 20, dtype=object)), None),
        (pd.DataFrame(NUMBERS, columns=pd.Index([HALF, "b"], dtype=object)), None),
        (pd.DataFrame(NUMBERS, columns=pd.Index([HALF, "b"], dtype=object)), "array"),
        (pd.DataFrame({"c": pd.Series([HALF, "b"] * 20, dtype=object), "d": NUMBERS[:, 0]}), None),
    ],
    ids=["label", "column", "column of an array", "cells"],
)
def test_half_characters_are_refused(source, kind):
    with pytest.raises(InputError, match="whole characters"):
        open_data(source, kind=kind)


def test_file_names_that_are_not_utf8(tmp_path):
    pixels = np.zeros((4, 4), np.uint8)
    name = os.fsdecode(b"\xff.png")
    try:
        Image.fromarray(pixels).save(tmp_path / "1.png")
        (tmp_path / "1.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("the file system has names in UTF-8 only")
    assert len(open_data(tmp_path)) == 1
    (tmp_path / os.fsdecode(b"\xfe.png")).write_bytes(b"none")
    data = open_data(tmp_path, options={"skip_bad": True})
    assert any(r"skipped: \udcfe.png" in r for r in data.schema.reasons)
    for one in ("cat", os.fsdecode(b"\xfe")):
        (tmp_path / "classes" / one).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "classes" / one / "1.png")
    with pytest.raises(InputError, match="whole characters"):
        open_data(tmp_path / "classes")
