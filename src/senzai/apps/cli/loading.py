"""Runs for the command line: loaded, and refused where a verb does not fit them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...runs import Run


def run_for(verb: str, folder: Path) -> Run:
    """Return a saved run that a verb fits.

    Raises:
        CombinationError: It does not fit; the message says why.
        BundleError: The folder is no run.
    """
    from ...runs import load
    from ...runs.verbs.registry import verb_named

    run = load(folder)
    verb_named(verb).need(run.schema, run.model)
    return run
