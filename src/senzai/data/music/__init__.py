"""Music: bars on a grid of sixteenths as rows of symbols, read from MIDI and written back to it."""

from .kind import MusicKind as MusicKind
from .pieces import Note as Note
from .pieces import Passage as Passage
