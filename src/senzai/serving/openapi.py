"""The description of the server: what each endpoint takes and gives, with rows of the runs as examples."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import bodies, words
from .answers import FORMS, HTML, JSON, ORIENTS, columns_of
from .problems import MEDIA, TITLES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..data import Schema
    from ..runs.verbs.registry import Verb
    from .settings import ServeSettings
    from .shelf import Shelf

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}, "error": {"type": "string"}, "request_id": {"type": "string"},
    },
}
TOLD = (400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 503, 504)
BULK = [form for form in FORMS if form not in (JSON, HTML)]
MOST_EXAMPLES = 8


def problems() -> dict[str, Any]:
    """Return what each status of an error looks like."""
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": TITLES[status], "content": content} for status in TOLD}


def operation(verb: Verb, settings: ServeSettings, method: str) -> dict[str, Any]:
    """Return what OpenAPI says of a verb beside its path."""
    made: dict[str, Any] = {"responses": {"200": {"description": "The answer.", "content": answers(verb)}} | problems()}
    if verb.answers in ("rows", "codes", "scores"):
        made["parameters"] = [{
            "name": "orient", "in": "query", "required": False, "description": "Records, or an object of columns.",
            "schema": {"type": "string", "enum": list(ORIENTS), "default": ORIENTS[0]},
        }]
    if method == "POST":
        asked = words.request_model(verb, settings.rows).model_json_schema(ref_template="#/components/schemas/{model}")
        content: dict[str, Any] = {JSON: {"schema": asked}}
        if verb.takes in ("rows", "own rows"):
            binary = {"schema": {"type": "string", "format": "binary"}}
            content |= {media: binary for media in bodies.FILES}
            form = {"type": "object", "properties": {words.inputs_of(verb)[0]: binary["schema"]}}
            content[bodies.MULTIPART] = {"schema": form}
        made["requestBody"] = {"required": verb.takes not in ("nothing", "own rows"), "content": content}
    return made


def answers(verb: Verb) -> dict[str, Any]:
    """Return the forms that the answer of a verb has."""
    if verb.answers == "file":
        return {HTML: {"schema": {"type": "string"}}}
    if verb.answers == "document":
        return {JSON: {"schema": {"type": "object"}}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    rows: dict[str, Any] = {"type": "object", "required": [verb.answers], "properties": {verb.answers: {}}}
    return {JSON: {"schema": rows}} | dict.fromkeys(BULK, binary)


def example_rows(schema: Schema, n: int = 1) -> Any:
    """Return rows that a run of this schema takes, in the user's terms: what the model's zeros mean.

    Example:
        >>> import senzai
        >>> schema = senzai.fit([[0.0, 1.5], [2.0, 2.5], [1.0, 1.0]] * 4, steps=1, n_latent=1).schema
        >>> example_rows(schema)
        [[0.0, 0.0]]
    """
    import torch

    from ..data import KINDS

    kind = KINDS[schema.kind]
    x: Any = {name: torch.zeros(n, *field.shape) for name, field in schema.fields.items()}
    return kind.to_json(kind.decode(x if len(x) > 1 else next(iter(x.values())), schema), schema)


@lru_cache(maxsize=64)
def _example(text: str) -> Any:
    from ..data import Schema

    return example_rows(Schema.model_validate_json(text))


def example_of(verb: Verb, schema: Schema, others: list[str]) -> dict[str, Any]:
    """Return a body that asks a verb something of a run."""
    rows = _example(schema.model_dump_json())
    made: dict[str, Any] = {}
    row = rows[0] if isinstance(rows, list) else rows
    for name in words.inputs_of(verb):
        if verb.takes not in words.OPTIONAL:
            made[name] = {"number": 3, "rows": rows, "runs": others[:1]}.get(verb.takes, row)
    for p in verb.parameters:
        if p.default is p.empty and words.can_be_asked(p):
            made[p.name] = _typical(p.annotation, rows, schema)
    return made


def _typical(annotation: Any, rows: Any, schema: Schema) -> Any:
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    if not row and schema.label is not None:
        row = {schema.label.name: schema.label.classes[0]}
    column = next(iter(row), "x")
    if annotation is str:
        return column
    return 1 if annotation is int else row.get(column, 0)


def describe(app: FastAPI, shelf: Shelf, verbs: dict[str, Verb]) -> dict[str, Any]:
    """Return the description of a server, with one example for each run (the first ones) at each endpoint."""
    from fastapi.openapi.utils import get_openapi

    from ..core.errors import SenzaiError

    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    if app.state.settings.token is not None:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    names = shelf.names()
    for name in names[:MOST_EXAMPLES]:
        try:
            schema = shelf.schema(name)
        except SenzaiError:
            continue
        for verb in verbs.values():
            content = _json_of(made, verb)
            if content is not None:
                others = [n for n in names if n != name] or [name]
                value = example_of(verb, schema, others)
                content.setdefault("examples", {})[name] = {"summary": f"The run {name}", "value": value}
    for path, methods in made["paths"].items():
        for told in methods.values():
            for parameter in told.get("parameters", ()):
                if parameter["name"] == "run" and "{run}" in path:
                    parameter["schema"] = {"type": "string", "enum": names} if names else {"type": "string"}
            told.get("responses", {}).pop("422", None) if "{run}" not in path else None
    return made


def _json_of(made: dict[str, Any], verb: Verb) -> dict[str, Any] | None:
    told = made["paths"].get(f"/v1/{{run}}/{verb.name}", {}).get("post")
    if told is None:
        return None
    found: dict[str, Any] = told["requestBody"]["content"][JSON]
    return found


__all__ = ["columns_of", "describe", "example_of", "example_rows", "operation"]
