"""Where a run can be that is not a folder: in an archive, or on a hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError

SCHEME = re.compile(r"hf:/{1,2}")
"""Paths have single slashes, so that a path made of an address has one."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class HubAddress:
    """A repository of a hub.

    Args:
        name: ``user/name``.
        revision: Branch, tag or commit; ``None`` is the newest.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.name}" + (f"@{self.revision}" if self.revision else "")


def hub_address(path: object) -> HubAddress | None:
    """Return the repository that ``hf://user/name`` or ``hf://user/name@revision`` names; ``None`` for other paths.

    Raises:
        InputError: It begins like an address of the hub, but is none.

    Example:
        >>> hub_address("hf://me/digits@v1"), hub_address("runs/digits")
        (HubAddress(name='me/digits', revision='v1'), None)
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if not isinstance(text, str) or not (begun := SCHEME.match(text)):
        return None
    name, at, revision = text[begun.end() :].partition("@")
    return HubAddress(repository(name), _revision(revision) if at else None)


def repository(name: str) -> str:
    """Return the name of a repository, or refuse it.

    Raises:
        InputError: It is not ``user/name``.
    """
    if not NAME.fullmatch(name) or ".." in name or name.endswith((".git", ".", "-")):
        raise InputError(f"A repository is called user/name, but got {name[:80]!a}. Write hf://user/name.")
    return name


def _revision(text: str) -> str:
    if not REVISION.fullmatch(text) or ".." in text:
        raise InputError(
            f"A revision is a branch, a tag or a commit, but got {text[:80]!a}. Write hf://user/name@main."
        )
    return text


def is_packed(path: str | Path) -> bool:
    """Whether a path is that of a packed run: a file, or called as one.

    Example:
        >>> is_packed("no-such-run.zip"), is_packed("no-such-run")
        (True, False)
    """
    found = Path(path)
    return found.is_file() or (found.suffix.lower() == ".zip" and not found.is_dir())
