"""Expressions that a user writes, as ``qed - 0.1 * sa``: read as a tree of a few known things, never run as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .registry import suggestion

Floats = NDArray[np.float64]

LONGEST, DEEPEST = 500, 40
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: np.divide, ast.Pow: np.power,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1), "exp": (np.exp, 1), "log": (np.log, 1), "sqrt": (np.sqrt, 1), "min": (np.minimum, 2),
    "max": (np.maximum, 2),
}
HOW = "Numbers, names, + - * / ** and the functions abs, exp, log, sqrt, min and max of two make an expression."


class Expression:
    """A sum of what is known of each row, as a user wrote it.

    Args:
        text: What was written.
        known: Names that may stand in it.

    Raises:
        SettingError: It is no expression, or has something in it that is not known.

    Example:
        >>> found = Expression("qed - 0.1 * max(sa, 2)", ["qed", "sa"])
        >>> found.names, found({"qed": np.array([0.5, 0.9]), "sa": np.array([1.0, 4.0])}).tolist()
        (('qed', 'sa'), [0.3, 0.5])
    """

    def __init__(self, text: str, known: list[str]) -> None:
        if not text.strip() or len(text) > LONGEST:
            raise SettingError(f"An expression has 1 to {LONGEST} characters, but got {len(text)}. {HOW}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
            raise SettingError(f"{text!r} is no expression. {HOW}") from err
        self.text, self._tree = text, tree
        self.names = tuple(dict.fromkeys(_names(tree, text, known, 0)))
        if not self.names:
            raise SettingError(f"{text!r} is the same for every row. Use one of {', '.join(known)}.")

    def __call__(self, values: Mapping[str, Floats]) -> Floats:
        """Return its value for each row; NaN where it has none."""
        with np.errstate(all="ignore"):
            found = np.asarray(_value(self._tree, values), dtype=np.float64)
        return np.where(np.isfinite(found), found, np.nan)


def _names(node: ast.expr, text: str, known: list[str], depth: int) -> list[str]:
    """Return the names in a tree, all of whose parts are known."""
    if depth > DEEPEST:
        raise SettingError(f"{text[:40]!r} has more than {DEEPEST} parts within each other. Write it shorter.")
    inner: list[ast.expr] = []
    if isinstance(node, ast.Name):
        if node.id not in known:
            near = suggestion(node.id, known)
            raise SettingError(f"{node.id!r} in {text!r} is not known.{near} Known: {', '.join(known)}.")
        return [node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return []
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        inner = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        inner = [node.operand]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        _, n = _FUNCTIONS.get(node.func.id, (None, -1))
        if n == len(node.args):
            inner = list(node.args)
    if not inner:
        raise SettingError(f"{ast.unparse(node)[:60]!r} cannot stand in an expression. {HOW}")
    return [name for one in inner for name in _names(one, text, known, depth + 1)]


def _value(node: ast.expr, values: Mapping[str, Floats]) -> Any:
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Constant):
        return np.float64(float(str(node.value)))
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_value(node.operand, values))
    assert isinstance(node, ast.Call)  # nothing else was let in
    assert isinstance(node.func, ast.Name)
    return _FUNCTIONS[node.func.id][0](*(_value(one, values) for one in node.args))
