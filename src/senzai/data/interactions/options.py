"""What a user may set when interactions are read, and what a run keeps of it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from senzai.core.errors import SettingError

from ..covariates import Covariate
from ..options import Options
from ..schema import Frozen, Schema, Split

Hold = Literal["users", "last", "time"]


class InteractionOptions(Options):
    """What the kind `interactions` understands beyond the common options.

    Args:
        user: Column of the users, where its name does not say so.
        item: Column of the items.
        rating: Column of ratings.
        count: Column of counts (plays, purchases).
        time: Column of times.
        min_rating: Interactions with a lower rating are left out; without it, every rating is an interaction.
        min_user: Users of the training data with fewer different items are left out.
        min_item: Items of the training data with fewer users are left out; both are repeated until both hold.
        hold: What is held out to judge by: "users" (whole users, of whom a part of the items is shown), "last" (the
            last item of every user; one at random without times) or "time" (the latest interactions of all).
        fold_in: Share of the items of a held-out user that is shown to the model; the rest is to be found.
        delimiter: What separates the cells of a text file.
        header: Whether the first line of a text file holds the names.
        users: Table of users beside the log (csv, tsv, parquet): facts that the model is given of each, by their
            identifier; those named by ``condition``, else all of a few classes or numbers.
        items: Table of items: facts from which the model also scores items that nobody had, by their identifier.
        query: SQL query, for a database.
        table: Table of a database.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions - {"time"} | {
        "min_rating", "min_user", "min_item", "hold", "fold_in", "items",
    }

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    count: str | None = None
    time: str | None = None
    min_rating: float | None = None
    min_user: int = Field(1, ge=1)
    min_item: int = Field(1, ge=1)
    hold: Hold = "users"
    fold_in: float = Field(0.8, gt=0, lt=1)
    delimiter: str | None = None
    header: bool | None = None
    users: str | None = None
    items: str | None = None
    query: str | None = None
    table: str | None = None

    @field_validator("users", "items")
    @classmethod
    def _wherever_it_is_read_from(cls, value: str | None) -> str | None:
        """Return a path that is there as a whole one, so that a run finds it from any folder."""
        return str(Path(value).expanduser().resolve()) if value and Path(value).expanduser().exists() else value

    @property
    def split(self) -> Split:
        """How users are divided; where entries are held out, every user trains."""
        if self.groups is not None or self.gap:
            raise SettingError("Users are divided by hold=users, last or time. Leave groups and gap out.")
        if self.hold == "users":
            return self.model_copy(update={"time": None}).by_rows()
        share = self.test if self.hold == "time" else 0.0
        return Split(seed=self.seed, validation=0.0, test=share, by="entries")

    def by_rows(self) -> Split:
        """Return the division of users one by one."""
        return super().split


class InteractionDetails(Frozen):
    """What is known about interactions beside the items, which are the columns of the schema.

    Args:
        user: Name of the column of users.
        item: Name of the column of items.
        value: Name of the column of counts, where counts are modelled.
        min_rating: As in the options; it holds for all later data.
        min_user: As in the options; for the training data alone.
        min_item: As in the options; for the training data alone.
        hold: What is held out.
        fold_in: Share of a held-out user's items that is shown.
        usual: Items that a user has, the median; new users are drawn with as many.
        of_users: Facts that the model is given of each user.
        of_items: Facts that the model is given of each item.
    """

    user: str = "user"
    item: str = "item"
    value: str | None = None
    min_rating: float | None = None
    min_user: int = 1
    min_item: int = 1
    hold: Hold = "users"
    fold_in: float = 0.8
    usual: int = 1
    of_users: tuple[Covariate, ...] = ()
    of_items: tuple[Covariate, ...] = ()


def details_of(schema: Schema) -> InteractionDetails:
    """Return what is known about the interactions of a schema."""
    assert isinstance(schema.details, InteractionDetails)  # nobody else asks
    return schema.details
