"""Restarts by ``torchrun``: a job that was cut short finds its own run again and goes on from the last checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.files import write_text
from ...training.bundle import CHECKPOINT, WEIGHTS
from ...training.places import NEW

JOB = ".senzai-job"
"""File in a run's folder that names the job that began it."""


def job_of_environment() -> str | None:
    """Return the name of the job that ``torchrun`` gave this process; ``None`` without one.

    Its name is that of the rendezvous (``--rdzv-id``), which stays the same over restarts on all machines.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    return None if name in (None, "", "none") else name


def sign(folder: Path) -> None:
    """Write the name of the job into the folder of its run, where there is a job."""
    name = job_of_environment()
    if name is not None:
        write_text(folder / JOB, name)


def began(folder: Path) -> bool:
    """Whether this very job began a run in a folder before, so that it is to go on with it."""
    name = job_of_environment()
    if name is None:
        return False
    places = [folder / NEW, folder]
    return any((place / JOB).is_file() and (place / JOB).read_text(encoding="utf-8") == name for place in places)


def ended(folder: Path) -> bool:
    """Whether the run in a folder is finished and nothing is being trained to replace it."""
    from ...training.checkpoint import peek

    if (folder / NEW).is_dir() or not (folder / WEIGHTS).is_file():
        return False
    return not (folder / CHECKPOINT).is_file() or peek(folder / CHECKPOINT).done
