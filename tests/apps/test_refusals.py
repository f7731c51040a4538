"""Bad input ends with exit code 2, one clear message, no traceback, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def fit(cli, tiny, tmp_path):
    """Asks ``fit`` for what it must refuse."""

    def ask(data, *words, said):
        return cli.refuses("fit", data, "--out", tmp_path / "run", *tiny, *words, said=said, folder=tmp_path)

    return ask


def saved(folder, x):
    np.save(folder / "x.npy", x)
    return folder / "x.npy"


# --- data -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (5,), ()])
def test_arrays_without_rows_or_features(fit, tmp_path, shape):
    fit(saved(tmp_path, np.zeros(shape)), said=("x.npy",))


def test_ragged_rows(fit, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n3,4,5,6\n7,8\n")
    fit(file, said=("x.csv", "Expected 2 columns, got 4: 3,4,5,6"))


def test_text_where_numbers_are_needed(fit, tmp_path):
    fit(saved(tmp_path, np.array([["a", "b"], ["c", "d"]])), said=("x.npy", "number"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_by_row_and_column(fit, tmp_path, value):
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[17, 2] = value
    fit(saved(tmp_path, x), said=("row 17, column 2", str(value)))


def test_nan_is_named_by_the_name_of_its_column(fit, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("age,weight\n" + "1.5,2.5\n" * 20 + "3.5,\n")
    fit(file, "--kind", "array", said=("row 20, column 'weight'",))


def test_a_file_that_is_not_there(fit, shelf, tmp_path):
    fit(tmp_path / "nothing.npy", said=("there is no", "nothing.npy"))
    fit(shelf / "row.npy", said=("Did you mean", "rows.npy"))


def test_a_damaged_array(fit, pictures, tmp_path):
    (tmp_path / "x.npy").write_bytes(pictures.read_bytes()[:1000])
    fit(tmp_path / "x.npy", said=("x.npy",))


def test_an_array_of_objects_is_not_unpickled(fit, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1, 2], [3, None]], dtype=object), allow_pickle=True)
    fit(tmp_path / "x.npy", said=("x.npy", "Python objects"))


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "evaluate"])
def test_rows_of_another_shape_than_the_models(cli, trained, table_run, tmp_path, verb):
    out = () if verb == "evaluate" else ("-o", tmp_path / "out.npy")
    wide = saved(tmp_path, np.zeros((5, 9, 9), dtype=np.uint8))
    cli.refuses(verb, trained, wide, *out, said=("(1, 8, 8)", "(1, 9, 9)"), folder=tmp_path)
    other = tmp_path / "x.csv"
    other.write_text("a,b,c\n1,2,3\n4,5,6\n")
    cli.refuses(verb, table_run, other, *out, said=("lacks d",), folder=tmp_path)


# --- pictures -------------------------------------------------------------------------------------------------------
def picture_folder(tmp_path, n=30):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def bomb(path, side=60_000):
    """A small file that says it is a picture of 3.6 billion pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("damage", ["truncated", "no picture", "bomb"])
def test_a_bad_picture_is_named_and_left_out_only_when_asked(cli, fit, tiny, tmp_path, damage):
    folder = picture_folder(tmp_path)
    bad = folder / "07.png"
    if damage == "bomb":
        bomb(bad)
    else:
        bad.write_bytes(bad.read_bytes()[:60] if damage == "truncated" else b"not a picture")
    fit(folder, said=("07.png", "--skip-bad", *(["decompression bomb"] if damage == "bomb" else [])))
    text = cli.text("fit", folder, "--out", tmp_path / "good", *tiny, "--skip-bad", "--no-report")
    assert "29 rows" in text
    assert "1 file could not be read and were skipped: 07.png" in text or "1 file" in text


# --- settings -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--recipe", "vea"), ("'vea'", "Did you mean 'vae'?")),
        (("--kind", "image"), ("'image'", "Did you mean 'images'?")),
        (("--set", "n_latnet=3"), ("'n_latnet'", "Did you mean 'n_latent'?")),
        (("--set", "prior=mixtur"), ("'mixtur'",)),
        (("--set", "lr=-1"), ("lr",)),
        (("--set", "lr=NaN"), ("lr",)),
        (("--set", "steps=many"), ("steps", "many")),
        (("--set", "n_latent=0"), ("n_latent",)),
        (("--set", "n_latent=three"), ("n_latent",)),
        (("--set", "lr"), ("key=value",)),
        (("--config", "no-such.toml"), ("no-such.toml",)),
    ],
)
def test_settings_that_cannot_be(fit, pictures, words, said):
    fit(pictures, *words, said=said)


@pytest.mark.parametrize(("word", "said"), [("hidden=a,b", "hidden"), ("objective.beta=x", "beta")])
def test_settings_of_parts_that_have_another_type(fit, pictures, word, said):
    fit(pictures, "--set", word, said=(said,))


def test_an_unknown_setting_in_a_config(fit, pictures, tmp_path):
    config = tmp_path / "fit.toml"
    config.write_text("[prior]\nname = 'standard_normal'\nn_componets = 3\n")
    fit(pictures, "--config", config, said=("n_componets",))
    config.write_text("steps == 3\n")
    fit(pictures, "--config", config, said=("fit.toml", "TOML"))


def test_fit_without_a_place(cli, pictures):
    cli.refuses("fit", pictures, said=("--out",))


def test_resume_takes_no_other_settings(cli, trained):
    cli.refuses("resume", trained, "--set", "lr=0.1", said=("only epochs and steps",))
    cli.refuses("resume", trained, said=("finished", "epochs"))


@pytest.mark.parametrize(("words", "said"), [
    (("--split", "dev"), ("train", "'dev'")), (("--k", 0), ("--k",)),
    (("--also", "prboes"), ("'probes'",)), (("--only", "aiss"), ("'ais'",)),
    (("--anomaly", "7"), ("no labels",)), (("--factors", "gone.csv"), ("gone.csv",)),
])
def test_evaluate_with_wrong_words(cli, trained, pictures, words, said):
    cli.refuses("evaluate", trained, pictures, *words, said=said)


# --- runs -----------------------------------------------------------------------------------------------------------
def garbage(run):
    (run / "spec.json").write_text("{ this is not JSON")
    return "spec.json"


def foreign(run):
    (run / "spec.json").write_text('{"model": "someone else\'s"}')
    return "spec.json"


def a_list(run):
    (run / "spec.json").write_text("[1, 2]")
    return "spec.json"


def another_part(run):
    spec = json.loads((run / "spec.json").read_text())
    spec["model"]["part"] = "model/os.system"
    (run / "spec.json").write_text(json.dumps(spec))
    return "os.system"


def newer(run):
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "format": 999}))
    return "Update senzai"


def no_spec(run):
    (run / "spec.json").unlink()
    return "spec.json"


def no_weights(run):
    (run / "weights.safetensors").unlink()
    (run / "checkpoints" / "last.safetensors").unlink()
    return "weights.safetensors"


def truncated_weights(run):
    file = run / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    return "weights.safetensors"


def a_pickle(run):
    (run / "weights.safetensors").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    return "weights.safetensors"


def other_weights(run):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, run / "weights.safetensors")
    return "do not fit"


DAMAGES = [
    garbage, foreign, a_list, another_part, newer, no_spec, no_weights, truncated_weights, a_pickle, other_weights,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_damaged_or_foreign_run_is_named(cli, copy_of, tmp_path, damage):
    run = copy_of()
    said = damage(run)
    cli.refuses("sample", run, "-n", 2, "-o", tmp_path / "x.npy", said=(said,), folder=tmp_path)


def test_info_notices_damaged_weights(cli, copy_of):
    run = copy_of()
    truncated_weights(run)
    cli.refuses("info", run, said=("weights.safetensors",))


def test_damaged_metrics_are_named(cli, copy_of):
    run = copy_of()
    (run / "metrics.json").write_text("{")
    cli.refuses("info", run, said=("metrics.json",))


def test_a_run_that_is_not_there(cli, tmp_path):
    cli.refuses("sample", tmp_path / "none", "-o", tmp_path / "x.npy", said=("none", "spec.json"), folder=tmp_path)


def test_the_runs_own_data_are_gone(cli, copy_of):
    run = copy_of()
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "source": "gone.npy"}))
    cli.refuses("evaluate", run, said=("gone.npy", "give the data"))


# --- places ---------------------------------------------------------------------------------------------------------
def test_a_run_is_not_written_over_anything(fit, pictures, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("dear")
    fit(pictures, said=("--overwrite",))
    fit(pictures, "--overwrite", said=("run",))
    assert (tmp_path / "run" / "letter.txt").read_text() == "dear"


def test_a_place_that_cannot_be_written(cli, pictures, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "run"
    cli.refuses("fit", pictures, "--out", out, *tiny, said=(str(tmp_path / "file"),), folder=tmp_path)


@pytest.mark.parametrize("verb", ["sample", "encode", "reconstruct", "interpolate", "traverse"])
def test_a_file_is_not_replaced_unasked(cli, trained, pictures, tmp_path, verb):
    words = {"sample": (), "interpolate": (pictures, pictures), "traverse": (pictures, "--dim", 0)}
    more = words.get(verb, (pictures,))
    file = tmp_path / "taken.npy"
    file.write_text("mine")
    cli.refuses(verb, trained, *more, "-o", file, said=("taken.npy", "--overwrite"), folder=tmp_path)
    assert file.read_text() == "mine"
    cli.text(verb, trained, *more, "-o", file, "--overwrite")
    assert len(np.load(file)) > 1
    cli.refuses(verb, trained, *more, "-o", tmp_path / "no" / "x.npy", said=("no",), folder=tmp_path)
    cli.refuses(verb, trained, *more, "-o", tmp_path / "x.doc", said=("x.doc", ".npy"), folder=tmp_path)


def full_disk(monkeypatch):
    def fsync(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("name", ["new.npy", "new.npz", "sheet.png"])
def test_a_full_disk_leaves_nothing_behind(cli, trained, tmp_path, monkeypatch, name):
    full_disk(monkeypatch)
    said = ("No space left on device", name)
    cli.refuses("sample", trained, "-n", 3, "-o", tmp_path / name, said=said, folder=tmp_path)


def test_a_full_disk_at_the_start_of_fit(fit, pictures, monkeypatch):
    full_disk(monkeypatch)
    fit(pictures, said=("No space left on device",))


def test_a_full_disk_keeps_the_old_file(cli, trained, pictures, tmp_path, monkeypatch):
    cli.text("encode", trained, pictures, "-o", tmp_path / "z.csv")
    before = (tmp_path / "z.csv").read_bytes()
    full_disk(monkeypatch)
    cli.refuses("encode", trained, pictures, "-o", tmp_path / "z.csv", "--overwrite", said=("z.csv",), folder=tmp_path)
    assert (tmp_path / "z.csv").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("verb", ["encode", "fit"])
def test_a_file_that_may_not_grow(trained, pictures, tiny, tmp_path, verb):
    """A real refusal of the system in the middle of writing."""
    words = {
        "encode": ["encode", trained, "digits", "-o", tmp_path / "z.npy"],
        "fit": ["fit", pictures, "--out", tmp_path / "run", *tiny, "--no-report", "--quiet", "--json"],
    }[verb]
    code = (
        "import resource, signal, sys\n"
        "from senzai.apps.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12000, 12000))\n"
        "sys.argv = ['senzai', *sys.argv[1:]]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 2, done.stderr
    assert "must be writable" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".tmp", ".npy")) or p.name == "weights.safetensors"]
