"""The page of verbs names every one as it is registered, and its code runs."""

from __future__ import annotations

import re

from senzai.runs.verbs.registry import VERBS, every_verb


def test_every_verb_is_on_its_page_as_it_is_registered(root):
    page = (root / "docs" / "verbs.md").read_text(encoding="utf-8")
    rows = [f"| `{v.name}` | {v.takes} | {v.answers} | {v.summary} |" for v in every_verb().values()]
    assert re.findall(r"^\| `.*$", page, re.M) == rows


def test_the_code_of_the_page_runs(root):
    page = (root / "docs" / "verbs.md").read_text(encoding="utf-8")
    every_verb()
    before, names = set(VERBS), {}
    try:
        for block in re.findall(r"```python\n(.*?)```", page, re.S):
            exec(block, names)
        assert set(VERBS) - before == {"crowding"}
    finally:
        for name in set(VERBS) - before:
            del VERBS[name]
