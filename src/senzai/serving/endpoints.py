"""The endpoints: one for each verb of the registry, made from its signature."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse

from ..core.errors import SettingError
from . import bodies, words
from .answers import ORIENTS, Answer, answered
from .calls import Call, VerbCall, call_of
from .joining import answer_several
from .openapi import operation
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

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        run = str(request.path_params["run"])
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
        asked = self.asked(call)
        if not call.files:
            return self.done(run, asked)
        with bodies.stored([(called, content) for _, called, content in call.files]) as uploads:
            return self.done(run, asked, self._of_files(run, call, uploads))

    def several(self, calls: Sequence[Call]) -> Sequence[Answer | BaseException]:
        """Answer calls of one run, those that can be joined by one call of the verb."""
        return answer_several(self.verb, self.shelf, calls, asked=self.asked, done=self.done, limits=self.limits)

    def done(self, run: Run, asked: VerbCall, inputs: list[Any] | None = None) -> Answer:
        """Do the verb, and return its answer; with inputs that were read from files."""
        names = words.inputs_of(self.verb)
        if inputs is None:
            inputs = [self._input(run, name, value) for name, value in zip(names, asked.given, strict=True)]
        if self.verb.answers == "file":
            return self._page(run, asked, inputs)
        found = run.do(self.verb.name, *inputs, **asked.settings)
        return answered(run, self.verb, found, asked.forms, asked.orient)

    def _page(self, run: Run, asked: VerbCall, inputs: list[Any]) -> Answer:
        with TemporaryDirectory(prefix="senzai-") as folder:
            found = run.do(self.verb.name, *inputs, **asked.settings, path=Path(folder, "page.html"))
            return answered(run, self.verb, found, asked.forms)

    # --- reading ----------------------------------------------------------------------------------------------------
    def asked(self, call: Call) -> VerbCall:
        """Return a call that was parsed and checked; its rows are not read yet.

        Raises:
            RequestError: Something is unknown, lacking, too much, or of another form.
        """
        values = bodies.query_values(call.query) if call.query else {}
        orient = str(values.pop(ORIENT, ORIENTS[0]))
        if orient not in ORIENTS:
            raise RequestError(f"`orient` is {' or '.join(ORIENTS)}, but got {orient[:40]!r}. Choose one.")
        values |= bodies.query_values(call.fields)
        if call.media in ("", *bodies.JSON):
            values |= bodies.parse_json(call.body)
        checked = words.settings_of(self.verb, values, self.limits.rows, rows_sent=bool(call.files))
        return VerbCall([checked.pop(n, None) for n in words.inputs_of(self.verb)], checked, orient, call.forms)

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

    def _of_files(self, run: Run, call: Call, uploads: Sequence[bodies.Upload]) -> list[Dataset]:
        names = words.inputs_of(self.verb)
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


class VerbRoute(APIRoute):
    """The route of a verb: FastAPI describes it, and the request goes to the endpoint as it is."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint; it reads and checks the request itself."""
        found: Callable[[Request], Coroutine[Any, Any, Response]] = vars(self.endpoint)["asks"]
        return found


def verb_router(shelf: Shelf, work: Work, settings: ServeSettings, verbs: Mapping[str, Verb]) -> APIRouter:
    """Return the endpoints of verbs; one whose settings no request can give is left out."""
    router = APIRouter(route_class=VerbRoute)
    for name, verb in sorted(verbs.items(), key=lambda item: item[1].by_row is None):  # those often asked come first
        try:
            words.request_model(verb, settings.rows)
        except SettingError:
            continue
        methods = ["GET", "POST"] if verb.takes == "nothing" else ["POST"]
        for method in methods:
            router.add_api_route(
                f"/v1/{{run}}/{name}", _described(Endpoint(verb, shelf, work, settings)), methods=[method],
                name=name, operation_id=name if method == methods[-1] else f"{name}_get", summary=verb.summary,
                tags=[verb.group], response_class=Response, openapi_extra=operation(verb, settings, method),
                response_model=None,
            )
    return router


def _described(endpoint: Endpoint) -> Any:
    """Return a function whose signature FastAPI describes, and that knows the endpoint that answers."""

    async def described(run: str) -> None: ...

    described.asks = endpoint.__call__  # type: ignore[attr-defined]  # where VerbRoute finds it
    return described
