"""``--set`` on the verbs that take data: how these data are read."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

TINY = ("--set", "steps=4", "--set", "hidden=8,", "--set", "n_latent=2", "--set", "sampler=none", "--no-report")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    r = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("book") / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        for i, (name, n) in enumerate((("first", 40), ("2020", 60), ("2021", 50))):
            frame = pd.DataFrame({"a": 100 * i + r.normal(size=n), "b": r.normal(size=n), "c": ["x", "y"] * (n // 2)})
            frame.mask(r.random(frame.shape) < 0.1).to_excel(book, sheet_name=name, index=False)
    return path


@pytest.fixture(scope="module")
def folder(cli, book):
    cli.json("fit", book, "--out", book.parent / "run", "--set", "sheet=2020", *TINY)
    return book.parent / "run"


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "impute", "score"])
@pytest.mark.parametrize(("words", "n"), [((), 60), (("--set", "sheet=2021"), 50), (("--set", "sheet=0"), 40)])
def test_verbs_that_write_rows(cli, book, folder, tmp_path, verb, words, n):
    assert cli.json(verb, folder, book, "-o", tmp_path / "o.csv", *words)["n"] == n
    assert len(pd.read_csv(tmp_path / "o.csv")) == n


def test_verbs_that_judge(cli, book, folder, tmp_path):
    other = ("--set", "sheet=2021")
    assert cli.json("evaluate", folder, "--k", "2")["rows_available"] == 6
    assert cli.json("evaluate", folder, book, "--k", "2", *other)["rows_available"] == 50
    assert cli.json("report", folder, book, "-o", tmp_path / "r.html", *other)["rows"] == 50
    assert cli.json("diagnose", folder, book, "--k", "2", "--rows", "30", *other)["run"]
    assert cli.json("compare", folder, folder, "--data", book, "--k", "2", *other)["rows"] == 50
    assert cli.json("compare", folder, folder, "--k", "2")["rows"] == 6


def test_verbs_that_take_one_row(cli, book, folder, tmp_path):
    other = ("--set", "sheet=2021")
    cli.json("traverse", folder, f"{book}:49", "--dim", "0", "-o", tmp_path / "t.csv", *other)
    cli.json("interpolate", folder, f"{book}:1", f"{book}:49", "-o", tmp_path / "i.csv", *other)
    cli.refuses("traverse", folder, f"{book}:50", "--dim", "0", "-o", tmp_path / "u.csv", *other, said=("0 … 49",))
    made = ("augment", folder, "--column", "c", "--value", "x", "-n", "3")
    found = cli.json(*made, "--data", book, "-o", tmp_path / "a.csv", *other)
    assert found["seeds"] == (pd.read_excel(book, sheet_name="2021")["c"] == "x").sum()


def test_what_a_model_has_decided_is_refused(cli, book, folder, tmp_path):
    for word, said in (("max_steps=3", "has decided"), ("steps=3", "'steps'"), ("sheet=2022", "first, 2020, 2021")):
        cli.refuses("score", folder, book, "-o", tmp_path / "o.csv", "--set", word, said=(said,))
    assert not (tmp_path / "o.csv").exists()


def test_what_other_data_lose_in_the_form_of_a_model_is_said_on_stderr(cli, tiny, tmp_path):
    rng = np.random.default_rng(0)
    for name, channels in (("grey", ()), ("other", (4,))):
        (tmp_path / name).mkdir()
        for i in range(24):
            Image.fromarray(rng.integers(0, 256, (6, 6, *channels), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
    run = tmp_path / "run"
    cli.json("fit", tmp_path / "grey", "--out", run, *tiny, "--no-report")
    same = cli.run("score", run, tmp_path / "grey", "-o", tmp_path / "same.csv", "--json")
    assert same.stderr == ""
    told = cli.run("score", run, tmp_path / "other", "-o", tmp_path / "told.csv", "--json")
    assert json.loads(told.stdout)["n"] == 24
    assert "24 images are transparent; the transparency is laid on white" in told.stderr
    assert "24 of 24 images have colours, which become greys" in told.stderr
