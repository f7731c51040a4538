"""What a user may set about sound."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..options import Options

LEAST_RATE, MOST_RATE = 1000, 768_000
MOST_CHANNELS = 8


class AudioOptions(Options):
    """What the kind `audio` understands beyond the common options.

    Args:
        rate: Samples a second: of arrays, theirs; files are brought to it. By default what most files have.
        seconds: Length of a row; longer files are sliced, shorter ones end in silence. By default the longest file, one
            second at most.
        n_channels: 1 or 2; by default what all files have, and one where they differ or have more.
        form: Rows are log-mel pictures ("mel"), whose phases are made anew, or the samples themselves ("wave").
        mels: Bands of a picture; by default as many as the window tells apart, 64 at most.
        window: Samples of a window of a picture; by default the power of two next to 50 ms. Hops are a quarter.
        skip_bad: Leave out files that cannot be read (they are counted) and go on.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {"seconds", "n_channels", "form", "mels", "window"}

    rate: int | None = Field(None, ge=LEAST_RATE, le=MOST_RATE)
    seconds: float | None = Field(None, gt=0, le=60)
    n_channels: Literal[1, 2] | None = None
    form: Literal["mel", "wave"] = "mel"
    mels: int | None = Field(None, ge=4, le=512)
    window: int | None = Field(None, ge=16, le=16384)
    skip_bad: bool = False


def audio_options(options: Options) -> AudioOptions:
    """Return options of any kind as those of sound."""
    return options if isinstance(options, AudioOptions) else AudioOptions(**options.model_dump(exclude_unset=True))
