"""Where music comes from: files, folders and archives of MIDI, JSON of voices, pieces and scores in memory."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from .. import sources
from ..limits import DEFLATE, guarded, need_archive, need_regular, need_room
from .midi import MOST_BYTES, Song, Track, song_of_bytes, song_of_score
from .pieces import MOST_STEPS, Note, Passage

MIDI, JSON = (".mid", ".midi"), (".json",)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 200_000
NAMED = 5
"""Bad files that are named."""


@dataclass(frozen=True)
class Songs:
    """What was read.

    Args:
        songs: One a file, or a piece.
        form: What comes back: ``file`` or ``list``.
        bad: Files that could not be read, with the reason.
    """

    songs: list[Song]
    form: str
    bad: tuple[str, ...] = ()


def is_music(source: object) -> bool:
    """Whether a source in memory is pieces or scores."""
    if isinstance(source, list | tuple) and source:
        return all(isinstance(s, Passage) or type(s).__module__.startswith("symusic") for s in source)
    return isinstance(source, Passage) or type(source).__module__.startswith("symusic")


def holds_midi(path: Path) -> bool:
    """Whether a folder or an archive has files of MIDI; of an archive, its list is looked at."""
    if path.is_dir():
        return any(p.suffix.lower() in MIDI for p in path.rglob("*"))
    if not path.name.lower().endswith(ARCHIVES):
        return False
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return any(name.lower().endswith(MIDI) for name in archive.namelist())
        with tarfile.open(path) as archive:
            return any(m.name.lower().endswith(MIDI) for _, m in zip(range(1000), archive, strict=False))
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError):
        return False


def read(source: object) -> Songs:
    """Return all pieces of a source; files that are no music are left out and named.

    Raises:
        InputError: There is none.
    """
    if is_music(source):
        given = list(source) if isinstance(source, list | tuple) else [source]
        return Songs([_of_memory(s, f"piece {i}") for i, s in enumerate(given)], "list")
    path = sources.existing(source)
    if path is None:
        raise InputError(
            f"Music is a file or folder of MIDI, pieces or scores of symusic, but got a {type(source).__name__}."
        )
    if path.suffix.lower() in JSON:
        return Songs(_of_json(path), "file")
    songs, bad = [], []
    for name, load in _files(path):
        try:
            songs.append(song_of_bytes(load(), name))
        except InputError as err:
            bad.append(str(err))
    if not songs:
        raise InputError(bad[0] if bad else f"{str(path)!r} must hold files of MIDI (.mid), but it has none.")
    return Songs(songs, "file", tuple(bad))


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield names of files of MIDI, and what loads each."""
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in MIDI and p.is_file())
        yield from ((p.relative_to(path).as_posix(), _loader(p)) for p in found[:MOST_FILES])
    elif path.suffix.lower() == ".zip":
        with guarded(path), zipfile.ZipFile(need_regular(path)) as archive:
            need_archive(archive, path)
            for name in sorted(n for n in archive.namelist() if n.lower().endswith(MIDI))[:MOST_FILES]:
                yield name, partial(archive.read, name)
    elif path.name.lower().endswith(ARCHIVES):
        yield from _of_tar(path)
    else:
        yield path.name, _loader(path)


def _loader(path: Path) -> Callable[[], bytes]:
    def load() -> bytes:
        size = need_regular(path).stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"A MIDI file has up to 16 MB, but {str(path)!r} has {size / 1e6:,.0f}. Leave it out.")
        return path.read_bytes()

    return load


def _of_tar(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    held = need_regular(path).stat().st_size * DEFLATE
    with guarded(path), tarfile.open(path) as archive:
        total = 0
        for member in archive:
            total += member.size
            need_room(total, path, "its members", held=held)
            if member.isfile() and member.name.lower().endswith(MIDI):
                yield member.name, partial(_member, archive, member)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MOST_BYTES:
        raise InputError(f"A MIDI file has up to 16 MB, but {member.name!r} has {member.size / 1e6:,.0f}.")
    opened = archive.extractfile(member)
    return b"" if opened is None else opened.read()


def _of_memory(given: Any, name: str) -> Song:
    return song_of_piece(given.sound(), name) if isinstance(given, Passage) else song_of_score(given, name)


def song_of_piece(piece: Passage, name: str) -> Song:
    """Return a piece as what is read from a file."""
    tracks = tuple(
        Track("drums" if piece.drums else f"voice {v + 1}", np.array(notes, np.int64).reshape(-1, 3), piece.drums)
        for v, notes in enumerate(piece.voices)
    )
    return Song(name, tracks, ((0, piece.meter),), ((0, piece.tempo),), piece.steps)


# --- JSON -------------------------------------------------------------------------------------------------------------
def _of_json(path: Path) -> list[Song]:
    """Return the songs of a JSON file: pieces as they are written, or pitches of voices at each sixteenth."""
    need_room(need_regular(path).stat().st_size * 20, path, "music")
    try:
        with guarded(path):
            found = json.loads(path.read_bytes())
    except RecursionError as err:
        raise InputError(f"{str(path)!r} must be lists of voices, but they are too deep. Write it again.") from err
    parts = found if isinstance(found, dict) and "voices" not in found else {"": found}
    songs = [
        _of_plain(one, f"{part} {i}".strip()) for part, pieces in parts.items()
        for i, one in enumerate(pieces if isinstance(pieces, list) else [pieces])
    ]
    if not songs:
        raise InputError(f"{str(path)!r} must hold pieces, but there is none.")
    return songs


def _of_plain(one: Any, name: str) -> Song:
    if isinstance(one, Mapping):
        return song_of_piece(Passage.of_plain(one), name)
    return song_of_piece(piece_of_slices(one, name), name)


def piece_of_slices(slices: Any, name: str) -> Passage:
    """Return a piece from the pitches of its voices at each sixteenth; below 0, null or not there for silence.

    Such a list does not say where a note is struck again: equal pitches one after another are one note.

    Example:
        >>> piece_of_slices([[60, 48], [60, -1], [62, -1]], "x").voices[0]
        (Note(start=0, length=2, pitch=60), Note(start=2, length=1, pitch=62))
    """
    wrong = InputError(
        f"A piece is a list of the pitches of its voices at each sixteenth, such as [[60, 55], [62, 55]], but {name!r} "
        "is not. Give all voices at every step, -1 where one is silent."
    )
    if not isinstance(slices, list) or not slices or len(slices) > MOST_STEPS or not isinstance(slices[0], list):
        raise wrong
    if any(not isinstance(s, list) or len(s) > 16 for s in slices) or not (n := max(map(len, slices))):
        raise wrong
    try:
        rows = [[-1 if p is None or not p >= 0 else int(p) for p in s] + [-1] * (n - len(s)) for s in slices]
    except (TypeError, ValueError, OverflowError) as err:
        raise wrong from err
    voices = []
    for v in range(n):
        notes: list[Note] = []
        for t, pitch in enumerate(row[v] for row in rows):
            if pitch >= 0 and notes and notes[-1].pitch == pitch and notes[-1].start + notes[-1].length == t:
                notes[-1] = notes[-1]._replace(length=notes[-1].length + 1)
            elif pitch >= 0:
                notes.append(Note(t, 1, pitch))
        voices.append(tuple(notes))
    return Passage(tuple(voices), len(slices)).sound()


def left_out(bad: tuple[str, ...], n: int) -> tuple[str, ...]:
    """Say which files were left out.

    Example:
        >>> left_out((), 3)
        ()
    """
    if not bad:
        return ()
    more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
    return (f"{len(bad):,} of {n:,} files could not be read and were left out: {' '.join(bad[:NAMED])}{more}",)


def need_some(found: Songs) -> None:
    """Refuse files without a note.

    Raises:
        InputError: There is none in any of them.
    """
    if not any(song.tracks for song in found.songs):
        raise InputError(
            f"Music has notes, but {found.songs[0].name!r}"
            + (f" and {len(found.songs) - 1:,} others have" if len(found.songs) > 1 else " has") + " none."
        )
