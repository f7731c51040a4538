"""The door: help without torch, one message and one exit code for whatever goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import senzai
from senzai.apps.cli import look

VERBS = [
    "demo", "fit", "resume", "evaluate", "report", "sample", "encode", "reconstruct", "interpolate", "traverse", "info",
    "recipes", "kinds",
]


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from senzai.apps.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'pandas', 'pydantic', 'PIL'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800)
    assert done.stderr.strip() == "[]"  # that is what makes it quick
    for verb in VERBS:
        assert re.search(rf"^\W*{verb}\b", done.stdout, re.MULTILINE), verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_json(cli, verb):
    done = cli.run(verb, "--help")
    assert done.exit_code == 0
    assert f"senzai {verb}" in done.stdout.partition("Example")[2]
    assert "--json" in done.stdout


def test_version(cli):
    done = cli.run("--version")
    assert (done.exit_code, done.stdout) == (0, f"senzai {senzai.__version__}\n")


def test_the_module_is_the_command(cli):
    done = cli.process("--version")
    assert (done.returncode, done.stdout) == (0, f"senzai {senzai.__version__}\n")


def test_warnings_are_words_and_not_a_line_of_source(cli, shelf, tiny, tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    assert cli.process("fit", str(shelf / "rows.npy"), "--out", str(small), *tiny).returncode == 0
    done = cli.process("fit", str(shelf / "rows.npy"), "--out", str(large), *tiny, "--set", "n_latent=5",
                       "--set", f"init_from={small}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Warning: .*has no weights for", done.stderr, re.MULTILINE)
    assert "UserWarning" not in done.stderr
    assert ".py:" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fti"], "No such command 'fti'"),
        (["fit"], "Missing argument 'DATA'"),
        (["sample", "run", "-o", "x.npy", "-n", "0"], "--number"),
        (["evaluate", "run", "--kk", "3"], "No such option"),
    ],
)
def test_words_that_are_not_understood_are_a_users_mistake(cli, words, said):
    cli.refuses(*words, said=(said,))
    answer = cli.run(*words, "--json")
    assert answer.exit_code == 2
    assert said in json.loads(answer.stdout)["error"]["message"]


def test_no_words_show_the_help(cli):
    done = cli.run()
    assert done.exit_code == 2
    assert "Error" not in done.stderr
    assert "evaluate" in done.output


def test_an_error_is_also_a_document(cli):
    done = cli.run("info", "no-such-file.csv", "--json")
    found = json.loads(done.stdout)["error"]
    assert done.exit_code == 2
    assert found["type"] == "InputError"
    assert found["exit_code"] == 2
    assert found["message"] in done.stderr.replace("\n", " ")


def fails_with(cli, monkeypatch, error: BaseException):
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(look, "reply", broken)
    return cli.run("recipes")


def test_a_bug_says_so_without_a_traceback(cli, monkeypatch):
    done = fails_with(cli, monkeypatch, ZeroDivisionError("secret of the machine"))
    assert done.exit_code == 1
    assert "This is a bug in senzai: ZeroDivisionError" in done.stderr
    assert "SENZAI_DEBUG=1" in done.stderr
    assert "Traceback" not in done.stderr


def test_debugging_shows_the_traceback(cli, monkeypatch):
    monkeypatch.setenv("SENZAI_DEBUG", "1")
    assert "Traceback" in fails_with(cli, monkeypatch, ZeroDivisionError("secret")).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (senzai.SenzaiError("It broke."), 1),
        (senzai.UserError("Not so."), 2),
        (OSError(28, "No space left on device", "place"), 2),
        (MemoryError("12 GB"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(cli, monkeypatch, error, code):
    done = fails_with(cli, monkeypatch, error)
    assert done.exit_code == code
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert code == 130 or done.stderr.count("Error: ") == 1
