"""Runs for the command line: loaded, and refused where a verb does not fit them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import note

if TYPE_CHECKING:
    from ...data import Dataset
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


def read_for(run: Run, data: object, options: dict[str, Any]) -> Dataset:
    """Return data as a run reads them; what is said of them, and was not of its own data, goes to stderr."""
    dataset = run.dataset(data, options=options)
    for said in dataset.schema.reasons:
        if said not in run.schema.reasons:
            note(said)
    return dataset
