"""From whatever a user hands over to recordings with labels: a folder, a file, a list of files, arrays with a rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError, SettingError
from senzai.core.terminal import safe

from .. import fingerprint as prints
from .. import sources, trees
from ..labels import as_labels
from ..rows import Array
from .clips import SUFFIXES, Clip, is_sound_file, need_usable, probe
from .details import AudioDetails
from .options import AudioOptions
from .slices import Slices

LONGEST = 1.0
"""Seconds of a row, at most, where the user says nothing."""
MOST_MELS = 64


@dataclass(frozen=True)
class Recordings:
    """What was read.

    Args:
        clips: The recordings.
        form: "files", "numpy" or "torch".
        origin: What the source is called.
        fingerprint: Of the content.
        labels: Label of each recording.
        label_name: What it is called.
        dtype: Dtype of arrays.
        axes: Axes of a row of arrays.
        notes: What to say.
    """

    clips: tuple[Clip, ...]
    form: str
    origin: str
    fingerprint: str
    labels: Array | None = None
    label_name: str = "label"
    dtype: str = "float32"
    axes: int = 1
    notes: tuple[str, ...] = ()


def files_of(source: object) -> tuple[list[Path], Any] | None:
    """Return the files of a list of paths, and their labels where it is a pair; ``None`` where it is none."""
    labels = None
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], list | tuple):
        source, labels = source
    if not isinstance(source, list | tuple) or not source or not all(isinstance(p, str | Path) for p in source):
        return None
    paths = [Path(p) for p in source]
    return (paths, labels) if all(p.suffix.lower() in SUFFIXES for p in paths) else None


def read_recordings(source: object, options: AudioOptions, told: AudioDetails | None) -> Recordings:
    """Read headers of files, or arrays."""
    listed = files_of(source)
    if listed is not None:
        paths = [p for one in listed[0] if (p := sources.existing(one)) is not None]
        return _of_files(paths, None, options, f"the list of {len(paths)} files", listed[1])
    path = sources.existing(source)
    if path is None or sources.header(source, {"key": options.key}) is not None:
        return _of_arrays(source, options, told)
    found, said = trees.find(path, is_sound_file)
    if not found or not (path.is_dir() or is_sound_file(path)):
        there = Counter(p.suffix.lower() or "no suffix" for p in path.rglob("*") if p.is_file())
        has = ", ".join(f"{n} with {s}" for s, n in there.most_common(3)) or ("no files" if path.is_dir() else "none")
        raise InputError(f"Sound is read from {', '.join(SUFFIXES)} files, but {str(path)!r} has {has}. Convert it.")
    return _of_files(found, path, options, repr(str(path)), None, said)


def _of_files(
    paths: Sequence[Path], root: Path | None, options: AudioOptions, origin: str, labels: Any,
    said: tuple[str, ...] = (),
) -> Recordings:
    if options.groups is not None or options.time is not None or options.label is not None:
        raise SettingError(
            "Sound files have the label of their folder and are divided by file, but got "
            f"groups={options.groups!r}, time={options.time!r}, label={options.label!r}. Leave them out."
        )
    notes = list(said)
    base = paths[0].parent if root is None else root if root.is_dir() else root.parent
    clips, good, bad = [], [], []
    for i, path in enumerate(paths):
        try:
            name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
            clips.append(probe(path, name))
            good.append(i)
        except InputError:
            if not options.skip_bad:
                raise
            bad.append(path)
    if bad:
        some = safe(", ".join(p.name for p in bad[:3])) + (" ..." if len(bad) > 3 else "")
        notes.append(f"{len(bad)} {'file' if len(bad) == 1 else 'files'} could not be read and were skipped: {some}.")
    if not clips:
        raise InputError(f"At least one sound must be readable, but none of {len(paths)} files is. Check them.")
    kept = [paths[i] for i in good]
    asked = labels is not None
    found = None if not asked else as_labels(labels)
    if found is not None and len(found) != len(paths):
        raise InputError(f"There must be one label for each file, but {len(paths)} files have {len(found)} labels.")
    if found is None and root is not None:
        named = trees.labels_of(kept, root, notes)
    else:
        named = None if found is None else found[good]
    common = base if all(p.is_relative_to(base) for p in kept) else Path(kept[0].anchor)
    shared = common if all(p.is_relative_to(common) for p in kept) else Path()
    return Recordings(
        tuple(clips), "files", origin, prints.of_files(kept, shared) if shared != Path() else prints.of_texts(
            map(str, kept)), named, "label" if asked else "folder", notes=tuple(notes),
    )


def _of_arrays(source: object, options: AudioOptions, told: AudioDetails | None) -> Recordings:
    opened = sources.read_arrays(source, options, None)
    x: Array = opened.data
    rate = options.rate or (None if told is None else told.back)
    if rate is None:
        raise SettingError("Arrays of sound need their samples a second. Set rate, such as rate=16000.")
    if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[2] > 8):
        raise InputError(
            f"Arrays of sound are (rows, samples) or (rows, samples, channels), but {opened.origin} has the shape "
            f"{x.shape}. Move the axes."
        )
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x.reshape(len(x), -1)).all(1)))
        raise InputError(f"Samples are numbers, but row {row} of {opened.origin} has NaN or infinity. Leave it out.")
    scale = _full_scale(x, opened.origin)
    values = x.reshape(len(x), x.shape[1], -1)
    clips = tuple(
        Clip(rate, x.shape[1], values.shape[2], values=v if scale == 1 else v.astype(np.float32) / scale)
        for v in values
    )
    need_usable(clips[0], opened.origin)
    return Recordings(
        clips, opened.form, opened.origin, prints.of_array(x), opened.labels, opened.label_name,
        opened.dtype, x.ndim - 1, opened.notes,
    )


def _full_scale(x: Array, origin: str) -> float:
    if x.dtype.kind == "f":
        return 1.0
    if x.dtype == np.int16:
        return 32768.0
    raise InputError(
        f"Samples are floating-point numbers with full scale at 1, or int16, but {origin} has {x.dtype}. Divide them "
        "by their full scale."
    )


# --- deciding -------------------------------------------------------------------------------------------------------
def decided(read: Recordings, options: AudioOptions) -> tuple[AudioDetails, list[str]]:
    """Return the one rate, number of channels and length that all recordings get, and what to say of it."""
    notes: list[str] = []
    rates = Counter(c.rate for c in read.clips)
    usual = min(rates, key=lambda r: (-rates[r], r))
    rate = options.rate or usual
    if set(rates) != {rate}:
        named = ", ".join(f"{n} at {r:,} Hz" for r, n in sorted(rates.items()))
        why = "as the option rate asks" if options.rate else "what most have"
        notes.append(f"Recordings are brought to {rate:,} samples a second ({why}): {named}.")
    channels = _channels(read, options, notes)
    longest = max(c.frames / c.rate for c in read.clips)
    window = options.window or 2 ** round(np.log2(0.05 * rate))
    hop = max(1, window // 4)
    seconds = options.seconds or min(LONGEST, longest)
    samples = max(hop, round(seconds * rate))
    if options.seconds is None:
        notes.append(f"Rows last {samples / rate:g} s: the longest recording, at most one second (seconds=...).")
    several = sum(c.frames * rate > samples * c.rate for c in read.clips)
    if several:
        notes.append(
            f"{several} of {len(read.clips)} recordings are longer and were sliced; what is left ends in silence."
        )
    mels = options.mels or _mels(window, rate)
    subtypes = Counter(c.subtype for c in read.clips)
    details = AudioDetails(
        rate=rate, samples=samples, channels=channels, form=options.form, window=window, mels=mels,
        floor=1e-4 * window / 4, back=usual, subtype=max(sorted(subtypes), key=lambda s: subtypes[s]),
        axes=1 if read.axes == 1 else 2, dtype=read.dtype,
    )
    if options.form == "mel":
        notes.append(
            f"A row is a log-mel picture of {mels} bands and {details.event[2]} frames (windows of {window} samples, "
            f"{1000 * window / rate:.0f} ms); it has no phases, which are made anew for sound (Griffin-Lim)."
        )
    return details, notes


def _channels(read: Recordings, options: AudioOptions, notes: list[str]) -> int:
    found = Counter(c.channels for c in read.clips)
    only = next(iter(found)) if len(found) == 1 else 0
    channels = options.n_channels or (only if only in (1, 2) else 1)
    if set(found) != {channels}:
        named = ", ".join(f"{n} with {c}" for c, n in sorted(found.items()))
        notes.append(f"Recordings get {channels} channel{'s' if channels > 1 else ''} (one is the mean): {named}.")
    return channels


def _mels(window: int, rate: int) -> int:
    from senzai.core.waves import most_mels

    return most_mels(window, rate, MOST_MELS)


def cut_by(read: Recordings, told: AudioDetails) -> Slices:
    """Cut recordings into rows."""
    return Slices.of(read.clips, told.rate, told.samples, told.channels, read.fingerprint)
