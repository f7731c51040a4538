"""The view of `multimodal`: rows shown by the views of their modalities, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from ...core.batch import Data
from ...data import Schema
from ...data.multimodal import details_of, one_of
from ..blocks import Block, Card, Cards
from ..findings import Scope
from ..numbers import plural
from .base import VIEWS, View, view_of


@final
class MultimodalView(View):
    """A card for each modality, drawn by the view of its kind."""

    scope: ClassVar[Scope] = Scope(mapped=1000, samples=24)

    def lede(self, schema: Schema) -> str:
        """Say how many rows, and which modalities they have."""
        names = [
            f"{m.name} ({m.schema_.kind}{f', missing in {m.lacking}' if m.lacking else ''})"
            for m in details_of(schema).modalities
        ]
        return f"{plural(schema.n_rows, 'row')} of {', '.join(names)}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return what the view of each modality draws, side by side; a modality that none draws is left out."""
        if not isinstance(row, dict):
            return None
        cards = []
        for name in row:
            x, own = one_of(row, schema, name)
            drawn = view_of(own).picture(x, own)
            if drawn is not None:
                cards.append(Card(name, "", [drawn]))
        return Cards(cards) if cards else None


VIEWS.add("multimodal")(MultimodalView())
