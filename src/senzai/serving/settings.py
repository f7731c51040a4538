"""Settings of a server, and what a request may ask for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import SettingError
from ..core.files import user_path

TOKEN = "SENZAI_TOKEN"
LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
LEAST_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What a server allows.

    Args:
        host: Address that is listened on; other than loopback only with a token.
        port: Port; 0 takes one that is free.
        token: What requests must bring in ``Authorization: Bearer``; none is asked for where there is none.
        origins: Origins of pages in browsers that may ask (CORS); none by default.
        body_bytes: Bytes of a request.
        rows: Rows of a request, and the largest whole number that a setting can be.
        pixels: Pixels of one picture, and numbers of one row.
        seconds: How long a request may take, to arrive and to be answered.
        free_bytes: Memory that must be free, or no new work is taken.
        at_once: Requests that are worked on at the same time.
        waiting: Requests that are held at the same time; more are asked to come again.
        join_rows: Rows of requests that are answered together, at most; 1 answers each by itself.
        keep: Runs that are in memory at the same time.

    Raises:
        SettingError: Something is out of range, or the token too short.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    origins: tuple[str, ...] = ()
    body_bytes: int = 64 * 2**20
    rows: int = 100_000
    pixels: int = 2**24
    seconds: float = 60.0
    free_bytes: int = 2**28
    at_once: int = 4
    waiting: int = 256
    join_rows: int = 256
    keep: int = 8

    def __post_init__(self) -> None:
        least = {"body_bytes": 1, "rows": 1, "pixels": 1, "at_once": 1, "waiting": 1, "join_rows": 1, "keep": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise SettingError(f"`{name} >= {low}` must hold, but got {getattr(self, name)!r}. Give more.")
        if not self.seconds > 0:
            raise SettingError(f"`seconds > 0` must hold, but got {self.seconds!r}. Give a time to answer in.")
        if not 0 <= self.port <= 65535:
            raise SettingError(f"`0 <= port <= 65535` must hold, but got {self.port!r}. Choose another.")
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise SettingError(
                f"A token has at least {LEAST_TOKEN} characters, but this one has {len(self.token)}. Make one with: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )

    def need_safe_address(self) -> None:
        """Refuse to listen where others can reach the server without a token.

        Raises:
            SettingError: The address is not loopback, and there is no token.
        """
        if self.token is None and self.host not in LOOPBACK:
            raise SettingError(
                f"Without a token a server is reached from its own machine alone, but got host={self.host!r}. Set "
                f"{TOKEN} or give --token-file, or leave the host out."
            )

    def admits(self, given: str | None) -> bool:
        """Whether an ``Authorization`` header has the token; takes as long for a nearly right one as for others."""
        if self.token is None:
            return True
        scheme, _, told = (given or "").partition(" ")
        return secrets.compare_digest(told.strip().encode(), self.token.encode()) and scheme.lower() == "bearer"


def token_of(file: str | Path | None, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the token from a file, else from the variable ``SENZAI_TOKEN``, if there is one.

    It is never an argument: others on the machine can read those.

    Raises:
        SettingError: The file cannot be read, or is empty.

    Example:
        >>> token_of(None, {"SENZAI_TOKEN": "0123456789abcdef"})
        '0123456789abcdef'
    """
    if file is None:
        return (os.environ if environment is None else environment).get(TOKEN, "").strip() or None
    path = user_path(file)
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is no text"
        raise SettingError(f"A token is read from a file, but {str(path)!r} cannot be: {why}. Check it.") from err
    if not found:
        raise SettingError(f"A token is read from a file, but {str(path)!r} is empty. Write the token into it.")
    return found
