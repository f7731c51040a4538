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
from typer.testing import CliRunner, Result

from senzai.apps.cli import app

ONE_THREAD = {**os.environ, "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
TINY = ("--set", "steps=20", "--set", "network=mlp", "--set", "hidden=16,16", "--set", "n_latent=3")


class Cli:
    """The command line, and what is asked of its answers."""

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(app, [str(w) for w in words])

    def json(self, *words: object) -> dict[str, Any]:
        """What a verb prints with ``--json``: one document and nothing else."""
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def text(self, *words: object) -> str:
        """What a verb tells people."""
        done = self.run(*words)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def process(self, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "senzai", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=1800, env=ONE_THREAD, **options)

    def refuses(self, *words: object, said: tuple[str, ...] = (), folder: Path | None = None) -> str:
        """Exit code 2, one message that says what is wrong, no traceback, and the folder is as it was."""
        before = listing(folder) if folder else None
        done = self.run(*words)
        check_refused(done.exit_code, done.stdout, done.stderr, said)
        assert (listing(folder) if folder else None) == before
        return done.stderr


def check_refused(code: int, stdout: str, stderr: str, said: tuple[str, ...]) -> None:
    assert code == 2, f"exit code {code}\n{stdout}\n{stderr}"
    assert "Traceback" not in stderr
    assert "bug in senzai" not in stderr
    assert stderr.count("Error: ") == 1, stderr
    for words in said:
        assert words in stderr, stderr
    assert stdout == ""


def listing(folder: Path) -> list[str]:
    """Everything in a folder, hidden temporary files too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Settings that train in no time."""
    return TINY


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
def fitted(cli, shelf, pictures) -> dict[str, Any]:
    """What ``fit --json`` said when it trained on pictures."""
    return cli.json("fit", pictures, "--out", shelf / "run", *TINY, "--no-report")


@pytest.fixture(scope="session")
def trained(fitted) -> Path:
    """A trained run on pictures."""
    return Path(fitted["out"])


@pytest.fixture(scope="session")
def table_run(cli, shelf) -> Path:
    """A trained run on a table."""
    return Path(cli.json("fit", shelf / "rows.csv", "--out", shelf / "table", *TINY, "--no-report")["out"])


@pytest.fixture
def copy_of(trained, tmp_path) -> Callable[[], Path]:
    """Makes a copy of the trained run that may be damaged."""

    def make() -> Path:
        return shutil.copytree(trained, tmp_path / "copy")

    return make
