"""What the repository says about itself is true, and it speaks of nothing but itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import senzai

# Put together from pieces, so that this file does not find itself.
ELSEWHERE = re.compile("|".join((r"(?<![\w.$}])/" + r"work\b(?![-.])", "/" + r"opt/\w", "file:" + "//")))
TEXTS = {".py", ".toml", ".txt", ".md", ".yml", ".yaml", ".json", ".html", ".css", ".js", ".cfg", ".ini", ""}
SKIPPED = re.compile(r"^(\.git|\.venv|build|runs|htmlcov|.*_cache|__pycache__|.*\.egg-info)$")


def files(root: Path) -> list[Path]:
    """Files that belong to the repository: what git knows or would add, or all but the built ones without git."""
    ask_git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(ask_git, cwd=root, capture_output=True, text=True)
    if listed.returncode == 0 and (root / ".git").exists():
        return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    found = (p for p in root.rglob("*") if p.is_file())
    return [p for p in found if not any(SKIPPED.search(part) for part in p.relative_to(root).parts[:-1])]


def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_file_names_a_place_on_somebodys_machine(root):
    found = []
    for path in files(root):
        if path.suffix in TEXTS:
            name, lines = path.relative_to(root), path.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{name}:{i}: {line.strip()}" for i, line in enumerate(lines, 1) if ELSEWHERE.search(line)]
    assert not found


def test_the_version_is_said_once(root):
    assert project(root)["project"]["version"] == senzai.__version__


def test_constraints_are_exact_and_cover_the_requirements(root):
    lines = [s for s in (root / "constraints.txt").read_text().splitlines() if s and not s.startswith("#")]
    pinned = dict(re.fullmatch(r"([A-Za-z0-9_.-]+)==([\w.]+)", s).groups() for s in lines)
    known = {re.sub(r"[-_.]+", "-", n).lower() for n in pinned}
    meta = project(root)["project"]
    wanted = meta["dependencies"] + [r for extra in meta["optional-dependencies"].values() for r in extra]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w-]+", r).group()).lower() for r in wanted} - {"senzai"}
    assert names <= known
    assert pinned["torch"] == "2.13.0"


@pytest.mark.parametrize("name", ["demo", "test", "check", "bench", "docs", "gallery"])
def test_scripts_run_and_are_short(root, name):
    path = root / "scripts" / name
    text = path.read_text()
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "\nset -euo pipefail\n" in text
    assert len(text.splitlines()) <= 25
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def readme_commands(root: Path) -> list[list[str]]:
    path = root / "README.md"
    if not path.is_file():
        pytest.skip("no README yet")
    blocks = re.findall(r"```(?:bash|sh|shell|console|text)?\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = (line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines())
    return [line.split() for line in lines if line]


def test_scripts_in_the_readme_exist(root):
    named = {words[0].removeprefix("./") for words in readme_commands(root) if "scripts/" in words[0]}
    assert not {n for n in named if not os.access(root / n, os.X_OK)}


def test_commands_in_the_readme_exist(root):
    verbs = {w[1] for w in readme_commands(root) if len(w) > 1 and w[0].endswith("senzai") and w[1].isalpha()}
    code = "import sys; from senzai.apps.cli import main; sys.argv = ['senzai', '--help']; main()"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=1800, env={**os.environ, "COLUMNS": "120"}
    )
    assert shown.returncode == 0, shown.stderr
    assert not {v for v in verbs if not re.search(rf"^\W*{v}\b", shown.stdout, re.MULTILINE)}


def test_what_the_type_checker_is_told_to_overlook_has_its_reason_beside_it(sources):
    told = [f"{s.name}:{i}" for s in sources for i, line in enumerate(s.text.splitlines(), 1)
            if "# type: ignore" in line and not re.search(r"# type: ignore\[[\w, -]+\]  # \w", line)]
    assert not told
