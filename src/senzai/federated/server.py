"""The server of a federation as a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import SettingError
from .flower import flower
from .settings import Federation

if TYPE_CHECKING:
    from ..runs.run import Run


def serve(
    *, out: str | Path, host: str = "127.0.0.1", port: int = 9092, certificate: str | Path | None = None,
    key: str | Path | None = None, allowed: Iterable[str | Path] = (), recipe: str | None = None, kind: str = "table",
    settings: Mapping[str, Any] | None = None, federation: Mapping[str, Any] | None = None, overwrite: bool = False,
    announce: Callable[[dict[str, Any]], None] | None = None, started: Callable[[str], None] | None = None,
) -> Run:
    """Wait for sites, let them train together, and return the run.

    Args:
        out: Folder of the run; the rounds are kept beside it, and a server that is started again goes on from there.
        host: Address to listen at; others than this machine need a certificate.
        port: Port; 0 takes one that is free.
        certificate: Certificate of the server, as PEM.
        key: Its key.
        allowed: Public keys of the sites that may come; without any, every site that reaches the port may.
        recipe: Name of the recipe.
        kind: Kind of the data at the sites.
        settings: Settings of data, model and training, by name.
        federation: Settings of the federation, by name; see :class:`Federation`.
        overwrite: Begin again, and replace the run.
        announce: Told of every round.
        started: Told of the address once sites can come.

    Raises:
        SenzaiError: Sites disagree, too few are there, or training broke down.
    """
    flower()
    from .link import Tls, listening
    from .rounds import federate

    if (certificate is None) != (key is None):
        raise SettingError("TLS takes a certificate and its key, but got one of them. Give --certificate and --key.")
    told = Federation.parse(federation or {})
    tls = None if certificate is None or key is None else Tls(Path(certificate), Path(key))
    with listening(host, port, tls, allowed=[Path(p) for p in allowed]) as (grid, address):
        if started is not None:
            started(address)
        return federate(
            grid, told, out=out, kind=kind, recipe=recipe, given=settings, overwrite=overwrite, announce=announce,
        )
