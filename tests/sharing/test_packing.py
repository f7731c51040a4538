"""A packed run answers like the folder; an archive that anybody made is looked at before anything is written."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli import app
from senzai.core.errors import BundleError, InputError, OutputError
from senzai.sharing import contents, folders_of


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    return run.pack(tmp_path_factory.mktemp("packed") / "people.zip")


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def written(path, files, **options):
    """Write an archive by hand."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return path


def cli(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


# --- what is in it --------------------------------------------------------------------------------------------------
def test_an_archive_holds_the_files_of_a_run_and_no_place_on_the_disk(run, table, packed):
    found = members(packed)
    assert set(found) == {
        "README.md", "spec.json", "weights.safetensors", "metrics.json", "history.jsonl", "reference.safetensors",
        *(["samplers.safetensors"] if (run.folder / "samplers.safetensors").exists() else []),
    }
    for raw in found.values():
        assert str(table.parent).encode() not in raw
        assert str(run.folder.parent).encode() not in raw
    assert json.loads(found["spec.json"])["source"] == "people.csv"


def test_equal_runs_give_equal_archives(run, packed, tmp_path):
    again = run.pack(tmp_path / "again.zip")
    assert again.read_bytes() == packed.read_bytes()


def test_training_rows_stay_at_home_where_that_is_asked_for(run, tmp_path):
    assert "reference.safetensors" not in members(run.pack(tmp_path / "a.zip", rows=False))


def test_a_packed_checkpoint_is_resumed_where_it_is_unzipped(run, table, tmp_path):
    with zipfile.ZipFile(run.pack(tmp_path / "a.zip", checkpoint=True)) as archive:
        archive.extractall(tmp_path / "there")
    longer = senzai.resume(tmp_path / "there", data=table, steps=40)
    assert longer.metrics["fit"]["steps"] == 40


def test_a_run_in_memory_is_packed_too(tmp_path):
    made = senzai.fit(np.random.default_rng(0).normal(size=(60, 3)), steps=3, hidden=[4], n_latent=2)
    with pytest.raises(OutputError, match="needs a place"):
        made.pack()
    again = senzai.load(made.pack(tmp_path / "a.zip"))
    assert (made.sample(4, seed=0) == again.sample(4, seed=0)).all()
    assert made.folder is None


@pytest.mark.parametrize("name", ["run.tar", "run", "folder.zip"])
def test_what_is_called_otherwise_is_not_written(run, tmp_path, name):
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(OutputError, match=r"NAME\.zip"):
        run.pack(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["folder.zip"]


# --- loaded ---------------------------------------------------------------------------------------------------------
def test_a_packed_run_answers_like_its_folder(run, packed, table):
    there = senzai.load(packed)
    frame = pd.read_csv(table)
    pd.testing.assert_frame_equal(there.encode(frame), run.encode(frame))
    pd.testing.assert_frame_equal(there.sample(7, seed=1), run.sample(7, seed=1))
    assert (there.score(frame, k=3) == run.score(frame, k=3)).all()
    assert there.history == run.history
    assert there.samplers.facts() == run.samplers.facts()
    assert there.metrics["evaluate"] == run.metrics["evaluate"]
    assert there.folder is None


def test_what_is_measured_of_a_packed_run_stays_in_memory_until_it_is_saved(packed, table, tmp_path):
    there, before = senzai.load(packed), packed.read_bytes()
    there.evaluate(table, only=["probes"] if there.schema.label else None, k=3)
    with pytest.raises(OutputError, match="no folder"):
        there.report(data=table)
    assert there.report(tmp_path / "page.html", data=table).is_file()
    assert packed.read_bytes() == before
    saved = there.save(tmp_path / "saved")
    assert senzai.load(saved).metrics["evaluate"] == there.metrics["evaluate"]


def test_nothing_is_left_of_a_packed_run_on_the_disk(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    senzai.load(packed)
    with pytest.raises(BundleError):
        senzai.load(written(tmp_path / "bad.zip", {"evil.py": b""}))
    assert os.listdir(tmp_path) == ["bad.zip"]


def test_an_archive_of_the_folder_itself_loads(run, tmp_path):
    """What a file manager makes of a run folder: all in one folder, with the report, and entries of folders."""
    files = {p: f"people/{p.relative_to(run.folder).as_posix()}" for p in sorted(run.folder.rglob("*"))}
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in files.items():
            archive.write(path, name)
    assert "people/report.html" in members(tmp_path / "a.zip")
    assert (senzai.load(tmp_path / "a.zip").sample(3, seed=0) == run.sample(3, seed=0)).all(axis=None)


def test_commands_take_a_packed_run(packed, table, tmp_path):
    shown = cli("info", packed, "--json")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout)["path"] == str(packed)
    for words in (
        ("sample", packed, "-n", 5, "-o", tmp_path / "new.csv"), ("encode", packed, table, "-o", tmp_path / "z.csv"),
        ("score", packed, table, "-o", tmp_path / "s.csv"), ("evaluate", packed, table, "--k", 3),
        ("compare", packed, packed, "--data", table, "--k", 3), ("report", packed, table, "-o", tmp_path / "p.html"),
        ("pack", packed, "-o", tmp_path / "again.zip"),
    ):
        done = cli(*words)
        assert done.exit_code == 0, (words, done.stderr)
    again, first = members(tmp_path / "again.zip"), members(packed)
    assert again["README.md"].startswith(b"# again")
    assert set(again) == set(first)
    assert again["spec.json"] == first["spec.json"]


@pytest.mark.parametrize(("words", "said"), [
    (("report",), "name a file with -o"), (("resume",), "to train in"), (("diagnose", "--cure"), "--out"),
])
def test_commands_that_write_beside_a_run_say_that_they_need_a_folder(packed, table, words, said):
    done = cli(words[0], packed, *([] if words[0] == "resume" else [table]), *words[1:])
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(packed.parent) == ["people.zip"]


def test_a_run_is_not_packed_over_another_file(run, packed):
    assert cli("pack", run.folder, "-o", packed).exit_code == 2


def test_who_needs_folders_gets_them_called_like_the_runs(run, packed, tmp_path):
    with folders_of([run.folder, packed]) as folders:
        assert [f.name for f in folders] == ["people", "people"]
        assert folders[0] == run.folder
        assert folders[1] != run.folder
        assert (senzai.load(folders[1]).sample(3, seed=0) == run.sample(3, seed=0)).all(axis=None)
    assert not folders[1].exists()
    assert run.folder.exists()


# --- archives that are no runs --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [
    "../spec.json", "/spec.json", "a/../../spec.json", "run.py", "model.pkl", "spec.json/x", "weights.safetensors.py",
    "tensorboard/../../x", "C:\\spec.json", "checkpoints/../spec.json",
])
def test_other_names_than_those_of_a_run_are_refused_before_anything_is_written(packed, tmp_path, name, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = written(tmp_path / "bad.zip", {**members(packed), name: b"x"})
    with pytest.raises(BundleError, match="nothing else"):
        senzai.load(path)
    assert os.listdir(tmp_path) == ["bad.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(packed, tmp_path, kind):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members(packed).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (kind if name == "weights.safetensors" else stat.S_IFREG) << 16
            archive.writestr(entry, raw)
    with pytest.raises(BundleError, match="link or a device"):
        senzai.load(path)


def test_a_file_that_is_there_twice_is_refused(packed, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, raw in members(packed).items():
            archive.writestr(name, raw)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("spec.json", b"{}")
    with pytest.raises(BundleError, match="twice"):
        senzai.load(tmp_path / "a.zip")


def test_tensors_that_grow_beyond_belief_are_refused_unread(packed, tmp_path):
    bomb = {**members(packed), "weights.safetensors": bytes(40 * 2**20)}
    path = written(tmp_path / "a.zip", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    with pytest.raises(BundleError, match="times its size"):
        senzai.load(path)


def test_sizes_that_are_not_free_are_refused_before_they_are_taken(packed, monkeypatch):
    monkeypatch.setattr(contents, "free_memory", lambda: 100.0)
    with pytest.raises(BundleError, match="Nothing was read"):
        senzai.load(packed)


def test_json_without_end_is_refused(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "MOST_TEXT", 1000)
    with pytest.raises(BundleError, match="announces"):
        senzai.load(packed)


def announced(raw: bytes, name: bytes, size: int) -> bytes:
    """Change the size that the list of files announces."""
    at = raw.index(b"PK\x01\x02")
    while raw[at + 46 : at + 46 + len(name)] != name:
        at = raw.index(b"PK\x01\x02", at + 4)
    return raw[: at + 24] + struct.pack("<I", size) + raw[at + 28 :]


@pytest.mark.parametrize("change", [-10, 10])
def test_a_file_of_another_size_than_announced_is_refused(packed, tmp_path, change):
    size = len(members(packed)["weights.safetensors"])
    (tmp_path / "a.zip").write_bytes(announced(packed.read_bytes(), b"weights.safetensors", size + change))
    with pytest.raises(BundleError):
        senzai.load(tmp_path / "a.zip")


@pytest.mark.parametrize("count", [60_000, 70_000])
def test_a_long_list_of_files_is_not_read(tmp_path, count, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(count):
            archive.writestr(f"{i}", b"")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(BundleError, match="announces"):
        senzai.load(tmp_path / "a.zip")


@pytest.mark.parametrize("cut", [0, 10, 1000, -30])
def test_what_is_cut_off_or_no_archive_is_refused_in_words(packed, tmp_path, cut):
    (tmp_path / "a.zip").write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(BundleError, match="senzai pack"):
        senzai.load(tmp_path / "a.zip")


def test_a_missing_archive_and_one_without_weights_are_refused(packed, tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        senzai.load(tmp_path / "none.zip")
    some = {name: raw for name, raw in members(packed).items() if name != "weights.safetensors"}
    with pytest.raises(BundleError, match="lacks weights"):
        senzai.load(written(tmp_path / "a.zip", some))


def test_json_that_is_nested_without_end_is_refused(packed, tmp_path):
    deep = {**members(packed), "spec.json": b"[" * 200_000}
    with pytest.raises(BundleError):
        senzai.load(written(tmp_path / "a.zip", deep))


def test_no_byte_changed_at_random_does_more_than_be_refused(packed, tmp_path):
    raw, rng = packed.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(raw)
        for at in rng.integers(0, len(raw), 3):
            bad[at] ^= int(rng.integers(1, 256))
        (tmp_path / "a.zip").write_bytes(bad)
        try:
            senzai.load(tmp_path / "a.zip")
        except (BundleError, InputError):
            continue
