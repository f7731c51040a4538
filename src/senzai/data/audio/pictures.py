"""Waves to log-mel pictures, and back with phases made anew."""

from __future__ import annotations

from functools import lru_cache

from senzai.core.later import Tensor, torch
from senzai.core.waves import griffin_lim, mel_filters, unmel

from .details import AudioDetails

ROWS = 64
"""Rows that are worked on at a time."""


@lru_cache(maxsize=8)
def filters_of(mels: int, window: int, rate: int) -> Tensor:
    """Return the bands; they are made once."""
    return mel_filters(mels, window, rate)


def to_picture(waves: Tensor, told: AudioDetails) -> Tensor:
    """Return log magnitudes of mel bands ``(N, channels, mels, frames)`` of waves ``(N, channels, samples)``."""
    filters = filters_of(told.mels, told.window, told.rate)
    parts = [(filters @ told.stft.magnitude(part) + told.floor).log() for part in waves.split(ROWS)]
    return torch.cat(parts)


def to_waves(pictures: Tensor, told: AudioDetails) -> Tensor:
    """Return waves ``(N, channels, samples)`` whose pictures are near to these."""
    filters = filters_of(told.mels, told.window, told.rate)
    parts = []
    for part in pictures.float().split(ROWS):
        bands = (part.clamp_max(20).exp() - told.floor).clamp_min(0)
        parts.append(griffin_lim(unmel(bands, filters), told.stft, told.samples))
    return torch.cat(parts)
