"""The rounds at the server: ask, average, write down; from wherever it was stopped to an ordinary run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from ..core.errors import TrainingError
from ..core.files import user_path
from ..core.local_random import locally_seeded
from ..runs.run import Run
from ..runs.training.requests import Request, sort_settings
from ..training.places import refuse_existing
from . import strategies
from .agree import agree
from .exchange import Exchange, wait_for
from .finish import finish
from .grids import Heard, Wire, limit, told_spent
from .page import write_page
from .passing import Counting
from .private import asked_of_sites, epsilon_of_rows, refuse_unprivate
from .secure import added, quantum, secure_mean
from .settings import Federation
from .state import State, begun, folder_of
from .wire import DONE, TRAIN, Tensors, crossing, put

Announce = Callable[[dict[str, Any]], None]


@dataclass
class Resting:
    """Sites that did not answer are left out for as many rounds as they failed in a row, and then asked again.

    Args:
        least: Fewest sites of a round.
    """

    least: int
    failed: dict[int, int] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)
    number: int = 0

    def nodes(self, there: list[int]) -> list[int]:
        """Return which of the sites that are there are asked in this round."""
        rested = [n for n in there if self.until.get(n, 0) < self.number]
        return rested if len(rested) >= self.least else there

    def learn(self, heard: Mapping[int, Heard]) -> None:
        """Take note of who answered."""
        for node, what in heard.items():
            if not what.why:
                self.failed.pop(node, None)
                continue
            self.failed[node] = self.failed.get(node, 0) + 1
            self.until[node] = self.number + self.failed[node]


def federate(
    grid: Grid, settings: Federation, *, out: str | Path, kind: str, recipe: str | None = None,
    given: Mapping[str, Any] | None = None, overwrite: bool = False, announce: Announce | None = None,
) -> Run:
    """Let the sites behind a grid train together, and return the run.

    Args:
        grid: The way to the sites.
        settings: How they train together.
        out: Folder of the run; its rounds are kept beside it, in ``OUT-rounds``, from which a restarted server goes on.
        kind: Kind of the data.
        recipe: Name of the recipe; by default the one that the kind proposes.
        given: Settings of data, model and training, as :func:`senzai.fit` takes them.
        overwrite: Begin again, and replace the run.
        announce: Told of every round.

    Raises:
        SenzaiError: Sites disagree, too few are there, or training broke down.
    """
    folder = user_path(out, output=True)
    if not overwrite:
        refuse_existing(folder)
    rounds, told = folder_of(folder), dict(given or {})
    request = sort_settings(None, kind, told)
    refuse_unprivate(settings, request)
    if overwrite:
        shutil.rmtree(rounds, ignore_errors=True)
    exchange = Exchange(grid, settings.timeout)
    state = begun(rounds, settings, told, recipe)
    if state is None:
        state = _begin(exchange, settings, request, recipe, told, kind)
        state.save(rounds)
    return _Rounds(grid, exchange, state, rounds, announce or (lambda line: None)).run(folder, overwrite=overwrite)


def _begin(
    exchange: Exchange, settings: Federation, request: Request, recipe: str | None, given: Mapping[str, Any], kind: str
) -> State:
    nodes = wait_for(exchange.grid, settings.sites or settings.min_sites, settings.wait)
    found = agree(exchange, nodes, request, settings, recipe=recipe, given=given)
    crossing(found.model, settings.own)  # refuses what cannot stay
    return State(
        settings, found.spec, found.options, found.rows, 0, dict(found.model.state_dict()), sent=exchange.sent,
        received=exchange.received,
    )


class _Rounds:
    """The rounds that are left."""

    def __init__(self, grid: Grid, exchange: Exchange, state: State, folder: Path, announce: Announce) -> None:
        self.grid, self.exchange, self.state, self.folder, self.announce = grid, exchange, state, folder, announce
        self.settings = state.settings
        with locally_seeded(0):
            self.model = state.spec.make_model()
        put(self.model, {k: v for k, v in state.model.items() if v.is_floating_point()})
        self.model.load_state_dict(state.model)
        self.strategy: Strategy = strategies.strategy_of(self.settings)
        strategies.restore(self.strategy, state.strategy)
        self.resting = Resting(self.settings.min_sites)

    def run(self, out: Path, *, overwrite: bool) -> Run:
        """Go on to the last round, and write the run."""
        began = time.perf_counter()
        while self.state.round < self.settings.rounds:
            self._round(self.state.round + 1)
        run = finish(self.state, self.model, out, overwrite=overwrite, seconds=time.perf_counter() - began)
        self._say_goodbye(run)
        return run

    @property
    def body(self) -> dict[str, Any]:
        """What sites are told beside the weights."""
        s = self.settings
        keys = ("local_steps", "own", "moments")
        told, asked = s.model_dump(mode="json"), asked_of_sites(s, self.state.rows)
        return {
            "kind": self.state.spec.data_schema["kind"], "options": self.state.options, "site_column": s.site_column,
            "spec": self.state.spec.model_dump(mode="json"), "measure": s.measure, "weigh": s.weigh,
            "federation": {**{k: told[k] for k in keys}, "mu": s.mu},
            "private": None if asked is None else asked.model_dump(mode="json"),
        }

    def _round(self, number: int) -> None:
        began = time.perf_counter()
        there = wait_for(self.grid, self.settings.min_sites, self.settings.wait)
        self.resting.number = number
        nodes = self.resting.nodes(there)
        weights = {k: v.detach().cpu() for k, v in crossing(self.model, self.settings.own).items()}
        after, heard, facts = (self._secure if self.settings.secure else self._plain)(weights, number, nodes)
        self.resting.learn(heard)
        good = [h for h in heard.values() if not h.why]
        if after is None or len(good) < self.settings.min_sites:
            said = "; ".join(f"{h.name}: {h.why}" for h in heard.values() if h.why)
            raise TrainingError(
                f"A round needs {self.settings.min_sites} sites, but in round {number} {len(good)} gave an update that "
                f"could be used. {said} The rounds before are kept: start the server again to go on."
            )
        put(self.model, after)
        self._keep(number, heard, {**facts, "seconds": round(time.perf_counter() - began, 3)})

    def _plain(
        self, weights: Tensors, number: int, nodes: list[int]
    ) -> tuple[Tensors | None, dict[int, Heard], dict[str, Any]]:
        s = self.settings
        wire = Wire(
            self.grid, {**self.body, "round": number}, weights, self.exchange.names, self.state.rows, bound=s.bound,
            weigh="sites" if s.noise is not None else s.weigh, available=lambda: nodes,
        )
        after = strategies.averaged(self.strategy, wire, weights, number, s.timeout)
        bound = limit(s.bound, [h.norm for h in wire.heard.values() if not h.why])
        return after, wire.heard, {"bound": bound, "epsilon": strategies.epsilon(s, number)}

    def _secure(
        self, weights: Tensors, number: int, nodes: list[int]
    ) -> tuple[Tensors | None, dict[int, Heard], dict[str, Any]]:
        s = self.settings
        largest = float(max(self.state.rows.values())) if s.weigh == "rows" else 1.0
        bound = s.bound if isinstance(s.bound, float) else None
        grid = Counting(self.grid)
        found = secure_mean(
            grid, nodes, {**self.body, "what": TRAIN, "bound": bound}, number=number, reach=s.range,
            largest=largest, timeout=s.timeout, tensors=weights,
        )
        self.exchange.names |= found.names
        heard = {n: Heard(self.exchange.names.get(n, f"node {n}")) for n in nodes}
        for node, what in heard.items():
            what.rows, what.sent = found.rows.get(node, 0), grid.sent.get(node, 0)
            what.received = grid.received.get(node, 0)
            what.why = "" if node in found.rows else "It dropped out."
            what.spent = told_spent(found.spent.get(node), who=f"The site {what.name!r}")
        apart = quantum(s.range, [float(r) for r in found.rows.values()], largest)
        return added(weights, found.mean), heard, {"bound": bound, "quantum": apart}

    def _keep(self, number: int, heard: Mapping[int, Heard], facts: Mapping[str, Any]) -> None:
        state = self.state
        sites = [asdict(h) for h in sorted(heard.values(), key=lambda h: h.name)]
        sent, received = sum(h.sent for h in heard.values()), sum(h.received for h in heard.values())
        line = {"round": number, **facts, "sent": sent, "received": received, "sites": sites}
        state.round, state.model = number, {k: v.detach().cpu() for k, v in self.model.state_dict().items()}
        state.strategy = strategies.state_of(self.strategy)
        state.history.append(line)
        line["epsilon_of_rows"] = epsilon_of_rows(state)
        state.save(self.folder)
        write_page(self.folder, state)
        self.announce(line)

    def _say_goodbye(self, run: Run) -> None:
        weights = {k: v.detach().cpu() for k, v in crossing(run.model, self.settings.own).items()}
        promised = None if run.spec.privacy is None else run.spec.privacy.model_dump(mode="json")
        body = {**self.body, "promise": promised, "fit": {k: v for k, v in run.metrics["fit"].items() if k != "out"}}
        there = [n for n in sorted(self.grid.get_node_ids()) if not self.resting.failed.get(n)]
        try:
            Exchange(self.grid, min(self.settings.timeout, 60.0)).ask(DONE, body, there, weights)
        except Exception:  # the run is written; a site that has gone has gone
            return


