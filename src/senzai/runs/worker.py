"""One process of a run on several devices; ``python -m senzai.runs.worker REQUEST``, started by ``torchrun``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ..core import terminal
from ..core.errors import RunInterrupted, SenzaiError
from ..core.files import write_json
from ..training.comms import PeerLost
from .fit import fit
from .training.parcel import unpack


def main(request: Path) -> int:
    """Train this process's share; what goes wrong is written beside the request, by the first process if it knows."""
    told = request.with_suffix(".error")
    if told.exists():  # torchrun starts all again after any end that is no success, and it would end so again
        return int(json.loads(told.read_text(encoding="utf-8"))["exit_code"])
    facts = json.loads(request.read_text(encoding="utf-8"))
    try:
        fit(
            unpack(facts["data"]), recipe=facts["recipe"], out=facts["out"], kind=facts["kind"],
            settings=facts["settings"], overwrite=facts["overwrite"], track=facts["track"],
        )
    except PeerLost as err:  # it is no end: all may start again
        terminal.console(error=True).print(str(err), markup=False, highlight=False, soft_wrap=True)
        return err.exit_code
    except (SenzaiError, RunInterrupted) as err:
        if os.environ.get("RANK") == "0" or not told.exists():
            write_json(told, {"type": type(err).__name__, "message": str(err), "exit_code": err.exit_code})
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
