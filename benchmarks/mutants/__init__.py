"""Mutants: changes that a tool makes in the code, and whether the tests notice.

``scripts/bench mutants --mutants 500 --seed 0`` draws sites of cosmic-ray's operators without return, takes one change
of each, and runs the tests that run the changed line, its room's first, then the fastest, until one fails. What is
costly is kept below ``SENZAI_RUNS`` (the coverage run, the changes drawn, every verdict as it comes), so that a stopped
run goes on; empty that folder after the code has changed. A survivor is killed by a new test, or stands in
``equal_mutants.json`` with the reason why no test can tell it from the code.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ..common import HERE, kept
from .covering import ROOT, Cover, record_all
from .looking import forked, look, prepare
from .sites import Mutant, sample
from .warm import Warm

ROOMS = ("data", "distributions", "evaluation", "objectives", "training")
EQUAL = HERE / "equal_mutants.json"
ENOUGH = 60.0  # seconds of tests that look at one change
MOST = 600  # and their number

Verdict = dict[str, Any]


def asked(cover: Cover, mutant: Mutant) -> tuple[list[str], float]:
    """Return the tests that look at a change and the seconds they need: its room's first, then the fastest."""
    room = Path(mutant.file).relative_to("src/senzai").parts[0]
    near = (mutant.file, f"tests/{room}/")
    groups = cover.tests_of(ROOT / mutant.file, range(mutant.lines[0], mutant.lines[1] + 1))
    tests = [t for g in groups for t in sorted(g, key=lambda t: (not t.startswith(near), cover.seconds[t], t))]
    chosen, seconds = [], 0.0
    for test in tests[:MOST]:
        if chosen and seconds + cover.seconds[test] > ENOUGH:
            break
        chosen.append(test)
        seconds += cover.seconds[test]
    return chosen, seconds


@cache
def has_threads(file: str) -> bool:
    """Whether the tests of a file use polars, whose threads a fork of a process that has used it waits for in vain."""
    return "polars" in (ROOT / file).read_text(encoding="utf-8")


def judge(cover: Cover, mutant: Mutant, folder: Path, warm: Warm) -> Verdict:
    """Return what became of one change."""
    tests, seconds = asked(cover, mutant)
    told = {**mutant.told(), "asked": len(tests)}
    if not tests:
        return {**told, "verdict": "survived", "by": "no test runs the line", "seconds": 0.0}
    text, limit = mutant.source(ROOT), 30 + 3 * seconds
    forkable = [t for t in tests if not has_threads(t.split("::")[0])]
    said = warm.ask(file=mutant.file, text=text, line=mutant.line, tests=forkable, seconds=limit) if forkable else None
    if said is None or not said["failed"] or said["failed"] == ["stall"]:
        said = forked(lambda: look(mutant.file, text, tests), folder, seconds=limit)
    if said["code"] == 0:
        return {**told, "verdict": "survived", "by": None, "seconds": said["seconds"]}
    by = said["failed"][0] if said["failed"] else f"collection (pytest said {said['code']})"
    return {**told, "verdict": "killed", "by": by, "seconds": said["seconds"]}


def judged(cover: Cover, mutants: Iterable[Mutant], progress: Path) -> list[Verdict]:
    """Judge what is not judged yet, writing each verdict as it comes."""
    lines = progress.read_text(encoding="utf-8").splitlines() if progress.exists() else []
    known = {(v["file"], v["operator"], v["occurrence"]): v for v in map(json.loads, lines)}
    found = []
    with tempfile.TemporaryDirectory() as folder, progress.open("a", encoding="utf-8") as out:
        warm = Warm(Path(folder))
        for i, mutant in enumerate(mutants):
            key = (mutant.file, mutant.operator, mutant.occurrence)
            if key not in known:
                known[key] = judge(cover, mutant, Path(folder), warm)
                out.write(json.dumps(known[key]) + "\n")
                out.flush()
                print(i, known[key]["verdict"], f"{mutant.file}:{mutant.line}", known[key]["by"] or "", flush=True)
            found.append(known[key])
    return found


def false_kills(verdicts: list[Verdict]) -> set[str]:
    """Run the tests that killed on the code as it is, and return those that fail there too."""
    killers = sorted({v["by"] for v in verdicts if v["verdict"] == "killed" and "::" in v["by"]})
    file = verdicts[0]["file"]
    text = (ROOT / file).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        said = forked(lambda: look(file, text, killers, first=False), Path(folder), seconds=3600)
    return set(killers) - set(said["passed"])


def equal() -> dict[tuple[str, str, str, str], str]:
    """Return the reasons why changes that survive are none."""
    listed = json.loads(EQUAL.read_text(encoding="utf-8")) if EQUAL.exists() else []
    return {(e["file"], e["where"], e["before"], e["after"]): e["reason"] for e in listed}


def drawn(keep: Path, n: int, seed: int) -> tuple[int, list[Mutant]]:
    """Return the number of sites and the changes drawn; drawing takes a minute, so it is kept."""
    path = keep / f"drawn-{n}-{seed}.json"
    if not path.exists():
        sites, mutants = sample(ROOT, ROOMS, n, seed)
        path.write_text(json.dumps([sites, [m.told() for m in mutants]]), encoding="utf-8")
    sites, told = json.loads(path.read_text(encoding="utf-8"))
    return sites, [Mutant(**{**m, "lines": tuple(m["lines"])}) for m in told]


def summary(verdicts: list[Verdict], wrong: set[str]) -> dict[str, Any]:
    """Return counts, by room as well, and what survived."""
    reasons = equal()
    for v in verdicts:
        v["room"] = Path(v["file"]).parts[2]
        if v["verdict"] == "killed" and v["by"] in wrong:
            v["verdict"] = "not counted"
        elif v["verdict"] == "survived" and (v["file"], v["where"], v["before"], v["after"]) in reasons:
            v["verdict"] = "equal"
    counts = Counter(v["verdict"] for v in verdicts)
    rooms = {r: dict(Counter(v["verdict"] for v in verdicts if v["room"] == r)) for r in ROOMS}
    shown = ("file", "where", "line", "operator", "before", "after", "asked")
    return {
        "run": len(verdicts),
        **{k: counts[k] for k in ("killed", "equal", "survived", "not counted")},
        "killed_of_run": round(counts["killed"] / len(verdicts), 4),
        "killed_of_unequal": round(counts["killed"] / max(1, counts["killed"] + counts["survived"]), 4),
        "rooms": rooms,
        "killed_by_time": sum(v["by"] == "time" for v in verdicts),
        "killed_at_import": sum(v["by"] == "import" for v in verdicts),
        "tests_that_failed_without_a_mutant": sorted(wrong),
        "survivors": [{k: v[k] for k in shown} for v in verdicts if v["verdict"] == "survived"],
    }


def measure(n: int, seed: int, *, quick: bool = False) -> dict[str, Any]:
    """Return how many of ``n`` changes the tests notice."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    keep = kept("mutants") or Path(tempfile.mkdtemp(prefix="senzai-mutants-"))
    record_all(ROOMS, keep / "coverage")
    sites, mutants = drawn(keep, n, seed)
    prepare()
    verdicts = judged(Cover(keep / "coverage"), mutants[: 5 if quick else n], keep / f"verdicts-{seed}.jsonl")
    found = summary(verdicts, false_kills(verdicts))
    return {"seed": seed, "asked_for": n, "sites": sites, **found}
