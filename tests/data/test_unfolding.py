"""Pictures in one file: archives, stacks of pages, films, tables with encoded pictures."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.data.images import unfolding

RNG = np.random.default_rng(3)
PICTURES = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def values(dataset):
    """Pixels of all rows, as whole numbers, channels last."""
    x = dataset.batch().tensor
    return np.rint(np.asarray(dataset.kind.decode(x, dataset.schema)))


NAMES = [f"photos/{'cats' if i % 2 else 'dogs'}/{i}.png" for i in range(6)]
IN_ORDER = [1, 3, 5, 0, 2, 4]  # cats before dogs


def a_zip(path, names=NAMES):
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in zip(names, PICTURES, strict=False):
            archive.writestr(name, png(pixels))
        archive.writestr("photos/READ ME.txt", "hello")
        archive.writestr("__MACOSX/photos/._0.png", b"what a Mac leaves behind")
    return path


def a_tar(path, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, pixels in zip(NAMES, PICTURES, strict=True):
            member = tarfile.TarInfo(name)
            member.size = len(data := png(pixels))
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("photos/cats/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("made", [lambda f: a_zip(f / "p.zip"), lambda f: a_tar(f / "p.tar.gz"),
                                  lambda f: a_tar(f / "p.tar", "w")], ids=["zip", "tar.gz", "tar"])
def test_an_archive_is_read_as_its_folder_would_be(tmp_path, made):
    dataset = open_data(made(tmp_path))
    assert dataset.kind.name == "images"
    np.testing.assert_array_equal(values(dataset), PICTURES[IN_ORDER])
    assert list(dataset.schema.label.classes) == ["cats", "dogs"]
    assert len(set(dataset.batch().y.tolist())) == 2


def test_what_is_no_picture_is_counted_and_what_a_mac_leaves_is_not(tmp_path):
    dataset = open_data(a_zip(tmp_path / "p.zip"))
    assert any("1 files of the archive are no pictures" in r for r in dataset.schema.reasons)


def test_names_that_lead_outside_are_refused(tmp_path):
    for name in ("../evil.png", "/evil.png", "a/../../evil.png", "C:evil.png"):
        path = a_zip(tmp_path / "p.zip", [name])
        with pytest.raises(InputError, match="stay below"):
            open_data(path)
        assert not list(tmp_path.parent.glob("evil.png"))
        path.unlink()


def test_one_name_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = a_zip(tmp_path / "p.zip", ["a.png", "a.png"])
    with pytest.raises(InputError, match="twice"):
        open_data(path)


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**22))
    monkeypatch.setattr(unfolding.shutil, "disk_usage", lambda p: type("U", (), {"free": 2**20})())
    with pytest.raises(InputError, match="room"):
        open_data(path)


def test_a_damaged_archive_is_refused(tmp_path):
    whole = a_tar(tmp_path / "p.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="whole"):
        open_data(tmp_path / "cut.tar.gz")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_of_a_stack_are_rows_in_time(tmp_path, dtype):
    pages = RNG.integers(0, np.iinfo(dtype).max, (40, 8, 8)).astype(dtype)
    first, *rest = (Image.fromarray(p) for p in pages)
    first.save(tmp_path / "s.tif", save_all=True, append_images=rest)
    dataset = open_data(tmp_path / "s.tif")
    np.testing.assert_array_equal(values(dataset), pages)
    assert dataset.schema.split.by == "time"
    assert len(open_data(tmp_path / "s.tif", options={"every": 4}).batch()) == 10


def test_a_stack_among_files_and_values_of_32_bits_are_refused(tmp_path):
    pages = [Image.fromarray(p) for p in PICTURES]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "one.tif")
    with pytest.raises(InputError, match="6 pages"):
        open_data(tmp_path)
    (tmp_path / "s.tif").unlink()
    np.testing.assert_array_equal(values(open_data(tmp_path)), PICTURES[:1])
    Image.fromarray(RNG.normal(size=(8, 8)).astype(np.float32)).save(tmp_path / "real.tif")
    with pytest.raises(InputError, match="16 bits"):
        open_data(tmp_path / "real.tif")


def test_frames_of_a_film(tmp_path):
    av = pytest.importorskip("av")
    shades = np.linspace(20, 230, 30).astype(np.uint8)
    with av.open(str(tmp_path / "f.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=25)  # without loss
        stream.width = stream.height = 16
        stream.pix_fmt = "bgr0"
        for shade in shades:
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), shade, np.uint8), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    dataset = open_data(tmp_path / "f.mkv")
    np.testing.assert_array_equal(values(dataset)[:, 0, 0, 0], shades)
    assert dataset.schema.split.by == "time"


def hugging_face(table):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["dog", "cat"]}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def a_table(n=6):
    cells = [{"bytes": png(p), "path": None} for p in PICTURES[:n]]
    return hugging_face(pa.table({"image": cells, "label": [i % 2 for i in range(n)]}))


def test_parquet_with_pictures_keeps_the_order_of_rows_and_the_names_of_classes(tmp_path):
    pq.write_table(a_table(), tmp_path / "t.parquet")
    dataset = open_data(tmp_path / "t.parquet")
    assert dataset.kind.name == "images"
    np.testing.assert_array_equal(values(dataset), PICTURES)
    names = [dataset.schema.label.classes[i] for i in dataset.batch().y.tolist()]
    assert names == ["dog", "cat"] * 3


def test_a_folder_of_arrow_files_as_datasets_saves_it(tmp_path):
    table = a_table()
    (tmp_path / "dataset_info.json").write_text("{}", encoding="utf-8")
    for i, part in enumerate((table.slice(0, 4), table.slice(4))):
        with pa.OSFile(str(tmp_path / f"data-0000{i}-of-00002.arrow"), "wb") as file, \
                pa.ipc.new_stream(file, table.schema) as out:
            out.write_table(part)
    np.testing.assert_array_equal(values(open_data(tmp_path)), PICTURES)


def test_a_row_without_a_picture_is_named(tmp_path):
    table = pa.table({"image": [{"bytes": png(PICTURES[0]), "path": None}, {"bytes": None, "path": "x.png"}]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match="row 1"):
        open_data(tmp_path / "t.parquet")


def test_a_table_without_pictures_stays_a_table(tmp_path):
    pq.write_table(pa.table({"a": RNG.normal(size=60)}), tmp_path / "t.parquet")
    assert open_data(tmp_path / "t.parquet").kind.name == "table"
