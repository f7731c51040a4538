"""One change, and the tests that look at it, in a fork of a process that has imported everything but senzai."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .covering import ROOT

STALL = 20  # seconds of the clock without use of a processor after which a fork is taken to be stuck
_SEEN: dict[int, tuple[float, int]] = {}
WAITING = 600  # seconds of the clock after which a mutant that waits for ever is ended


def module_of(file: str) -> str:
    """Return the dotted name of a file below ``src``."""
    parts = Path(file).relative_to("src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from another text than the file's."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, with the change in it."""

    def __init__(self, file: str, text: str) -> None:
        self.name = module_of(file)
        self.path, self.text = str(ROOT / file), text

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=Changed(name, self.path, self.text))


class Witness:
    """A pytest plugin that keeps the tests that passed and the first one that did not."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)


def prepare() -> None:
    """Import what senzai and its tests import from elsewhere, and leave senzai itself to the forks."""
    listing = (
        "import pkgutil, importlib, sys, json, contextlib, senzai\n"
        "for m in pkgutil.walk_packages(senzai.__path__, 'senzai.'):\n"
        "    if not m.name.endswith('__main__'):\n"
        "        with contextlib.suppress(ImportError): importlib.import_module(m.name)\n"
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] not in ('senzai', '__main__')]))"
    )
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, cwd=ROOT)
    more = ["scipy.stats", "scipy.integrate", "mpmath", "hypothesis.extra.numpy", "sklearn.decomposition", "doctest"]
    for name in [*json.loads(done.stdout.splitlines()[-1]), *more]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    if any(name.split(".")[0] == "senzai" for name in sys.modules):
        raise SystemExit("senzai is imported already: a fork would not see its change.")
    gc.collect()
    gc.freeze()


def told_by_pytest(tests: Sequence[str], *, first: bool) -> dict[str, Any]:
    """Run tests in this process, up to the first that fails if asked so, and return what became of them."""
    witness = Witness()
    code = int(pytest.main(["-q", "-pno:cacheprovider", *["-x"][: int(first)], *tests], plugins=[witness]))
    return {"code": code, **vars(witness)}


def look(file: str, text: str, tests: Sequence[str], *, first: bool = True) -> dict[str, Any]:
    """In a fork: import the changed file, run the tests, and say what became of them.

    Modules whose examples are asked are imported before pytest does it, which may do so twice.
    """
    finder = Finder(file, text)
    sys.meta_path.insert(0, finder)
    try:
        for name in [finder.name, *dict.fromkeys(module_of(t.split("::")[0]) for t in tests if t.startswith("src/"))]:
            importlib.import_module(name)
    except BaseException:
        return {"code": None, "failed": ["import"], "passed": []}
    return told_by_pytest(tests, first=first)


def _stands_still(process: int) -> bool:
    """End a process and its children if they use no processor for a while: a fork waits for a thread it has not."""
    def used() -> int:
        found = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = stat.read_text().rpartition(")")[2].split()
                if int(words[2]) == process:  # its process group
                    found += int(words[11]) + int(words[12]) + int(words[13]) + int(words[14])
        return found

    now = time.monotonic()
    if now - _SEEN.get(process, (now, -1))[0] < STALL and process in _SEEN:
        return False
    before, _SEEN[process] = _SEEN.get(process, (now, -1)), (now, used())
    if before[1] != _SEEN[process][1]:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return True


def forked(work: Callable[[], dict[str, Any]], folder: Path, *, seconds: float) -> dict[str, Any]:
    """Return what ``work`` says in a fork: pytest's code, who passed and who failed, or that time ran out."""
    answer = folder / f"answer-{os.getpid()}.json"
    answer.unlink(missing_ok=True)
    sys.stdout.flush()
    if (process := os.fork()) == 0:
        try:
            os.setpgid(0, 0)
            signal.alarm(WAITING)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            answer.write_text(json.dumps(work()), encoding="utf-8")
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    stalled = False
    while not (ended := os.wait4(process, os.WNOHANG))[0]:
        stalled = stalled or _stands_still(process)
        time.sleep(0 if stalled else 0.05)
    _, status, used = ended
    if stalled:
        return {"code": None, "failed": ["stall"], "passed": [], "seconds": 0.0}
    took = {"seconds": round(used.ru_utime + used.ru_stime, 1)}
    if answer.exists():
        return {**json.loads(answer.read_text(encoding="utf-8")), **took}
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    out_of_time = ended in (signal.SIGPROF, signal.SIGALRM)
    return {"code": None, "failed": ["time" if out_of_time else "crash"], "passed": [], **took}
