"""The kind `series`: numbers along time, cut into windows."""

from .calendar import Calendar as Calendar
from .details import SeriesDetails as SeriesDetails
from .details import series_of as series_of
from .kind import SeriesKind as SeriesKind
from .windows import dates_of as dates_of
from .windows import stamps as stamps
from .windows import units as units
