"""The view of `audio`: spectrograms, and players of originals, reconstructions and new sounds."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
import torch
from PIL import Image

from ...core.batch import Batch, Data
from ...core.waves import Stft
from ...data import KINDS, Schema
from ...data.audio import Sound, audio_of, wav_bytes
from .. import words
from ..blocks import Block, Card, Cards, Empty, Picture, Section, SoundPlayer, Wall
from ..findings import Findings, Scope
from ..numbers import number, plural
from .base import VIEWS, View

HEARD, NEW = 6, 12
"""Rows that are played beside their reconstructions, and new sounds."""
HEIGHT, WIDEST = 64, 192
RANGE = 80.0
"""Decibels from black to white."""
PLAYED_RATE, PLAYED_SECONDS = 16_000, 3.0
"""Samples a second and seconds of what a page plays, at most, so that pages stay small."""


@final
class AudioView(View):
    """Sounds."""

    scope: ClassVar[Scope] = Scope(mapped=1000, samples=NEW)

    def lede(self, schema: Schema) -> str:
        """Say how many sounds, how long and at which rate."""
        told = audio_of(schema)
        channels = "" if told.channels == 1 else f" in {told.channels} channels"
        seconds = number(told.samples / told.rate, 3)
        return f"{plural(schema.n_rows, 'sound')} of {seconds} s at {told.rate:,} samples a second{channels}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the spectrogram of a row."""
        return Wall([spectrogram(sounds_of(row, schema)[0])], pixelated=False)

    def sections(self, found: Findings) -> list[Section]:
        """Return sounds with their reconstructions, and new ones, each seen and heard."""
        parts = []
        if found.shown is not None:
            shown, n = found.shown, min(HEARD, len(found.shown.batch))
            pairs = [sounds_of(Batch(x).take(slice(0, n)).x, found.schema)
                     for x in (shown.batch.x, shown.reconstructions)]
            cards = [
                Card(f"row {shown.index[i]}", words.bound_of(found, i), [
                    *heard(pairs[0][i], found.schema, "as the model is given it"),
                    *heard(pairs[1][i], found.schema, "reconstructed"),
                ]) for i in range(n)
            ]
            heading = words.reconstruction_words(found, "Top: the sound, as the model is given it. Bottom: its "
                                                     "reconstruction." + _of_phases(found.schema))
            parts.append(words.reconstructions(heading, [Cards(cards)]))
        if found.samples is None:
            return [*parts, Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        new = sounds_of(Batch(found.samples).take(slice(0, NEW)).x, found.schema)
        said = words.sample_words(found, plural(len(new), "new sound"))
        cards = [Card("", "", heard(sound, found.schema, f"sample {i}")) for i, sound in enumerate(new)]
        return [*parts, Section("samples", "Samples", [said], [Cards(cards)])]


def _of_phases(schema: Schema) -> str:
    if audio_of(schema).form == "wave":
        return ""
    return " Both are made of log-mel pictures, with phases made anew."


def sounds_of(x: Data, schema: Schema) -> list[Sound]:
    """Return rows as sounds."""
    found: list[Sound] = KINDS[schema.kind].decode(x, schema.but(form="files"))
    return found


def heard(sound: Sound, schema: Schema, says: str) -> Sequence[Block]:
    """Return the spectrogram of a sound, and what plays it."""
    return [Wall([spectrogram(sound, says)], pixelated=False), SoundPlayer(wav_uri(sound), says)]


def wav_uri(sound: Sound) -> str:
    """Return a small wav file as a data URI: one channel, 16 bits, no faster than needed, cut if it is long."""
    samples = np.clip(sound.samples.mean(1, keepdims=True), -1, 1)[: round(PLAYED_SECONDS * sound.rate)]
    every = max(1, round(sound.rate / PLAYED_RATE))
    rate = sound.rate // every if sound.rate % every == 0 else sound.rate
    if rate != sound.rate:
        whole = torch.from_numpy(np.ascontiguousarray(samples[: len(samples) // every * every, 0]))
        samples = whole.unflatten(0, (-1, every)).mean(1).unsqueeze(1).numpy()
    return f"data:audio/wav;base64,{b64encode(wav_bytes(Sound(samples, rate))).decode()}"


def spectrogram(sound: Sound, says: str = "a sound") -> Picture:
    """Return the spectrogram of a sound as a picture: time to the right, frequency upwards, black is loud."""
    size = int(2 ** round(np.log2(0.032 * sound.rate)))
    wave = torch.from_numpy(np.asarray(sound.samples.mean(1), np.float32))
    loud = 20 * Stft(size, max(1, size // 4)).magnitude(wave).clamp_min(1e-9).log10() - 20 * np.log10(size / 4)
    dark = ((loud + RANGE) / RANGE).clamp(0, 1).flip(0)
    drawn = Image.fromarray(np.asarray(255 - (255 * dark).round().numpy(), np.uint8))
    drawn = drawn.resize((min(WIDEST, max(HEIGHT, drawn.width)), HEIGHT), Image.Resampling.BOX)
    file = io.BytesIO()
    drawn.save(file, format="WEBP", quality=70)
    return Picture(f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}", f"spectrogram, {says}")


VIEWS.add("audio")(AudioView())
