"""A folder with the files of a run, wherever the run is: a folder, an archive, or a hub."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..core.errors import OutputError
from ..core.files import user_path
from .addresses import hub_address, is_packed
from .contents import READ, need_json
from .unpacking import unpack


@contextmanager
def at_hand(path: str | os.PathLike[str]) -> Iterator[tuple[Path, bool]]:
    """Yield a folder with a run, and whether it stays: that of an archive or of a hub is not written to.

    Args:
        path: A folder, a packed run (``run.zip``), or ``hf://user/name``.

    Raises:
        BundleError: An archive or a repository holds anything but a run.
        SenzaiError: The hub cannot be asked, or says no.
    """
    address = hub_address(path)
    if address is not None:
        from .hub import fetch

        folder = fetch(address)
        need_json(folder, str(address))
        yield folder, False
        return
    place = user_path(path)
    if not is_packed(place):
        yield place, True
        return
    with tempfile.TemporaryDirectory(prefix="senzai-run-") as tmp:
        unpack(place, Path(tmp))
        need_json(Path(tmp), repr(str(place)))
        yield Path(tmp), False


@contextmanager
def folders_of(paths: Iterable[str | os.PathLike[str]]) -> Iterator[list[Path]]:
    """Yield folders of runs, called like the runs, for who needs folders: packed runs and those of a hub are copied.

    Args:
        paths: Folders, packed runs, and addresses; the copies go at the end of the block.

    Raises:
        BundleError: An archive or a repository holds anything but a run.
        SenzaiError: The hub cannot be asked, or says no.
    """
    with ExitStack() as kept:
        found = []
        for path in paths:
            folder, stays = kept.enter_context(at_hand(path))
            found.append(folder if stays else _copied(kept, folder, name_of(path)))
        yield found


def _copied(kept: ExitStack, folder: Path, name: str) -> Path:
    top = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="senzai-run-")))
    (top / name).mkdir()
    for file in READ:
        if (folder / file).is_file():
            shutil.copyfile(folder / file, top / name / file)
    return top / name


def name_of(path: str | os.PathLike[str]) -> str:
    """Return what a run is called by where it is.

    Example:
        >>> name_of("runs/digits"), name_of("digits.zip"), name_of("hf://me/people@v1")
        ('digits', 'digits', 'people')
    """
    address = hub_address(path)
    if address is not None:
        return address.name.rpartition("/")[2]
    place = Path(path)
    return place.stem if is_packed(place) else place.name


def need_folder(path: Path, *, to: str) -> Path:
    """Return a path that is to be written to, or refuse an archive and an address.

    Args:
        path: What was given as a run.
        to: What for, completing "needs a folder to ...".

    Raises:
        OutputError: It is a packed run, or one on a hub.
    """
    if hub_address(path) is not None or is_packed(path):
        raise OutputError(
            f"One needs a folder to {to}, but {str(path)!r} is only read. "
            f'Make a folder of it: python -c "import senzai; senzai.load({str(path)!r}).save(\'NAME\')"'
        )
    return path
