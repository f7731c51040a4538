"""What a user may set about rows of several modalities."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..options import Options, names_in


class MultimodalOptions(Options):
    """What the kind `multimodal` understands beyond the common options.

    Args:
        pictures: Columns of a table whose cells are paths of pictures, relative to the table.
        sentences: Columns whose cells are texts.
        sounds: Columns whose cells are paths of sounds.
        modalities: Kind of a column, an array or a frame by name, where it should not be recognised:
            ``modalities.photo=images``.
        each: Options of the kinds of single modalities: ``each.photo.size=32``.
        key_column: Column that all frames of a dictionary have and by which their rows belong together.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {"modalities", "pictures", "sentences", "sounds", "each"}

    missing: Literal["error", "keep"] = "keep"
    pictures: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    modalities: dict[str, str] = Field(default_factory=dict)
    each: dict[str, Any] = Field(default_factory=dict)
    key_column: str | None = None

    @field_validator("pictures", "sentences", "sounds", mode="before")
    @classmethod
    def _columns(cls, value: object) -> object:
        return names_in(value)

    def of(self, name: str) -> dict[str, Any]:
        """Return the options of one modality."""
        whole, start = self.each.get(name), f"{name}."
        own = dict(whole) if isinstance(whole, dict) else {}
        return own | {k.removeprefix(start): v for k, v in self.each.items() if k.startswith(start)}
