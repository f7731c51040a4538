"""Addresses of databases without what is secret in them."""

from __future__ import annotations

import re

HIDDEN = "***"
"""What stands for a user's name and password in an address that is kept."""
SECRET = re.compile(r"(?<=[?&])([^=&]*(?:pass|pwd|token|secret|key|user)[^=&]*)=[^&]*", re.IGNORECASE)


def without_password(address: str) -> str:
    """Return an address without the name and password in it: runs are handed on.

    Example:
        >>> without_password("postgresql://me:secret@host/shop?sslmode=require&password=other")
        'postgresql://***@host/shop?sslmode=require&password=***'
        >>> without_password("sqlite:///shop.db")
        'sqlite:///shop.db'
    """
    scheme, mark, rest = address.partition("://")
    place = re.sub(r"^[^:/@]*(:[^@]*)?@", "", rest)
    while "@" in (first := re.split(r"[/?]", place)[0]):
        place = place[first.rindex("@") + 1 :]
    place = f"{HIDDEN}@{place}" if place != rest else place
    return scheme + mark + SECRET.sub(rf"\1={HIDDEN}", place) if mark else address
