"""The endpoints: one for each verb of the registry, made from its signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from ..core.errors import SettingError
from . import bodies, words
from .answers import ORIENTS, Answer, answered
from .calls import Call, Read, call_of
from .joining import answer_several
from .problems import RequestError
from .settings import ServeSettings
from .shelf import Shelf
from .work import Work

if TYPE_CHECKING:
    from ..data import Dataset
    from ..runs import Run
    from ..runs.verbs.registry import Verb

ORIENT = "orient"
SMALL = 2**16
"""Bytes of a body up to which a request can be answered together with others."""


class Endpoint:
    """A verb as an endpoint.

    Args:
        verb: The verb.
        shelf: Where runs are.
        work: Where it is done.
        settings: What requests may ask for.
    """

    def __init__(self, verb: Verb, shelf: Shelf, work: Work, settings: ServeSettings) -> None:
        self.verb, self.shelf, self.work, self.limits = verb, shelf, work, settings

    async def __call__(self, run: str, request: Request) -> Response:
        """Answer a request."""
        call = await call_of(run, request)
        if self.verb.by_row is not None and call.media in ("", *bodies.JSON) and len(call.body) <= SMALL:
            answer = await self.work.together((run, self.verb.name), call, self.several)
        else:
            answer = await self.work.one(lambda: self.alone(call))
        if isinstance(answer.content, bytes):
            return Response(answer.content, media_type=answer.media)
        return StreamingResponse(answer.content, media_type=answer.media)

    def alone(self, call: Call) -> Answer:
        """Answer a call by itself."""
        run = self.shelf.run(call.run)
        self.verb.need(run.schema, run.model)
        with bodies.stored([(called, content) for _, called, content in call.files]) as uploads:
            read = self.read(run, call, uploads)
            return self.done(run, read)

    def several(self, calls: Sequence[Call]) -> Sequence[Answer | BaseException]:
        """Answer calls of one run, those that can be joined by one call of the verb."""
        return answer_several(self.verb, self.shelf, calls, read=self.read, done=self.done, most=self.limits.join_rows)

    def done(self, run: Run, read: Read) -> Answer:
        """Do the verb, and return its answer."""
        if self.verb.answers == "file":
            return self._page(run, read)
        found = run.do(self.verb.name, *read.inputs, **read.settings)
        return answered(run, self.verb, found, read.forms, read.orient)

    def _page(self, run: Run, read: Read) -> Answer:
        from pathlib import Path
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="senzai-") as folder:
            found = run.do(self.verb.name, *read.inputs, **read.settings, path=Path(folder, "page.html"))
            return answered(run, self.verb, found, read.forms)

    # --- reading ----------------------------------------------------------------------------------------------------
    def read(self, run: Run, call: Call, uploads: Sequence[bodies.Upload] = ()) -> Read:
        """Return a call with its rows as the run reads them.

        Raises:
            RequestError: Something is unknown, lacking, too much, or of another form.
        """
        values = bodies.query_values(call.query)
        orient = str(values.pop(ORIENT, ORIENTS[0]))
        if orient not in ORIENTS:
            raise RequestError(f"`orient` is {' or '.join(ORIENTS)}, but got {orient[:40]!r}. Choose one.")
        values |= bodies.query_values(call.fields)
        if call.media in ("", *bodies.JSON):
            values |= bodies.parse_json(call.body)
        checked = words.settings_of(self.verb, values, self.limits.rows, rows_sent=bool(uploads))
        names = words.inputs_of(self.verb)
        given = {name: checked.pop(name, None) for name in names}
        inputs = self._of_files(run, names, call, uploads) if uploads else [
            self._input(run, name, given[name]) for name in names
        ]
        return Read(inputs, checked, orient, call.forms)

    def _input(self, run: Run, name: str, value: Any) -> Any:
        if self.verb.takes == "number":
            return value
        if self.verb.takes == "runs":
            return {other: self.shelf.run(str(other)) for other in value}
        if value is None and self.verb.takes in words.OPTIONAL:
            return run.source(None)
        if self.verb.takes in ("rows", "own rows"):
            return bodies.dataset_of(run, value, self.limits, name)
        one = value if isinstance(value, list) and _is_list_of_rows(value) else [value]
        return bodies.dataset_of(run, one, self.limits, name)

    def _of_files(
        self, run: Run, names: Sequence[str], call: Call, uploads: Sequence[bodies.Upload]
    ) -> list[Dataset]:
        sent: dict[str, list[bodies.Upload]] = {}
        for (name, _, _), upload in zip(call.files, uploads, strict=True):
            sent.setdefault(name, []).append(upload)
        if len(names) == 1 and len(sent) == 1:  # however the field is called
            return [bodies.dataset_of_files(run, uploads, self.limits)]
        if set(sent) != set(names) or any(len(files) > 1 for files in sent.values()):
            raise RequestError(
                f"{self.verb.name} takes {f'files named {chr(44).join(names)}' if names else 'no file'}, but got "
                f"{', '.join(sorted(sent))[:80]}. Name the fields so."
            )
        return [bodies.dataset_of_files(run, sent[name], self.limits) for name in names]


def _is_list_of_rows(value: list[Any]) -> bool:
    """Whether one row, a record or a picture, came as a list that holds it; of numbers nobody could tell."""
    return len(value) == 1 and isinstance(value[0], dict | str)


def verb_router(shelf: Shelf, work: Work, settings: ServeSettings, verbs: Mapping[str, Verb]) -> APIRouter:
    """Return the endpoints of verbs; one whose settings no request can give is left out."""
    from .openapi import operation

    router = APIRouter()
    for name, verb in verbs.items():
        try:
            words.request_model(verb, settings.rows)
        except SettingError:
            continue
        methods = ["GET", "POST"] if verb.takes == "nothing" else ["POST"]
        for method in methods:
            router.add_api_route(
                f"/v1/{{run}}/{name}", Endpoint(verb, shelf, work, settings).__call__, methods=[method],
                name=name, operation_id=name if method == methods[-1] else f"{name}_get", summary=verb.summary,
                tags=[verb.group], response_class=Response, openapi_extra=operation(verb, settings, method),
                response_model=None, include_in_schema=True,
            )
    return router
