"""What each verb loads: seconds of imports that nobody uses, held by what is in ``sys.modules``, without a clock."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

HEAVY = ("torch", "torch._dynamo", "sympy", "sklearn", "zuko", "plotly", "pandas", "senzai.evaluation", "senzai.report")
CODE = """
import json, sys
from senzai.apps.cli import main
heavy, seen = json.loads(sys.argv[1]), {}
for line in json.loads(sys.argv[2]):
    sys.argv = ["senzai", *line]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
    seen[line[0]] = [m for m in heavy if m in sys.modules]
print("SEEN", json.dumps(seen))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What is loaded after each of some verbs, run one after the other in a fresh process."""
    top = tmp_path_factory.mktemp("startup")
    rng = np.random.default_rng(0)
    data = str(top / "small.csv")
    a = rng.normal(size=80)
    frame = pd.DataFrame({"a": a, "b": np.where(a > 0, "x", "y"), "c": rng.integers(0, 4, 80)})
    frame.to_csv(data, index=False)

    import senzai

    run = str(top / "run")
    senzai.fit(data, out=run, steps=2, hidden=[8])
    lines = [
        ["--help"], ["info", data], ["encode", run, data, "-o", str(top / "codes.csv")],
        ["sample", run, "-o", str(top / "new.csv")], ["score", run, data, "-o", str(top / "scores.csv")],
        ["fit", data, "--out", str(top / "other"), "--set", "steps=2", "--set", "hidden=[8]", "--quiet"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(HEAVY), json.dumps(lines)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("SEEN ")[2])


def test_help_loads_nothing_heavy(loaded):
    assert loaded["--help"] == []


def test_looking_at_a_table_needs_no_torch(loaded):
    assert loaded["info"] == ["pandas"]


@pytest.mark.parametrize("verb", ["encode", "sample"])
def test_using_a_run_loads_nothing_to_judge_it_with(loaded, verb):
    assert loaded[verb] == ["torch", "pandas"]


def test_scores_need_no_foreign_library(loaded):
    assert loaded["score"] == ["torch", "pandas", "senzai.evaluation"]


def test_a_fit_loads_no_compiler_and_nothing_it_does_not_fit(loaded):
    assert not {"torch._dynamo", "sympy", "sklearn", "zuko"} & set(loaded["fit"])
