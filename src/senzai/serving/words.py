"""What a verb is asked with: pydantic models made from its signature, one for each verb."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..core.docstrings import argument_help
from ..core.errors import SettingError
from ..core.registry import suggestion
from .problems import RequestError

if TYPE_CHECKING:
    from ..runs.verbs.registry import Verb

SEED = "seed"
MOST_SEED = 2**63 - 1
MOST_FLOAT = 1000.0
"""Numbers of settings lie within this of zero: far beyond, models compute nothing that is finite."""
PLAIN = (bool, int, float, str)
LISTS = (tuple, list, Sequence)
MAPPINGS = (dict, Mapping)
OPTIONAL = ("own rows",)
"""What a verb takes where it may be left out."""


@lru_cache(maxsize=256)
def inputs_of(verb: Verb) -> tuple[str, ...]:
    """Return what a request calls what a verb takes: the names of its arguments."""
    return tuple(p.name for p in verb.inputs)


def can_be_asked(parameter: inspect.Parameter) -> bool:
    """Whether a setting can be given in a request: plain values, lists and mappings of them.

    Not what names a file of the server, or what only Python has. A value of any sort is plain where it must be given
    (a category, say); where it may be left out it stands for data.
    """
    return _as_json(parameter.annotation, required=parameter.default is inspect.Parameter.empty) is not None


def _as_json(annotation: Any, *, required: bool) -> Any:
    """Return the type that a request has for an annotation, or ``None`` where it can have none."""
    if annotation in PLAIN or get_origin(annotation) is Literal:
        return annotation
    if annotation is object:
        return bool | int | float | str if required else None
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        if any(isinstance(k, type) and issubclass(k, _path()) for k in kinds):
            return None
        if str in kinds and len(kinds) > 1 and not all(k in PLAIN for k in kinds):
            return str
        found = [_as_json(k, required=required) for k in kinds]
        if not found or None in found:
            return None
        made = found[0]
        for k in found[1:]:
            made = made | k
        return made | None if len(kinds) < len(get_args(annotation)) else made
    if get_origin(annotation) in MAPPINGS:
        return dict[str, Any]
    if get_origin(annotation) in LISTS:
        inner = _as_json(get_args(annotation)[0], required=required)
        return None if inner is None else list[inner]  # type: ignore[valid-type]  # found when running
    return None


def _path() -> type:
    from pathlib import Path

    return Path


@lru_cache(maxsize=256)
def request_model(verb: Verb, most: int) -> type[BaseModel]:
    """Return the model of what a verb is asked with.

    Args:
        verb: The verb.
        most: The largest whole number that a setting can be; seeds are larger.

    Raises:
        SettingError: The verb cannot do without something that a request cannot give.
    """
    fields: dict[str, Any] = {}
    for name in inputs_of(verb):
        fields[name] = _input_field(verb, name, most)
    told = argument_help(verb.run if verb.settings is None else verb.settings)
    for p in verb.parameters:
        required = p.default is inspect.Parameter.empty
        kind = _as_json(p.annotation, required=required)
        if kind is None or p.name in fields:
            if required:
                raise SettingError(
                    f"A verb is served where a request can give its settings, but {verb.name!r} needs {p.name!r}. "
                    "Give it a default, or a plain type."
                )
            continue
        default = ... if required else p.default
        fields[p.name] = (_bounded(kind, p.name, most), Field(default, description=told.get(p.name) or None))
    return create_model(
        f"{verb.name.title().replace('_', '')}Request", __config__=ConfigDict(extra="forbid", allow_inf_nan=False),
        **fields,
    )


def _input_field(verb: Verb, name: str, most: int) -> Any:
    if verb.takes == "number":
        return int, Field(..., ge=1, le=most, description="How many.")
    if verb.takes == "runs":
        return list[str], Field(..., min_length=1, max_length=32, description="Names of other runs of this server.")
    said = "a list of rows, or an object with a list for each column"
    if verb.takes in OPTIONAL:
        return Any, Field(None, description=f"Rows: {said}; by default those the run was trained on.")
    return Any, Field(..., description=f"{'One row' if verb.takes != 'rows' else 'Rows'}: {said}.")


def _bounded(kind: Any, name: str, most: int) -> Any:
    top = MOST_SEED if name == SEED else most
    if kind is int:
        return Annotated[int, Field(ge=0, le=top)]
    if kind == int | None:
        return Annotated[int, Field(ge=0, le=top)] | None
    near = Annotated[float, Field(ge=-MOST_FLOAT, le=MOST_FLOAT)]
    if kind in (float, float | None):
        return near if kind is float else near | None
    if get_origin(kind) is list:
        return Annotated[list[near] if kind == list[float] else kind, Field(max_length=1000)]
    return kind


def settings_of(verb: Verb, values: Mapping[str, Any], most: int, *, rows_sent: bool = False) -> dict[str, Any]:
    """Return what a request gave for a verb, checked: what it takes, as it came, and settings.

    What was not given is not there, so that the verb's own defaults hold.

    Args:
        verb: The verb.
        values: What came.
        most: The largest whole number that a setting can be.
        rows_sent: Whether the rows came as files.

    Raises:
        RequestError: Something is unknown, lacking, or of another type.
    """
    model = request_model(verb, most)
    given = dict(values)
    if rows_sent:
        given.update(dict.fromkeys(inputs_of(verb), ()))
    try:
        found = model.model_validate(given)
    except ValidationError as err:
        raise RequestError(_told(err, verb, model), 422) from None
    inputs = inputs_of(verb)
    made = {name: getattr(found, name) for name in found.model_fields_set}
    return {n: tuple(v) if isinstance(v, list) and n not in inputs else v for n, v in made.items()}


def _told(err: ValidationError, verb: Verb, model: type[BaseModel]) -> str:
    """Return what is wrong, in one sentence; what came is not repeated."""
    first = err.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(p) for p in first["loc"] if isinstance(p, str | int))[:80]
    known = list(model.model_fields)
    if first["type"] == "extra_forbidden":
        near = suggestion(name, known)
        return f"{verb.name} takes {', '.join(known) or 'nothing'}, but got {name!r}.{near}"
    if first["type"] == "missing":
        return f"{verb.name} needs {name!r}, but it did not come. It takes {', '.join(known)}."
    return f"{name!r} of {verb.name} cannot be that: {first['msg'][:200]}. GET /openapi.json says more."
