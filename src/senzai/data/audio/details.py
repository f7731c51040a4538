"""What only this kind knows about its data."""

from __future__ import annotations

from typing import Literal

from senzai.core.errors import SettingError
from senzai.core.waves import Stft

from ..schema import Frozen, Schema


class AudioDetails(Frozen):
    """How sound became rows, so that rows become sound again.

    Args:
        rate: Samples a second of a row.
        samples: Samples of a row.
        channels: Channels of a row.
        form: Log-mel pictures ("mel") or waves ("wave").
        window: Samples of a window of a picture.
        mels: Bands of a picture.
        floor: Magnitude that is added before the logarithm is taken.
        back: Rate of what is written: that of most of the user's files.
        subtype: How samples of files are stored, soundfile's name for it.
        axes: Axes of a row of the user's arrays: 1, or 2 with channels last.
        dtype: Dtype of the user's arrays.
    """

    rate: int
    samples: int
    channels: int = 1
    form: Literal["mel", "wave"] = "mel"
    window: int = 512
    mels: int = 64
    floor: float = 1e-3
    back: int
    subtype: str = "PCM_16"
    axes: Literal[1, 2] = 1
    dtype: str = "float32"

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.window // 4

    @property
    def stft(self) -> Stft:
        """The transform that pictures are made with."""
        return Stft(self.window, self.hop)

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a row in the model."""
        if self.form == "wave":
            return self.channels, self.samples
        return self.channels, self.mels, 1 + self.samples // self.hop


def audio_of(schema: Schema) -> AudioDetails:
    """Return what the kind knows about its data.

    Raises:
        SettingError: The schema is of another kind.
    """
    if not isinstance(schema.details, AudioDetails):
        raise SettingError(f"This is about sound, but the data are of the kind {schema.kind!r}.")
    return schema.details
