"""What the page about serving shows is true: commands that ask, options, limits."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import pytest
import typer.main

from senzai.apps.cli.door import app
from senzai.serving import ServeSettings

from .test_process import process as process  # the fixture


@pytest.fixture
def page(root):
    return (root / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_request_of_the_page_is_answered(page, folder, tmp_path, process):
    _, address = process
    shutil.copy(folder / "people.csv", tmp_path)
    commands = re.findall(r"^curl .*?(?<!\\)$", page, re.M | re.S)
    assert len(commands) >= 6
    for command in commands:
        words = shlex.split(command.replace("\\\n", " ").replace("localhost:8000", address.removeprefix("http://")))
        done = subprocess.run([*words, "--fail-with-body"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout)
        if "-o" not in words:
            assert json.loads(done.stdout)
    assert len((tmp_path / "new.csv").read_text().splitlines()) == 1001


def test_the_defaults_of_the_page_are_those_of_the_command(page):
    told = dict(re.findall(r"^\| `--([a-z]+)` \| (\d+) \|", page, re.M))
    assert len(told) == 6
    command = typer.main.get_command(app).commands["serve"]
    defaults = {o[2:]: p.default for p in command.params for o in p.opts if o.startswith("--")}
    assert {name: float(value) for name, value in told.items()} == {n: float(defaults[n]) for n in told}
    assert f"{ServeSettings().waiting} requests at once" in page
    assert f"{ServeSettings().free_bytes // 2**20} MiB of free memory" in page
    assert ServeSettings().rows == defaults["rows"]
    assert ServeSettings().pixels == defaults["pixels"]
