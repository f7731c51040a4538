"""Pictures that lie in one file, as a folder: archives, pages of TIFF, films, and tables with encoded pictures.

Each becomes a folder of image files, which is then read like any other and removed when the process ends. Names inside
an archive are never used as paths unless they stay below the folder.
"""

from __future__ import annotations

import atexit
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import IO, TYPE_CHECKING

from senzai.core.errors import InputError
from senzai.core.extras import need

from .. import limits
from . import encoded, pictures

if TYPE_CHECKING:
    from PIL import Image

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
STACKS = (".tif", ".tiff")
FILMS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
MOST = 2_000_000
"""Pictures that are taken out of one file, at most."""


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A file that was unfolded.

    Args:
        folder: Where its pictures lie now.
        notes: What was left out.
        film: They follow each other in time.
        classes: The class of each picture by the name of its file, where the file has classes of its own.
    """

    folder: Path
    notes: tuple[str, ...] = ()
    film: bool = False
    classes: Mapping[str, str] | None = None


Source = Callable[["_Sink"], None]
_KEPT: dict[tuple[str, int, int, int], TakenOut] = {}


def what(path: Path) -> str | None:
    """Return what kind of file with several pictures this is, in words; ``None`` where it is none.

    Example:
        >>> what(Path("letters.csv")) is None
        True
    """
    name = path.name.lower()
    if name.endswith(".zip") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return "an archive of pictures" if _any_picture(i.filename for i in archive.infolist()) else None
    if name.endswith(TARS):
        return "an archive of pictures" if _any_picture(_tar_names(path)) else None
    if name.endswith(STACKS) and pictures.pages(path) > 1:
        return "a stack of pages"
    if name.endswith(FILMS):
        return "a film"
    return "a table with pictures in it" if encoded.holds(path) else None


def _any_picture(names: Iterator[str]) -> bool:
    return any(pictures.is_image_file(Path(PurePosixPath(name).name)) for name in names)


def _tar_names(path: Path) -> Iterator[str]:
    try:
        with tarfile.open(path) as archive:
            yield from (member.name for member in archive)
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return


def unfold(path: Path, *, every: int = 1) -> TakenOut:
    """Take the pictures out of a file, once per process as long as the file stays what it is.

    Args:
        path: The file.
        every: Of a film or a stack, every how many frames one is taken.

    Raises:
        InputError: It is damaged, has names that lead outside, or unpacks to more than the disk has room for.
    """
    about = path.stat() if path.is_dir() else limits.need_regular(path).stat()
    key = (str(path.resolve()), about.st_mtime_ns, about.st_size, every)
    if key in _KEPT and _KEPT[key].folder.is_dir():
        return _KEPT[key]
    top = Path(mkdtemp(prefix="senzai-pictures-"))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    sink = _Sink(path, top)
    try:
        _source(path, every)(sink)
    except InputError:
        shutil.rmtree(top, ignore_errors=True)
        raise
    except Exception as err:  # a damaged file makes its reader raise a dozen types
        shutil.rmtree(top, ignore_errors=True)
        raise InputError(
            f"{str(path)!r} must be whole, but it cannot be read: {str(err)[:200]}. Save or download it again."
        ) from err
    film = path.name.lower().endswith((*FILMS, *STACKS))
    _KEPT[key] = TakenOut(_inner(top), sink.notes(), film, sink.classes or None)
    return _KEPT[key]


def _inner(top: Path) -> Path:
    """Go down where an archive has one folder that holds everything: its name is no class."""
    below = list(top.iterdir())
    return _inner(below[0]) if len(below) == 1 and below[0].is_dir() else top


def _source(path: Path, every: int) -> Source:
    name = path.name.lower()
    if name.endswith(".zip"):
        return partial(_from_zip, path)
    if name.endswith(TARS):
        return partial(_from_tar, path)
    if name.endswith(STACKS):
        return partial(_from_stack, path, every)
    return partial(_from_film, path, every) if name.endswith(FILMS) else partial(encoded.write, path)


class _Sink:
    """Where pictures are put: counts what comes, and refuses what leads outside or does not fit."""

    def __init__(self, path: Path, top: Path) -> None:
        self.path, self.top = path, top
        self.room = int(shutil.disk_usage(top).free * 0.8)
        self.n = self.others = 0
        self.classes: dict[str, str] = {}

    def notes(self) -> tuple[str, ...]:
        """Say what was left out."""
        return (f"{self.others} files of the archive are no pictures and were left out.",) if self.others else ()

    def place(self, name: str) -> Path:
        """Return where a picture of that name is written."""
        pure = PurePosixPath(name.replace("\\", "/"))
        if pure.is_absolute() or ".." in pure.parts or ":" in name or "\0" in name:
            raise InputError(
                f"Names in an archive stay below its folder, but {str(self.path)!r} has {name[:80]!a}. Mend it."
            )
        self.n += 1
        if self.n > MOST:
            raise InputError(f"A file may hold {MOST:,} pictures, but {str(self.path)!r} has more. Divide it.")
        found = self.top.joinpath(*pure.parts)
        if found.exists():
            raise InputError(f"Names in an archive differ, but {str(self.path)!r} has {name[:80]!a} twice. Rename one.")
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def add(self, name: str, data: bytes | IO[bytes]) -> None:
        """Write one encoded picture."""
        with self.place(name).open("wb") as file:
            blocks = [data] if isinstance(data, bytes) else iter(partial(data.read, 2**20), b"")
            for block in blocks:
                self._count(len(block))
                file.write(block)

    def draw(self, name: str, image: Image.Image) -> None:
        """Write a picture without loss."""
        path = self.place(name)
        image.save(path)
        self._count(path.stat().st_size)

    def _count(self, nbytes: int) -> None:
        self.room -= nbytes
        if self.room < 0:
            raise InputError(
                f"{str(self.path)!r} unpacks to more than the disk has room for: it could be a bomb. "
                "Unpack it yourself, and name the folder."
            )

    def classify(self, name: str, label: str) -> None:
        """Keep the class of a picture that was added."""
        self.classes[name] = label

    def wants(self, name: str) -> bool:
        """Whether a member is a picture; others are counted, but for what systems leave behind."""
        last = PurePosixPath(name).name
        good = pictures.is_image_file(Path(last)) and "__MACOSX" not in name
        self.others += not good and not last.startswith(".") and "__MACOSX" not in name
        return good


def _from_zip(path: Path, sink: _Sink) -> None:
    with zipfile.ZipFile(path) as archive:
        limits.need_archive(archive, path)
        for member in archive.infolist():
            linked = stat.S_ISLNK(member.external_attr >> 16)
            if not member.is_dir() and not linked and sink.wants(member.filename):
                with archive.open(member) as file:
                    sink.add(member.filename, file)


def _from_tar(path: Path, sink: _Sink) -> None:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and sink.wants(member.name) and (file := archive.extractfile(member)) is not None:
                sink.add(member.name, file)


def _from_stack(path: Path, every: int, sink: _Sink) -> None:
    with pictures.opened(path, pages=True) as image:
        for i in range(0, image.n_frames, every):  # type: ignore[attr-defined]  # of pictures with pages
            image.seek(i)
            pictures.need_whole_numbers(image, path)
            sink.draw(f"page-{i:06d}.png", image)


def _from_film(path: Path, every: int, sink: _Sink) -> None:
    av = need("av", extra="video", to="read films")
    with av.open(str(path)) as film:
        for i, frame in enumerate(film.decode(video=0)):
            if i % every == 0:
                sink.draw(f"frame-{i:08d}.png", frame.to_image())
