"""One process of a study; ``python -m senzai.tuning.worker REQUEST``, started by :func:`senzai.tune`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

from ..core.errors import RunInterrupted, SenzaiError
from ..core.files import write_json
from ..runs.training.parcel import unpack
from .processes import THREADS
from .study import StudyFacts, opened, optuna_quiet
from .trials import Job, work


def main(request: Path) -> int:
    """Work on a study; what goes wrong is written beside the request."""
    facts = json.loads(request.read_text(encoding="utf-8"))
    torch.set_num_threads(int(os.environ.get(THREADS[0], "1")))
    folder = Path(facts["folder"])
    about = StudyFacts.read(folder)
    job = Job(folder, about, unpack(facts["data"]), facts["trials"], facts["until"])
    try:
        with optuna_quiet():
            study = opened(
                folder, about, worker=facts["worker"], processes=facts["processes"], told=facts["told"]
            )
            work(job, study, lambda number, state, value: None)
    except (SenzaiError, RunInterrupted) as err:
        told = {"type": type(err).__name__, "message": str(err), "exit_code": err.exit_code}
        write_json(request.with_suffix(".error"), told)
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
