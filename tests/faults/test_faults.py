"""Faults are planted on purpose, and the suite must notice each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from .faults import FAULTS
from .plants import AREAS
from .runner import NO_PLACE, NO_TEST, NOTHING, ROOT, in_the_share, named_by

PATIENCE = 6 * 3600  # seconds; on a busy machine everything takes many times as long


def run_all(out, names):
    """Run the faults in a process of their own, which starts like any other: with no trace of this session."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    environment |= {"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    part = out.with_suffix(".part")
    try:
        subprocess.run(
            [sys.executable, "-m", "faults.runner", "--out", str(part), *names], cwd=ROOT, env=environment, check=True,
            capture_output=True, text=True, timeout=PATIENCE,
        )
    except (subprocess.SubprocessError, OSError) as err:
        part.write_text(json.dumps({"broken": f"{err} {getattr(err, 'stderr', '')}"}), encoding="utf-8")
    part.replace(out)


def asked(session):
    """Faults whose tests are asked for, and not skipped; those of the share where none is."""
    items = [i for i in session.items if hasattr(i, "callspec") and not i.get_closest_marker("skip")]
    names = {item.callspec.params.get("fault") for item in items}
    return [name for name in FAULTS if name in names] or [name for name in FAULTS if in_the_share(name)]


@pytest.fixture(scope="session")
def found(request, tmp_path_factory):
    """What became of each fault: found out once, by the first worker that asks; the others wait for it."""
    workers = hasattr(request.config, "workerinput")
    folder = tmp_path_factory.getbasetemp().parent if workers else tmp_path_factory.getbasetemp()
    out = folder / "faults.json"
    try:
        (folder / "faults.begun").touch(exist_ok=False)
    except FileExistsError:
        pass
    else:
        run_all(out, asked(request.session))
    until = time.monotonic() + PATIENCE + 60
    while not out.exists() and time.monotonic() < until:
        time.sleep(0.2)
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert "broken" not in answer, answer["broken"]
    return answer


def meant(test, named):
    """Whether a test is one of those named: itself, or with all its parameters."""
    return test in named or test.partition("[")[0] in named


@pytest.mark.parametrize("fault", [n if in_the_share(n) else pytest.param(n, marks=pytest.mark.slow) for n in FAULTS])
def test_it_is_noticed(found, fault):
    said = found["faults"][fault]
    assert said["noticed"], f"{fault!r} went unnoticed by {', '.join(FAULTS[fault].tests)}: {said}"
    assert all(meant(t, FAULTS[fault].tests) for t in said["failed"])


def test_there_are_enough_of_them_everywhere():
    count = Counter(f.area for f in FAULTS.values())
    assert set(count) == set(AREAS)
    assert sum(count.values()) >= 25
    assert min(count.values()) >= 5
    assert all(f.tests for f in FAULTS.values())
    always = Counter(f.area for name, f in FAULTS.items() if in_the_share(name))
    assert sum(always.values()) >= 120
    assert set(always) == set(AREAS)


def test_each_still_has_its_place(found):
    assert found["baseline"]["lost"] == {}


def test_without_a_fault_all_these_tests_pass(found):
    said, faults = found["baseline"], [name for name in found["faults"] if name in FAULTS]
    assert said["code"] == 0, said
    assert (said["failed"], said["other"]) == ([], [])
    named = set(named_by(faults))
    assert all(meant(t, named) for t in said["passed"])
    assert not {t for t in named if t not in said["passed"] and not any(p.startswith(f"{t}[") for p in said["passed"])}


@pytest.mark.parametrize(("control", "code"), [(NOTHING, 0), (NO_TEST, 4), (NO_PLACE, None)])
def test_the_engine_can_fail(found, control, code):
    """A fault that changes nothing, tests that do not exist and a fault that cannot be planted are not noticed."""
    said = found["faults"][control]
    assert not said["noticed"]
    assert said["code"] == code
    assert said["planted"] == (control != NO_PLACE)
