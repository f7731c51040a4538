"""What README and the pages show runs as it stands."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
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


def command_lines(path):
    """Commands of a page: in blocks of bash, and in indented ones."""
    text = path.read_text(encoding="utf-8")
    shown = "\n".join([*blocks(path, "bash"), *re.findall(r"^    (?:.*)$", text, re.M)]).replace("\\\n", " ")
    typed = (shlex.split(line, comments=True) for line in re.findall(r"^\s*senzai ([a-z-]+(?: .*)?)$", shown, re.M))
    return [list(takewhile(lambda word: word not in ("|", "&&", ">", "<", "&"), words)) for words in typed]


def parsed(verb, words, commands):
    """Read a command as it is read when it is typed, but do not run it; the last command of a group is returned."""
    named, context = commands[verb], None
    while True:
        context = named.make_context(verb, list(words), parent=context)
        if not hasattr(named, "commands") or not context._protected_args:
            return named
        verb, named, words = named.resolve_command(context, [*context._protected_args, *context.args])


def test_commands_are_complete_and_have_the_options_shown(root):
    commands = dict(typer.main.get_command(app).commands)
    seen = set()
    for path in pages(root):
        for line in command_lines(path):
            verb, *words = line
            if verb not in commands and (made := command_for(verb)) is not None:
                commands[verb] = made  # a verb whose command is made from its signature
            assert verb in commands, (path, line)
            try:
                parsed(verb, words, commands)
            except click.exceptions.Exit:  # --help
                pass
            except click.UsageError as err:
                pytest.fail(f"{path.name}: {line}: {err.format_message()}")
            seen.add(verb)
    assert {"fit", "evaluate", "sample", "report", "score"} <= seen


@pytest.mark.parametrize(("line", "why"), [
    ("do runs/causes --set dose=2", "output"), ("info x.csv --kin series", "--kin"), ("fit", "data"),
    ("federate serve", "serve"),
])
def test_a_command_that_cannot_be_typed_is_noticed(line, why):
    commands = dict(typer.main.get_command(app).commands)
    verb, *words = shlex.split(line)
    if verb not in commands:
        commands[verb] = command_for(verb)
    with pytest.raises(click.UsageError, match=why):
        parsed(verb, words, commands)


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_of_readme_are_there(root, name):
    assert f"scripts/{name} " in (root / "README.md").read_text(encoding="utf-8")
    assert (root / "scripts" / name).stat().st_mode & 0o111
