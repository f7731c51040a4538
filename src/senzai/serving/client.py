"""The client: a run on a server, with the same verbs as a run at hand."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from ..core import errors
from ..core.errors import InputError, SenzaiError, SettingError, UserError
from ..core.extras import need
from ..core.files import user_path
from .answers import ARROW, ATTRS, JSON, NPY
from .problems import RequestError
from .settings import token_of

if TYPE_CHECKING:
    import httpx

MEDIA: Mapping[str, str] = {".arrows": ARROW, ".npy": NPY}


class ServerError(SenzaiError, RuntimeError):
    """A server could not answer: it is not there, not ready, or failed."""


def connect(
    url: str, run: str | None = None, *, token: str | None = None, timeout: float = 60.0,
    transport: httpx.BaseTransport | None = None,
) -> RemoteRun:
    """Return a run on a server, with the verbs of a run.

    Args:
        url: Address of the server; a run may be named at its end: ``http://localhost:8000/people``.
        run: Name of the run; not needed where the server has one.
        token: Token of the server; by default that in the variable ``SENZAI_TOKEN``.
        timeout: Seconds to wait for an answer.
        transport: How requests travel, for tests.

    Raises:
        ServerError: The server cannot be reached, or failed.
        RequestError: It has no such run, or asks for a token.
    """
    httpx_ = need("httpx", extra="serve", to="ask a server")
    if not url.startswith(("http://", "https://")):
        raise SettingError(f"An address begins with http:// or https://, but got {url[:80]!r}. Write it in full.")
    base = httpx_.URL(url)
    named = base.path.strip("/")
    if "/" in named or base.query or base.fragment:
        raise SettingError(f"An address has at most the name of a run behind the server, but got {url[:80]!r}.")
    told = token or token_of(None)
    http = httpx_.Client(
        base_url=base.copy_with(path="/"), timeout=timeout, transport=transport, trust_env=transport is None,
        headers={"authorization": f"Bearer {told}"} if told else {},
    )
    name = run or named or _only_run(_ask(http, "GET", "/v1").json()["runs"], url)
    return RemoteRun(http, name, _ask(http, "GET", f"/v1/{quote(name, safe='')}").json())


def _only_run(runs: Sequence[Mapping[str, Any]], url: str) -> str:
    if len(runs) != 1:
        names = ", ".join(str(r["name"]) for r in runs[:20]) or "none"
        raise SettingError(f"A run is named where a server has several, but {url!r} has {names}. Name one: run=...")
    return str(runs[0]["name"])


class RemoteRun:
    """A run on a server: every verb that it has is a method, with the settings of that verb by keyword.

    Data go out as they are at hand: frames as Arrow, arrays as npy, paths as files, lists and mappings as JSON. Frames
    come back for tables, arrays else, and mappings for documents; what went in with row names comes out with them.

    Args:
        http: The connection.
        name: Name of the run.
        about: What the server says of it.
    """

    def __init__(self, http: httpx.Client, name: str, about: Mapping[str, Any]) -> None:
        self.http, self.name, self.about = http, name, dict(about)

    def __repr__(self) -> str:
        return f"RemoteRun(name={self.name!r}, url={str(self.http.base_url)!r}, kind={self.about['kind']!r})"

    def __getattr__(self, name: str) -> Any:
        """Return a verb as a method."""
        if name.startswith("_") or name not in self.about["verbs"]:
            raise AttributeError(f"The run has no verb {name!r}. It has: {', '.join(self.about['verbs'])}.")
        method = partial(self.do, name)
        method.__doc__ = self.about["verbs"][name]["summary"]
        return method

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.about["verbs"]})

    def __enter__(self) -> RemoteRun:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.http.close()

    def do(self, verb: str, *given: Any, **settings: Any) -> Any:
        """Do a verb by its name.

        Raises:
            UserError: What was asked cannot be done: the error that the run would have raised.
            ServerError: The server cannot be reached, or failed.
        """
        told = self.about["verbs"][verb]
        names, values = list(told["inputs"]), dict(settings)
        if len(given) > len(names):
            raise SettingError(f"{verb} takes {', '.join(names) or 'nothing'}, but got {len(given)} arguments.")
        inputs = dict(zip(names, given, strict=False)) | {n: values.pop(n) for n in names if n in values}
        rows = told["takes"] in ("rows", "own rows", "one row", "two rows")
        parts = {n: parts_of(v) for n, v in inputs.items() if rows and v is not None}
        numbers = told["answers"] in ("rows", "codes", "scores") and not settings.get("draws")
        head = {"accept": f"{NPY}, {ARROW}" if numbers else f"{JSON}, text/html"}
        address = f"/v1/{quote(self.name, safe='')}/{verb}"
        if any(p is None for p in parts.values()) or not parts:
            plain = {n: _plain(v) for n, v in {**inputs, **values}.items() if v is not None}
            found = _ask(self.http, "POST", address, json=plain, headers=head)
        else:
            query = {n: json.dumps(_plain(v)) for n, v in values.items() if v is not None}
            sent = [(n, part) for n, some in parts.items() for part in some or ()]
            body = _body(sent)
            head |= body.pop("headers", {})
            found = _ask(self.http, "POST", address, params=query, headers=head, **body)
        first = next(iter(inputs.values()), None)
        return _read(found, told["answers"], getattr(first, "index", None) if hasattr(first, "columns") else None)


def parts_of(value: Any) -> list[tuple[str, bytes]] | None:
    """Return data as files, each with a name and its bytes; ``None`` for what goes as JSON.

    Raises:
        InputError: There is no such file, or it is not known how to send this.
    """
    if isinstance(value, str | Path):
        path = user_path(value)
        files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        if not files or not all(p.is_file() for p in files):
            raise InputError(f"A file or a folder of files is sent, but {str(path)!r} is none. Check the path.")
        return [(p.name, p.read_bytes()) for p in files]
    if isinstance(value, list | dict):
        return None
    if hasattr(value, "columns"):
        return [("rows.arrows", arrow_of(value))]
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "biuf":
        raise InputError(f"Arrays of numbers are sent, but this holds {array.dtype}. Send a frame, or a list of rows.")
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    return [("rows.npy", held.getvalue())]


def arrow_of(frame: Any) -> bytes:
    """Return a pandas or polars frame as an Arrow stream."""
    import pyarrow as pa
    from pyarrow import ipc

    from ..data.frame_files import arrow_table, to_pandas

    table = arrow_table(to_pandas(frame), None)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _body(sent: list[tuple[str, tuple[str, bytes]]]) -> dict[str, Any]:
    """Return one file as a body, several as a form."""
    media = MEDIA.get(Path(sent[0][1][0]).suffix)
    if len(sent) == 1 and media is not None:
        return {"content": sent[0][1][1], "headers": {"content-type": media}}
    return {"files": sent}


def _ask(http: httpx.Client, method: str, address: str, **given: Any) -> httpx.Response:
    """Ask a server, and raise the error that it answers with.

    Raises:
        UserError: The request cannot be answered.
        ServerError: The server cannot be reached, or failed.
    """
    httpx_ = need("httpx", extra="serve", to="ask a server")
    try:
        found: httpx.Response = http.request(method, address, **given)
    except httpx_.HTTPError as err:
        raise ServerError(
            f"The server at {http.base_url} must answer, but it did not: {type(err).__name__}. Is it running there?"
        ) from err
    if found.status_code < 400:
        return found
    raise error_of(found)


def error_of(found: httpx.Response) -> SenzaiError:
    """Return the error that an answer tells of: of the class that the run raised, where that is one for users."""
    try:
        told = found.json()
        name, text = str(told["error"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return ServerError(f"A server of senzai answers problem+json, but this one answered {found.status_code}.")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, UserError) and found.status_code < 500:
        return kind(text)
    return RequestError(text, found.status_code) if found.status_code < 500 else ServerError(text)


def _read(found: httpx.Response, answers: str, index: Any) -> Any:
    media = found.headers.get("content-type", "").partition(";")[0]
    if media == NPY:
        return np.load(io.BytesIO(found.content), allow_pickle=False)
    if media == ARROW:
        made = _frame(found.content)
        return made if index is None or len(index) != len(made) else made.set_axis(index, axis=0)
    if media != JSON:
        return found.text
    told = found.json()
    return told[answers] if answers in ("rows", "codes", "scores") else told


def _frame(content: bytes) -> Any:
    from pyarrow import ipc

    with ipc.open_stream(content) as reader:
        table = reader.read_all()
    made = table.to_pandas()  # the dtypes are in its metadata
    made.attrs.update(json.loads((table.schema.metadata or {}).get(ATTRS, b"{}")))
    return made
