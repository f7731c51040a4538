"""Recordings cut into rows of one length: which stretch of which recording a row is, and its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from senzai.core.errors import InputError

from ..rows import Array
from .clips import Clip, length_at, resampled
from .sounds import Sound

SILENT = 1e-3
"""Peak below which a row counts as silent: 60 dB below full scale."""


@dataclass(frozen=True, eq=False)
class Slices:
    """Rows of recordings.

    Args:
        clips: The recordings.
        rate: Samples a second of a row.
        samples: Samples of a row.
        channels: Channels of a row.
        owner: Number of the recording of each row.
        place: Which of its rows it is, from 0.
        fingerprint: Of the recordings.
    """

    clips: tuple[Clip, ...]
    rate: int
    samples: int
    channels: int
    owner: Array
    place: Array
    fingerprint: str = ""

    @classmethod
    def of(cls, clips: Sequence[Clip], rate: int, samples: int, channels: int, fingerprint: str = "") -> Slices:
        """Cut recordings: one row after the other from the beginning, the last one ends in silence."""
        counts = [-(-length_at(c.frames, c.rate, rate) // samples) for c in clips]
        owner = np.repeat(np.arange(len(clips)), counts)
        place = np.concatenate([np.arange(n) for n in counts])
        return cls(tuple(clips), rate, samples, channels, owner, place, fingerprint)

    def __len__(self) -> int:
        return len(self.owner)

    def lengths(self, index: Array) -> Array:
        """Return how many samples of some rows are of their recording; silence follows."""
        whole = np.array([length_at(c.frames, c.rate, self.rate) for c in self.clips])
        return np.asarray(np.minimum(self.samples, whole[self.owner[index]] - self.samples * self.place[index]))

    def fetch(self, index: Array) -> Array:
        """Return samples ``(n, channels, samples)``."""
        out = np.zeros((len(index), self.channels, self.samples), np.float32)
        for row, i in enumerate(np.asarray(index).tolist()):
            clip = self.clips[self.owner[i]]
            part = clip.at_rate(self.rate, int(self.place[i]) * self.samples, self.samples)
            out[row, :, : len(part)] = with_channels(part, self.channels, clip).T
        return out

    def about(self, index: Array) -> dict[str, Any]:
        """Return what brings rows back: rate, samples and name of their recording, and which part of it they are."""
        clips = [self.clips[i] for i in self.owner[index]]
        return {
            "rate": np.array([c.rate for c in clips]), "length": self.lengths(index),
            "name": np.array([c.name for c in clips], dtype=object), "part": self.place[index],
        }

    def joined(self, waves: Array) -> list[Sound]:
        """Return whole recordings of the waves ``(N, channels, samples)`` of all rows, at their own rates."""
        found = []
        for i, clip in enumerate(self.clips):
            whole = np.concatenate(list(waves[self.owner == i].transpose(0, 2, 1)))
            whole = whole[: length_at(clip.frames, clip.rate, self.rate)]
            found.append(Sound(of_length(resampled(whole, self.rate, clip.rate), clip.frames), clip.rate, clip.name))
        return found


def with_channels(x: Array, channels: int, clip: Clip) -> Array:
    """Return samples ``(T, n)`` with so many channels: one is the mean of all, one becomes two that are alike.

    Raises:
        InputError: Two are to be made of more.
    """
    if x.shape[1] == channels:
        return x
    if channels == 1:
        return np.asarray(x.mean(1, keepdims=True))
    if x.shape[1] == 1:
        return np.repeat(x, channels, 1)
    raise InputError(
        f"Two channels are taken from one or two, but {clip.name!r} has {x.shape[1]}. Fit with n_channels=1."
    )


def of_length(x: Array, n: int) -> Array:
    """Return samples ``(T, channels)`` cut to a length, or with silence up to it."""
    return np.pad(x[:n], ((0, max(0, n - len(x))), (0, 0)))


def silence_words(peaks: Array, slices: Slices) -> tuple[str, ...]:
    """Say which rows are silent; nothing where none is."""
    silent = np.flatnonzero(peaks < SILENT)
    if not len(silent):
        return ()
    named = ", ".join(
        f"{slices.clips[slices.owner[i]].name or f'row {slices.owner[i]}'} from "
        f"{slices.place[i] * slices.samples / slices.rate:g} s" for i in silent[:3]
    )
    more = " ..." if len(silent) > 3 else ""
    return (
        f"{len(silent)} of {len(peaks)} rows are silent (no sample above -60 dB): {named}{more}. They are kept; leave "
        "them out if the model should not make silence.",
    )
