"""The name of a public class means one thing: what is found by searching for it is what was meant."""

from __future__ import annotations

import ast
from collections import defaultdict

NOT_TWICE = ("nearest",)
"""Names of functions that once meant several things."""


def test_no_two_classes_share_a_name(sources):
    places = defaultdict(list)
    for s in sources:
        for node in s.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(s.name)
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_names_that_were_taken_apart_stay_so(sources):
    found = [s.name for s in sources for n in s.tree.body if isinstance(n, ast.FunctionDef) and n.name in NOT_TWICE]
    assert not found
