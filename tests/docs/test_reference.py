"""The API reference is made from docstrings, a page for every module."""

from __future__ import annotations

import subprocess
import sys


def test_pages_are_made_from_docstrings(tmp_path, root):
    names = ["senzai.data", "senzai.data.schema", "senzai.parts.priors.flow"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pdoc", "--docformat", "google", "-o", str(tmp_path), *names],
        capture_output=True, text=True, timeout=600, cwd=root,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "senzai" / "data" / "schema.html").read_text()
    for text in ("One tensor of a row", "spacing", "Distance between neighbours", "senzai"):
        assert text in page
    assert (tmp_path / "senzai" / "parts" / "priors" / "flow.html").is_file()
    listed = (root / "scripts" / "docs").read_text()
    assert "find senzai -name '*.py'" in listed  # every module, without a list that could be forgotten
