"""A site of a federation as a process of its own: it pulls what a server asks, and pushes its answers."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError, TrainingError
from ..training.settings import TrainSettings
from .flower import flower
from .site import Site

POLL = 0.2


def join(
    data: object, *, server: str, name: str, ca: str | Path | None = None, key: str | Path | None = None,
    out: str | Path | None = None, state: str | Path | None = None, secure: bool = False,
    private: Mapping[str, Any] | None = None, patience: float = 600.0,
    announce: Callable[[str], None] | None = None,
) -> Site:
    """Take part in a federation until it is over; the data stay here.

    Args:
        data: A path, a frame.
        server: Address of the server, ``host:port``.
        name: What the site is called; each needs a name of its own.
        ca: Certificate that signed the server's, as PEM; ``None`` only for a server on this machine without TLS.
        key: Private key by which the server knows this site, as PEM; by default a new one.
        out: A new folder for the site's own run at the end, with the parameters that never left it.
        state: A folder for those parameters between rounds.
        secure: Take part under secure aggregation alone.
        private: Take part only where the privacy of the rows costs no more: ``{"epsilon": 3, "delta": 1e-5}``.
        patience: Seconds that the server may be away, before the site gives up.
        announce: Told of every answer.

    Raises:
        InputError: The server's certificate is another's, or the server speaks another version of the protocol.
        TrainingError: The server was away for too long.
        SenzaiError: What the data cannot do.
    """
    flower()
    most = None if private is None else TrainSettings.parse({"private": dict(private)}).private
    site = Site(data, name=name, out=out, state=state, secure=secure, private=most)
    last = time.monotonic()
    pair = None if key is None else _pair(Path(key))
    while not site.done:
        reached = _reached(server, ca)
        if reached:
            _serve(site, server, ca, pair, announce or (lambda line: None))
            last = time.monotonic()
        if site.error is not None and site.error.exit_code == 2:
            raise site.error
        if not site.done and time.monotonic() - last > patience:
            raise TrainingError(
                f"A site waits for its server, but {server} was away for {patience:g} seconds. Start the server again, "
                "or raise --patience."
            )
        time.sleep(POLL)
    return site


def _pair(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("it is of another sort")
    except (OSError, ValueError, TypeError) as err:
        raise InputError(f"A site's key must be an elliptic one as PEM, but {str(path)!r} is none ({err}).") from err
    return key, key.public_key()


def _reached(server: str, ca: str | Path | None) -> bool:
    """Whether the server is there; a certificate that is not the right one is an error.

    Raises:
        InputError: It is not; or the address is none.
    """
    import httpx

    try:
        verify = ssl.create_default_context(cafile=ca) if ca is not None else True
    except (OSError, ssl.SSLError) as err:
        raise InputError(f"--ca is a certificate as PEM, but {str(ca)!r} cannot be read as one ({err}).") from err
    try:
        httpx.get(f"{'https' if ca is not None else 'http'}://{server}/", verify=verify, timeout=10)
    except httpx.ConnectError as err:
        text = str(err)
        if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
            raise InputError(
                f"The server's certificate must be signed by {str(ca)!r} and made out to the host of {server!r}, but "
                f"it is not ({text}). Ask whoever runs the server for its certificate."
            ) from err
        return False
    except (httpx.RemoteProtocolError, httpx.ReadError) as err:
        if ca is not None:
            return False
        raise InputError(f"{server} speaks TLS, or no HTTP ({err}). Give its certificate: --ca FILE.") from err
    except httpx.TransportError:
        return False
    except httpx.InvalidURL as err:
        raise InputError(f"A server is an address like 127.0.0.1:9092, but got {server!r} ({err}).") from err
    return True


def _serve(site: Site, server: str, ca: str | Path | None, pair: Any, announce: Callable[[str], None]) -> None:
    """Answer until the server says that all is done, or goes away."""
    import httpx
    from flwr.supercore.inflatable.inflatable_utils import ObjectPullError

    from .messages import connected

    try:
        with connected(site, server, None if ca is None else Path(ca).read_bytes(), pair) as line:
            line.answer(announce)
    except (httpx.HTTPError, RuntimeError, ObjectPullError):
        return  # it went away; whoever called asks again
