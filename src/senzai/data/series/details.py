"""What only this kind knows about its data."""

from __future__ import annotations

from typing import Literal

from senzai.core.errors import InputError

from ..schema import Frozen, Quantity, Schema
from .calendar import Calendar
from .filters import Garch


class SeriesDetails(Frozen):
    """How windows were cut and what their numbers are.

    Args:
        time: Name of the column of times; ``None`` where steps are numbered.
        in_index: Whether the times were the index of a frame.
        id: Name of the column that says which series a line belongs to.
        calendar: How time goes on.
        dtypes: Dtype of each column.
        decimals: Decimals that each column is rounded to; ``None`` for those that are not.
        window: Steps of a window.
        stride: Steps between the beginnings of windows.
        level: What values are counted from: "keep", "start" or "log".
        shift: Mean of each column over the training windows, on the level.
        scale: Their standard deviation; 1 for a constant.
        hidden: Last steps that every second window hides in training.
        season: Steps of a season, where one was found.
        end: The last time of the data.
        last: The last value of each column, from which new series go on where values are counted from a level.
        ragged: Whether series may be shorter than a window.
        returns: How prices become returns: "none", "simple", "log", or "given" where they are returns already.
        wide_of: Columns of series and of prices of long data that were made wide: a column for each series.
        filters: What takes the volatility out of each column of returns.
        trained: The last time of windows that trained or validated.
        mixing: Cholesky factor of the correlation of what the filters leave.
        coming: Variance of each column at the step after the last.
        seasons: Seasons that windows are conditioned on: "hour", "weekday", "month".
        exogenous: Further columns that they are conditioned on, with mean and deviation over training steps.
    """

    time: str | None = None
    in_index: bool = False
    id: str | None = None
    calendar: Calendar
    dtypes: tuple[str, ...]
    decimals: tuple[int | None, ...]
    window: int
    stride: int
    level: Literal["keep", "start", "log"] = "keep"
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    hidden: int = 0
    season: int | None = None
    end: int = 0
    last: tuple[float, ...] = ()
    ragged: bool = False
    returns: Literal["none", "simple", "log", "given"] = "none"
    wide_of: tuple[str, str] | None = None
    filters: tuple[Garch, ...] = ()
    trained: int = 0
    mixing: tuple[tuple[float, ...], ...] = ()
    coming: tuple[float, ...] = ()
    seasons: tuple[str, ...] = ()
    exogenous: tuple[Quantity, ...] = ()

    @property
    def known(self) -> int:
        """Numbers that are known at each step beside the values."""
        return 2 * len(self.seasons) + len(self.exogenous)

    @property
    def time_name(self) -> str:
        """What the column of times is called."""
        return self.time or "step"


def series_of(schema: Schema) -> SeriesDetails:
    """Return what is known about series.

    Raises:
        InputError: The schema is of another kind.
    """
    if not isinstance(schema.details, SeriesDetails):
        raise InputError("The schema is not that of series. Open the data with the model's own schema.")
    return schema.details
