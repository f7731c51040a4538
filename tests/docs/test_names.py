"""Names and counts in the pages are those of the code."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

NOT_CODE = ("senzai.plugins",)
"""A group of entry points, not a module."""


def looked_up(name: str):
    found, so_far = importlib.import_module("senzai"), "senzai"
    for part in name.split(".")[1:]:
        so_far += f".{part}"
        owner = found
        try:
            found = getattr(found, part)
        except AttributeError:
            if isinstance(owner, type):  # a field without a default
                assert part in owner.__annotations__, name
                return
            found = importlib.import_module(so_far)


def pages(root):
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def test_every_dotted_name_in_the_pages_exists_under_that_name(root):
    """An old name would warn, which is an error here."""
    names = {m for p in pages(root) for m in re.findall(r"\bsenzai(?:\.[A-Za-z_]\w*)+", p.read_text(encoding="utf-8"))}
    assert len(names) > 50
    for name in names - set(NOT_CODE):
        looked_up(name)


def test_an_old_name_would_be_noticed():
    with pytest.raises(DeprecationWarning, match="LevelFeatures"):
        looked_up("senzai.nn.Levels")


def test_the_readme_counts_the_planted_faults(root):
    sys.path.insert(0, str(root / "tests"))
    try:
        n = len(importlib.import_module("faults.faults").FAULTS)
    finally:
        sys.path.remove(str(root / "tests"))
    assert f"{n} faults are planted" in (root / "README.md").read_text(encoding="utf-8")
