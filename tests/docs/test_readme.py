"""What README and the pages show runs as it stands."""

import re

import pytest
import typer.main

from senzai.apps.cli.door import app
from senzai.core.spec import REGISTRIES
from senzai.data import KINDS
from senzai.recipes import RECIPES


def pages(root):
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def registries():
    """What a page registers is gone after the test."""
    every = [*REGISTRIES.values(), RECIPES, KINDS]
    before = [dict(r) for r in every]
    yield
    for r, kept in zip(every, before, strict=True):
        for name in set(r) - set(kept):
            del r[name]


@pytest.mark.usefixtures("registries")
def test_python_blocks_run(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = [(p, b) for p in pages(root) for b in blocks(p, "python")]
    assert found
    for path, block in found:
        exec(compile(block, str(path), "exec"), {})
    assert "+-" in capsys.readouterr().out


def test_commands_exist_with_the_options_shown(root):
    commands = typer.main.get_command(app).commands
    seen = set()
    for path in pages(root):
        for line in re.findall(r"senzai ([a-z]+ [^\n`#|]*)", "\n".join(blocks(path, "bash"))):
            verb, *words = line.split()
            assert verb in commands, (path, line)
            options = {o for p in commands[verb].params for o in (*p.opts, *p.secondary_opts)}
            unknown = [w for w in words if w.startswith("-") and w not in options]
            assert not unknown, (path, line, unknown)
            seen.add(verb)
    assert {"fit", "evaluate", "sample", "report"} <= seen


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_of_readme_are_there(root, name):
    assert f"scripts/{name} " in (root / "README.md").read_text(encoding="utf-8")
    assert (root / "scripts" / name).stat().st_mode & 0o111
