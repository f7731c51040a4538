"""The shell completes commands and their options, without torch, and the version is said."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

import senzai

SHELLS = ("bash", "zsh", "fish")


def completed(shell: str, line: str) -> str:
    """What the shell is told, as it asks for it."""
    words = line.split(" ")
    asks = {
        "_SENZAI_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('torch:', 'torch' in sys.modules))\n"
        "from senzai.apps.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asks}, capture_output=True, text=True, timeout=600
    )
    assert done.stdout.rstrip().endswith("torch: False"), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_and_options_are_completed(shell):
    assert "evaluate" in completed(shell, "senzai eval")
    assert "--overwrite" in completed(shell, "senzai fit --over")


def test_it_is_installed_into_the_users_own_files_and_nowhere_else(tmp_path):
    line = f"{shlex.quote(sys.executable)} -m senzai --install-completion; exit $?"  # the shell is the one that calls
    done = subprocess.run(
        ["bash", "--norc", "-c", line], env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True,
        timeout=600, cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {".bashrc", ".bash_completions/senzai.sh"}
    assert "_SENZAI_COMPLETE" in (tmp_path / ".bash_completions" / "senzai.sh").read_text()


def test_the_version_is_printed():
    done = subprocess.run([sys.executable, "-m", "senzai", "--version"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout.strip()) == (0, f"senzai {senzai.__version__}")
