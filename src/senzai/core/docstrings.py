"""What a docstring says of arguments, for commands and endpoints that are made from signatures."""

from __future__ import annotations

import inspect
import re
from typing import Any


def argument_help(function: Any) -> dict[str, str]:
    """Return what the docstring says of each argument.

    Args:
        function: What has the docstring.

    Example:
        >>> argument_help(argument_help)
        {'function': 'What has the docstring.'}
    """
    lines = (inspect.getdoc(function) or "").partition("Args:\n")[2].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.startswith("    "):
            break
        if begun := re.fullmatch(r" {4}(\w+): (.*)", line):
            name, found[begun[1]] = begun[1], begun[2]
        elif name:
            found[name] += f" {line.strip()}"
    return {name: re.sub(r":\w+:`([^`]+)`|``([^`]+)``", r"\1\2", text) for name, text in found.items()}
