"""A site: rows that stay where they are, and answers to what a server asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, SenzaiError, SettingError
from ..data import KINDS, Dataset, Schema, open_data
from ..data.kind import Opened
from ..data.options import Options, parse
from ..runs.run import Run
from ..training import bundle
from ..training.checkpoint import load_tensors, save_tensors
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
    """

    def __init__(
        self, data: object, *, name: str, out: str | Path | None = None, state: str | Path | None = None,
        secure: bool = False,
    ) -> None:
        self.data, self.name, self.secure = data, name, secure
        self.out, self.state = out, None if state is None else Path(state)
        self.done = False
        self.error: SenzaiError | None = None
        self._fit: LocalFit | None = None
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
            return record({"site": self.name, **failure(err)})

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
        kind, opened, options = self._opened(body)
        return {"outline": kind.outline(opened, options)}

    def tallied(self, body: Mapping[str, Any]) -> list[float]:
        """Return the counts that the schema of all sites is made of."""
        kind, opened, options = self._opened(body)
        found: list[float] = kind.tally(opened, options, body["plan"]).tolist()
        return found

    # --- training ---------------------------------------------------------------------------------------------------
    def _train(self, body: Mapping[str, Any], weights: Tensors) -> RecordDict:
        after, rows, loss = self.trained(body, weights)
        return record({"site": self.name, "rows": rows, **({} if loss is None else {"loss": loss})}, after)

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
        told = json.dumps([body["spec"], body["federation"]], sort_keys=True)
        if self._fit is None or told != self._told:
            spec = bundle.Spec.model_validate(body["spec"])
            set_ = body["federation"]
            self._fit = LocalFit(
                spec, self._dataset(spec, body), site=self.name, local_steps=set_["local_steps"],
                own=tuple(set_["own"]), mu=set_["mu"], private=set_["private"], kept=set_["moments"] == "kept",
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
        run = Run(fit.spec, fit.model.cpu())
        run.metrics["fit"] = dict(body["fit"])
        run.save(self.out)


