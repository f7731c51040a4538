"""A folder with the files of a run, wherever the run is: a folder, an archive, or a hub."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import OutputError
from ..core.files import user_path
from .addresses import hub_address, is_packed
from .contents import need_json
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
