"""What may be in a shared run: its own files by name, each with a size that was announced and can be had."""

from __future__ import annotations

import fnmatch
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import BundleError
from ..core.memory import free_memory
from ..training.places import CHECKPOINT, HISTORY, METRICS, OWN, SAMPLERS, SPEC, WEIGHTS

REFERENCE = "reference.safetensors"
CARD = "README.md"
NEEDED = (SPEC, WEIGHTS)
READ = (SPEC, WEIGHTS, METRICS, HISTORY, SAMPLERS, REFERENCE)
"""What is taken from an archive or a hub: JSON and safetensors."""
CHECKPOINTS = CHECKPOINT.as_posix()
BESIDE_ON_A_HUB = (CARD, ".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", "LICENSE.txt")
"""What a repository may hold besides; it is not taken."""
MOST_TEXT = 256 * 2**20
"""Bytes of JSON that a run may announce."""
LEFT = 0.9
"""Share of the free disk and memory that a run may take."""


def own(name: str) -> bool:
    """Whether a name is that of a file that runs have.

    Example:
        >>> own("weights.safetensors"), own("checkpoints/last.safetensors"), own("../spec.json"), own("model.pkl")
        (True, True, False, False)
    """
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in OWN) and ".." not in name


def check(sizes: Mapping[str, int], place: str, *, more: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the files to take from a place, with their sizes; refuse the whole where something is wrong.

    Args:
        sizes: All files there, with the bytes that each is said to have.
        place: What the place is called in messages.
        more: Names that may be there besides, and are not taken.

    Raises:
        BundleError: There is a file that no run has, one is missing, or they are larger than what is free.

    Example:
        >>> sorted(check({"spec.json": 10, "weights.safetensors": 20, "README.md": 5}, "here"))
        ['spec.json', 'weights.safetensors']
    """
    strange = sorted(name for name in sizes if not own(name) and name not in more)
    if strange:
        shown = ", ".join(ascii(name[:60]) for name in strange[:3])
        raise BundleError(
            f"A shared run holds the files of a run and nothing else, but {place} has {shown}"
            f"{' and others' if len(strange) > 3 else ''}. Nothing was taken from it; ask its author for a run."
        )
    if missing := [name for name in NEEDED if name not in sizes]:
        raise BundleError(f"A run has {' and '.join(NEEDED)}, but {place} lacks {' and '.join(missing)}.")
    taken = {name: size for name, size in sizes.items() if name in READ}
    _check_sizes(taken, place)
    return taken


def _check_sizes(taken: Mapping[str, int], place: str) -> None:
    text = sum(size for name, size in taken.items() if not name.endswith(".safetensors"))
    if text > MOST_TEXT or min(taken.values()) < 0:
        raise BundleError(
            f"The JSON of a run takes at most {MOST_TEXT // 2**20} MB, but {place} announces {text:,} bytes. "
            "Nothing was read."
        )
    whole, free = sum(taken.values()), room()
    if whole > free:
        raise BundleError(
            f"A shared run must fit into the memory and the disk that are free ({free / 1e9:.1f} GB), but {place} "
            f"announces {whole / 1e9:.1f} GB. Free some, or use a larger machine. Nothing was read."
        )


def need_json(folder: Path, place: str) -> None:
    """Refuse JSON from elsewhere that is nested deeper than anything of a run.

    Raises:
        BundleError: It is.
    """
    for name in (SPEC, METRICS):
        try:
            if (folder / name).is_file():
                json.loads((folder / name).read_bytes())
        except RecursionError:
            raise BundleError(f"The JSON of a run is nested a few levels deep, but {name} of {place} is not.") from None
        except ValueError:  # who reads it says so
            continue


def room() -> float:
    """Return bytes that a run may take here: of the disk for temporary files, and of memory."""
    return LEFT * min(free_memory(), shutil.disk_usage(Path(tempfile.gettempdir())).free)
