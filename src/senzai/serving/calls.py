"""What is asked of a verb: as it came, and as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from . import bodies
from .answers import JSON, ORIENTS, forms_of
from .problems import RequestError


@dataclass(frozen=True)
class Call:
    """What was asked of a verb: nothing of it has been read yet.

    Args:
        run: Name of the run.
        body: Bytes of the body.
        media: Content type of the body.
        query: Query string, as pairs.
        forms: Forms of the answer, the first that it has being taken.
        fields: Fields of a form, as pairs.
        files: Files of a form or a body: name of the field, what the file is called, and its bytes.
    """

    run: str
    body: bytes = b""
    media: str = ""
    query: Sequence[tuple[str, str]] = ()
    forms: Sequence[str] = (JSON,)
    fields: Sequence[tuple[str, str]] = ()
    files: Sequence[tuple[str, str, bytes]] = ()


@dataclass
class VerbCall:
    """A call that was parsed and checked: what the verb takes, as it came, and settings."""

    given: list[Any]
    settings: dict[str, Any]
    orient: str = ORIENTS[0]
    forms: Sequence[str] = (JSON,)


async def call_of(run: str, request: Request) -> Call:
    """Return what was asked; the body is read up to the limit that the guard of the server sets.

    Raises:
        RequestError: The body is of no form that is known (415).
    """
    media = bodies.media_type(request.headers.get("content-type"))
    query, forms = request.query_params.multi_items(), forms_of(request.headers.get("accept"))
    if media == bodies.MULTIPART:
        return await _call_of_form(run, request, query, forms)
    body = await request.body()
    if media in ("", *bodies.JSON) or not body:
        return Call(run, body, media if body else "", query, forms)
    if media not in bodies.FILES:
        known = ", ".join((*bodies.JSON[:1], bodies.MULTIPART, *bodies.FILES))
        raise RequestError(f"A body is one of {known}, but got {media[:80]!r}. Send it as one of them.", 415)
    return Call(run, b"", media, query, forms, files=[("", f"the body{bodies.FILES[media]}", body)])


async def _call_of_form(run: str, request: Request, query: Sequence[tuple[str, str]], forms: Sequence[str]) -> Call:
    from python_multipart.exceptions import FormParserError
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException

    fields: list[tuple[str, str]] = []
    files: list[tuple[str, str, bytes]] = []
    try:
        async with request.form(max_files=10_000, max_fields=1000) as sent:
            for name, value in sent.multi_items():
                if isinstance(value, UploadFile):
                    files.append((name, value.filename or "", await value.read()))
                else:
                    fields.append((name, value))
    except (HTTPException, FormParserError) as err:  # not every starlette turns one into the other
        why = err.detail if isinstance(err, HTTPException) else err
        raise RequestError(f"A form must be whole, but this one cannot be read: {str(why)[:120]}.") from None
    return Call(run, b"", bodies.MULTIPART, query, forms, fields, files)
