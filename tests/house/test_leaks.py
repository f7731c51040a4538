"""The fixtures that keep tests apart do keep them apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PLANTED = '''
import os, random
import numpy as np, pytest, torch

def test_environment(): os.environ["SENZAI_PLANTED"] = "1"
def test_folder(): os.chdir("/")
def test_dtype(): torch.set_default_dtype(torch.float64)
def test_threads(): torch.set_num_threads(torch.get_num_threads() + 1)
def test_gradients(): torch.set_grad_enabled(False)

def test_put_back(monkeypatch):
    monkeypatch.setenv("SENZAI_PLANTED", "1")
    with torch.no_grad():
        torch.rand(3), random.random(), np.random.rand()

@pytest.mark.parametrize("_", range(2))
def test_same_numbers(_):
    drawn = torch.rand(1).item(), random.random(), np.random.rand()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    assert drawn == (torch.rand(1).item(), random.random(), np.random.rand())
'''


def test_a_leak_is_reported_where_it_happens(root, tmp_path):
    shutil.copy(root / "conftest.py", tmp_path)
    (tmp_path / "test_planted.py").write_text(PLANTED)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", tmp_path]
    # Where CI is set, pytest says each reason a second time, in its summary.
    quiet = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1800, env=quiet)
    assert done.stdout.count("but it left: ") == 5, done.stdout + done.stderr
    for leak in ("environment", "folder", "dtype", "threads", "gradients"):
        assert f"ERROR test_planted.py::test_{leak} " in done.stdout
    assert "8 passed, 5 errors" in done.stdout
