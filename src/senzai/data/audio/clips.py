"""One recording at a time, in a file or in memory: what its header says, and any stretch of it at any rate."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senzai.core.errors import InputError, UserError

from ..limits import need_regular, told
from ..rows import Array
from .options import LEAST_RATE, MOST_CHANNELS, MOST_RATE
from .sounds import FORMATS, soundfile

SUFFIXES = tuple(FORMATS)
UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""Sizes that a wav header has where it was written before the sound was over."""
WAY = "Replace or remove the file, or leave out what cannot be read with --skip-bad (option skip_bad=true)."


def is_sound_file(path: Path) -> bool:
    """Whether a file is sound by its name.

    Example:
        >>> is_sound_file(Path("kick.WAV")), is_sound_file(Path("._kick.wav"))
        (True, False)
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording.

    Args:
        rate: Samples a second.
        frames: Samples of each channel.
        channels: Channels.
        subtype: How samples are stored.
        name: What it is called: its path below the folder that was read.
        path: The file.
        values: The samples ``(frames, channels)`` of one in memory.
    """

    rate: int
    frames: int
    channels: int
    subtype: str = "PCM_16"
    name: str = ""
    path: Path | None = None
    values: Array | None = None

    def section(self, start: int, stop: int) -> Array:
        """Return samples ``(stop - start, channels)`` at the recording's own rate.

        Raises:
            InputError: The file ends before its header says so, or has a sample that is no number.
        """
        if self.path is None:
            assert self.values is not None
            return np.asarray(self.values[start:stop], np.float32)
        with reading(self.path), soundfile().SoundFile(str(self.path)) as file:
            file.seek(start)
            found: Array = file.read(stop - start, dtype="float32", always_2d=True)
        if len(found) < stop - start:
            raise InputError(
                f"A sound must be whole, but {str(self.path)!r} announces {self.frames:,} samples and ends after "
                f"{start + len(found):,}: it was cut. {WAY}"
            )
        if not np.isfinite(found).all():
            at = (start + int(np.argmin(np.isfinite(found).all(1)))) / self.rate
            raise InputError(
                f"Samples must be numbers, but {str(self.path)!r} has NaN or infinity after {at:.3f} seconds. {WAY}"
            )
        return found

    def at_rate(self, rate: int, start: int, length: int) -> Array:
        """Return at most ``length`` samples from ``start`` on, both counted at another rate.

        Any stretch is what the whole recording has there after resampling: neighbours beyond its ends are read as far
        as the filter reaches.
        """
        stop = min(start + length, length_at(self.frames, self.rate, rate))
        if rate == self.rate:
            return self.section(start, stop)
        up, down = ratio(self.rate, rate)
        margin = math.ceil(10 * max(up, down) / (up * down)) + 1
        first = max(0, start // up - margin)
        x = self.section(down * first, min(self.frames, down * (-(-stop // up) + margin)))
        return resampled(x, self.rate, rate)[start - up * first : stop - up * first]


def ratio(old: int, new: int) -> tuple[int, int]:
    """Return by how much is interpolated and decimated, in lowest terms.

    Example:
        >>> ratio(44100, 8000)
        (80, 441)
    """
    shared = math.gcd(old, new)
    return new // shared, old // shared


def length_at(frames: int, old: int, new: int) -> int:
    """Return how many samples a recording has at another rate.

    Example:
        >>> length_at(44100, 44100, 8000), length_at(3, 2, 1)
        (8000, 2)
    """
    up, down = ratio(old, new)
    return -(-frames * up // down)


def resampled(x: Array, old: int, new: int) -> Array:
    """Return samples ``(T, channels)`` at another rate, through a low-pass filter (polyphase, Kaiser window)."""
    if old == new:
        return x
    from scipy.signal import resample_poly

    up, down = ratio(old, new)
    return np.asarray(resample_poly(np.asarray(x, np.float64), up, down, axis=0), np.float32)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever the reader raises for a damaged file into one error that names it."""
    try:
        yield
    except UserError:
        raise
    except Exception as err:  # the reader's own error, and what a damaged file makes of memory and seeking
        why = str(err).removeprefix("Error opening ").replace(repr(str(path)) + ": ", "")[:200] or type(err).__name__
        raise InputError(f"Every sound must be readable, but {str(path)!r} is not: {why}. {WAY}") from err


def probe(path: Path, name: str = "") -> Clip:
    """Read the header of a file.

    Raises:
        InputError: It is no sound, has no samples, or announces what it cannot hold.
    """
    need_regular(path)
    with reading(path):
        if path.suffix.lower() == ".wav":
            need_whole_wav(path)
        about = soundfile().info(str(path))
    clip = Clip(
        rate=int(about.samplerate), frames=int(about.frames), channels=int(about.channels), subtype=str(about.subtype),
        name=name or path.name, path=path,
    )
    need_usable(clip, repr(str(path)))
    return clip


def need_usable(clip: Clip, what: str) -> None:
    """Refuse a recording of nothing, and rates and channels that no sound has.

    Raises:
        InputError: It is one.
    """
    if clip.frames < 1:
        raise InputError(f"A sound must have samples, but {what} has none. {WAY}")
    if not LEAST_RATE <= clip.rate <= MOST_RATE:
        raise InputError(
            f"Sound has {LEAST_RATE:,} to {MOST_RATE:,} samples a second, but {what} says {clip.rate:,}. Correct its "
            "rate, or read slower signals as the kind series."
        )
    if clip.channels > MOST_CHANNELS:
        raise InputError(
            f"Sound has at most {MOST_CHANNELS} channels, but {what} has {clip.channels}. Split or mix them before."
        )


def need_whole_wav(path: Path) -> None:
    """Refuse a wav file that announces more samples than it holds; the reader would silently take what is there.

    Raises:
        InputError: It does.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return  # the reader says what it is
        file.seek(12)
        while len(head := file.read(8)) == 8:
            chunk, announced = head[:4], int.from_bytes(head[4:], "little")
            if chunk == b"data":
                held = size - file.tell()
                if announced not in UNKNOWN_SIZES and announced > held:
                    raise InputError(
                        f"A sound must be whole, but {str(path)!r} announces {told(announced)} of samples and holds "
                        f"{told(held)}: it was cut, or its header is damaged. {WAY}"
                    )
                return
            file.seek(announced + announced % 2, os.SEEK_CUR)
