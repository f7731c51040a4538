"""What a user may set about series."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from senzai.core.errors import SettingError

from ..options import Options, names_in
from ..schema import Split


class SeriesOptions(Options):
    """What the kind `series` understands beyond the common options.

    Args:
        time: Column of times (dates, or numbers); the index of a frame, or found by its type or name, by default.
        id: Column that says which series a line belongs to, where there are several below each other.
        columns: Columns of values; all columns of numbers by default.
        label: Column of labels; a window has the label of its last step.
        window: Steps of a window; by default from the season that the times suggest.
        stride: Steps from the beginning of a window to that of the next.
        level: What values are counted from: nothing ("keep"), the first value of the window ("start"), or the logarithm
            of the ratio to it ("log", for prices).
        divide: Windows are divided into training, validation and test by "time" or by series ("id"); "auto" takes
            time where series have times.
        horizon: Hide so many last steps of every second training window, so that the model learns to see the past
            alone; for forecasts.
        duplicates: What becomes of lines with the same time (and series): an "error", the "first", the "last", the
            "mean".
        timezone: Zone of the times, such as Europe/Berlin; times without one are then local there.
        time_format: How times are written, such as %d.%m.%Y, where it is not plain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    decisions: ClassVar[frozenset[str]] = (Options.decisions - {"time"}) | {
        "columns", "window", "stride", "level", "divide", "horizon",
    }

    missing: Literal["error", "keep"] = "keep"
    id: str | None = None
    columns: tuple[str, ...] = ()
    window: int | None = Field(None, ge=2)
    stride: int | None = Field(None, ge=1)
    level: Literal["keep", "start", "log"] = "keep"
    divide: Literal["auto", "time", "id"] = "auto"
    horizon: int = Field(0, ge=0)
    duplicates: Literal["error", "first", "last", "mean"] = "error"
    timezone: str | None = None
    time_format: str | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return names_in(value)

    def divided(self, *, by_time: bool, span: int, column: str | None) -> Split:
        """How windows are divided: by time, none of two parts sharing a step, or by series.

        Raises:
            SettingError: Nothing would be left to train on.
        """
        if self.validation + self.test >= 1:
            raise SettingError(
                "`validation + test < 1` must hold, so that windows are left to train on, "
                f"but got {self.validation} + {self.test}. Lower one of them."
            )
        made = Split(seed=self.seed, validation=self.validation, test=self.test, column=column, by="groups")
        return made.model_copy(update={"by": "time", "span": span, "gap": self.gap}) if by_time else made


def series_options(options: Options) -> SeriesOptions:
    """Return options of any kind as those of series."""
    return options if isinstance(options, SeriesOptions) else SeriesOptions(**options.model_dump(exclude_unset=True))
