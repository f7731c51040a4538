"""Which tests run which line, and how long each takes: one coverage run with contexts, kept in a folder.

Every folder of tests is a process and a file of its own, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[2]
# Not asked: planted faults, documentation and house rules, which are not about values; the command line; long exams.
FOLDERS = (
    "src", "tests/data", "tests/distributions", "tests/objectives", "tests/training", "tests/evaluation", "tests/nn",
    "tests/models", "tests/parts", "tests/clinic", "tests/runs", "tests/report", "tests/estimators",
)  # fmt: skip


class Clock:
    """A pytest plugin: the seconds of every test that passed, with what was set up for it."""

    def __init__(self) -> None:
        self.took: dict[str, float] = defaultdict(float)
        self.not_passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.took[report.nodeid] += report.duration
        if not report.passed:
            self.not_passed.add(report.nodeid)


def record(folder: str, rooms: Iterable[str], keep: Path) -> None:
    """Run the tests of one folder under coverage, in this process."""
    name = folder.replace("/", "-")
    os.environ["COVERAGE_FILE"] = str(keep / f"{name}.coverage")
    (keep / "coveragerc").write_text("[run]\nbranch = False\n", encoding="utf-8")
    clock = Clock()
    asked = [f"--cov=src/senzai/{room}" for room in rooms]
    asked += [f"--cov-config={keep / 'coveragerc'}", "--cov-context=test", "--cov-report="]
    plugins = ["-pno:cacheprovider", "-pno:xdist", "-ppytest_cov"]  # by name: none is loaded by itself here
    code = pytest.main(["-q", *plugins, *asked, folder], plugins=[clock])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest could not run {folder}: {code!r}")
    seconds = {test: round(s, 4) for test, s in clock.took.items() if test not in clock.not_passed}
    (keep / f"{name}.json").write_text(json.dumps(seconds), encoding="utf-8")


def record_all(rooms: Iterable[str], keep: Path) -> None:
    """Run what is not recorded yet, each folder of tests in a process of its own."""
    keep.mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        if (keep / f"{folder.replace('/', '-')}.json").exists():
            continue
        print(f"coverage of {folder} ...", flush=True)
        command = [sys.executable, "-m", "benchmarks.mutants.covering", str(keep), folder, *rooms]
        with (keep / "log.txt").open("a", encoding="utf-8") as log:
            subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=True)


@cache
def within_functions(file: Path) -> set[int]:
    """Return the lines of a file that a call runs; all others are run where the file is imported."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, defined)]
    return {line for f in found for line in range(f.body[0].lineno, (f.end_lineno or 0) + 1)}


class Cover:
    """What was recorded: ``tests_of(file, lines)`` and ``seconds``."""

    def __init__(self, keep: Path) -> None:
        self.seconds: dict[str, float] = {}
        for path in sorted(keep.glob("*.json")):
            self.seconds |= json.loads(path.read_text(encoding="utf-8"))
        self.data = [CoverageData(str(p)) for p in sorted(keep.glob("*.coverage"))]
        for data in self.data:
            data.read()

    def tests_of(self, file: Path, lines: Iterable[int]) -> tuple[list[str], list[str]]:
        """Return the tests that run one of the lines, and those that a fixture which runs one may serve.

        A line that an import runs, be it that of one test, is asked of all tests that run anything of the file. What a
        fixture runs is asked of all tests of the fixture's file too.
        """
        by_line: dict[int, set[str]] = defaultdict(set)
        for data in self.data:
            for line, contexts in data.contexts_by_lineno(str(file)).items():
                by_line[line] |= {c for c in contexts if c}
        within = within_functions(file)
        found = set().union(*(by_line.get(n, ()) for n in lines if n in within)) or set().union(*by_line.values())
        shared = {c.split("::")[0] for c in found if c.endswith("|setup")}
        direct = {c.rsplit("|", 1)[0] for c in found}
        served = [t for t in self.seconds if t not in direct and t.split("::")[0] in shared]
        return [t for t in self.seconds if t in direct], served


if __name__ == "__main__":
    record(sys.argv[2], sys.argv[3:], Path(sys.argv[1]))
