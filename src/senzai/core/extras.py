"""One way to import an optional package: where it is used, with an error that names the extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingExtraError


def need(module: str, *, extra: str, to: str) -> ModuleType:
    """Import ``module`` or say which extra installs it.

    Args:
        module: Dotted module name.
        extra: Name of the extra in ``pip install 'senzai[extra]'``.
        to: What it is needed for, completing "is needed to …".

    Raises:
        MissingExtraError: The package is not installed.

    Example:
        >>> need("json", extra="none", to="read JSON").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise MissingExtraError(
            f"The package {module.split('.')[0]!r} is needed to {to}, but it is not installed. "
            f"Install it with: pip install 'senzai[{extra}]'"
        ) from err
