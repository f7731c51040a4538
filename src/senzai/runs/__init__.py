"""Runs: what a user holds, ``fit``, ``resume``, ``load`` and the run with its verbs; data in, the same kind out."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ..core.errors import RunInterrupted as RunInterrupted
from .continuing import train_on as train_on
from .fit import fit as fit
from .fit import resume as resume
from .run import Run as Run
from .run import load as load

if _TYPE_CHECKING:
    from .curing import cure as cure
    from .verbs.compare import compare as compare

_JUDGING = {"compare": "verbs.compare", "cure": "curing"}
"""Functions that judge runs, and their modules, which training and using a run do not load."""


def __getattr__(name: str) -> _Any:
    if name not in _JUDGING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_JUDGING[name]}"), name)
