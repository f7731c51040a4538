"""One sound, and how it is written: as a file, as bytes, as text for JSON."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.extras import need
from senzai.core.files import replacing, replacing_folder

from ..rows import Array

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG"}
PAUSE = 0.2
"""Seconds between sounds that are written into one file."""
EXACT = {"PCM_16": "PCM_16", "PCM_24": "PCM_24", "PCM_32": "PCM_32", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"}


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples with their rate.

    Args:
        samples: ``(T, channels)``, 1 is full scale.
        rate: Samples a second.
        name: Path of the file they are of, below the folder that was read; empty for new ones.

    Example:
        >>> Sound(np.zeros((4000, 1), np.float32), 8000).seconds
        0.5
    """

    samples: Array
    rate: int
    name: str = ""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def soundfile() -> Any:
    """Return the package that reads and writes sound.

    Raises:
        MissingExtraError: It is not installed.
    """
    return need("soundfile", extra="audio", to="read and write sound")


def wav_bytes(sound: Sound, subtype: str = "PCM_16") -> bytes:
    """Return a sound as the bytes of a wav file; what is beyond full scale is kept, in floating point.

    Example:
        >>> wav_bytes(Sound(np.zeros((100, 1), np.float32), 8000))[:4]
        b'RIFF'
    """
    file = io.BytesIO()
    _put(sound, file, "WAV", subtype)
    return file.getvalue()


def _put(sound: Sound, file: Any, format_: str, subtype: str) -> None:
    loud = bool(np.abs(sound.samples).max(initial=0.0) > 1)
    kept = EXACT.get(subtype, "PCM_16")
    chosen: str | None
    if format_ == "WAV":
        chosen = "FLOAT" if loud and kept != "FLOAT" else kept
    else:
        chosen = (kept if kept in ("PCM_16", "PCM_24") else "PCM_16") if format_ == "FLAC" else None
        if loud:
            warnings.warn(
                f"Samples beyond full scale were cut: {format_} has no room for them. Write .wav to keep them.",
                stacklevel=4,
            )
    samples = sound.samples if chosen == "FLOAT" else np.clip(sound.samples, -1, 1)
    if chosen == "PCM_16":  # to the nearest, so that what was read comes back
        samples = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    library = soundfile()
    try:
        library.write(file, samples, sound.rate, format=format_, subtype=chosen)
    except (library.LibsndfileError, ValueError) as err:
        raise InputError(
            f"{format_} must be able to hold the sound, but it has {sound.rate} samples a second in "
            f"{sound.samples.shape[1]} channels: {err}. Write .wav instead."
        ) from err


def write_sounds(sounds: Sequence[Sound], path: Path, subtype: str) -> None:
    """Write sounds: a folder of wav where the path has no suffix, else one file, one sound after the other.

    Files of a folder are called as those they were made of, where all have a name of their own, else numbered.

    Raises:
        InputError: The suffix is unknown, or sounds of one file have different rates.
    """
    suffix = path.suffix.lower()
    if not suffix:
        _write_folder(sounds, path, subtype)
        return
    if suffix not in FORMATS:
        raise InputError(
            f"Sound is written as {', '.join(FORMATS)}, or as a folder of .wav under a name without a suffix, but got "
            f"{path.name!r}. Choose one of them."
        )
    with replacing(path) as place, place.open("wb") as file:
        _put(_one_after_the_other(sounds), file, FORMATS[suffix], subtype)


def _write_folder(sounds: Sequence[Sound], path: Path, subtype: str) -> None:
    names = [Path(s.name).with_suffix(".wav").as_posix() if s.name else "" for s in sounds]
    digits = max(6, len(str(len(sounds) - 1)))
    if "" in names or len(set(names)) < len(names):
        names = [f"{i:0{digits}d}.wav" for i in range(len(sounds))]
    with replacing_folder(path) as place:
        for sound, name in zip(sounds, names, strict=True):
            Path(place, name).parent.mkdir(parents=True, exist_ok=True)
            Path(place, name).write_bytes(wav_bytes(sound, subtype))


def _one_after_the_other(sounds: Sequence[Sound]) -> Sound:
    rates = {s.rate for s in sounds}
    if len(rates) > 1:
        raise InputError(
            f"Sounds in one file have one rate, but these have {sorted(rates)}. Write a folder, a name without suffix."
        )
    (rate,) = rates
    pause = np.zeros((int(PAUSE * rate), sounds[0].samples.shape[1]), np.float32)
    parts = [part for sound in sounds for part in (sound.samples, pause)][:-1]
    return Sound(np.concatenate(parts), rate)


# --- text -----------------------------------------------------------------------------------------------------------
def texts_of(sounds: Sequence[Sound], subtype: str) -> list[str]:
    """Return sounds as base64 text of wav files."""
    return [base64.b64encode(wav_bytes(sound, subtype)).decode("ascii") for sound in sounds]


def bytes_of(texts: Any) -> list[bytes]:
    """Return the bytes of sound files that came as base64 text.

    Raises:
        InputError: Something is no base64 text.
    """
    found = []
    for i, text in enumerate(texts if isinstance(texts, list) else [texts]):
        try:
            found.append(base64.b64decode(str(text), validate=True))
        except ValueError as err:
            raise InputError(f"Sounds come as base64 text of sound files, but sound {i} does not: {err}.") from err
    return found
