"""Commands that are made of registered verbs, and what does not fit on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from senzai.runs.verbs.registry import VERBS, every_verb, verb


@pytest.fixture
def shop():
    """A few verbs as another package would register them."""
    every_verb()
    before = set(VERBS)

    @verb("suggest", group="Shop", takes="rows", answers="scores")
    def suggest(
        run, data, *, top: int = 3, share: float | None = None, how: Literal["best", "worst"] = "best",
        columns: tuple[int, ...] = (0,), prices: Mapping[str, str] | None = None, loud: bool = False,
        secret: frozenset = frozenset(),
    ):
        """Recommend rows.

        Args:
            top: How many
                of them.
        """
        told = [top, -1 if share is None else share, how == "best", sum(columns), len(prices or {}), loud]
        return np.tile(np.float64(told), (len(run.dataset(data)), 1))

    @verb("stock", group="Shop", takes="own rows", answers="document")
    def stock(run, data=None, *, note: str):
        """Say what there is."""
        return {"rows": len(run.dataset(run.source(data))), "note": note}

    @verb("label_of", group="Shop", takes="one row", answers="file")
    def label_of(run, data, *, path: Path = Path("label.txt")):
        """Write a label."""
        path.write_text(str(len(run.dataset(data))))
        return path

    @verb("more", group="Shop", takes="number", answers="rows", unfit=lambda s, m: "Nothing more. Come again.")
    def more(run, n: int):
        """Make more."""
        return run.sample(n)

    yield
    for name in set(VERBS) - before:
        del VERBS[name]


def test_options_come_from_the_signature(cli, shop, trained, pictures, tmp_path):
    out = tmp_path / "r.npy"
    found = cli.json("suggest", trained, pictures, "-o", out)
    assert found["n"] == 120
    assert np.load(out)[0].tolist() == [3, -1, 1, 0, 0, 0]
    cli.json(
        "suggest", trained, pictures, "-o", out, "--overwrite", "--top", 5, "--share", 0.5, "--how", "worst",
        "--columns", "1,2", "--prices", "a=1", "--prices", "b=2", "--loud",
    )
    assert np.load(out)[0].tolist() == [5, 0.5, 0, 3, 2, 1]
    told = cli.text("suggest", "--help")
    assert "How many of them." in told
    assert "--secret" not in told


def test_a_command_is_as_strict_as_the_others(cli, shop, trained, pictures, tmp_path):
    out = tmp_path / "r.npy"
    out.touch()
    cli.refuses("suggest", trained, pictures, "-o", out, said=("exists already",), folder=tmp_path)
    cli.refuses("suggest", trained, pictures, "-o", tmp_path / "a.npy", "--how", "so", said=("worst",))
    cli.refuses("stock", trained, pictures, said=("--note",))
    cli.refuses("more", trained, "-o", tmp_path / "m.npy", said=("Nothing more. Come again.",), folder=tmp_path)
    cli.refuses("recomend", trained, said=("No such command",))


def test_documents_and_files(cli, shop, trained, tmp_path):
    assert cli.json("stock", trained, "--note", "x, y") == {"rows": 120, "note": "x, y"}
    assert "x, y" in cli.text("stock", trained, "--note", "x, y")
    out = tmp_path / "label"
    from_row = cli.json("label-of", trained, "digits:3", "-o", out)
    assert from_row == {"out": str(out)}
    assert out.read_text() == "1"


def test_verbs_are_listed_with_what_they_take(cli, shop):
    found = {v["name"]: v for v in cli.json("verbs")["verbs"]}
    assert found["suggest"]["settings"]["top"] == 3
    assert found["suggest"]["takes"] == "rows"
    assert found["encode"]["package"] == "senzai"
    assert "Shop" in cli.text("verbs")


def test_own_verbs_without_a_command_of_their_own_have_one(cli, trained, pictures, tmp_path):
    cli.json("log-likelihood", trained, pictures, "--k", 2, "-o", tmp_path / "l.csv")
    table = pd.read_csv(tmp_path / "l.csv")
    assert list(table.columns) == ["log_likelihood"]
    assert len(table) == 120
    found = cli.json("rate_distortion", trained, "--betas", "0.5,2", "--steps", 2, "--rows", 20)
    assert [p["beta"] for p in found["rate_distortion"]] == [0.5, 2.0]


# --- what does not fit ----------------------------------------------------------------------------------------------
def test_a_verb_that_does_not_fit_is_refused_with_the_way_out(cli, trained, pictures, tmp_path):
    out = tmp_path / "x.csv"
    cli.refuses("predict", trained, pictures, "-o", out, said=("m1, m2 and m1-m2",), folder=tmp_path)
    cli.refuses(
        "augment", trained, "--column", "a", "--value", "1", "-o", out, said=("must be a table",), folder=tmp_path
    )


def test_info_says_which_verbs_fit(cli, trained):
    found = cli.json("info", trained)["verbs"]
    assert found["encode"] is None
    assert "m1, m2" in found["predict"]
    told = cli.text("info", trained)
    assert "Not for this run" in told
    assert "m1, m2" in told
    assert json.dumps(found)


def test_the_list_of_commands_has_every_verb():
    """Commands that are made from verbs stand in the help beside those that are written; nothing heavy is loaded."""
    code = "import sys; from senzai.apps.cli import main; sys.argv = ['senzai', '--help']\n"
    code += "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800)
    assert shown.returncode == 0, shown.stderr
    assert not [name for name in every_verb() if name.replace("_", "-") not in shown.stdout]
