"""The folder that a studio works in: runs, what was uploaded, and what is being done; nothing outside it is touched."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError, OutputError, SettingError
from ..core.files import replacing
from ..core.registry import suggestion
from ..data.sources import BUILT_IN
from ..serving.problems import RequestError
from ..training import bundle

OWN = ".studio"
NAME = re.compile(r"\w(?:[\w .()+,@=-]{0,98}[\w)])?")
"""Names of runs, files and folders of files: what every file system takes, and no way up."""
DEPTH = 4
"""Folders within a folder that was dropped."""
SPEC = "spec.json"


def checked(name: str) -> str:
    """Return a name that is one part of a path, without a way to another folder.

    Raises:
        SettingError: It is not.

    Example:
        >>> checked("people 2026.csv")
        'people 2026.csv'
    """
    if not NAME.fullmatch(name):
        raise SettingError(
            "A name has letters, digits, spaces and . _ - ( ) + , @ =, begins with a letter or digit and has at most "
            f"100 characters, but got {name[:120]!r}. Choose another."
        )
    return name


@dataclass(frozen=True)
class Workspace:
    """A folder with runs in it, one folder each; ``.studio`` in it holds uploads and jobs.

    Args:
        root: The folder, resolved.
        largest: Bytes that may be uploaded at once.
    """

    root: Path
    largest: int = 2 * 2**30

    @classmethod
    def of(cls, folder: Path, *, largest: int = 2 * 2**30) -> Workspace:
        """Return the workspace in a folder, which is made if it is not there.

        Raises:
            OutputError: It cannot be written.
        """
        root = folder.resolve()
        try:
            for name in ("data", "jobs", "exports"):
                (root / OWN / name).mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise OutputError(
                f"A studio needs a folder that it can write, but {str(folder)!r} cannot be: {err.strerror}. "
                "Give another: senzai studio FOLDER"
            ) from err
        return cls(root, largest)

    def own(self, *parts: str) -> Path:
        """Return a place in the studio's own folder."""
        return self.inside(self.root.joinpath(OWN, *map(checked, parts)))

    def inside(self, path: Path) -> Path:
        """Return a path that stays in the folder, links followed.

        Raises:
            InputError: It leads elsewhere.
        """
        if not path.resolve().is_relative_to(self.root):
            raise InputError(
                f"A studio stays in its folder, but {path.name!r} leads out of it. Copy it into the folder."
            )
        return path

    # --- runs ---------------------------------------------------------------------------------------------------------
    def run_names(self) -> list[str]:
        """Return the names of all runs, the newest first."""
        found = [p for p in self.root.iterdir() if NAME.fullmatch(p.name) and is_run(p)]
        inside = [p for p in found if p.resolve().is_relative_to(self.root)]
        return [p.name for p in sorted(inside, key=lambda p: -(p / SPEC).stat().st_mtime)]

    def run(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            RequestError: There is none of this name.
        """
        folder = self.inside(self.root / checked(name))
        if not is_run(folder):
            names = self.run_names()
            raise RequestError(
                f"There is no run {name!r} here.{suggestion(name, names)} Go back to the list of runs.", 404
            )
        return folder

    def new_run(self, name: str) -> Path:
        """Return where a new run will be.

        Raises:
            SettingError: The name is taken.
        """
        folder = self.inside(self.root / checked(name))
        if folder.exists():
            raise SettingError(f"A new run needs a new name, but {name!r} is taken. Choose another.")
        return folder

    def free(self, name: str) -> str:
        """Return a name for a new run that is not taken: the name itself, or one with a number."""
        stem = re.sub(r"[^\w .()+,@=-]", "-", name)[:80].strip(" .-_") or "run"
        names = [stem, *(f"{stem}-{i}" for i in range(2, 10_000))]
        return next(n for n in names if not (self.root / n).exists())

    # --- data ---------------------------------------------------------------------------------------------------------
    def data_names(self) -> list[str]:
        """Return what was uploaded, the newest first."""
        found = (self.root / OWN / "data").iterdir()
        kept = [p for p in found if NAME.fullmatch(p.name)]
        return [p.name for p in sorted(kept, key=lambda p: -p.stat().st_mtime)]

    def data(self, name: str) -> str:
        """Return a source of data by its name: what was uploaded, or a data set that comes with senzai.

        Raises:
            RequestError: There is none of this name.
        """
        path = self.own("data", name)
        if path.exists():
            return str(path)
        if name in BUILT_IN:
            return name
        known = [*self.data_names(), *BUILT_IN]
        raise RequestError(f"There are no data {name!r} here.{suggestion(name, known)} Drop the file again.", 404)

    async def receive(self, name: str, inner: str, pieces: AsyncIterator[bytes]) -> int:
        """Write an upload, whole or not at all, and return its size; with ``inner``, a file of a folder.

        Raises:
            SettingError: It is too large, or a name cannot be used.
        """
        parts = [checked(p) for p in inner.split("/")] if inner else []
        if len(parts) > DEPTH or (name in BUILT_IN and not parts):
            raise SettingError(
                f"Data need a name of their own, at most {DEPTH} folders deep, but got {name!r}. Rename it."
            )
        target = self.inside(self.own("data", name).joinpath(*parts))
        used = sum(p.stat().st_size for p in self.own("data", name).rglob("*") if p.is_file()) if parts else 0
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with replacing(target) as tmp, tmp.open("wb") as file:
            async for piece in pieces:
                size += len(piece)
                if used + size > self.largest:
                    raise SettingError(
                        f"An upload has at most {self.largest:,} bytes, but {name!r} has more. "
                        "Train on it with: senzai fit FILE --out RUN"
                    )
                file.write(piece)
        return size

    def forget(self, name: str) -> None:
        """Remove what was uploaded."""
        path = self.own("data", name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, or the beginning of one."""
    return (folder / SPEC).is_file()


def is_finished(folder: Path) -> bool:
    """Whether a run can be used."""
    return (folder / bundle.WEIGHTS).is_file()
