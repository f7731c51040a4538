"""Runs behind HTTP: every verb as an endpoint, several runs at once, and a client with the same verbs.

``senzai serve RUN...`` starts it; :func:`create_app` is the application for those who have a server of their own.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from .app import create_app as create_app
    from .client import RemoteRun as RemoteRun
    from .client import connect as connect
    from .settings import ServeSettings as ServeSettings
    from .shelf import Shelf as Shelf

_HOMES = {
    "RemoteRun": "client", "ServeSettings": "settings", "Shelf": "shelf", "connect": "client", "create_app": "app",
}
"""Public names and their modules; those who only ask a server load nothing of it."""


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
