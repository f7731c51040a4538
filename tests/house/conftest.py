"""The source, read once, for the tests that look at how the house is built."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    path: Path
    name: str
    text: str
    tree: ast.Module


def read(package: Path) -> list[Source]:
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Source(path, path.relative_to(package.parent).as_posix(), text, ast.parse(text)))
    return found


@pytest.fixture(scope="session")
def package(root: Path) -> Path:
    return root / "src" / "senzai"


@pytest.fixture(scope="session")
def sources(package: Path) -> list[Source]:
    return read(package)
