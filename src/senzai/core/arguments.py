"""Checking the plain arguments of a part against its annotations, before the part is made."""

from __future__ import annotations

import inspect
import types
from collections.abc import Hashable
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from .errors import SettingError
from .registry import suggestion

_SCALARS = (int, float, bool, str, types.NoneType)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    # A data class is read class by class, each in its own module: an inherited field is annotated where it was written.
    return get_type_hints(cls if is_dataclass(cls) else cls.__init__)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _is_plain(hint: Any) -> bool:
    """Whether a hint describes plain data: numbers, words, and tuples or lists of them."""
    if hint in _SCALARS or hint is Ellipsis or get_origin(hint) is Literal:
        return True
    plain_containers = (tuple, list, Union, types.UnionType)
    return get_origin(hint) in plain_containers and all(_is_plain(h) for h in get_args(hint))


def _in_words(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", types.NoneType: "nothing"}
    if hint in words:
        return words[hint]
    inner = [h for h in get_args(hint) if h is not Ellipsis]
    if get_origin(hint) in (tuple, list):
        return f"a list, each entry {' or '.join(dict.fromkeys(_in_words(h) for h in inner))}"
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, inner))
    return " or ".join(dict.fromkeys(_in_words(h) for h in inner))


def _has_bool(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_bool(v) for v in value)
    return isinstance(value, bool)


def _checked(name: str, key: str, value: Any, hint: Any) -> Any:
    if not _is_plain(hint):
        return value
    try:
        if _has_bool(value) and bool not in (hint, *get_args(hint)):
            raise ValueError
        return _adapter(hint).validate_python(value)
    except (ValidationError, ValueError):
        raise SettingError(
            f"{name} takes as {key!r} {_in_words(hint)}, but got {value!r}. Give another value."
        ) from None


def at_least(least: int, **values: int) -> None:
    """Refuse whole numbers below ``least``.

    Raises:
        SettingError: One is smaller, or no whole number.

    Example:
        >>> at_least(1, n_layers=2, width=0)
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: `width >= 1` must hold, but got width=0. Give a whole number from 1 up.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SettingError(
                f"`{name} >= {least}` must hold, but got {name}={value!r}. Give a whole number from {least} up."
            )


def checked_arguments(name: str, cls: type[Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments a part can be made with.

    Raises:
        SettingError: A name is unknown or missing, or a value is not what the part takes.

    Example:
        >>> class Ramp:
        ...     def __init__(self, steps: int) -> None: ...
        >>> checked_arguments("schedule/ramp", Ramp, {"steps": "ten"})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: schedule/ramp takes as 'steps' a whole number, but got 'ten'. Give ...
    """
    parameters = inspect.signature(cls).parameters
    for key in arguments:
        if key not in parameters:
            takes, near = ", ".join(parameters) or "no settings", suggestion(key, list(parameters))
            raise SettingError(f"{name} takes {takes}, but got {key!r}.{near}")
    missing = [k for k, p in parameters.items() if p.default is inspect.Parameter.empty and k not in arguments]
    if missing:
        given = ", ".join(arguments) or "nothing"
        raise SettingError(f"{name} needs {', '.join(missing)}, but got {given}. Set it too.")
    hints = _hints(cast(Hashable, cls))
    return {k: _checked(name, k, v, hints.get(k)) for k, v in arguments.items()}
