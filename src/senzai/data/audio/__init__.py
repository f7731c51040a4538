"""Sound: recordings of any length and rate as rows of one length, as log-mel pictures or as waves, and back."""

from .details import AudioDetails as AudioDetails
from .details import audio_of as audio_of
from .kind import AudioKind as AudioKind
from .sounds import Sound as Sound
from .sounds import wav_bytes as wav_bytes
