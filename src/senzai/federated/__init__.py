"""Federated learning on Flower: sites keep their rows, a server averages what they train; the end is an ordinary run.

``senzai federate`` starts it; :func:`simulate` does all of it in one process, :func:`serve` and :func:`join` are the
two sides of a real one. Only this room imports ``flwr`` (extra ``federated``).
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from .client import join as join
    from .server import serve as serve
    from .settings import Federation as Federation
    from .simulation import simulate as simulate

_HOMES = {"Federation": "settings", "join": "client", "serve": "server", "simulate": "simulation"}
"""Public names and their modules; Flower is loaded when one of them is used."""


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
