"""What a user may set when data are read: one frozen model per kind, checked by name and by value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from senzai.core.errors import SettingError
from senzai.core.registry import suggestion

from .schema import Split

O = TypeVar("O", bound="Options")  # noqa: E741 - O for options


def names_in(value: object) -> object:
    """Return names given as a list, as text with commas, or as one number.

    Example:
        >>> names_in("a, b"), names_in([2019, 2020]), names_in(-999)
        (('a', 'b'), ('2019', '2020'), ('-999',))
    """
    if isinstance(value, list | tuple):
        return tuple(str(name) for name in value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (str(value),)
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


class Options(BaseModel):
    """What every kind understands.

    Args:
        values: What the values are, where the automatic decision is not wanted.
        key: Which array of an ``.npz`` file holds the data.
        label: Which array of an ``.npz`` file, or column of a table, holds the label.
        unlabelled: A label that means "no label", as NaN, None and empty text do; "auto" takes -1 for one where the
            other classes are 0, 1, 2, ...; "never" takes every value for a class.
        condition: What generation is conditioned on: "label" for arrays and images, names of columns for a table.
        missing: "error" refuses NaN; "keep" takes NaN as *not observed* and passes a mask on.
        in_memory: True or False to decide it by hand; otherwise the size decides.
        seed: Seed of the split into training, validation and test rows.
        validation: Fraction of rows held out for validation.
        test: Fraction of rows held out for the test.
        groups: Column of a table, or array of an ``.npz`` file, that says which rows stay together when rows are
            divided: patient, user, series.
        time: Column or array by which rows are divided: the latest are the test, those before them validate.
        gap: With ``time``, rows left out between two parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    decisions: ClassVar[frozenset[str]] = frozenset(
        ("values", "condition", "seed", "validation", "test", "groups", "time", "gap")
    )
    """What a model has decided when it was fitted. All other options say how data are read: they hold for later data
    too, and can be given anew for those."""

    values: Literal["binary", "unit", "levels", "real", "count"] | None = None
    key: str | None = None
    label: str | int | None = None
    unlabelled: str | int = "auto"
    condition: tuple[str, ...] = ()
    missing: Literal["error", "keep"] = "error"
    in_memory: bool | None = None
    seed: int = 0
    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    groups: str | None = None
    time: str | None = None
    gap: int = Field(0, ge=0)

    @field_validator("condition", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return names_in(value)

    def about_reading(self, given: Iterable[str]) -> dict[str, Any]:
        """Return those of the given options that say how data are read, as plain values."""
        return {n: v for n, v in self.model_dump(mode="json").items() if n in given and n not in self.decisions}

    @property
    def split(self) -> Split:
        """How the rows are divided."""
        if self.validation + self.test >= 1:
            raise SettingError(
                "`validation + test < 1` must hold, so that rows are left to train on, "
                f"but got {self.validation} + {self.test}. Lower one of them."
            )
        if self.groups is not None and self.time is not None:
            raise SettingError("Rows are divided by groups or by time, but got both. Leave one of them out.")
        if self.gap and self.time is None:
            raise SettingError(f"A gap lies between parts of time, but got gap={self.gap} alone. Give time=... too.")
        by: Literal["rows", "groups", "time"] = "groups" if self.groups else "time" if self.time else "rows"
        return Split(
            seed=self.seed, validation=self.validation, test=self.test, by=by, column=self.groups or self.time,
            gap=self.gap,
        )


class ArrayOptions(Options):
    """What the kind `array` understands: nothing beyond the common options."""


class TableOptions(Options):
    """What the kind `table` understands beyond the common options.

    Args:
        schema_: Types of columns by name, where they should not be inferred: ``schema.age=count``.
        delimiter: What separates the cells of a text file.
        encoding: Encoding of a text file.
        quote: What wraps cells of a text file; empty for none.
        header: Whether the first line of a text file holds the names.
        na: Further texts that mean a missing value.
        keep: Texts that are values, though they usually mean a missing one, such as ``NA``.
        decimal: What stands before decimals in a text file, a point or a comma.
        thousands: What stands between thousands in a text file.
        currency: Whether signs of currency belong to numbers; else only where all cells of a column have the same one.
        sheet: Sheet of an Excel file, by name or by number from 0; a name goes first.
        query: SQL query, for a database.
        table: Table of a database.
        max_categories: Categories a column may have; the rarest beyond share one level.
        max_steps: Different values up to which numbers are ordered values, each with its probability.
        unknown: A category that was never seen is an "error", or "missing".
        rare: Values that share a level come back as one of them ("draw"), or under one name ("group").
        numbers: Likelihood of real numbers, "normal" or "student_t".
        missingness: Columns whose missing entries the model also learns to predict (missing not at random).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, coerce_numbers_to_str=True)

    decisions: ClassVar[frozenset[str]] = Options.decisions | {
        "schema", "max_categories", "max_steps", "unknown", "rare", "numbers", "missingness",
    }

    missing: Literal["error", "keep"] = "keep"
    schema_: dict[str, str] = Field(default_factory=dict, alias="schema")
    delimiter: str | None = None
    encoding: str | None = None
    quote: str = '"'
    header: bool | None = None
    na: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    currency: bool | None = None
    sheet: str | int | None = None
    query: str | None = None
    table: str | None = None
    max_categories: int = Field(100, ge=2)
    max_steps: int = Field(500, ge=2)
    unknown: Literal["error", "missing"] = "error"
    rare: Literal["draw", "group"] = "draw"
    numbers: Literal["normal", "student_t"] = "normal"
    missingness: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _two_marks(self) -> TableOptions:
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError("one mark cannot stand both before decimals and between thousands")
        return self

    @field_validator("missingness", "na", "keep", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return names_in(value)


class ImageOptions(Options):
    """What the kind `images` understands beyond the common options.

    Args:
        size: Height and width to crop and resize to: ``32``, ``"32x48"`` or ``(32, 48)``.
        mode: "L" (grey), "RGB" or "RGBA", where the files should not decide.
        transparency: Lay pictures on "white", "drop" it, or "keep" it as a fourth channel.
        skip_bad: Leave out files that cannot be read (they are counted) and go on.
        patch: Height and width of tiles that pictures of any size are cut into, ``128`` or ``"128x96"``; what a run
            makes of them comes back as whole pictures.
        overlap: Share of a tile that the next one covers too.
        every: Of a film or a stack of pages, every how many frames one is taken.
        layout: Order of an array's axes, where its shape should not decide.
        conv_from: Smallest side from which a convolutional network is proposed.
        window: Window under which DICOM is shown as greys, ``"40,400"`` (centre, width) or ``"file"``; by default
            values stay in their units.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {"mode", "transparency", "conv_from", "window"}

    size: tuple[int, int] | None = None
    mode: Literal["L", "RGB", "RGBA"] | None = None
    transparency: Literal["white", "drop", "keep"] = "white"
    skip_bad: bool = False
    patch: tuple[int, int] | None = None
    overlap: float = Field(0.25, ge=0, lt=1)
    every: int = Field(1, ge=1)
    layout: Literal["NHW", "NHWC", "NCHW"] | None = None
    conv_from: int = Field(16, ge=1)
    window: str | None = None

    @field_validator("window", mode="before")
    @classmethod
    def _window(cls, value: object) -> object:
        if value is None or value == "file":
            return value
        words = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        if re.fullmatch(r"\s*-?\d+(\.\d+)?\s*,\s*\d+(\.\d+)?\s*", words):
            return words.replace(" ", "")
        raise ValueError("must be centre and width like '40,400', or 'file'")

    @field_validator("size", "patch", mode="before")
    @classmethod
    def _size(cls, value: object) -> object:
        if isinstance(value, str) and (found := re.fullmatch(r"(\d+)(?:[x,](\d+))?", value.strip())):
            value = (int(found[1]), int(found[2] or found[1]))
        if isinstance(value, int) and not isinstance(value, bool):
            value = (value, value)
        if value is None or (isinstance(value, tuple | list) and len(value) == 2 and all(int(v) > 0 for v in value)):
            return value
        raise ValueError("must be a side like 32, or height x width like '32x48', all above 0")


def names_of(cls: type[Options]) -> list[str]:
    """Return the names by which a user sets the options of a kind."""
    return sorted(field.alias or name for name, field in cls.model_fields.items())


def _nested(given: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Gather ``schema.NAME`` under ``schema``."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if "schema" in known and name.startswith("schema."):
            found["schema"] = {**found.get("schema", {}), name.partition(".")[2]: value}
        else:
            found[name] = value
    return found


def parse(kind: str, cls: type[O], given: Mapping[str, Any] | None) -> O:
    """Check options by name and value.

    Raises:
        SettingError: An option is unknown (the nearest name is suggested) or has a value it cannot take.

    Example:
        >>> parse("images", ImageOptions, {"size": "32x48"}).size
        (32, 48)
    """
    known = names_of(cls)
    given = _nested(given or {}, known)
    for name in given:
        if name not in known:
            raise SettingError(
                f"The kind {kind!r} has the options {', '.join(known)}, but got {name!r}.{suggestion(str(name), known)}"
            )
    try:
        return cls.model_validate(given)
    except ValidationError as err:
        first = err.errors()[0]
        if not first["loc"]:
            raise SettingError(f"Options must go together, but {first['msg'].removeprefix('Value error, ')}.") from err
        raise SettingError(
            f"The option {first['loc'][0]!r} cannot be {first['input']!r}: {first['msg']}. "
            "Give another value, or leave it out."
        ) from err
