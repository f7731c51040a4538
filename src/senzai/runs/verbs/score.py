"""Anomaly scores of a user's rows, the share of each column, and flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file

from ...core.errors import InputError, SettingError
from ...core.random import derive
from ...data import Dataset, Schema
from ...evaluation.modal import misfits, modal_scores, told_by_others
from ...evaluation.scores import Reference, Scores, make_reference, need_method, p_values, score, threshold
from ...evaluation.units import coder_of, units_of
from ...models.base import latent_model
from ...training.checkpoint import save_tensors
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

REFERENCE = "reference.safetensors"
TRAINING_ROWS, HELD_ROWS = 2000, 2000
KEPT_NUMBERS = 10_000_000
"""Numbers that are kept of training rows: of very wide tables, fewer rows."""
NEEDS_NOTHING = ("elbo", "nll", "reconstruction")
NONE_HELD_OUT = (
    "Scores are compared with rows that were held out, but none were. Fit with validation=0.1, or use a score "
    f"that needs none: {', '.join(NEEDS_NOTHING)}."
)
CODE = "latent code"


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """What is asked of scores; see :meth:`senzai.Run.score`.

    Args:
        method: Name of a score; see :func:`senzai.evaluation.scores.score`.
        shares: Also what each column adds to the score.
        contamination: Flag rows beyond the score that this share of held-out rows exceeds.
        false_alarm: Flag rows whose conformal p-value is at most this.
        k: Draws per row.
        seed: Seed of the draws.
        reference: Data to compare with, where the training data are not at hand.

    Raises:
        SettingError: There is no such score, or two thresholds.
    """

    method: str = "auto"
    shares: bool = False
    contamination: float | None = None
    false_alarm: float | None = None
    k: int = 16
    seed: int = 0
    reference: Any = None

    def __post_init__(self) -> None:
        need_method(self.method)
        if self.contamination is not None and self.false_alarm is not None:
            raise SettingError(
                "A threshold comes from contamination or from false_alarm, but got both. Leave one out."
            )

    @property
    def flags(self) -> bool:
        """Whether rows are to be flagged."""
        return self.contamination is not None or self.false_alarm is not None


def reference_of(run: Trained, data: object = None, scored: Dataset | None = None) -> Reference:
    """Return what rows are compared with: kept in the run's folder, or made from the training data.

    Args:
        run: The run.
        data: Data to make it from.
        scored: What is being scored; if these are the training data themselves, they are at hand.

    Raises:
        InputError: It was not kept, and the training data are not there.
    """
    if data is None:
        run.reference = kept_reference(run)
    if run.reference is None and data is None and not held_out(run.schema):
        raise InputError(NONE_HELD_OUT)
    if run.reference is None or data is not None:
        own = data is None and scored is not None and scored.schema.fingerprint == run.schema.fingerprint
        run.reference = make(run, scored if own and scored is not None else run.dataset(run.source(data)))
        save_reference(run)
    found: Reference = run.reference
    return found


def held_out(schema: Schema) -> bool:
    """Whether some of the rows of a run were held out of training."""
    return schema.split.validation > 0 or schema.split.test > 0


def kept_reference(run: Trained) -> Reference | None:
    """Return the reference that a run has, in memory or in its folder."""
    kept = None if run.folder is None else Path(run.folder) / REFERENCE
    if run.reference is None and kept is not None and kept.is_file():
        return Reference.of(load_file(kept), coder_of(run.schema))
    found: Reference | None = run.reference
    return found


def save_reference(run: Trained) -> None:
    """Keep the reference of a run in its folder, where it has both."""
    if run.reference is not None and run.folder is not None:
        write_reference(run.folder, run.reference)


def write_reference(folder: Path, reference: Reference) -> None:
    """Write a reference into the folder of a run."""
    save_tensors(folder / REFERENCE, reference.tensors(), {})


def make(run: Trained, dataset: Dataset) -> Reference:
    """Make the reference from training rows, and from validation rows as those held out."""
    parts = dataset.split_indices()
    held = parts["validation"]
    held = held if len(held) >= 5 else np.concatenate([held, parts["test"]])
    if not len(held):
        raise InputError(NONE_HELD_OUT)
    seed = run.spec.training.seed

    def some(index: Any, n: int) -> Any:
        rng = np.random.default_rng(derive(seed, "reference"))
        return dataset.batch(np.sort(rng.choice(index, min(n, len(index)), replace=False)))

    most = max(200, KEPT_NUMBERS // run.schema.size)
    train, held_out = some(parts["train"], min(TRAINING_ROWS, most)), some(held, min(HELD_ROWS, most))
    model = latent_model(run.model)
    schema = dataset.schema
    return make_reference(model, train, held_out, units=units_of(model, schema), coder=coder_of(schema))


def pieces(run: Trained, dataset: Dataset, asked: ScoreSettings) -> Iterator[Scores]:
    """Yield the scores of each piece of the data."""
    if modal(run):
        need_no_threshold(asked)
        for _, batch in run.pieces(dataset):
            yield modal_scores(latent_model(run.model), batch, asked.method, k=asked.k, seed=asked.seed)
        return
    needless = asked.method in NEEDS_NOTHING and asked.reference is None
    against = None if needless else reference_of(run, asked.reference, dataset)
    for _, batch in run.pieces(dataset):
        yield score(latent_model(run.model), batch, asked.method, reference=against, k=asked.k, seed=asked.seed)


def table_of(run: Trained, found: Scores, asked: ScoreSettings) -> Any:
    """Return scores as a frame: score, p-value and flag where asked for, and the shares of the columns."""
    import pandas as pd

    out: dict[str, Any] = {"score": found.values.double().numpy()}
    if asked.flags:
        model = latent_model(run.model)
        held = reference_of(run).held_scores(model, asked.method, k=asked.k, seed=asked.seed)  # as the rows were
        p = p_values(found.values, held)
        out["p_value"] = p.numpy()
        if asked.false_alarm is not None:
            _need_share(asked.false_alarm, len(held))
            out["anomaly"] = (p <= asked.false_alarm).numpy()
        elif asked.contamination is not None:
            out["anomaly"] = (found.values > threshold(held, asked.contamination)).numpy()
    if asked.shares:
        names = run.schema.columns or tuple(range(found.shares.shape[1] - 1))
        for j, name in enumerate([*names, CODE]):
            out[f"share: {name}"] = found.shares[:, j].double().numpy()
    return pd.DataFrame(out)


def _need_share(alpha: float, n: int) -> None:
    if not 0 < alpha < 1:
        raise SettingError(f"`0 < false_alarm < 1` must hold, but got {alpha!r}. It is a share of normal rows.")
    if alpha < 1 / (n + 1):
        raise SettingError(
            f"With {n} held-out rows the least p-value is {1 / (n + 1):.2g}, but got false_alarm={alpha:g}. "
            "Allow more false alarms, or hold out more rows (validation=...)."
        )


def by_row(schema: Schema, model: Any, settings: Mapping[str, Any]) -> bool:
    """Say that a row's score depends on the row alone: rows share their draws, and all have one reference."""
    return settings.get("reference") is None


# --- several modalities ---------------------------------------------------------------------------------------------
def modal(run: Trained) -> bool:
    """Whether rows have several modalities, which are compared with each other and not with training rows."""
    return len(run.schema.fields) > 1


def need_no_threshold(asked: ScoreSettings) -> None:
    """Refuse what compares rows of several modalities with training rows.

    Raises:
        SettingError: The score, or a threshold, does.
    """
    if asked.method not in ("auto", *NEEDS_NOTHING) or asked.flags:
        raise SettingError(
            f"Rows of several modalities are scored by {', '.join(NEEDS_NOTHING)}, without thresholds, but got "
            f"{asked.method!r} or one. With shares=True they say which modality does not fit the others."
        )


def modal_table(run: Trained, dataset: Dataset, found: Scores, asked: ScoreSettings) -> Any:
    """Return scores with the share of each modality, how badly it fits the others, and the one that fits worst.

    A misfit is the cost of a modality told from the others of its row, in spreads about the middle of held-out rows.
    """
    import pandas as pd

    names = tuple(run.schema.fields)
    out: dict[str, Any] = {"score": found.values.double().numpy()}
    for j, name in enumerate([*names, CODE]):
        out[f"share: {name}"] = found.shares[:, j].double().numpy()
    model, own = latent_model(run.model), run.dataset(run.source(asked.reference))
    parts = own.split_indices()
    held = np.sort(np.concatenate([parts["validation"], parts["test"]]))[:HELD_ROWS]
    if not len(held):
        raise InputError(NONE_HELD_OUT)
    usual = told_by_others(model, own.batch(held), k=asked.k, seed=asked.seed)
    costs = torch.cat([
        told_by_others(model, batch, k=asked.k, seed=asked.seed) for _, batch in run.pieces(dataset)
    ])
    gap = misfits(costs, usual)
    for j, name in enumerate(names):
        out[f"misfit: {name}"] = gap[:, j].double().numpy()
    worst = gap.nan_to_num(-torch.inf).argmax(1).tolist()
    out["fits_worst"] = [names[j] for j in worst]
    return pd.DataFrame(out)


def tables(run: Trained, dataset: Dataset, asked: ScoreSettings) -> Iterator[Any]:
    """Yield frames of scores, as files of them are written: piece by piece, or whole where rows are compared."""
    if modal(run) and asked.shares:
        yield modal_table(run, dataset, _joined(pieces(run, dataset, asked)), asked)
        return
    for found in pieces(run, dataset, asked):
        yield table_of(run, found, asked)


def _joined(parts: Iterable[Scores]) -> Scores:
    every = list(parts)
    return Scores(torch.cat([p.values for p in every]), torch.cat([p.shares for p in every]))


@verb(
    "score", group="Use", takes="rows", answers="scores", unfit=needs_latents, settings=ScoreSettings, steered=False,
    by_row=by_row,
)
def scores(run: Trained, data: object, asked: ScoreSettings) -> Any:
    """Give the anomaly score of each row; higher is more anomalous."""
    dataset = run.dataset(data)
    found = _joined(pieces(run, dataset, asked))
    if not asked.shares and not asked.flags:
        return found.values.double().numpy()
    made = modal_table(run, dataset, found, asked) if modal(run) else table_of(run, found, asked)
    return made if dataset.index is None else made.set_axis(dataset.index, axis=0)
