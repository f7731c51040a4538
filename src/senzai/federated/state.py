"""The state of a server on disk: one file that is replaced as a whole after each round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import BundleError, OutputError
from ..training.bundle import Spec
from ..training.checkpoint import load_tensors, save_tensors
from .settings import Federation
from .wire import Tensors

FORMAT = "senzai-federation-1"
FILE = "state.safetensors"


def folder_of(out: Path) -> Path:
    """Return where the state and the pages of the rounds of a run are: beside it."""
    return out.with_name(f"{out.name}-rounds")


@dataclass
class State:
    """Everything that a server needs to go on.

    Args:
        settings: How sites train together.
        spec: What is trained.
        options: How the data are read.
        rows: Rows of each site, by name.
        round: Rounds that are done.
        model: All of the model.
        strategy: What the strategy keeps between rounds.
        history: What happened in each round.
        sent: Bytes to sites before the first round, and from then on those that are in ``history``.
        received: Bytes from sites, likewise.
    """

    settings: Federation
    spec: Spec
    options: dict[str, Any]
    rows: dict[str, int]
    round: int
    model: Tensors
    strategy: Tensors = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0
    received: int = 0

    def save(self, folder: Path) -> None:
        """Write the state; a kill leaves the last one."""
        folder.mkdir(parents=True, exist_ok=True)
        plain = {
            "settings": self.settings.model_dump(mode="json"), "spec": self.spec.model_dump(mode="json"),
            "options": self.options, "rows": self.rows, "round": self.round, "history": self.history,
            "sent": self.sent, "received": self.received,
        }
        tensors = {f"model.{k}": v for k, v in self.model.items()}
        tensors |= {f"strategy.{k}": v for k, v in self.strategy.items()}
        save_tensors(folder / FILE, tensors, {"format": FORMAT, "state": json.dumps(plain)})


def load(folder: Path) -> State:
    """Return the state of a server.

    Raises:
        BundleError: It is damaged, or none.
    """
    tensors, told = load_tensors(folder / FILE)
    if told.get("format") != FORMAT:
        what = told.get("format")
        raise BundleError(f"{str(folder / FILE)!r} must be the state of a federation, but it is {what!r}.")
    plain: Mapping[str, Any] = json.loads(told["state"])

    def under(prefix: str) -> Tensors:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    return State(
        settings=Federation.model_validate(plain["settings"]), spec=Spec.model_validate(plain["spec"]),
        options=plain["options"], rows=plain["rows"], round=plain["round"], model=under("model."),
        strategy=under("strategy."), history=plain["history"], sent=plain["sent"], received=plain["received"],
    )


def begun(folder: Path, settings: Federation, given: Mapping[str, Any], recipe: str | None) -> State | None:
    """Return the state to go on from, if there is one.

    Raises:
        OutputError: It is of a federation with other settings.
    """
    if not (folder / FILE).is_file():
        return None
    state = load(folder)
    same = state.settings == settings and state.spec.settings == dict(given)
    if not same or (recipe is not None and recipe != state.spec.recipe):
        raise OutputError(
            f"A federation goes on with its own settings, but {str(folder)!r} holds round {state.round} of one with "
            "others. Give the same settings, another --out, or --overwrite to begin again."
        )
    return state
