"""The verb that opens the studio: a page in the browser on this machine."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ...core.errors import OutputError
from .options import place
from .output import console, plain

if TYPE_CHECKING:
    from ...studio.gate import Gate

PORT = 8737
MIB = 2**20


def studio(
    runs: Annotated[
        Path | None,
        Argument(metavar="[RUNS]", help="Folder with runs, or a run; by default runs.", show_default=False,
                 callback=place),
    ] = None,
    host: Annotated[str, Option("--host", help="Address to listen at; by default this machine alone.")] = "127.0.0.1",
    port: Annotated[int | None, Option("--port", min=0, max=65535, help="Port; by default 8737 or a free one.")] = None,
    no_token: Annotated[bool, Option("--no-token", help="Let every program of this machine in.")] = False,
    no_open: Annotated[bool, Option("--no-open", help="Only print the address, open no browser.")] = False,
    largest: Annotated[int, Option("--largest-upload", min=1, help="Largest upload in MiB.")] = 2048,
) -> None:
    """Open the studio: drop data, train, and explore what was learned, in the browser on this machine."""
    from ...core.extras import need

    need("fastapi", extra="serve", to="open the studio")
    uvicorn = need("uvicorn", extra="serve", to="open the studio")
    from ...studio.api import create_studio

    folder, run = workspace_of(runs or Path("runs"))
    token = None if no_token else secrets.token_urlsafe(24)
    app = create_studio(folder, token=token, host=host, largest=largest * MIB)
    with closing(listening(host, port)) as socket_:
        address = address_of(host, socket_.getsockname()[1], token, run)
        console(error=True).print(f"The studio of [bold]{plain(str(folder))}[/] is open at", highlight=False)
        console().print(plain(address), highlight=False, soft_wrap=True)
        console(error=True).print("[dim]Ctrl-C closes it; what is training is saved and can be continued.[/]")
        if not no_open:
            import webbrowser

            webbrowser.open(address)
        serve(uvicorn, app, socket_)


def serve(uvicorn: Any, app: Gate, socket_: socket.socket) -> None:
    """Answer requests until a signal comes."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[socket_])


def workspace_of(given: Path) -> tuple[Path, str | None]:
    """Return the folder to work in, and the run to show first where one was given.

    Example:
        >>> workspace_of(Path("no-such-folder"))[1] is None
        True
    """
    if (given / "spec.json").is_file():
        return given.resolve().parent, given.resolve().name
    return given, None


def listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; without a wish, at the usual port or at a free one.

    Raises:
        OutputError: The port is taken, or the address is not one of this machine.
    """
    for wanted in (PORT, 0) if port is None else (port,):
        found = None
        try:
            family, *_, address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
            found = socket.socket(family, socket.SOCK_STREAM)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(128)
            return found
        except OSError as err:
            if found is not None:
                found.close()
            why = err
            if port is None and wanted:
                continue
    raise OutputError(
        f"A studio needs an address that is free, but {host}:{PORT if port is None else port} cannot be listened at: "
        f"{why.strerror}. Choose another with --port or --host."
    )


def address_of(host: str, port: int, token: str | None, run: str | None) -> str:
    """Return what to open in a browser.

    Example:
        >>> address_of("127.0.0.1", 8737, "abc", "digits")
        'http://127.0.0.1:8737/?token=abc#/run/digits'
    """
    from urllib.parse import quote

    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    query, place = "" if token is None else f"?token={token}", "" if run is None else f"#/run/{quote(run)}"
    return f"http://{name}:{port}/{query}{place}"
