"""Paths that no system opens end with exit code 2; what comes from data is shown in a terminal and never obeyed."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import senzai
from senzai.apps.cli import output
from senzai.core import terminal
from senzai.core.files import user_path, write_json
from senzai.runs.watching import say as warn
from senzai.training.progress_bar import ProgressBar

EVIL = "\x1b[31mred\x1b[0m\r\x07\x9b2J\u202egnp.\u2066x\u2028y\x7f"
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]"
)
BAD_PATHS = {
    "zero byte": "no\0where", "half a character": "no\ud800where", "not UTF-8": "no\udcffwhere",
    "long name": "x" * 300, "long path": "/".join(["x" * 100] * 60), "nobody": "~no_such_user_here/x",
}
WHY = {
    "zero byte": "zero byte", "half a character": "UTF-8", "not UTF-8": "UTF-8", "long name": "short enough",
    "long path": "short enough", "nobody": "home of a user",
}


# --- paths ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bad", BAD_PATHS)
def test_paths_are_refused_by_every_verb(cli, trained, pictures, tiny, tmp_path, bad):
    path = BAD_PATHS[bad]
    said = (WHY[bad],) if bad not in ("zero byte", "half a character") else ()  # no shell can give these; Typer refuses
    for words in (
        ("info", path), ("fit", path, "--out", tmp_path / "run"), ("fit", pictures, "--out", path, *tiny),
        ("sample", trained, "-o", path), ("sample", path, "-o", tmp_path / "x.npy"),
        ("encode", trained, path, "-o", tmp_path / "x.npy"), ("encode", trained, pictures, "-o", f"{path}.npy"),
        ("report", trained, "-o", path), ("evaluate", trained, path), ("resume", path),
        ("fit", pictures, "--out", tmp_path / "run", "--config", path), ("compare", path, trained),
        ("interpolate", trained, path, pictures, "-o", tmp_path / "x.npy"),
    ):
        cli.refuses(*words, said=said, folder=tmp_path)


@pytest.mark.parametrize("bad", BAD_PATHS)
def test_paths_are_refused_in_python_too(trained, tmp_path, bad):
    path, run = BAD_PATHS[bad], senzai.load(trained)
    for call in (
        lambda: senzai.fit(path), lambda: senzai.fit("digits", out=path), lambda: senzai.load(path),
        lambda: senzai.resume(path), lambda: run.save(path), lambda: run.report(path=path), lambda: run.encode(path),
    ):
        with pytest.raises(senzai.UserError, match=WHY[bad]):
            call()


def test_a_path_from_a_file_of_settings_is_looked_at_as_well(cli, pictures, tmp_path):
    (tmp_path / "fit.toml").write_text('out = "a\\u0000b"\n')
    cli.refuses("fit", pictures, "--config", tmp_path / "fit.toml", said=("zero byte",), folder=tmp_path)


@pytest.mark.parametrize("name", ["f.npy", "f.npz", "f.csv"])
def test_factors_are_read_from_files_only(cli, trained, pictures, tmp_path, name):
    (tmp_path / name).symlink_to("/dev/zero")
    cli.refuses("evaluate", trained, pictures, "--factors", tmp_path / name, said=("leads to a device",))


def test_a_tilde_is_the_home_of_the_user(cli, trained, tiny, shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(shelf)
    cli.refuses("fit", "pictures.npy", "--out", "~", *tiny, said=("does not exist yet",), folder=tmp_path)
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(60, 3)))
    assert cli.json("fit", "~/rows.npy", "--out", "~/run", *tiny, "--no-report")["out"] == str(tmp_path / "run")
    assert senzai.load("~/run").spec.source == str(tmp_path / "rows.npy")
    cli.json("sample", "~/run", "-n", 3, "-o", "~/new.npy")
    cli.json("info", "~/run")
    senzai.load("~/run").save("~/copy")
    assert {p.name for p in tmp_path.iterdir()} == {"rows.npy", "run", "new.npy", "copy"}
    assert not (shelf / "~").exists()


def test_a_path_need_not_exist(tmp_path):
    assert user_path(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    with pytest.raises(senzai.OutputError, match="zero byte"):
        user_path("a\0", output=True)


# --- terminals ------------------------------------------------------------------------------------------------------
def unsafe(text: str) -> str:
    return "".join(OBEYED.findall(text))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A table whose columns, categories and file name would move the cursor, erase the screen and turn text round."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("hostile")
    frame = pd.DataFrame({
        f"{EVIL}[bold]n[/bold]": rng.normal(size=80), f"c\nError: {EVIL}": rng.choice([f"{EVIL}a", f"{EVIL}b"], 80),
        f"one{EVIL}": ["same"] * 80, f"id{EVIL}": [f"{EVIL}{i}" for i in range(80)],
    })
    path = folder / f"{EVIL.replace(chr(13), '')}.parquet"
    frame.to_parquet(path)
    return path


def test_nothing_from_data_is_obeyed(cli, hostile, tiny, tmp_path):
    run = tmp_path / f"run{EVIL}"
    first, second = (c for c in pd.read_parquet(hostile).columns[:2])
    for words, code in (
        (("info", hostile), 0), (("fit", hostile, "--out", run, *tiny), 0), (("info", run), 0),
        (("sample", run, "-n", 2, "-o", tmp_path / f"{EVIL}given.csv", "--given", f"{second}={EVIL}a"), 0),
        (("sample", run, "-n", 2, "-o", tmp_path / "no.csv", "--given", f"{second}={EVIL}none"), 2),
        (("sample", run, "-n", 2, "-o", tmp_path / "no.csv", "--given", f"{EVIL}={EVIL}"), 2),
        (("sample", run, "-n", 2, "-o", tmp_path / f"{EVIL}.csv"), 0), (("evaluate", run, "--k", 2), 0),
        (("reconstruct", run, hostile, "-o", tmp_path / f"{EVIL}.parquet"), 0), (("diagnose", run), 0),
        (("traverse", run, hostile, "--dim", 0, "-o", tmp_path / "way.csv"), 0),
        (("fit", hostile, "--out", tmp_path / "x", "--kind", "array"), 2), (("info", f"{hostile}{EVIL}"), 2),
        (("info", hostile, "--set", f"schema.{EVIL}=real"), 2), ((EVIL,), 2), (("compare", run, run), 0),
        (("augment", run, "--column", EVIL, "--value", EVIL, "-o", tmp_path / "y.csv"), 2),
    ):
        for json_too in ((), ("--json",)) if words[0] == "info" else ((),):
            done = cli.run(*words, *json_too)
            assert done.exit_code == code, f"{words}: {done.stdout}{done.stderr}"
            assert unsafe(done.stdout + done.stderr) == "", words
            assert not re.search(r"^\s*Error: .*red", done.stdout, re.M), "a name of data begins a line of ours"
    shown = cli.text("info", hostile)
    assert r"\x1b[31mred" in shown
    assert "[bold]n[/bold]" in shown
    document = cli.json("info", hostile)
    assert document["source"] == str(hostile)
    assert first in document["columns"]


def test_names_of_pictures_and_classes_are_not_obeyed(cli, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}{EVIL}").mkdir()
        Image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / f"{name}{EVIL}" / "1.png")
        (tmp_path / f"{name}{EVIL}" / f"{EVIL}.png").write_bytes(b"none")
    for words, code in ((("info", tmp_path), 2), (("info", tmp_path, "--set", "skip_bad=true"), 0)):
        done = cli.run(*words)
        assert done.exit_code == code, done.stderr
        assert unsafe(done.stdout + done.stderr) == ""


def test_every_way_to_a_terminal_makes_text_safe():
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        output.say(EVIL)
        output.warn(EVIL)
        output.reply(True, {EVIL: EVIL})
        output.reply(False, {}, output.table({EVIL: EVIL}))
        warn(EVIL)
        ProgressBar().console.print(EVIL)
    assert unsafe(out.getvalue() + err.getvalue()) == ""
    assert json.loads(out.getvalue()[out.getvalue().index("{") : out.getvalue().rindex("}") + 1]) == {EVIL: EVIL}


def test_our_own_styles_still_reach_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    with redirect_stdout(out):
        output.say(f"[bold]{output.plain(EVIL)}[/]")
    assert out.getvalue().startswith("\x1b[1m\\x1b[31mred")


def test_ordinary_text_stays_as_it_is():
    for text in ("Köln\t東京\n", "قهوة", "👩‍👩‍👧", "a\u200cb", "é", "−½ ≥ ∑"):
        assert terminal.safe(text) == text


def test_nothing_else_writes_to_terminals(root):
    found = []
    for path in (root / "src" / "senzai").rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            writes = re.search(r"(?<![\w.])(print\(|Console\(|sys\.std(out|err)\.write)", line) and ">>>" not in line
            shown = "secrets.token_urlsafe" in line  # a command that a message names
            if writes and not shown and path.name not in ("terminal.py", "watching.py"):  # both make their text safe
                found.append(f"{path.name}:{number}")
    assert not found


def test_half_a_character_in_a_document_comes_back(tmp_path):
    write_json(tmp_path / "a.json", {"a\ud800": "b\udcff"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a\ud800": "b\udcff"}


@pytest.mark.parametrize(("written", "error"), [(False, senzai.InputError), (True, senzai.OutputError)])
def test_what_is_no_path_is_said(written, error):
    with pytest.raises(error, match=r"A path is text or a pathlib.Path, but got a list"):
        user_path([1], output=written)
