"""A process that has imported senzai and its tests as they are, and changes one function in place in each fork.

It answers in half the time, but only about what stands in a function, and only a kill counts: what was made while
modules were imported is of the old code. Whatever it does not notice is asked again in a fork that imports the change.
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
import os
import pkgutil
import types
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .covering import FOLDERS, ROOT
from .looking import forked, told_by_pytest

Place = tuple[str, int, str]


def outermost(text: str, line: int) -> tuple[int, str] | None:
    """Return first line and name of the outermost function whose body has the line."""
    nodes: list[ast.AST] = [ast.parse(text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.body[0].lineno <= line <= (node.end_lineno or 0):
                return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.name
        else:
            nodes += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
    return None


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield all code below a module's."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield const
            yield from codes_in(const)


def living() -> dict[Place, list[types.FunctionType]]:
    """Return all functions of senzai by file, first line and name."""
    found = defaultdict(list)
    for f in gc.get_objects():
        if isinstance(f, types.FunctionType) and f.__code__.co_filename.startswith(str(ROOT / "src")):
            found[f.__code__.co_filename, f.__code__.co_firstlineno, f.__code__.co_name].append(f)
    return found


def change(functions: dict[Place, list[types.FunctionType]], file: str, text: str, place: tuple[int, str]) -> None:
    """Give the functions of one place the code they have in the changed text."""
    path = str(ROOT / file)
    new = [c for c in codes_in(compile(text, path, "exec", dont_inherit=True)) if (c.co_firstlineno, c.co_name) == place]
    for f in functions[path, *place]:
        f.__code__ = new[0]


def serve(requests: int, answers: int, folder: Path) -> None:
    """Import everything, then answer requests, a line of JSON each, until there are no more."""
    log = os.open(folder / "warm.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1), os.dup2(log, 2)
    import senzai

    for module in pkgutil.walk_packages(senzai.__path__, "senzai."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(module.name)
    pytest.main(["-q", "--collect-only", "-pno:cacheprovider", *FOLDERS])
    functions = living()
    gc.collect()
    gc.freeze()
    with os.fdopen(requests) as asked, os.fdopen(answers, "w") as out:
        for request in asked:
            out.write(json.dumps(answer(functions, folder, **json.loads(request))) + "\n")
            out.flush()


def answer(
    functions: dict[Place, list[types.FunctionType]], folder: Path, *, file: str, text: str, line: int,
    tests: Sequence[str], seconds: float,
) -> dict[str, Any] | None:
    """Return what the tests say of a function's change; nothing where it is no function's."""
    place = outermost((ROOT / file).read_text(encoding="utf-8"), line)
    if place is None or not functions.get((str(ROOT / file), *place)):
        return None

    def look() -> dict[str, Any]:
        try:
            change(functions, file, text, place)
        except ValueError:  # it needs other names from around it than before
            return {"code": None, "failed": [], "passed": []}
        return told_by_pytest(tests, first=True)

    return forked(look, folder, seconds=seconds)


class Warm:
    """The other end: starts the process and asks it."""

    def __init__(self, folder: Path) -> None:
        (theirs, ours), (mine, yours) = os.pipe(), os.pipe()
        if os.fork() == 0:
            try:
                os.close(ours), os.close(mine)
                serve(theirs, yours, folder)
            finally:
                os._exit(0)
        os.close(theirs), os.close(yours)
        self.out, self.back = os.fdopen(ours, "w"), os.fdopen(mine)

    def ask(self, **request: Any) -> dict[str, Any] | None:
        """Return an answer to one request."""
        self.out.write(json.dumps(request) + "\n")
        self.out.flush()
        answered: dict[str, Any] | None = json.loads(self.back.readline())
        return answered
