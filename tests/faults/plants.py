"""How a fault gets into the library: a few characters of one function are exchanged while the process runs.

The function object stays the same and only its code is exchanged, so that whoever holds it already (another module, a
class, a registry of types, torch's table of KLs) runs the fault as well.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]

LIKELIHOODS = "likelihoods"
RATE = "rate"
BOUNDS = "bounds and estimators"
LOOP = "loop"
CHECKPOINT = "checkpoint"
SCHEMA = "schema"
VERBS = "verbs"
POSTERIORS = "posteriors"
PRIORS = "priors"
SAMPLERS = "samplers"
MODELS = "models"
OBJECTIVES = "objectives"
CODES = "codes"
EXPORTS = "exports"
AREAS = (
    LIKELIHOODS, RATE, BOUNDS, LOOP, CHECKPOINT, SCHEMA, VERBS, POSTERIORS, PRIORS, SAMPLERS, MODELS, OBJECTIVES, CODES,
    EXPORTS,
)


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Args:
        name: What is wrong.
        area: Which part of the library.
        plant: Puts it into the running process.
        tests: Node ids of tests of the suite, one of which at least must fail.
    """

    name: str
    area: str
    plant: Plant
    tests: tuple[str, ...]


def edit(target: str, *changes: str) -> Plant:
    """Exchange text in the source of one function.

    Args:
        target: ``module:function`` or ``module:Class.method`` inside the library; ``module:function[Type]`` is what a
            single-dispatch function does with a type.
        changes: What stands in the function exactly once, what stands there instead; then perhaps more such pairs.
    """

    def plant(patch: pytest.MonkeyPatch) -> None:
        function = find(target)
        patch.setattr(function, "__code__", edited(function, list(zip(changes[::2], changes[1::2], strict=True))))

    return plant


def find(target: str) -> FunctionType:
    """Return the function that a target names, without what it is wrapped in."""
    module, path = target.split(":")
    path, kind = re.fullmatch(r"([\w.]+)(?:\[(\w+)\])?", path).groups()
    owner: Any = importlib.import_module(f"senzai.{module}")
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step)
    found = inspect.getattr_static(owner, name)
    if kind is not None:
        (found,) = (f for t, f in found.registry.items() if t.__name__ == kind)
    return unwrap(found)


def unwrap(found: Any) -> FunctionType:
    if isinstance(found, property):
        found = found.fget
    elif isinstance(found, functools.cached_property):
        found = found.func
    elif isinstance(found, classmethod | staticmethod):
        found = found.__func__
    function = inspect.unwrap(found)
    if not isinstance(function, FunctionType):
        raise LookupError(f"A fault is planted into a function, but got {function!r}.")
    return function


def edited(function: FunctionType, changes: list[tuple[str, str]]) -> CodeType:
    """Return the code of ``function`` with its text changed, compiled where it stands in its module."""
    lines, _ = inspect.findsource(function)
    body, first = inspect.getsourcelines(function)
    text = "".join(body)
    for old, new in changes:
        if text.count(old) != 1:
            raise LookupError(f"{function.__qualname__} must have {old!r} once, but has it {text.count(old)} times.")
        text = text.replace(old, new)
    whole = "".join([*lines[: first - 1], text, *lines[first - 1 + len(body) :]])
    code = compile(whole, function.__code__.co_filename, "exec", dont_inherit=True)
    places = (function.__code__.co_qualname, function.__code__.co_firstlineno)
    (found,) = (c for c in nested(code) if (c.co_qualname, c.co_firstlineno) == places)
    return found


def nested(code: CodeType) -> Iterator[CodeType]:
    """Yield all code inside ``code``."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from nested(inner)
