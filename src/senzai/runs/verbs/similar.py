"""Similar: items that a model takes for alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import SettingError
from ...evaluation.reasons import cosines, item_codes
from .recommend import item_number, names_of, needs_items
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("similar", group="Use", takes="nothing", answers="document", unfit=needs_items, steered=False)
def similar(run: Trained, *, item: str, k: int = 10) -> dict[str, Any]:
    """Name the items that are most alike: by the cosine between the codes of users who have one item alone.

    Args:
        run: The run.
        item: The item, as the data have it.
        k: How many.
    """
    if k < 1:
        raise SettingError(f"`k >= 1` must hold, but got k={k!r}.")
    names, at = names_of(run.schema), item_number(run.schema, item)
    width = 0 if run.schema.condition is None else run.schema.condition.width
    alike = cosines(item_codes(run.model, len(names), n_condition=width), at)
    order = np.argsort(-alike, kind="stable")
    best = [int(i) for i in order if i != at][:k]
    return {"item": names[at], "similar": [{"item": names[i], "cosine": float(alike[i])} for i in best]}
