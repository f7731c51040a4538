"""The simpler part that a part is compared with: every run that has such a part trains the other one as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from .registry import Registry

T = TypeVar("T")
Control: TypeAlias = tuple[str, Mapping[str, Any]]
"""``role/name`` and arguments, as in a spec."""

CONTROLS: Registry[Callable[[Mapping[str, Any]], Control | None]] = Registry("control")
"""From ``role/name`` of a part to a function of its arguments, which gives its control; ``None`` if it needs none."""


def controlled(name: str, by: Callable[[Mapping[str, Any]], Control | None]) -> Callable[[T], T]:
    """Register what the part ``role/name`` is compared with, beside its class.

    Args:
        name: ``role/name`` of the part.
        by: From its arguments to the control: as many parameters, nothing else changed.
    """

    def keep(entry: T) -> T:
        CONTROLS.add(name)(by)
        return entry

    return keep


def control_of(spec: Any) -> tuple[Any, list[tuple[str, str]]]:
    """Return a tree of parts with each controlled part replaced, and the names of what was replaced by what.

    Example:
        >>> control_of({"part": "prior/normal", "args": {}})
        ({'part': 'prior/normal', 'args': {}}, [])
    """
    replaced: list[tuple[str, str]] = []

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        by = CONTROLS.get(value["part"]) if isinstance(value.get("part"), str) else None
        found = None if by is None else by(value["args"])
        if found is None:
            return {k: walk(v) for k, v in value.items()}
        name, arguments = found
        replaced.append((value["part"], name))
        return {**value, "part": name, "args": dict(arguments)}

    return walk(spec), replaced
