"""Damaged files of every format: each is data or is refused with a reason, never a traceback, a crash or a hang."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("resource")

FUZZER = Path(__file__).with_name("fuzzer.py")
FORMATS = 38
RESTARTS = 20


def fuzzed(folder: Path, first: int, last: int) -> dict[int, tuple[str, str, str]]:
    """What became of each file: its format, what it was, and why; a process that ends is started behind that file."""
    found: dict[int, tuple[str, str, str]] = {}
    for _ in range(RESTARTS):
        done = subprocess.run(
            [sys.executable, FUZZER, folder, str(first), str(last)], capture_output=True, text=True, check=False
        )
        name, number = "", -1
        for line in map(json.loads, done.stdout.splitlines()):
            if "begins" in line:
                number, name = line["begins"], line["name"]
                found[number] = (name, "ended", f"exit code {done.returncode}: {done.stderr[-500:]}")
            elif "ends" in line:
                found[number] = (name, line["what"], line["why"])
        assert number >= 0, done.stderr
        if number + 1 == last and done.returncode == 0:
            break
        first = number + 1
    return found


def check(found: dict[int, tuple[str, str, str]], n: int) -> None:
    bad = {k: v for k, v in found.items() if v[1] not in ("data", "refused")}
    assert not bad, "\n".join(f"{k} {name} {what}: {why}" for k, (name, what, why) in bad.items())
    assert len(found) == n
    count = Counter(what for _, what, _ in found.values())
    assert min(count["data"], count["refused"]) > n / 10, count  # the damage is neither everything nor nothing


def test_some_damaged_files_of_every_format(tmp_path):
    found = fuzzed(tmp_path, 0, 6 * FORMATS)
    check(found, 6 * FORMATS)
    assert len({name for name, _, _ in found.values()}) == FORMATS


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_five_thousand_damaged_files(tmp_path, part):
    check(fuzzed(tmp_path, 1000 * (part + 1), 1000 * (part + 2)), 1000)
