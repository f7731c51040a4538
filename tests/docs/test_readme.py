"""What README and the pages show runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from senzai.apps.cli.door import app
from senzai.apps.cli.outside import command_for
from senzai.core.spec import REGISTRIES
from senzai.data import KINDS
from senzai.recipes import RECIPES


def pages(root):
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


SMALL = {"steps": 20, "epochs": 1, "k": 10, "rows": 100}
"""Most that a page's settings may be when its code is run here: what is tested is that it runs."""


def blocks(path, language):
    title = '(?: title="senzai")?' if language == "python" else ""
    return re.findall(rf"^```{language}{title}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def at_small_size(block):
    for name, most in SMALL.items():
        block = re.sub(rf"\b({name}(?:\": |=))(\d+)\b", lambda m, most=most: f"{m[1]}{min(int(m[2]), most)}", block)
    return re.sub(r"random_factors\(\d+", "random_factors(200", block)


def with_code(root):
    return [p for p in pages(root) if blocks(p, "python")]


def root_of_pages():
    return Path(__file__).resolve().parents[2]


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
@pytest.mark.parametrize("name", [str(p.relative_to(root_of_pages())) for p in with_code(root_of_pages())])
def test_python_blocks_run(root, tmp_path, monkeypatch, capsys, name):
    """The blocks of a page run in their order in one namespace, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(root / name, "python"):
        exec(compile(at_small_size(block), name, "exec"), names)
    assert name != "README.md" or "+-" in capsys.readouterr().out


def test_code_is_made_small():
    assert at_small_size('fit(steps=2500, k=100, n=4, shared={"steps": 400})') == (
        'fit(steps=20, k=10, n=4, shared={"steps": 20})'
    )


def test_commands_exist_with_the_options_shown(root):
    commands = dict(typer.main.get_command(app).commands)
    seen = set()
    for path in pages(root):
        for line in re.findall(r"senzai ([a-z-]+ [^\n`#|]*)", "\n".join(blocks(path, "bash"))):
            verb, *words = shlex.split(line)
            if verb not in commands and (made := command_for(verb)) is not None:
                commands[verb] = made  # a verb whose command is made from its signature
            assert verb in commands, (path, line)
            named = commands[verb]
            if words and words[0] in (inside := getattr(named, "commands", {})):
                named = inside[words[0]]  # one of a group
            options = {o for p in named.params for o in (*p.opts, *p.secondary_opts)}
            unknown = [w for w in words if w.startswith("-") and w not in options]
            assert not unknown, (path, line, unknown)
            seen.add(verb)
    assert {"fit", "evaluate", "sample", "report"} <= seen


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_of_readme_are_there(root, name):
    assert f"scripts/{name} " in (root / "README.md").read_text(encoding="utf-8")
    assert (root / "scripts" / name).stat().st_mode & 0o111
