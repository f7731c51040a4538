"""Text for terminals: what comes from data is shown, never obeyed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, escape sequences among them, but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of text
    "\u2028\u2029\ud800-\udfff]"  # line ends that are none to others, and halves of characters
)


def safe(text: str) -> str:
    r"""Return text with everything a terminal would obey, or that could hide other text, written as an escape.

    Example:
        >>> print(safe("\x1b[31mred\x1b[0m\r\u202egnp.exe"))
        \x1b[31mred\x1b[0m\r\u202egnp.exe
    """
    return UNSAFE.sub(lambda found: repr(found[0])[1:-1], text)


def safe_json(text: str) -> str:
    r"""Return JSON that reads back the same, with such characters written as JSON writes them.

    Example:
        >>> import json
        >>> print(safe_json(json.dumps("\x9b31m", ensure_ascii=False)))
        "\u009b31m"
    """
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def console(*, error: bool = False, **options: Any) -> Console:
    """Return where text for people goes, stdout or stderr; what is printed there as text is made safe first.

    Args:
        error: Print on stderr.
        options: What Rich's console may be told.
    """
    from rich.console import Console

    class Terminal(Console):
        def print(self, *objects: Any, **style: Any) -> None:
            super().print(*(safe(o) if isinstance(o, str) else o for o in objects), **style)

    return Terminal(stderr=error, **options)
