"""The runtime stands alone: no torch, nothing else of senzai, and the same files under another name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib

ALONE = """
import sys
import {name} as runtime
loaded = sorted(m for m in sys.modules if m.split(".")[0] in ("torch", "senzai", "pandas", "pydantic", "onnxruntime"))
print(" ".join(m for m in loaded if not m.startswith("{name}") and m != "senzai"))
"""


def run(code, **more):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_else_of_senzai_is_loaded_and_no_torch():
    others = run(ALONE.format(name="senzai.runtime")).split()
    assert set(others) <= {"senzai.core", "senzai.core.renamed"}  # what `import senzai` itself loads


def test_the_same_files_run_under_their_own_name(root, tmp_path):
    source, left_out = root / "src/senzai/runtime", shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, tmp_path / "senzai_runtime", ignore=left_out)
    assert run(ALONE.format(name="senzai_runtime"), cwd=tmp_path) == ""


def test_both_packages_have_one_version_and_need_the_same(root):
    ours = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    alone = tomllib.loads((root / "packaging/runtime/pyproject.toml").read_text())["project"]
    assert alone["version"] == ours["version"]
    assert [d.split(">")[0] for d in alone["dependencies"]] == ["numpy", "onnxruntime"]
