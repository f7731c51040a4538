"""Small data, a small trained run, and the command line in process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from senzai.apps.cli import app

TINY = ("--set", "steps=20", "--set", "network=mlp", "--set", "hidden=16,16", "--set", "n_latent=3")


def run_cli(*words: object):
    return CliRunner().invoke(app, [str(w) for w in words])


def run_json(*words: object) -> dict[str, Any]:
    """What a verb prints with ``--json``: one document and nothing else."""
    done = run_cli(*words, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def run_process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "senzai", *map(str, words)]
    env = {**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env, **options)


def refused(done: Any, *said: str) -> None:
    """Exit code 2, one message that says what is wrong, no traceback, nothing on stdout."""
    code = done.exit_code if hasattr(done, "exit_code") else done.returncode
    assert code == 2, f"exit code {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "bug in senzai" not in done.stderr
    assert done.stderr.count("Error: ") == 1, done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert done.stdout == ""


def listing(folder: Path) -> list[str]:
    """Everything in a folder, hidden temporary files too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory) -> Path:
    """A folder with data: pictures, rows of numbers, a table."""
    from senzai.data.builtin import digits

    folder = tmp_path_factory.mktemp("shelf")
    np.save(folder / "pictures.npy", digits().x[:120])
    rows = np.random.default_rng(0).normal(size=(90, 4))
    np.save(folder / "rows.npy", rows)
    lines = ["a,b,c,d", *(",".join(f"{v:.3f}" for v in row) for row in rows)]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def pictures(shelf) -> Path:
    return shelf / "pictures.npy"


@pytest.fixture(scope="session")
def fitted(shelf, pictures) -> dict[str, Any]:
    """What ``fit --json`` said when it trained on pictures."""
    return run_json("fit", pictures, "--out", shelf / "run", *TINY, "--no-report")


@pytest.fixture(scope="session")
def trained(fitted) -> Path:
    """A trained run on pictures."""
    return Path(fitted["out"])


@pytest.fixture(scope="session")
def table_run(shelf) -> Path:
    """A trained run on a table."""
    return Path(run_json("fit", shelf / "rows.csv", "--out", shelf / "table", *TINY, "--no-report")["out"])


@pytest.fixture
def copy_of(trained, tmp_path) -> Callable[[], Path]:
    """Makes a copy of the trained run that may be damaged."""

    def make() -> Path:
        return shutil.copytree(trained, tmp_path / "copy")

    return make
