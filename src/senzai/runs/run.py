"""The run: a trained model with the schema of its data, and the verbs people use it by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, InputError, OutputError, SettingError
from ..core.files import user_path, write_json
from ..core.random import derive
from ..core.row_noise import RowKeys
from ..data import Dataset, Schema, open_data
from ..data.lengths import ended
from ..data.schema import Condition
from ..data.sources import is_at_hand
from ..models import verbs
from ..models.base import Classifies, latent_model
from ..models.generative import Generative, needs_density
from ..models.probed import Probed
from ..models.structured import Structured
from ..training import bundle
from ..training.listeners import read_history
from ..training.places import SAMPLERS
from ..training.samplers import PRIOR, Samplers, load_samplers
from .verbs import given as conditional
from .verbs import paths as ways
from .card import write_card
from .verbs.rows import RowVerbs, like

if TYPE_CHECKING:
    from ..evaluation import Features
    from ..evaluation.diagnosis import Diagnosis
    from ..evaluation.scores import Reference

ROWS_AT_ONCE = 8192
NUMBERS_AT_ONCE = 40_000_000


class Run(RowVerbs):
    """A trained model that takes and returns what its user has.

    Every verb takes data in any form its kind reads (a path, an array, a DataFrame …) and gives back the same form.
    Points by default; draws take ``seed=``. A draw for a row (``encode``, ``reconstruct``, ``predict``, ``impute``,
    ``score``) follows from the seed and from what is in the row, not from its place or from the rows beside it; rows
    that are alike get draws of their own, in turn. What is estimated for a data set (``evaluate``,
    ``log_likelihood``) numbers its rows.

    Args:
        spec: What was trained, and on what.
        model: The trained model.
        folder: Where it is saved, if it is.
    """

    def __init__(self, spec: bundle.Spec, model: Generative, *, folder: Path | None = None) -> None:
        self.spec, self.model, self.folder = spec, model.eval(), folder
        self.metrics: dict[str, Any] = {}
        self.reference: Reference | None = None
        self.heard: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        return f"Run(recipe={self.spec.recipe!r}, kind={self.schema.kind!r}, event_shape={self.schema.event_shape})"

    @cached_property
    def samplers(self) -> Samplers:
        """What samples are drawn from, read from the run's folder when it is first asked for.

        Raises:
            BundleError: Their file is damaged.
        """
        told = self.metrics.get("fit", {}).get("sampler", {})
        if self.folder is not None and (self.folder / SAMPLERS).is_file():
            return load_samplers(self.folder, self.model)
        if told.get("chosen") != PRIOR:
            return Samplers()
        return Samplers(why=told["why"], candidates=told["candidates"])  # none was fitted, and this is why

    # --- what it is -------------------------------------------------------------------------------------------------
    @cached_property
    def schema(self) -> Schema:
        """What the training data are."""
        return Schema.model_validate(self.spec.data_schema)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Progress, validations and warnings of training."""
        return self.heard or ([] if self.folder is None else read_history(self.folder / bundle.HISTORY))

    def dataset(self, data: object, *, options: Mapping[str, Any] | None = None) -> Dataset:
        """Return ``data`` as this model reads them; a data set is returned as it is.

        They are read as :func:`fit` read its own (sheet, query, encoding ...). Other data may need options of their
        own: every verb takes ``run.dataset(data, options={"sheet": "y2021"})`` in place of ``data``.

        Raises:
            ShapeError: They do not have the shape or columns the model was trained on.
            SettingError: An option is unknown, or is about what the model has decided.
        """
        return data if isinstance(data, Dataset) else open_data(data, schema=self.schema, options=options)

    def part(self, data: object, split: str | None = None) -> np.ndarray[Any, Any]:
        """Return row numbers of a split; by default the test rows of the training data, all rows of other data.

        Raises:
            SettingError: There is no such split.
        """
        dataset = self.dataset(data)
        own = dataset.schema.fingerprint == self.schema.fingerprint
        name = split or ("test" if own else "all")
        if name == "all":
            return np.arange(len(dataset))
        parts = dataset.split_indices()
        if name not in parts:
            raise SettingError(f"`split` is one of {', '.join(parts)}, all, but got {name!r}.")
        return parts[name]

    def pieces(self, dataset: Dataset) -> Iterator[tuple[int, Batch]]:
        """Yield the first row of a piece, and the piece; each fits memory."""
        rows = max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // prod(self.schema.event_shape)))
        for start in range(0, len(dataset), rows):
            yield start, dataset.batch(np.arange(start, min(start + rows, len(dataset))))

    def source(self, data: object = None) -> object:
        """Return ``data`` if given, else what the run was trained on.

        Raises:
            InputError: The training data are not where they were.
        """
        if data is None and not is_at_hand(self.spec.source):
            raise InputError(
                f"The run was trained on {self.spec.source!r}, which is not here. Put it back, or give the data."
            )
        return self.spec.source if data is None else data

    # --- verbs ------------------------------------------------------------------------------------------------------
    def encode(self, data: object, *, seed: int | None = None) -> Any:
        """Return latent codes, ``(N, n_latent)``: posterior means, or draws if seeded. DataFrame in, DataFrame out."""
        latent_model(self.model)
        dataset = self.dataset(data)
        keys = RowKeys()
        z = torch.cat([self._flat(verbs.encode(self.model, b, seed=seed, keys=keys)) for _, b in self.pieces(dataset)])
        return like(z, dataset)

    @staticmethod
    def _flat(latents: tuple[Tensor, ...]) -> Tensor:
        return torch.cat([g.flatten(1) for g in latents], dim=1)

    def reconstruct(self, data: object, *, seed: int | None = None) -> Any:
        """Return each row as the model sees it: the expected value, or a draw if seeded, in the form of ``data``."""
        latent_model(self.model)
        dataset = self.dataset(data)
        keys = RowKeys()
        x = torch.cat([verbs.reconstruct(self.model, b, seed=seed, keys=keys) for _, b in self.pieces(dataset)])
        return ended(dataset.decode(x), dataset.rows.lengths)

    def predict(self, data: object, *, seed: int | None = None) -> Any:
        """Return what a model was fitted to predict.

        For a model with a classifier: the probability of each class of each row, ``(N, n_classes)``, classes in the
        order of ``run.schema.label.classes``; labels among the data are not looked at. For a model of a part of a row
        given the rest: the rows with that part predicted, in the form of ``data``; a draw if seeded.

        Raises:
            CombinationError: The model predicts nothing.
        """
        dataset = self.dataset(data)
        if isinstance(self.model, Structured):
            keys = RowKeys()
            pieces = [verbs.complete(self.model, b, seed=seed, keys=keys) for _, b in self.pieces(dataset)]
            return dataset.decode(torch.cat(pieces))
        found = torch.cat([verbs.classify(self.model, b) for _, b in self.pieces(dataset)]).exp()
        assert self.schema.label is not None  # a classifier needs one
        return like(found, dataset, [str(c) for c in self.schema.label.classes])

    def sample(
        self, n: int, *, seed: int | None = None, noise: bool | None = None, temperature: float = 1.0,
        given: Mapping[str, object] | None = None, sampler: str = "auto",
    ) -> Any:
        """Return ``n`` new rows in the form of the training data.

        A model that is conditioned on something and is given nothing draws conditions as they were seen in the data.

        Args:
            n: How many.
            seed: Seed of the draws; without one they differ from call to call.
            noise: Draw from the likelihood too; by default yes, but for images, which show its expected value.
            temperature: Factor on the normal numbers that latents are made from: below 1 they lie nearer to the modes
                of the prior; of codes, below 1 likely ones become likelier. Whatever is given, it means the same.
            given: Values to condition on, by name: one for all rows, or ``n`` of them.
            sampler: What latents are drawn from: ``prior``, the name of one that was fitted to them after training, or
                ``auto``, the one that held-out rows chose (``run.samplers.chosen``).

        Raises:
            SettingError: The model was not fitted to be conditioned on a name, or has not seen a value.
            UnknownNameError: The run has no such sampler.
        """
        with_noise = self.schema.kind != "images" if noise is None else noise
        chosen = int(torch.randint(2**62, ())) if seed is None else seed
        model, schema = self.samplers.under(self.model, sampler), self._conditioned(given)
        return conditional.sample(
            model, schema, n, given or {}, seed=chosen, noise=with_noise, temperature=temperature
        )

    def interpolate(self, a: object, b: object, *, steps: int = 8) -> Any:
        """Return the way from ``a`` to ``b`` (one row each) through the latent space, ``steps`` rows.

        For a table, ``attrs["changes"]`` of the frame lists the columns that change, the largest change first: from
        which value to which, and how likely these are where the column has categories.
        """
        return ways.interpolate(self, a, b, steps=steps)

    def traverse(self, data: object, *, dim: int, values: tuple[float, ...] | None = None) -> Any:
        """Return the first row of ``data`` with one latent dimension set to each of ``values``.

        By default seven values that suit the space of the latents: -3 to 3 for real ones. For a table,
        ``attrs["changes"]`` lists the columns that change, as in :meth:`interpolate`.
        """
        return ways.traverse(self, data, dim=dim, values=values)

    def log_likelihood(
        self, data: object, *, k: int = 500, seed: int = 0, sampler: str = "prior"
    ) -> np.ndarray[Any, Any]:
        """Return the importance-weighted log p(x) of every row in nats, ``(N,)``; higher is better.

        With another ``sampler`` its density takes the place of the prior: p(x) is then that of what it samples.
        """
        from ..evaluation import log_likelihood as estimate_log_likelihood

        model = self.samplers.under(self.model, sampler)
        if reason := needs_density(model):
            raise CombinationError(reason)
        dataset = self.dataset(data)
        pieces = self.pieces(dataset)
        scored = ((i, model.scored(b)) for i, b in pieces)
        found = [estimate_log_likelihood(model, b, k=k, seed=seed, first_row=i).per_row for i, b in scored]
        return torch.cat(found).numpy()

    def evaluate(
        self,
        data: object,
        *,
        split: str | None = None,
        k: int = 500,
        seed: int = 0,
        rows: int | None = 10_000,
        only: Sequence[str] | None = None,
        also: Sequence[str] = (),
        against: object = None,
        factors: object = None,
        anomaly: object = None,
        features: Sequence[str | Features] = ("pca",),
        budget: float | None = None,
        announce: Callable[[dict[str, float]], None] | None = None,
    ) -> dict[str, Any]:
        """Return the numbers that say how good the model is on held-out rows; see ``senzai.evaluation.evaluate``.

        They are kept in ``run.metrics``, where measures taken with ``only`` stand beside the figures of the last whole
        evaluation; those of other rows say of which.

        Args:
            data: The training data (their test rows are used) or other data of the same kind (all rows).
            split: ``train``, ``validation``, ``test`` or ``all``, to choose otherwise.
            k: Draws per row of the importance-weighted likelihood.
            seed: Seed of the draws.
            rows: Use at most so many rows, chosen by ``seed``; ``None`` uses all.
            only: Measures to take instead of everything else, by name (``senzai.evaluation.MEASURES``).
            also: Measures to take besides the usual ones: ``ais``, ``bdmc``, ``gaps``, ``imputation`` …
            against: Another data set of the same shape, which the model should find strange.
            factors: Known factors of all rows of ``data``, a table or a file.
            anomaly: The class whose rows are anomalies.
            features: What samples are compared in: ``pca``, ``random``, ``entries``, ``denoising``, ``classifier``, or
                features of your own.
            budget: Seconds there are for the measures; what would not fit is left out, and said.
            announce: Told the seconds each part is expected to take, before they are spent.
        """
        from ..evaluation import chosen, evaluate, likelihood_figures
        from .verbs.evaluate import extras_of, joined

        dataset = self.dataset(data)
        whole = self.part(dataset, split)
        index = whole
        if rows is not None and len(whole) > rows:
            index = np.sort(np.random.default_rng(derive(seed, "evaluated rows")).choice(whole, rows, replace=False))
        extras = extras_of(
            self.schema, dataset, index, lambda: self.dataset(self.source()), factors=factors, anomaly=anomaly,
            against=None if against is None else self.dataset(against), features=tuple(features), seed=seed,
            sampler=self.samplers.under(self.model),
        )
        found = evaluate(
            self.model, dataset.batch(index), k=k, seed=seed, discrete_step=self.discrete_step(), base=only is None,
            measures=chosen(only, also), extras=extras, budget=budget, announce=announce,
        )
        if only is None and self.samplers.chosen != PRIOR:
            model = self.samplers.under(self.model)
            figures = likelihood_figures(
                model, dataset.batch(index), k=k, seed=seed, discrete_step=self.discrete_step()
            )
            found["sampler"] = {"name": self.samplers.chosen, **figures}
        found["split"] = split or ("test" if len(whole) < len(dataset) else "all")
        found |= {"rows_available": len(whole), "data": dataset.schema.fingerprint}
        self.metrics["evaluate"] = joined(self.metrics.get("evaluate", {}), found, whole=only is None)
        if self.folder is not None:
            write_json(self.folder / bundle.METRICS, self.metrics)
            write_card(self.folder, self.folder.name, self.spec, self.schema, self.metrics)
        return found

    def diagnose(self, data: object = None, **options: Any) -> Diagnosis:
        """Return what is wrong with the model, the root cause first; see ``senzai.runs.verbs.diagnose.diagnose``.

        The findings are kept in ``run.metrics``, from where a report shows them.

        Args:
            data: The training data, where they are not where they were; or other data (all rows).
            **options: ``split``, ``rows``, ``k``, ``seed``, ``factors``, ``codes``.
        """
        from .verbs import diagnose as diagnosing

        found = diagnosing.diagnose(self, data, **options)
        self.metrics["diagnosis"] = found.document()
        if self.folder is not None:
            write_json(self.folder / bundle.METRICS, self.metrics)
        return found

    def report(self, path: str | Path | None = None, *, data: object = None) -> Path:
        """Write a page that opens in any browser; by default ``report.html`` in the run's folder, on its own data.

        Raises:
            OutputError: The run has no folder and no path was given, or the file cannot be written.
            InputError: The training data are not where they were; give ``data``.
        """
        from ..report import write_report

        if path is None and self.folder is None:
            raise OutputError("A report needs a place, but this run has no folder. Give a path, or save the run first.")
        target = user_path(path, output=True) if path is not None else Path(str(self.folder)) / "report.html"
        return write_report(self, self.dataset(self.source(data)), target)

    def info(self) -> dict[str, Any]:
        """Return what the run is, as plain values: recipe, data, settings, training and the numbers measured so far."""
        return {
            "recipe": self.spec.recipe, "settings": self.spec.settings, "source": self.spec.source,
            "data": self.spec.data_schema, "training": self.spec.training.model_dump(mode="json"),
            "n_parameters": sum(p.numel() for p in self.model.parameters()), "metrics": self.metrics,
            "senzai": self.spec.senzai, "libraries": self.spec.libraries,
        }

    def _conditioned(self, given: Mapping[str, object] | None) -> Schema:
        """Return the schema; for a model that infers the label, with the label as what a given one conditions on."""
        schema, label = self.schema, self.schema.label
        infers = isinstance(self.model, Classifies) and not isinstance(self.model, Probed)
        if not given or schema.condition is not None or label is None or not infers:
            return schema
        n = len(label.classes)
        values = tuple((c,) for c in label.classes)
        return schema.but(condition=Condition(names=(label.name,), width=n, values=values, shares=(1 / n,) * n))

    def discrete_step(self) -> float | None:
        """Distance of neighbouring values where the data are discrete, for densities that treat them as continuous."""
        return 1.0 if self.schema.values in ("binary", "levels", "count") else None

    # --- saving -----------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Write the run to a new folder: all it knows, but not the state of the optimiser, so that it is not resumed.

        Raises:
            OutputError: The folder exists or cannot be written.
        """
        from .saving import save

        self.folder = save(self, user_path(path, output=True))
        return self.folder


def load(path: str | Path) -> Run:
    """Return a saved run.

    Raises:
        BundleError: The folder is no run, is damaged, unfinished, or of a newer version.
    """
    folder = user_path(path)
    spec = bundle.read_spec(folder)
    run = Run(spec, bundle.load_model(folder, spec), folder=folder)
    run.metrics = bundle.read_metrics(folder)
    return run
