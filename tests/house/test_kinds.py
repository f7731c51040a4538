"""A kind is one folder: nobody else knows its name or its inside."""

from __future__ import annotations

import ast

import pytest

from senzai.data import KINDS

KINDS_HERE = (
    "array", "audio", "counts", "documents", "images", "interactions", "molecules", "multimodal", "music",
    "series", "table", "text", "volume",
)
OWN = {name: f"senzai/data/{name}/" for name in KINDS_HERE}
VIEWS = {name: (f"senzai/report/views/{name}/", f"senzai/report/views/{name}.py") for name in OWN}
"""A view shows rows of its kind in a report; it is the part of the kind that stands in the report's room."""


def elsewhere(source, kind: str) -> bool:
    return not source.name.startswith((OWN[kind], *VIEWS[kind]))


def words_of(node: ast.expr) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def comparisons(tree: ast.AST):
    """Comparisons with words: equality, membership, and cases of a match."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield node, set().union(*(words_of(side) for side in (node.left, *node.comparators)))
        if isinstance(node, ast.MatchValue):
            yield node, words_of(node.value)


def modules(tree: ast.AST, name: str):
    """Absolute names of everything a module imports."""
    here = name.removesuffix(".py").split("/")
    package = here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{a.name}") for a in node.names)


def test_every_built_in_kind_is_looked_at():
    assert set(KINDS) >= set(OWN)


def test_nobody_compares_the_name_of_a_kind(sources):
    about_rows = ("kind", "schema")
    found = [
        f"{s.name}:{node.lineno} {word}"
        for s in sources for node, words in comparisons(s.tree) for word in words & set(OWN)
        if elsewhere(s, word) and any(w in ast.unparse(node) for w in about_rows)
    ]
    assert not found


@pytest.mark.parametrize("kind", OWN)
def test_nobody_imports_the_inside_of_a_kind(sources, kind):
    inside = {p.removesuffix(".py").replace("/", ".") for p in (s.name for s in sources) if p.startswith(OWN[kind])}
    inside -= {f"senzai.data.{kind}.__init__"}
    found = [
        f"{s.name}:{line} {module}" for s in sources for line, module in modules(s.tree, s.name)
        if not s.name.startswith(OWN[kind])
        and any(module == m or module.startswith(f"{m}.") for m in inside)
        and not (s.name.startswith(VIEWS[kind]) and module.count(".") <= 3)  # a module that the package hands out
    ]
    assert not found


@pytest.mark.parametrize("kind", OWN)
def test_the_face_of_a_kind_is_seen_by_its_view_alone(sources, kind):
    face = f"senzai.data.{kind}"
    allowed = (OWN[kind], *VIEWS[kind], "senzai/data/__init__.py")
    found = [
        f"{s.name}:{line} {module}" for s in sources for line, module in modules(s.tree, s.name)
        if module.startswith(f"{face}.") and not s.name.startswith(allowed)
    ]
    assert not found


def test_a_schema_has_no_place_of_its_own_for_one_kind(sources):
    named = [
        f"{s.name}:{n.lineno}" for s in sources for n in ast.walk(s.tree)
        if isinstance(n, ast.Attribute) and n.attr in OWN and isinstance(n.value, ast.Name | ast.Attribute)
        and ast.unparse(n.value).endswith("schema")
    ]
    assert not named
