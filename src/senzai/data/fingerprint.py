"""A fingerprint of the data, so that a saved model can say what it was fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from .facts import blocks
from .rows import Array

WHOLE_BYTES = 2**28
SAMPLE = 4096


def of_array(x: Array) -> str:
    """Hash shape, dtype and content; of more than 256 MiB only 4096 evenly spaced rows (``sha256-sample:``).

    Example:
        >>> import numpy as np
        >>> of_array(np.zeros(3)) == of_array(np.zeros(3)), of_array(np.zeros(3)) == of_array(np.ones(3))
        (True, False)
    """
    digest = hashlib.sha256(f"{x.shape} {x.dtype.str}".encode())
    whole = x.nbytes <= WHOLE_BYTES
    part = x if whole else x[:: -(-len(x) // SAMPLE)]
    for _, block in blocks(part):
        digest.update(block.tobytes())
    return f"{'sha256' if whole else 'sha256-sample'}:{digest.hexdigest()}"


def of_files(paths: Sequence[Path], root: Path) -> str:
    """Hash names, sizes and contents; of more than 256 MiB what about 256 evenly spaced files begin with only."""
    digest = hashlib.sha256()
    sizes = [p.stat().st_size for p in paths]
    for path, size in zip(paths, sizes, strict=True):
        digest.update(f"{path.relative_to(root).as_posix()}\0{size}\0".encode(errors="surrogateescape"))
    whole = sum(sizes) <= WHOLE_BYTES
    for path in paths if whole else paths[:: -(-len(paths) // 256)]:
        with path.open("rb") as file:
            left = WHOLE_BYTES
            while left > 0 and (block := file.read(min(left, 2**20))):
                digest.update(block)
                left -= len(block)
    return f"{'sha256' if whole else 'sha256-sample'}:{digest.hexdigest()}"


def of_texts(texts: Iterable[str]) -> str:
    """Hash texts in their order.

    Example:
        >>> of_texts(["a", "b"]) == of_texts(["ab"])
        False
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}\0{text}".encode(errors="surrogatepass"))
    return f"sha256:{digest.hexdigest()}"
