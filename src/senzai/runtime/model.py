"""An exported model: its graphs, its description of rows, and the verbs that these two make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import ArrayRows
from .errors import ExportedModelError
from .numbers import Array
from .tables import TableRows

if TYPE_CHECKING:
    from .stream import Stream

FORMAT = 1
MANIFEST = "export.json"
ROWS_AT_ONCE = 4096
SCORES = ("elbo", "nll", "reconstruction")
FORMS: Mapping[str, Any] = {"array": ArrayRows, "columns": TableRows}
TYPES = {"float32": np.float32, "float64": np.float64}


class ExportedModel:
    """What ``senzai export`` wrote; takes and gives what the run does.

    Args:
        folder: The folder.
        threads: Threads of each graph.

    Raises:
        ExportedModelError: It is no such folder, or was made by a newer version.
    """

    def __init__(self, folder: str | Path, *, threads: int = 1) -> None:
        self.folder, self.threads = Path(folder), threads
        try:
            self.manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as err:
            raise ExportedModelError(
                f"An exported model is a folder with a file {MANIFEST}, but {str(folder)!r} has none that can be read. "
                "Export the run again: senzai export RUN."
            ) from err
        if self.manifest.get("format") != FORMAT:
            raise ExportedModelError(
                f"This runtime reads exports of format {FORMAT}, but {str(folder)!r} has format "
                f"{self.manifest.get('format')!r}. Update senzai-runtime, or export the run again."
            )
        self.rows: Any = FORMS[self.manifest["rows"]["form"]](self.manifest["rows"])
        self._sessions: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ExportedModel({str(self.folder)!r}, recipe={self.manifest['recipe']!r})"

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done with it."""
        return tuple(v for v in ("encode", "reconstruct", "sample", "score") if v not in self.manifest["missing"])

    # --- verbs ------------------------------------------------------------------------------------------------------
    def encode(self, data: Any, *, labels: Any = None) -> Array:
        """Return the latent code of each row, ``(N, n)``: the posterior's mean.

        Args:
            data: Records, columns, a frame or a csv file for tables; arrays and .npy files otherwise.
            labels: Labels of the rows, where an array's model is conditioned on them.

        Raises:
            ExportedModelError: The data are not such as the model was fitted on.
        """
        self._need("encode")
        return self._over("encoder", self.rows.encode(data, labels))[0]

    def spread(self, data: Any, *, labels: Any = None) -> Array:
        """Return the posterior's standard deviation of each row, ``(N, n)``.

        Raises:
            ExportedModelError: The posterior has no formula for it.
        """
        self._need("encode")
        if "scale" not in self.manifest["graphs"]["encoder"]["outputs"]:
            raise ExportedModelError("The posterior of this model has no formula for its spread. Ask the run itself.")
        return self._over("encoder", self.rows.encode(data, labels))[1]

    def decode(self, z: Array, *, given: Mapping[str, Any] | None = None, soft: bool = False) -> Any:
        """Return the expected rows of latent codes ``(N, n)``."""
        self._need("reconstruct")
        codes = np.asarray(z, dtype=np.float32)
        c = self.rows.condition(dict(given or {}), len(codes), np.random.default_rng(0))
        return self.rows.decode(self._point({"z": codes} | ({} if c is None else {"c": c})), soft=soft)

    def reconstruct(self, data: Any, *, labels: Any = None) -> Any:
        """Return each row as the model sees it."""
        self._need("reconstruct")
        told = self.rows.encode(data, labels)
        given = {"z": self._over("encoder", told)[0]} | ({"c": told["c"]} if "c" in told else {})
        return self.rows.decode(self._point(given))

    def sample(
        self, n: int, *, seed: int | None = None, given: Mapping[str, Any] | None = None, temperature: float = 1.0,
        noise: bool | None = None,
    ) -> Any:
        """Return ``n`` new rows.

        Args:
            n: How many.
            seed: Seed of the numbers; other ones than those of the run with this seed.
            given: What rows are conditioned on, by name: one value for all rows or one for each.
            temperature: Factor on the normal numbers that latents are made from.
            noise: Draw from the likelihood too, else show its expected value; by default as the kind of data does.
        """
        self._need("sample")
        if n < 1 or not temperature > 0:
            raise ExportedModelError(f"`n >= 1` and `temperature > 0` must hold, but got {n!r} and {temperature!r}.")
        rng = np.random.default_rng(seed)
        c = self.rows.condition(dict(given or {}), n, rng)
        told = {} if c is None else {"c": c}
        if "simulator" in self.manifest["graphs"]:
            return self.rows.decode(self._drawn("simulator", told, n, rng, temperature)[0])
        z = self._drawn("prior", told, n, rng, temperature)[0]
        drawn = self.manifest["shows"] == "draws" if noise is None else noise
        if drawn and "drawer" not in self.manifest["graphs"]:
            why = self.manifest["missing"].get("drawer", "Rows cannot be drawn.")
            raise ExportedModelError(f"{why} Or show them with noise=False.")
        if not drawn:
            return self.rows.decode(self._point({"z": z} | told))
        raw = self._over("decoder", {"z": z} | told)[0]
        return self.rows.decode(self._drawn("drawer", {"raw": raw}, n, rng, 1.0)[0])

    def score(
        self, data: Any, *, method: str = "elbo", labels: Any = None, shares: bool = False,
        false_alarm: float | None = None,
    ) -> Any:
        """Return the anomaly score of each row, ``(N,)``; higher is more anomalous.

        Args:
            data: As for :meth:`encode`.
            method: ``elbo``, ``nll`` or ``reconstruction``; those that compare with training rows stay with the run.
            labels: As for :meth:`encode`.
            shares: Return what each entry of a row adds as well, ``(N, d)``.
            false_alarm: Return a dictionary with conformal p-values, and which rows are at most that likely.
        """
        self._need("score")
        if method not in SCORES:
            raise ExportedModelError(
                f"A score of an exported model is one of {', '.join(SCORES)}, but got {method!r}. Others compare with "
                "training rows, which stay with the run."
            )
        costs, rate, nll = self._over("scorer", self.rows.encode(data, labels))
        plain = costs.sum(1)
        values = np.asarray(nll if method == "nll" else plain + rate if method == "elbo" else plain, dtype=np.float64)
        if false_alarm is not None:
            return self._flagged(values, method, false_alarm)
        return (values, costs) if shares else values

    def stream(self, verb: str = "score", **settings: Any) -> Stream:
        """Return something that answers row by row, or for a window that moves over a series, as values come in."""
        from .stream import Stream

        return Stream(self, verb, **settings)

    # --- graphs -----------------------------------------------------------------------------------------------------
    def run(self, graph: str, given: Mapping[str, Array]) -> list[Array]:
        """Return the outputs of a graph; inputs that it does not have are left out."""
        session = self.session(graph)
        names = {i.name for i in session.get_inputs()}
        found: list[Array] = session.run(None, {k: v for k, v in given.items() if k in names})
        return found

    def session(self, graph: str) -> Any:
        """Return the loaded graph."""
        if graph not in self._sessions:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = self.threads
            options.log_severity_level = 3
            path = self.folder / self.manifest["graphs"][graph]["file"]
            self._sessions[graph] = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"])
        return self._sessions[graph]

    def _over(self, graph: str, given: Mapping[str, Array]) -> list[Array]:
        """Run a graph over rows in pieces that fit memory, or of the one size that it was made for."""
        n = len(next(iter(given.values())))
        fixed = self.manifest.get("batch")
        step = fixed or ROWS_AT_ONCE
        found = []
        for i in range(0, max(n, 1), step):
            part = {k: v[i : i + step] for k, v in given.items()}
            have = min(step, n - i)
            if fixed and have < fixed:
                part = {k: np.concatenate([v, np.repeat(v[-1:], fixed - have, 0)]) for k, v in part.items()}
            found.append([out[:have] for out in self.run(graph, part)])
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _point(self, given: Mapping[str, Array]) -> Array:
        return self._over("decoder", given)[-1]

    def _drawn(
        self, graph: str, given: Mapping[str, Array], n: int, rng: np.random.Generator, temperature: float
    ) -> list[Array]:
        told = self.manifest["graphs"][graph]
        normal = any(w["like"] == "normal" for w in told["noise"].values())
        if temperature != 1.0 and not (normal and told.get("temperature", True)):
            raise ExportedModelError("The latents of this model have no temperature. Leave it at 1.")
        fixed = self.manifest.get("batch")
        found = []
        step = fixed or ROWS_AT_ONCE
        for i in range(0, n, step):
            rows = fixed or min(step, n - i)
            part = {k: v[i : i + rows] for k, v in given.items()}
            part = {k: np.concatenate([v, np.repeat(v[-1:], rows - len(v), 0)]) for k, v in part.items()}
            for name, wanted in told["noise"].items():
                part[name] = _noise(wanted, rows, rng, temperature)
            found.append([out[: min(step, n - i)] for out in self.run(graph, part)])
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _flagged(self, values: Array, method: str, false_alarm: float) -> dict[str, Array]:
        held = np.asarray(self.manifest.get("held", {}).get(method, ()), dtype=np.float64)
        if not len(held):
            raise ExportedModelError(
                "Rows are flagged against held-out rows, but the run kept no scores of such. Ask the run itself."
            )
        p = (1 + len(held) - np.searchsorted(np.sort(held), values, side="left")) / (len(held) + 1)
        return {"score": values, "p_value": p, "anomaly": p <= false_alarm}

    def _need(self, verb: str) -> None:
        if verb in self.manifest["missing"]:
            raise ExportedModelError(f"This export has no {verb}: {self.manifest['missing'][verb]}")


def _noise(wanted: Mapping[str, Any], n: int, rng: np.random.Generator, temperature: float) -> Array:
    shape, dtype = tuple(n if s is None else s for s in wanted["shape"]), TYPES[wanted["dtype"]]
    if wanted["like"] == "normal":
        return (temperature * rng.standard_normal(shape)).astype(dtype)
    return np.minimum(rng.random(shape), 1 - 2**-24).astype(dtype)  # below one in single precision, too


def load(folder: str | Path, *, threads: int = 1) -> ExportedModel:
    """Return an exported model.

    Raises:
        ExportedModelError: The folder holds none.
    """
    return ExportedModel(folder, threads=threads)
