"""A site: rows that stay where they are, and answers to what a server asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, SenzaiError, SettingError
from ..data import KINDS, Dataset, Schema, open_data
from ..data.budgeted import Budget
from ..data.kind import Opened
from ..data.options import Options, parse
from ..runs.run import Run
from ..training import bundle
from ..training.checkpoint import load_tensors, save_tensors
from ..training.privacy import Privacy, PrivateSettings
from .ledger import Asked, SiteLedger
from .local import LocalFit
from .wire import DONE, OUTLINE, TALLY, TRAIN, Tensors, checked, crossing, failure, is_own, put, read, record

if TYPE_CHECKING:
    from flwr.app import Message, RecordDict

OWN = "own.safetensors"


class Site:
    """A site of a federation.

    Args:
        data: Its rows: a path, a frame.
        name: What it is called in messages.
        out: A new folder for the site's own run at the end, with the parameters that never left it.
        state: A folder for those parameters between rounds, so that they outlive the process.
        secure: Whether it trains only under secure aggregation.
        private: What the privacy of its rows may cost at most; with it, the site trains only within a budget.
    """

    def __init__(
        self, data: object, *, name: str, out: str | Path | None = None, state: str | Path | None = None,
        secure: bool = False, private: PrivateSettings | None = None,
    ) -> None:
        self.data, self.name, self.secure, self.private = data, name, secure, private
        self.out, self.state = out, None if state is None else Path(state)
        self.done = False
        self.error: SenzaiError | None = None
        self._fit: LocalFit | None = None
        self._ledger: SiteLedger | None = None
        self._told = ""
        self._sent: Tensors = {}

    def answer(self, message: Message) -> RecordDict:
        """Return the answer to a message; what cannot work is an answer, too."""
        try:
            body, tensors, _ = read(message, who="The server")
            what = message.metadata.message_type
            if what == OUTLINE:
                return record({"site": self.name, **self._outline(body)})
            if what == TALLY:
                self._need_plain()
                return record({"site": self.name, "tally": self.tallied(body)})
            if what == TRAIN and tensors is not None:
                self._need_plain()
                return self._train(body, tensors)
            if what == DONE and tensors is not None:
                self._end(body, tensors)
                return record({"site": self.name})
            raise InputError(f"A site answers to a server of senzai federate, but was asked for {what!r}.")
        except SenzaiError as err:
            self.error = err
            return record({"site": self.name, **failure(err), "spent": self.spent()})

    # --- the schema -------------------------------------------------------------------------------------------------
    def _opened(self, body: Mapping[str, Any]) -> tuple[Any, Opened, Options]:
        kind = KINDS[body["kind"]]
        options = parse(kind.name, kind.options, body["options"])
        return kind, kind.read(self._source(body), options), options

    def _source(self, body: Mapping[str, Any]) -> object:
        column = body.get("site_column")
        if column is None:
            return self.data
        kind = KINDS[body["kind"]]
        plain = {k: v for k, v in body["options"].items() if k not in kind.options.decisions}
        return kind.marked(self.data, parse(kind.name, kind.options, plain), column, self.name)

    def _outline(self, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._asked(body)
        kind, opened, options = self._opened(body)
        if asked is None:
            return {"outline": kind.outline(opened, options)}
        kind.infer_private(opened, options, Budget.none())  # whether the columns are those of the schema
        return {"outline": {"rows": opened.n_rows, "form": opened.form}}

    def tallied(self, body: Mapping[str, Any]) -> list[float]:
        """Return the counts that the schema of all sites is made of."""
        ledger = self._ledger_of(body)
        kind, opened, options = self._opened(body)
        if ledger is not None:
            return ledger.counts(
                body["options"], opened.n_rows, lambda budget: kind.infer_private(opened, options, budget)
            )
        found: list[float] = kind.tally(opened, options, body["plan"]).tolist()
        return found

    # --- privacy of rows --------------------------------------------------------------------------------------------
    def spent(self) -> dict[str, Any] | None:
        """Return what the privacy of the rows has cost, as plain values; ``None`` where it is not accounted for."""
        found = None if self._ledger is None else self._ledger.spent
        return None if found is None else found.model_dump(mode="json")

    def _asked(self, body: Mapping[str, Any]) -> Asked | None:
        """Return what the server asks about the privacy of rows, where the site can live with it."""
        asked = None if body.get("private") is None else Asked.of(body["private"])
        if self.private is not None:
            _need_within(self.private, asked, self.name)
        if asked is not None and self.state is None:
            raise SettingError(
                f"A site whose rows are private keeps a ledger of what they have cost, but {self.name!r} has no "
                "folder for one. Give --state FOLDER, and the same one whenever it starts again."
            )
        return asked

    def _ledger_of(self, body: Mapping[str, Any]) -> SiteLedger | None:
        asked = self._asked(body)
        if asked is None:
            return None
        if self._ledger is None or self._ledger.asked != asked:
            assert self.state is not None  # it was asked for
            self._ledger = SiteLedger(self.state, self.name, asked)
        return self._ledger

    # --- training ---------------------------------------------------------------------------------------------------
    def _train(self, body: Mapping[str, Any], weights: Tensors) -> RecordDict:
        after, rows, loss = self.trained(body, weights)
        told = {"site": self.name, "rows": rows, "spent": self.spent()}
        return record(told | ({} if loss is None else {"loss": loss}), after)

    def _need_plain(self) -> None:
        if self.secure:
            raise SettingError(
                f"The site {self.name!r} sends counts and parameters to secure aggregation alone, and the server asks "
                "without. Start the server with --secure, or the site without."
            )

    def trained(self, body: Mapping[str, Any], weights: Tensors) -> tuple[Tensors, int, float | None]:
        """Return the weights after a round, the rows they were trained on, and the loss before it where asked for."""
        fit = self._fitted(body)
        checked(weights, crossing(fit.model, fit.own), who="The server")
        loss = fit.loss(weights) if body.get("measure") else None
        after = fit.round(weights, int(body["round"]) - 1)
        self._keep(fit)
        return after, fit.rows, loss

    def _fitted(self, body: Mapping[str, Any]) -> LocalFit:
        told = json.dumps([body["spec"], body["federation"], body.get("private")], sort_keys=True)
        ledger = self._ledger_of(body)
        if self._fit is None or told != self._told:
            spec = bundle.Spec.model_validate(body["spec"])
            set_ = body["federation"]
            self._fit = LocalFit(
                spec, self._dataset(spec, body), site=self.name, local_steps=set_["local_steps"],
                own=tuple(set_["own"]), mu=set_["mu"], ledger=ledger, kept=set_["moments"] == "kept",
            )
            self._told = told
            self._restore(self._fit)
        return self._fit

    def _dataset(self, spec: bundle.Spec, body: Mapping[str, Any]) -> Dataset:
        schema = Schema.model_validate(spec.data_schema)
        return open_data(self._source(body), schema=schema)

    # --- what stays here --------------------------------------------------------------------------------------------
    def _keep(self, fit: LocalFit) -> None:
        if self.state is not None and fit.own:
            self.state.mkdir(parents=True, exist_ok=True)
            mine = {k: v for k, v in fit.model.state_dict().items() if is_own(k, fit.own)}
            save_tensors(self.state / OWN, mine, {"format": "senzai-own-1", "site": self.name})

    def _restore(self, fit: LocalFit) -> None:
        if self.state is not None and (self.state / OWN).is_file():
            tensors, _ = load_tensors(self.state / OWN)
            put(fit.model, {k: v for k, v in tensors.items() if is_own(k, fit.own)})

    def _end(self, body: Mapping[str, Any], weights: Tensors) -> None:
        self.done = True
        if self.out is None:
            return
        fit = self._fitted(body)
        put(fit.model, weights)
        spec = fit.spec.model_copy(update={"privacy": None if body.get("promise") is None else
                                           Privacy.model_validate(body["promise"])})
        run = Run(spec, fit.model.cpu())
        run.metrics["fit"] = dict(body["fit"])
        run.save(self.out)


def _need_within(most: PrivateSettings, asked: Asked | None, site: str) -> None:
    """Refuse a server that asks for more than a site is ready to spend on the privacy of its rows.

    Raises:
        SettingError: It does.
    """
    said = f"The privacy of the rows of {site!r} may cost epsilon={most.epsilon:g} at most"
    if asked is None:
        raise SettingError(f"{said}, and the server asks for training without noise. Start it with --private epsilon=.")
    delta = asked.private.delta
    if asked.private.epsilon > most.epsilon or (most.delta is not None and delta is not None and delta > most.delta):
        told = "" if most.delta is None else f" at delta={most.delta:g}"
        raise SettingError(
            f"{said}{told}, but the server asks for epsilon={asked.private.epsilon:g}, delta={delta}. Start the server "
            "with less, or the site with more."
        )
