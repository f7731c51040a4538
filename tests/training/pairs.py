"""Two real processes that train together: forks of this one, so that a planted fault is in both."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist

from senzai.training.comms import Comms


def two(work: Callable[[Comms], Any], folder: Path) -> list[Any]:
    """Return what ``work`` answers in both processes, as JSON has it; an error of either is an error here."""
    (folder / "meet").unlink(missing_ok=True)
    children = [_forked(work, folder, rank) for rank in range(2)]
    answers: list[Any] = [None, None]
    while None in answers:
        for rank, child in enumerate(children):
            if answers[rank] is None and os.waitpid(child, os.WNOHANG)[0]:
                answers[rank] = json.loads((folder / f"{rank}.json").read_text(encoding="utf-8"))
                if "error" in answers[rank] and answers[1 - rank] is None:  # the other would wait for it
                    os.kill(children[1 - rank], signal.SIGKILL)
                    os.waitpid(children[1 - rank], 0)
                    answers[1 - rank] = {}
        time.sleep(0.02)
    told = [a["error"] for a in answers if "error" in a]
    assert not told, told[0]
    return [a["said"] for a in answers]


def _forked(work: Callable[[Comms], Any], folder: Path, rank: int) -> int:
    """Let one of the two work; return its number."""
    child = os.fork()
    if child:
        return child
    said: dict[str, Any] = {}
    try:
        patience, meet = timedelta(minutes=10), dist.FileStore(str(folder / "meet"), 2)
        dist.init_process_group("gloo", store=meet, rank=rank, world_size=2, timeout=patience)
        said = {"said": work(Comms(rank, 2, rank))}
        dist.barrier()
    except BaseException:
        said = {"error": traceback.format_exc()}
    finally:
        (folder / f"{rank}.json").write_text(json.dumps(said), encoding="utf-8")
        os._exit(0)
