"""The kind `audio`: sound from files or arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import CombinationError, InputError
from senzai.core.later import Tensor, torch
from senzai.core.memory import free_memory

from .. import conditioning, sources, trees, writers
from ..deciding import label_of, one_tensor, to_numpy
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import encode_labels
from ..options import Options
from ..plain import plain_rows
from ..proposal import Choice, Proposal
from ..readers import IN_MEMORY_BYTES
from ..rows import Array, MemoryRows, Rows, StreamedRows
from ..schema import Axis, Field, Schema, Split
from . import figures
from .clips import is_sound_file, length_at, resampled
from .details import AudioDetails, audio_of
from .options import AudioOptions, audio_options
from .pictures import to_picture, to_waves
from .reading import Recordings, cut_by, decided, files_of, read_recordings
from .slices import Slices, of_length, silence_words
from .sounds import FORMATS, Sound, bytes_of, soundfile, texts_of, write_sounds

FEW_FILES = 3
"""Recordings below which rows are divided by time, and not by recording."""


@final
class AudioKind(Kind):
    """Recordings; rows are log-mel pictures ``(channels, mels, frames)``, or waves ``(channels, samples)``.

    Example:
        >>> kind = KINDS["audio"]
        >>> beep = np.sin(np.arange(4000) * 0.3).astype(np.float32)
        >>> options = kind.options(rate=8000, form="wave", validation=0, test=0)
        >>> opened = kind.read(np.stack([beep, 0.5 * beep]), options)
        >>> schema = kind.infer(opened, options)
        >>> rows = kind.rows(opened, schema)
        >>> bool((kind.decode(rows.take([0, 1]).x, schema)[0] == beep).all()), schema.event_shape
        (True, (1, 4000))
    """

    name: ClassVar[str] = "audio"
    title: ClassVar[str] = "sound: folders and lists of wav, flac, mp3, ogg; arrays with rate=..."
    suffixes: ClassVar[tuple[str, ...]] = (*FORMATS, ".npy", ".npz")
    options: ClassVar[type[Options]] = AudioOptions
    details: ClassVar[type[AudioDetails]] = AudioDetails
    shows: ClassVar[Literal["draws", "mean"]] = "mean"
    suffix: ClassVar[str] = ".wav"
    folder: ClassVar[bool] = True
    unit: ClassVar[str] = "value"
    cells: ClassVar[Literal["", "files", "values"]] = "files"
    cells_called: ClassVar[str] = "sounds"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim sound files, folders that hold any, lists of them, and arrays of which the rate is told."""
        if (listed := files_of(source)) is not None:
            return Claim(1.0, "it lists sound files") if listed[0][0].exists() else None
        if sources.header(source, options) is not None:
            return Claim(0.95, "a rate was told") if "rate" in options else None
        path = sources.existing(source)
        if path is None or not (trees.find(path, is_sound_file)[0] if path.is_dir() else is_sound_file(path)):
            return None
        return Claim(0.9, "it holds sound" if path.is_dir() else "it is a sound")

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the headers of files, or arrays, and decide how they are cut."""
        asked, told = audio_options(options), None if schema is None else audio_of(schema)
        read = read_recordings(source, asked, told)
        details, notes = decided(read, asked) if told is None else (told, [])
        slices = cut_by(read, details)
        whole = len(slices) == len(slices.clips)
        known = read.labels if schema is None or read.labels is not None else _by_folder(read, schema)
        labels = None if known is None else known[slices.owner]
        return Opened(
            data=slices, n_rows=len(slices), dtype=read.dtype, form=read.form, origin=read.origin, labels=labels,
            label_name=read.label_name, label_asked=read.label_name != "folder" and labels is not None,
            groups=None if whole else slices.owner, order=None if whole else slices.place,
            notes=(*read.notes, *notes), facts={"details": details, "read": read},
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide label and split."""
        details: AudioDetails = opened.facts["details"]
        label, about_label = label_of(opened, options)
        targets = encode_labels(opened.labels, label)
        split, said = _divided(opened, options)
        return Schema(
            kind=self.name, fields={"x": _field(details)}, dtype=opened.dtype, form=opened.form, label=label,
            condition=conditioning.of_label(options.condition, label, targets, opened.origin), details=details,
            n_rows=opened.n_rows, split=split, fingerprint=opened.data.fingerprint,
            reasons=(*opened.notes, *said, *_of_silence(opened.data), *about_label),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any recordings; they are brought to the model's rate, channels and length of rows."""
        read: Recordings = opened.facts["read"]
        details = audio_of(schema).model_copy(update={"axes": min(2, read.axes), "dtype": read.dtype})
        return schema.but(
            form=opened.form, dtype=opened.dtype, n_rows=opened.n_rows, fingerprint=opened.data.fingerprint,
            details=details, reasons=tuple(dict.fromkeys((*schema.reasons, *opened.notes))),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows, in memory where they are small, else read when they are asked for."""
        told, slices = audio_of(schema), opened.data
        targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)

        def encode(waves: Array) -> tuple[Tensor, None]:
            return encoded(torch.from_numpy(waves), told), None

        nbytes = 4 * len(slices) * int(np.prod(schema.event_shape))
        every = np.arange(len(slices))
        if nbytes <= min(IN_MEMORY_BYTES, free_memory() / 4):
            blocks = [encode(slices.fetch(every[i : i + 256]))[0] for i in range(0, len(slices), 256)]
            return MemoryRows(torch.cat(blocks), targets, about=slices.about(every))
        return StreamedRows(
            len(slices), slices.fetch, encode, targets=targets, nbytes=nbytes, about=slices.about
        )

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None) -> Any:
        """Return a list of :class:`Sound` where files came, else an array in the user's layout and dtype.

        Rows of the user's data have their own length and rate; new ones the whole length of a row, at the rate of most
        of the user's recordings.
        """
        told = audio_of(schema)
        waves = decoded(one_tensor(x), told)
        sounds = [_one(waves[i], i, told, about or {}) for i in range(len(waves))]
        return sounds if schema.form == "files" else _as_array(sounds, schema, soft=soft)

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return whole recordings where they were sliced."""
        if not isinstance(source, Slices) or len(source) == len(source.clips):
            return self.decode(x, schema, soft=soft, about=about)
        sounds = source.joined(decoded(one_tensor(x), audio_of(schema)))
        return sounds if schema.form == "files" else _as_array(sounds, schema, soft=soft)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write a folder of wav (no suffix), one file (wav, flac, mp3, ogg), npy or npz."""
        path = Path(path)
        if path.suffix.lower() in (".npy", ".npz"):
            writers.write_array(_as_array(decoded, schema) if isinstance(decoded, list) else decoded, path)
        else:
            write_sounds(as_sounds(decoded, schema), path, audio_of(schema).subtype)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return wav files as base64; of arrays nested lists."""
        if not isinstance(decoded, list):
            return super().to_json(decoded, schema)
        return list(texts_of(decoded, audio_of(schema).subtype))

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return the samples of files that came as base64, at the rate of the user's data, or nested lists of them."""
        first = value[0] if isinstance(value, list) and value else value
        if not isinstance(first, str):
            return np.asarray(plain_rows(value, schema), np.float32)
        told = audio_of(schema)
        with tempfile.TemporaryDirectory() as tmp:
            for i, content in enumerate(bytes_of(value)):
                Path(tmp, f"{i:08d}.wav").write_bytes(content)
            slices: Slices = self.read(Path(tmp), AudioOptions.model_validate({}), schema).data
            waves = slices.fetch(np.arange(len(slices))).transpose(0, 2, 1)
        sounds = [Sound(resampled(w, told.rate, told.back), told.back) for w in waves]
        return _as_array(sounds, schema.but(form="numpy", dtype="float32"))

    def need_small(self, source: object, schema: Schema, *, rows: int, pixels: int) -> None:
        """Refuse sounds whose headers announce more samples."""
        for i, about in enumerate(_headers(source)):
            if about.frames * about.channels > pixels:
                raise InputError(f"A sound has at most {pixels:,} samples, but sound {i} has more. Cut it.")

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return how arrays become rows; of sound files that needs more than NumPy."""
        if audio_of(schema).form == "mel" or schema.form == "files":
            raise CombinationError("Sound files and their pictures need more than NumPy on their way. Use the run.")
        return super().processing(schema)

    # --- about ------------------------------------------------------------------------------------------------------
    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Where sound was given in memory: it cannot be read again when somebody asks for scores."""
        return in_memory

    def seconds(self, schema: Schema) -> float:
        """Return the length of a row."""
        return audio_of(schema).samples / audio_of(schema).rate

    def sample_figures(self, made: Any, known: Any, schema: Schema, *, seed: int = 0) -> Mapping[str, float]:
        """Return distances of new sounds to training sounds; see :func:`figures.of_sets`."""
        rate = audio_of(schema).back
        new, real = (_stacked(as_sounds(v, schema), rate) for v in (made, known))
        return figures.of_sets(new, real, rate)

    def row_figures(self, rows: Any, made: Any, schema: Schema) -> Mapping[str, Array]:
        """Return how near reconstructions are to their sounds; see :func:`figures.of_pairs`.

        Sounds of pictures have phases that were made anew, and so no ratio of signal to distortion.
        """
        found = figures.of_pairs(as_sounds(rows, schema), as_sounds(made, schema))
        return found if audio_of(schema).form == "wave" else {k: v for k, v in found.items() if k != "si_sdr"}

    def propose(self, schema: Schema) -> Proposal:
        """Suggest convolutions over pictures, or the codec of waves."""
        if audio_of(schema).form == "wave":
            return Proposal(
                likelihood=Choice("normal"), shared=("scale",), encoder=Choice("waves"), recipe="wave-codec",
                training={"batch_size": 16, "lr": 1e-3, "schedule": "one_cycle"},
                reason="Proposed because rows are waves: convolutions along time, and codes from residual lists.",
            )
        conv = min(schema.event_shape[1:]) >= 16
        return Proposal(
            likelihood=Choice("normal"), shared=("scale",), encoder=Choice("conv" if conv else "mlp"),
            training={"batch_size": 32, "lr": 2e-3, "schedule": "one_cycle"} if conv else {},
            reason="Proposed because rows are pictures of bands along time, with one scale for each place.",
        )


def encoded(waves: Tensor, told: AudioDetails) -> Tensor:
    """Return model values of waves ``(N, channels, samples)``."""
    return waves if told.form == "wave" else to_picture(waves, told)


def decoded(x: Tensor, told: AudioDetails) -> Array:
    """Return waves ``(N, channels, samples)`` of model values."""
    if told.form == "wave":
        return to_numpy(x)
    with torch.no_grad():
        return to_numpy(to_waves(x.detach().cpu(), told))


def _one(wave: Array, i: int, told: AudioDetails, about: Mapping[str, Any]) -> Sound:
    """Return a row as a sound: of the user's recordings with their length, rate and name."""
    if "length" not in about:
        return Sound(resampled(wave.T, told.rate, told.back), told.back)
    length, rate, part = int(about["length"][i]), int(about["rate"][i]), int(about["part"][i])
    samples = resampled(wave.T[:length], told.rate, rate)
    name = str(about["name"][i])
    if part and name:
        name = f"{Path(name).with_suffix('').as_posix()}-{part}{Path(name).suffix}"
    return Sound(of_length(samples, length_at(length, told.rate, rate)), rate, name)


def as_sounds(decoded: Any, schema: Schema) -> list[Sound]:
    """Return what :meth:`AudioKind.decode` gave as sounds."""
    if isinstance(decoded, list):
        return decoded
    array, told = writers.plain_array(decoded), audio_of(schema)
    scale = 32768 if array.dtype.kind in "iu" else 1
    return [Sound(v.reshape(len(v), -1).astype(np.float32) / scale, told.back) for v in array]


def _as_array(sounds: list[Sound], schema: Schema, *, soft: bool = False) -> Any:
    """Return sounds as an array of the user's layout and dtype; short ones end in silence."""
    told = audio_of(schema)
    longest = max((len(s.samples) for s in sounds), default=0)
    found = np.stack([of_length(s.samples, longest) for s in sounds]) if sounds else np.zeros((0, 0, told.channels))
    found = found[..., 0] if told.axes == 1 and told.channels == 1 else found
    if told.dtype == "int16" and not soft:
        found = np.clip(np.rint(found.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    elif told.dtype in ("float16", "float64"):
        found = found.astype(told.dtype)
    return torch.from_numpy(np.ascontiguousarray(found)) if schema.form == "torch" else found


def _stacked(sounds: list[Sound], rate: int) -> Array:
    """Return sounds of one rate as an array ``(N, T)``, channels averaged, short ones with silence."""
    mono = [resampled(s.samples.mean(1, keepdims=True), s.rate, rate) for s in sounds]
    longest = max(map(len, mono))
    return np.stack([of_length(m, longest)[:, 0] for m in mono])


def _by_folder(read: Recordings, schema: Schema) -> Array | None:
    """Return the folders of single files as their labels, where the model knows each of them as a class."""
    classes = () if schema.label is None else schema.label.classes
    folders = [c.path.parent.name if c.path else None for c in read.clips]
    return np.array(folders) if classes and all(f in classes for f in folders) else None


def _field(told: AudioDetails) -> Field:
    names = ("channel", "sample") if told.form == "wave" else ("channel", "band", "frame")
    spacing = 1 / told.rate if told.form == "wave" else told.hop / told.rate
    axes = [Axis(name=n, size=s) for n, s in zip(names, told.event, strict=True)]
    axes[-1] = axes[-1].model_copy(update={"spacing": spacing})
    return Field(axes=tuple(axes), support="real")


def _divided(opened: Opened, options: Options) -> tuple[Split, tuple[str, ...]]:
    """Divide rows one by one where each is a recording, else by recording, or by time where there are few."""
    if opened.groups is None:
        return options.split, ()
    by: Literal["groups", "time"] = "time" if len(opened.data.clips) < FEW_FILES else "groups"
    said = "by recording: all slices of one are in one part" if by == "groups" else "by time: the latest are the test"
    return options.split.model_copy(update={"by": by}), (f"Rows are divided {said}.",)


def _of_silence(slices: Slices) -> tuple[str, ...]:
    nbytes = 4 * len(slices) * slices.samples * slices.channels
    if nbytes > IN_MEMORY_BYTES:
        return ("Silent rows were not looked for: the sound is larger than memory.",)
    every = np.arange(len(slices))
    peaks = [np.abs(slices.fetch(every[i : i + 256])).max((1, 2)) for i in range(0, len(slices), 256)]
    return silence_words(np.concatenate(peaks), slices)


def _headers(source: object) -> list[Any]:
    """Return what the headers of files say, or of base64 texts of files; whoever reads them says what is wrong."""
    import io

    library = soundfile()
    if isinstance(source, Path):
        given: list[Any] = [str(p) for p in ([source] if source.is_file() else sorted(source.rglob("*")))
                            if is_sound_file(p)]
    else:
        texts = source if isinstance(source, list) else [source]
        given = [io.BytesIO(b) for t in texts if isinstance(t, str) for b in bytes_of([t])]
    found = []
    for one in given:
        try:
            found.append(library.info(one))
        except (library.LibsndfileError, RuntimeError, OSError):
            continue
    return found


KINDS.add("audio")(AudioKind())
