"""Spec ↔ JSON: a tree of registered parts with their constructor arguments, and nothing else.

Any object whose class was registered with :func:`part` remembers the arguments it was made with. :func:`to_spec`
writes them down, a shared object once and by reference; :func:`from_spec` makes the tree again. Only registered names
are ever called, so a file cannot run code.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar

from .arguments import checked_arguments
from .errors import BundleError, SettingError
from .registry import Registry

T = TypeVar("T")

ROLES = (
    "prior", "posterior", "likelihood", "conditional", "rung", "classifier", "family", "encoder", "decoder", "blocks",
    "model", "objective", "schedule", "coder", "quantiser", "code_prior",
)
REGISTRIES: dict[str, Registry[Any]] = {role: Registry(role) for role in ROLES}
_ARGS = "_senzai_args"
_NAME = "_senzai_name"


def registry(role: str) -> Registry[Any]:
    """Return the registry of one role of parts."""
    return REGISTRIES[role]


def part(role: str, name: str) -> Callable[[type[T]], type[T]]:
    """Register a class as ``role/name`` and make its objects remember how they were made.

    Example:
        >>> ROLES[:3]
        ('prior', 'posterior', 'likelihood')
    """

    def keep(cls: type[T]) -> type[T]:
        registry(role).add(name)(cls)
        setattr(cls, _NAME, f"{role}/{name}")
        if not dataclasses.is_dataclass(cls):
            _remember_arguments(cls)
        return cls

    return keep


def _remember_arguments(cls: type[Any]) -> None:
    init = cls.__init__
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        arguments = dict(bound.arguments)
        arguments.pop(next(iter(signature.parameters)))
        object.__setattr__(self, _ARGS, arguments)

    cls.__init__ = remembering


def arguments_of(obj: Any) -> dict[str, Any]:
    """Return the constructor arguments of a registered object."""
    if dataclasses.is_dataclass(obj):
        return {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    arguments: dict[str, Any] = getattr(obj, _ARGS)
    return arguments


def name_of(obj: Any) -> str | None:
    """Return ``role/name`` of a registered object, else ``None``."""
    name: str | None = getattr(type(obj), _NAME, None)
    return name


def to_spec(value: Any, _seen: dict[int, int] | None = None) -> Any:
    """Return JSON for a value: plain data as it is, a registered object as its name and arguments.

    Raises:
        SettingError: Something in the tree is neither plain data nor registered.
    """
    seen = {} if _seen is None else _seen
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list | tuple):
        return [to_spec(v, seen) for v in value]
    if isinstance(value, dict):
        return {"dict": {str(k): to_spec(v, seen) for k, v in value.items()}}
    name = name_of(value)
    if name is None:
        raise SettingError(
            f"A saved model is made of registered parts and plain values, but got {type(value).__name__}. "
            "Register its class with `senzai.core.spec.part(role, name)`."
        )
    if id(value) in seen:
        return {"ref": seen[id(value)]}
    seen[id(value)] = number = len(seen)
    return {"part": name, "id": number, "args": {k: to_spec(v, seen) for k, v in arguments_of(value).items()}}


def from_spec(spec: Any, _made: dict[int, Any] | None = None) -> Any:
    """Make the objects of a spec again.

    Raises:
        BundleError: The spec has a form, a part or an argument that is not known here.
    """
    made = {} if _made is None else _made
    if isinstance(spec, list):
        return tuple(from_spec(v, made) for v in spec)
    if not isinstance(spec, dict):
        return spec
    if "float" in spec:
        return float(spec["float"])
    if "dict" in spec:
        return {k: from_spec(v, made) for k, v in spec["dict"].items()}
    if "ref" in spec:
        return made[spec["ref"]]
    if "part" not in spec:
        raise BundleError(f"A spec entry names a part, but got the keys {sorted(spec)}. The file is damaged.")
    arguments = {k: from_spec(v, made) for k, v in spec.get("args", {}).items()}
    made[spec.get("id", -1 - len(made))] = obj = make(spec["part"], **arguments)
    return obj


def make(name: str, /, **arguments: Any) -> Any:
    """Make the part registered as ``role/name``, its arguments checked.

    Raises:
        BundleError: There is no such role.
        UnknownNameError: There is no such part.
        SettingError: An argument is unknown, missing or of the wrong type.
    """
    role, _, short = name.partition("/")
    if role not in REGISTRIES:
        raise BundleError(f"A part is named role/name with a role of {', '.join(ROLES)}, but got {name!r}.")
    cls = registry(role)[short]
    return cls(**checked_arguments(name, cls, arguments))
