"""Push: a run on a hub, with its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .pack import folder_of
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("push", group="Share", takes="nothing", answers="document", steered=False, own_hand=True)
def push(run: Trained, *, name: str, public: bool = False, rows: bool = False) -> dict[str, Any]:
    """Put the run on a hub, with a card that has the measured numbers.

    Args:
        run: The run.
        name: Where to: ``user/name``.
        public: A new repository can be read by everybody.
        rows: Also the training rows that the run keeps to compare others with, where it keeps some.
    """
    from ...sharing import hub
    from ..card import card

    head = hub.front_matter(run.spec.recipe, run.schema.kind)
    text = head + card(name.rpartition("/")[2], run.spec, run.schema, run.metrics, place=f"hf://{name}")
    with folder_of(run, name.rpartition("/")[2] or "run") as folder:
        return hub.push(folder, name, card=text, public=public, rows=rows)
