"""Train, judge and ship variational autoencoders.

Give it a file, get a model that generates, encodes, scores and explains itself::

    import senzai

    model = senzai.fit("customers.csv", out="runs/customers")
    model.sample(100, seed=0)          # new rows, in the columns of the file
    model.score("more.csv")            # higher = more anomalous

    model = senzai.load("runs/customers")

Under the two verbs lies a kit of parts: ``senzai.parts``, ``senzai.models``, ``senzai.objectives``.

Example:
    Importing the package is quick; torch comes in with the first name that needs it.

    >>> import senzai
    >>> senzai.__version__
    '0.2.0'
    >>> issubclass(senzai.InputError, ValueError)
    True
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from .core.renamed import install as install_old_names

if TYPE_CHECKING:
    from .core.errors import BundleError as BundleError
    from .core.errors import CombinationError as CombinationError
    from .core.errors import InputError as InputError
    from .core.errors import MissingExtraError as MissingExtraError
    from .core.errors import OutputError as OutputError
    from .core.errors import RunInterrupted as RunInterrupted
    from .core.errors import SenzaiError as SenzaiError
    from .core.errors import SettingError as SettingError
    from .core.errors import ShapeError as ShapeError
    from .core.errors import TrainingError as TrainingError
    from .core.errors import UnknownNameError as UnknownNameError
    from .core.errors import UserError as UserError
    from .runs import load as load
    from .runs.fit import fit as fit
    from .runs.fit import resume as resume
    from .serving import connect as connect
    from .tuning import tune as tune

__version__ = "0.2.0"

install_old_names()

# Large tensors on huge pages (Linux; nothing elsewhere): with many draws a row, a quarter of a step may go into
# page faults. Torch reads this once, at its first allocation, so it is set here; a value of the user's own stays.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__all__ = [
    "BundleError",
    "CombinationError",
    "InputError",
    "MissingExtraError",
    "OutputError",
    "RunInterrupted",
    "SenzaiError",
    "SettingError",
    "ShapeError",
    "TrainingError",
    "UnknownNameError",
    "UserError",
    "__version__",
    "connect",
    "fit",
    "load",
    "resume",
    "tune",
]

_ROOMS = {"connect": "serving", "tune": "tuning"}
"""Functions that are not in ``runs``."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = _ROOMS.get(name, "runs" if name.islower() else "core.errors")
    value = getattr(importlib.import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
