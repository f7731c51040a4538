"""Writing all that a run knows into a new folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.files import replacing_folder, write_json, write_text
from ...training import bundle
from ...training.listeners import as_text
from ...training.places import refuse_existing
from ...training.samplers import save_samplers
from ..card import write_card
from .score import kept_reference, write_reference

if TYPE_CHECKING:
    from ...training.trained import Trained


def save(run: Trained, target: Path) -> Path:
    """Write a run to a new folder, or nothing; see :meth:`senzai.Run.save`."""
    refuse_existing(target)
    run.heard, run.reference = run.history, kept_reference(run)
    with replacing_folder(target) as tmp:
        bundle.save_spec(tmp, run.spec)
        save_samplers(tmp, run.samplers, run.model)
        if run.heard:
            write_text(tmp / bundle.HISTORY, as_text(run.heard))
        if run.reference is not None:
            write_reference(tmp, run.reference)
        write_json(tmp / bundle.METRICS, run.metrics)
        write_card(tmp, target.name, run.spec, run.schema, run.metrics)
        bundle.save_weights(tmp, run.model)
    return target
