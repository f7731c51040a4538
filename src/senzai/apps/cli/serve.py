"""Serve: runs behind HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from .options import Json, place
from .output import plain, reply

MB = 10**6


def serve(
    runs: Annotated[
        list[Path],
        Argument(metavar="RUN...", help="Runs, packed ones and hf://USER/NAME too, or folders that hold some.",
                 show_default=False),
    ],
    host: Annotated[str, Option("--host", help="Address; others than loopback only with a token.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", help="Port; 0 takes one that is free.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None, Option("--token-file", help="File with the token; else the variable SENZAI_TOKEN.", callback=place)
    ] = None,
    origin: Annotated[
        list[str] | None, Option("--origin", metavar="URL", help="Pages that may ask (CORS); repeat for more.")
    ] = None,
    most_rows: Annotated[int, Option("--rows", min=1, help="Rows of a request, at most.")] = 100_000,
    most_mb: Annotated[float, Option("--megabytes", min=0.001, help="Size of a request, at most.")] = 64,
    most_pixels: Annotated[int, Option("--pixels", min=1, help="Pixels of a picture, at most.")] = 2**24,
    seconds: Annotated[float, Option("--seconds", min=0.1, help="How long a request may take.")] = 60,
    keep: Annotated[int, Option("--keep", min=1, help="Runs in memory at the same time.")] = 8,
    threads: Annotated[int, Option("--threads", min=1, help="Threads of each calculation.")] = 1,
    as_json: Json = False,
) -> None:
    """Answer requests for runs over HTTP: each verb is POST /v1/RUN/VERB; /openapi.json says what it takes."""
    from ...core.extras import need

    for module in ("fastapi", "uvicorn", "prometheus_client"):
        need(module, extra="serve", to="serve runs")
    from ...serving.server import listen
    from ...serving.server import serve as go
    from ...serving.settings import ServeSettings, token_of
    from ...sharing import folders_of

    settings = ServeSettings(
        host=host, port=port, token=token_of(token_file), origins=tuple(origin or ()), rows=most_rows,
        body_bytes=int(most_mb * MB), pixels=most_pixels, seconds=seconds, keep=keep,
    )
    with listen(settings) as made, folders_of(runs) as folders:  # a wrong address is said before torch is loaded
        from torch import set_num_threads

        from ...serving.app import create_app
        from ...serving.shelf import Shelf

        set_num_threads(threads)
        shelf = Shelf.of(folders, keep=keep)

        def started(address: str) -> None:
            lines = [f"[bold]{plain(name)}[/]  {address}/v1/{plain(name)}" for name in shelf.names()]
            reply(as_json, {"address": address, "runs": shelf.names()}, *lines, "Stop with Ctrl-C.")
            sys.stdout.flush()

        go(create_app(shelf, settings), made, settings, started=started)
