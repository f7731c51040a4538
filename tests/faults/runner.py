"""Plants each fault in a process of its own and lets pytest look for it there.

Everything is imported once; on Linux each fault is then a fork, elsewhere a fresh process. From the folder ``tests``:
``python -m faults.runner`` runs all faults and prints a table, ``python -m faults.runner NAME ...`` some of them.
That all of them still have their places is looked at in any case; it takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .faults import FAULTS
from .plants import Fault

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120  # of computing: a fault that makes a test run for ever ends here
HOUR = 3600  # and one that makes it wait for ever, here
HEAVY = (
    "scipy.stats", "scipy.integrate", "mpmath", "pandas", "hypothesis.extra.numpy", "sklearn.decomposition", "arch",
    "torch._dynamo",
)

NOTHING = "nothing is planted"
NO_TEST = "the test does not exist"
NO_PLACE = "the place does not exist"


SHARE = 5
"""One fault of so many is run with every run of the suite, and all of them with ``--run-slow``."""


def in_the_share(name: str) -> bool:
    """Whether a fault is among those that are always run: by its name, so that others may come and go."""
    return zlib.crc32(name.encode()) % SHARE == 0


def named_by(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t for name in names for t in FAULTS[name].tests))


def lost() -> dict[str, str]:
    """Plant each fault and take it out again, without tests; return those that could not be planted, and why."""
    found = {}
    for name, fault in FAULTS.items():
        with pytest.MonkeyPatch.context() as patch:
            try:
                fault.plant(patch)
            except Exception:
                found[name] = traceback.format_exc(limit=3)
    return found


def controls() -> dict[str, Fault]:
    """Runs that must not count as noticed: without them the engine could not be wrong."""
    some = named_by(FAULTS)[:3]
    there = next(iter(FAULTS.values())).plant

    def nowhere(patch: pytest.MonkeyPatch) -> None:
        raise LookupError("no such place")

    found = (
        Fault(NOTHING, "control", lambda patch: None, some),
        Fault(NO_TEST, "control", there, ("tests/faults/no_such_file.py::test_nothing",)),
        Fault(NO_PLACE, "control", nowhere, some),
    )
    return {f.name: f for f in found}


# --- in the process of one fault ------------------------------------------------------------------------------------
class Witness:
    """A pytest plugin that keeps what became of each test; only a test's own body can notice a fault."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []
        self.other: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            kept = {"passed": self.passed, "failed": self.failed}.get(report.outcome, self.other)
            kept.append(report.nodeid)
        elif not report.passed:
            self.other.append(report.nodeid)


def look(fault: Fault | None, names: Sequence[str]) -> dict[str, Any]:
    """Plant a fault, run its tests, and say what they found; without a fault run all tests of the faults named."""
    witness = Witness()
    tests = named_by(names) if fault is None else fault.tests
    stop = [] if fault is None else ["-x"]
    places = lost() if fault is None else {}
    with pytest.MonkeyPatch.context() as patch:
        if fault is not None:
            try:
                fault.plant(patch)
            except Exception:
                return {"planted": False, "code": None, "why": traceback.format_exc(limit=3)}
        code = int(pytest.main(["-q", "-pno:cacheprovider", *stop, *tests], plugins=[witness]))
    return {"planted": True, "code": code, "lost": places, **vars(witness)}


def be_quiet(log: Path) -> None:
    """Send what pytest and the tests print to a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)


# --- in the process of all ------------------------------------------------------------------------------------------
def run(fault: Fault | None, folder: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return what one process said, and how long it took."""
    began, answer, log = time.perf_counter(), folder / "answer.json", folder / "log.txt"
    answer.unlink(missing_ok=True)
    (forked if sys.platform == "linux" else launched)(fault, answer, log, names)
    if answer.is_file():
        said = json.loads(answer.read_text(encoding="utf-8"))
    else:
        said = {"planted": True, "code": None, "why": "it ended without an answer"}
    if said["code"] not in (0, 1):
        said["log"] = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    said["noticed"] = said["planted"] and said["code"] == 1 and bool(said["failed"])
    return {**said, "seconds": round(time.perf_counter() - began, 2)}


def forked(fault: Fault | None, answer: Path, log: Path, names: Sequence[str]) -> None:
    """Let a copy of this process answer."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        try:
            signal.alarm(HOUR)
            if fault is not None:
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
            be_quiet(log)
            answer.write_text(json.dumps(look(fault, names)), encoding="utf-8")
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.waitpid(process, 0)


def launched(fault: Fault | None, answer: Path, log: Path, names: Sequence[str]) -> None:
    """Let a fresh process answer."""
    name = "" if fault is None else fault.name
    command = [sys.executable, "-m", "faults.runner", "--alone", str(answer), name, *names]
    with log.open("w", encoding="utf-8") as file, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, cwd=ROOT / "tests", stdout=file, stderr=file, timeout=HOUR, check=False)


def import_everything() -> None:
    """Import what tests need, so that a fork has it already; the tests themselves are imported with the fault in."""
    import senzai

    for name in (*HEAVY, *(m.name for m in pkgutil.walk_packages(senzai.__path__, "senzai."))):
        if not name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # pytest collects garbage at its end, which would copy all memory of every fork


def all_of(names: list[str]) -> dict[str, Any]:
    """Run the baseline, the controls and the faults."""
    import_everything()
    cases: dict[str, Fault] = {**controls(), **{name: FAULTS[name] for name in names}}
    with tempfile.TemporaryDirectory() as folder:
        baseline = run(None, Path(folder), names)
        return {"baseline": baseline, "faults": {name: run(f, Path(folder)) for name, f in cases.items()}}


def table(found: dict[str, Any]) -> str:
    base = found["baseline"]
    rows = [f"baseline: {len(base.get('passed', []))} passed, not {base.get('failed')} {base.get('other')}"]
    rows += [f"lost its place: {name}: {why}" for name, why in base.get("lost", {}).items()]
    for name, said in found["faults"].items():
        who = said["failed"][0] if said["noticed"] else said.get("why", f"nobody (pytest said {said['code']})")
        rows.append(f"{'yes' if said['noticed'] else 'NO ':4}{said['seconds']:6.1f} s  {name}: {who}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--alone", type=Path, help="write the answer about one fault into this file")
    parser.add_argument("--out", type=Path, help="write everything into this file, as JSON")
    parser.add_argument("names", nargs="*", help="faults; all by default")
    given = parser.parse_args()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a fifth of the time, and no coverage of broken code
    if given.alone is not None:
        known = {**controls(), **FAULTS, "": None}
        name, *names = given.names
        given.alone.write_text(json.dumps(look(known[name], names)), encoding="utf-8")
        return
    found = all_of(given.names or list(FAULTS))
    if given.out is not None:
        given.out.write_text(json.dumps(found), encoding="utf-8")
    sys.stdout.write(table(found) + "\n")


if __name__ == "__main__":
    main()
