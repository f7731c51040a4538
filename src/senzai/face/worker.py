"""One process of a run on several devices; ``python -m senzai.face.worker REQUEST``, started by ``torchrun``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ..core.errors import SenzaiError
from .fit import fit


def main(request: Path) -> int:
    """Train this process's share; the first process writes what went wrong beside the request."""
    facts = json.loads(request.read_text(encoding="utf-8"))
    try:
        fit(
            facts["data"], recipe=facts["recipe"], out=facts["out"], kind=facts["kind"], settings=facts["settings"],
            overwrite=facts["overwrite"],
        )
    except SenzaiError as err:
        if os.environ.get("RANK") == "0":
            told = {"type": type(err).__name__, "message": str(err), "exit_code": err.exit_code}
            request.with_suffix(".error").write_text(json.dumps(told), encoding="utf-8")
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
