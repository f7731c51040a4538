"""The process of one job: reads what was asked, does it through the public functions, writes how it ended."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import SenzaiError
from ..core.files import write_json
from ..training.events import Event, Progressed, Started, Validated
from ..training.lock import LOCK, waited_for
from ..training.loop import Training
from .jobs import OUTCOME, PROGRESS, REQUEST, STOP, read

SAMPLES, PAUSE = 10, 2.0
"""New rows that are shown during training, and the least seconds between two such looks."""


class Postcards:
    """A listener that writes how far training is, and what the model makes by now.

    Args:
        path: The file.
        schema: What the data are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: dict[str, Any] = {"step": 0}
        self.looked = -PAUSE
        self.schema: Any = None

    def announce(self, dataset: Any, spec: Any) -> None:
        """Keep what the data are."""
        self.schema = dataset.schema

    def on(self, event: Event, training: Training) -> None:
        """Write what is new; let training stop where that was asked for."""
        if (self.path.parent / STOP).exists() and not training.interrupt.signal:
            training.interrupt.signal = signal.SIGINT
        if isinstance(event, Started):
            self.said |= {"step": event.step, "total": event.total_steps, "parameters": event.n_parameters}
        elif isinstance(event, Progressed):
            self.said |= {"step": event.step, "total": training.total_steps}
        elif isinstance(event, Validated):
            self._look(event, training)
        else:
            return
        write_json(self.path, self.said)

    def _look(self, event: Validated, training: Training) -> None:
        self.said["step"] = event.step
        if self.schema is None or time.monotonic() - self.looked < PAUSE:
            return
        self.looked = time.monotonic()
        try:
            self.said |= {"samples": samples_of(training.model, self.schema), "sampled_at": event.step}
        except SenzaiError as err:  # a model that cannot be sampled yet trains on
            self.said["no_samples"] = str(err)


def samples_of(model: Any, schema: Any) -> list[Any]:
    """Return a few new rows of a model as they are shown, always from the same latents."""
    from ..data import KINDS
    from ..models import verbs
    from .shown import drawn

    kind = KINDS[schema.kind]
    c = kind.condition({}, SAMPLES, schema, seed=0)
    return drawn(verbs.sample(model, SAMPLES, seed=0, c=c, noise=kind.shows == "draws"), schema)


# --- what can be asked ------------------------------------------------------------------------------------------------
def fit(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Train a new run."""
    from ..runs import fit as train

    cards = Postcards(folder / PROGRESS)
    run = train(
        asked["source"], recipe=asked.get("recipe"), kind=asked.get("kind"), settings=asked["settings"],
        out=Path(asked["root"], asked["run"]), progress=False, listeners=[cards], announce=cards.announce,
    )
    return {"answer": run.metrics["fit"]}


def resume(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Go on with a run, perhaps to more steps."""
    from ..data import Schema
    from ..runs import resume as go_on
    from ..training import bundle

    cards, path = Postcards(folder / PROGRESS), Path(asked["root"], asked["run"])
    cards.schema = Schema.model_validate(bundle.read_spec(path).data_schema)
    run = go_on(path, progress=False, listeners=[cards], **asked.get("settings", {}))
    return {"answer": run.metrics["fit"]}


def verb(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a run on its own rows by any verb that does so."""
    from ..evaluation.results import plain
    from ..runs import load

    run = load(Path(asked["root"], asked["run"]))
    if makes := asked.get("makes"):
        answer = run.do(asked["verb"], None, out=Path(asked["root"], makes), **asked.get("settings", {}))
    else:
        answer = run.do(asked["verb"], None, **asked.get("settings", {}))
    document = answer.document() if callable(getattr(answer, "document", None)) else answer
    return {"answer": document.name if isinstance(document, Path) else plain(document)}


def compare(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compare runs on the same rows."""
    from ..evaluation.results import plain
    from ..runs import compare as judge
    from ..runs import load

    runs = {name: load(Path(asked["root"], name)) for name in (asked["run"], asked["other"])}
    return {"answer": plain(judge(runs, **asked.get("settings", {})).document())}


DOES: Mapping[str, Callable[[Path, Mapping[str, Any]], dict[str, Any]]] = {
    "fit": fit, "resume": resume, "verb": verb, "compare": compare,
}


def main(folder: Path) -> int:
    """Do the job of a folder; the exit code is that of the command line."""
    with waited_for(folder, LOCK):
        asked, outcome, code = read(folder / REQUEST), {"state": "done"}, 0
        try:
            if (folder / STOP).exists():
                raise KeyboardInterrupt("It was stopped before it began.")
            outcome |= DOES[asked["what"]](folder, asked)
        except KeyboardInterrupt as err:
            outcome, code = {"state": "stopped", "words": str(err)}, 130
        except SenzaiError as err:
            outcome, code = {"state": "failed", "words": str(err), "error": type(err).__name__}, err.exit_code
        except Exception as err:
            words = f"This is a bug in senzai: {type(err).__name__}: {err}. The log of the job says where."
            outcome, code = {"state": "failed", "words": words, "error": type(err).__name__}, 1
            import traceback

            traceback.print_exc()
        write_json(folder / OUTCOME, {**outcome, "ended": time.time()})
    return code


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
