"""Files and functions stay small, and nothing is written twice."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator

FILE_LINES, FILE_LIMIT = 300, 400
BODY_LINES, BODY_LIMIT = 25, 60
MOST = 0.9
RUN = 6
CLONED = 0.04

Line = tuple[int, str]
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, text: list[str]) -> int:
    """Lines of the body that hold something, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    return sum(bool(line.strip()) for line in text[body[0].lineno - 1 : function.end_lineno])


def functions(sources) -> Iterator[tuple[str, int]]:
    for s in sources:
        text = s.text.splitlines()
        for node in ast.walk(s.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{s.name}:{node.lineno} {node.name}", body_lines(node, text)


def code_lines(text: str) -> list[Line]:
    """Lines of code with their numbers: no comments, docstrings, imports or lines of brackets; spaces made one."""
    skip = set()
    for node in ast.walk(ast.parse(text)):
        is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_constant or isinstance(node, ast.Import | ast.ImportFrom):
            skip.update(range(node.lineno, node.end_lineno + 1))
    lines = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED:
            lines[token.start[0]].append(token.string)
    kept = ((number, " ".join(words)) for number, words in sorted(lines.items()) if number not in skip)
    return [(number, line) for number, line in kept if any(c.isalnum() for c in line)]


def clones(files: dict[str, str]) -> tuple[float, list[str]]:
    """Share of code lines in a run of at least RUN lines that stands in another file too, and where they are."""
    code = {name: code_lines(text) for name, text in files.items()}
    places = defaultdict(list)
    for name, lines in code.items():
        for i in range(len(lines) - RUN + 1):
            places[tuple(line for _, line in lines[i : i + RUN])].append((name, i))
    cloned, reports = set(), []
    for found in places.values():
        if len({name for name, _ in found}) > 1:
            cloned.update((name, i + k) for name, i in found for k in range(RUN))
            reports.append(" = ".join(f"{name}:{code[name][i][0]}" for name, i in found))
    return len(cloned) / max(1, sum(map(len, code.values()))), reports


def test_files_are_mostly_short(sources):
    sizes = {s.name: len(s.text.splitlines()) for s in sources}
    assert not {n: k for n, k in sizes.items() if k > FILE_LIMIT}
    long = {n: k for n, k in sizes.items() if k > FILE_LINES}
    assert len(long) <= (1 - MOST) * len(sizes), long


def test_functions_are_mostly_short(sources):
    sizes = dict(functions(sources))
    assert not {n: k for n, k in sizes.items() if k > BODY_LIMIT}
    long = {n: k for n, k in sizes.items() if k > BODY_LINES}
    assert len(long) <= (1 - MOST) * len(sizes), long


def test_nothing_is_written_twice(sources):
    share, reports = clones({s.name: s.text for s in sources})
    assert share < CLONED, f"{share:.1%} of the lines stand in two files: {reports}"


def test_a_copied_function_would_be_noticed():
    body = "".join(f"    y{i} = x + {i}\n" for i in range(RUN))
    a = f"import math\n\n\ndef f(x):\n    '''One.'''\n{body}    return y0\n"
    b = f"import os\n\n\ndef g(x):  # another name\n    '''Two.'''\n\n{body}    return y1\n"
    share, reports = clones({"a.py": a, "b.py": b})
    assert share == 2 * RUN / (2 * (RUN + 2))
    assert reports == ["a.py:6 = b.py:7"]
    assert clones({"a.py": a})[0] == 0


def test_a_body_is_counted_without_its_docstring_and_blank_lines():
    text = 'def f():\n    """Say\n    more."""\n    a = 1\n\n    return a\n'
    assert body_lines(ast.parse(text).body[0], text.splitlines()) == 2
