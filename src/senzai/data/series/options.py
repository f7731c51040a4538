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
        condition: What windows are conditioned on: "label"; "hour", "weekday" and "month" of their steps; "calendar"
            for those of the three that went round twice in the training windows.
        exogenous: Columns that windows are conditioned on too, and that are known for the steps ahead: a temperature
            that was forecast, holidays, prices that were set.
        window: Steps of a window; by default from the season that the times suggest.
        stride: Steps from the beginning of a window to that of the next.
        level: What values are counted from: nothing ("keep"), the first value of the window ("start"), or the logarithm
            of the ratio to it ("log", for prices).
        returns: Prices become returns, "simple" or "log" ones; "given" says that the values are returns already. Long
            data are made wide, a column for each series; of bars of prices the (adjusted) close is taken.
        filter: What takes the volatility out of returns: "gjr" (with the effect of falling prices) or "garch", each
            column's estimated from training steps; "none"; "auto" is "gjr" where there are returns.
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
        "columns", "window", "stride", "level", "divide", "horizon", "returns", "filter",
        "exogenous",
    }

    missing: Literal["error", "keep"] = "keep"
    id: str | None = None
    columns: tuple[str, ...] = ()
    exogenous: tuple[str, ...] = ()
    window: int | None = Field(None, ge=2)
    stride: int | None = Field(None, ge=1)
    level: Literal["keep", "start", "log"] = "keep"
    returns: Literal["none", "simple", "log", "given"] = "none"
    filter: Literal["auto", "none", "garch", "gjr"] = "auto"
    divide: Literal["auto", "time", "id"] = "auto"
    horizon: int = Field(0, ge=0)
    duplicates: Literal["error", "first", "last", "mean"] = "error"
    timezone: str | None = None
    time_format: str | None = None

    @field_validator("columns", "exogenous", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return names_in(value)

    @property
    def law(self) -> Literal["none", "garch", "gjr"]:
        """The filter that is meant.

        Raises:
            SettingError: There are no returns that it could filter, or values are counted from a level as well.
        """
        if self.returns == "none":
            if self.filter not in ("auto", "none"):
                raise SettingError(
                    f"A filter is of returns, but got filter={self.filter} and returns=none. Set returns=log for "
                    "prices, or returns=given for returns."
                )
            return "none"
        if self.level != "keep":
            raise SettingError(
                f"Returns are counted from no level, but got returns={self.returns} and level={self.level}. Leave one."
            )
        return "gjr" if self.filter == "auto" else self.filter

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
