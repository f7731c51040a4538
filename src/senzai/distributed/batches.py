"""A verb as a function of batches, which engines send to their processes and call there.

What is sent is a path and settings; every process reads the run once, from the folder, the packed run or the hub. A
row's answer follows from what is in the row, so that it does not matter how the engine cut the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, final

from ..core.errors import CombinationError, SettingError
from ..core.registry import suggestion
from ..core.row_noise import alike
from ..runs import Run, load
from ..runs.verbs.registry import Verb, every_verb, verb_named
from . import forms

ANSWERS = ("rows", "codes", "scores")


@final
@dataclass(frozen=True)
class BatchVerb:
    """A verb of a run for batches of rows; give it to an engine.

    Called with one batch it returns a batch of the same form; called with an iterator of batches, as Spark does, it
    yields one for each. Columns of the answer are called as the verb names them, a single number after the verb.

    Args:
        path: Where every process reads the run.
        verb: Name of the verb.
        settings: Its settings, plain values.
        keep: Columns of the rows that stay beside the answer, such as a key.

    Example:
        >>> import tempfile, numpy as np, pandas as pd
        >>> from senzai.runs import fit
        >>> frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
        >>> run = fit(frame, steps=2, n_latent=1, out=tempfile.mkdtemp() + "/run")
        >>> encode = map_batches(run, "encode", keep=["a"])
        >>> {name: v.shape for name, v in encode({"a": np.zeros(3), "b": np.ones(3)}).items()}
        {'a': (3,), 'z0': (3,)}
    """

    path: str
    verb: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[str, ...] = ()

    def __call__(self, batch: Any) -> Any:
        """Do the verb with a batch, or with every batch of an iterator.

        Raises:
            InputError: It is no batch, or lacks a column that is kept.
        """
        if isinstance(batch, Iterator):
            return self._each(batch)
        forms.need_batch(batch)
        if forms.count_of(batch) == 0:
            return forms.like(batch, {name: values[:0] for name, values in self._pattern(batch).items()})
        return forms.like(batch, self._columns(batch))

    def _each(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            if forms.count_of(batch):
                yield self(batch)

    def _columns(self, batch: Any) -> dict[str, Any]:
        run = _run_at(self.path)
        kept = forms.part_of(batch, self.keep)
        with alike():
            answer = run.do(self.verb, forms.rows_of(batch, named=run.schema.columns is not None), **self.settings)
        made = forms.columns_of(answer, self.verb)
        if twice := sorted(set(kept) & set(made)):
            raise CombinationError(
                f"Columns that are kept stand beside the answer of {self.verb!r}, which has {', '.join(twice)} too. "
                "Keep others, or rename them before."
            )
        return {**kept, **made}

    def _pattern(self, batch: Any) -> dict[str, Any]:
        """Return the columns of an answer for rows like those of the model: for a batch that has none."""
        if forms.is_arrow(batch) or hasattr(batch, "iloc"):
            kept = forms.part_of(batch, self.keep)
        else:
            kept = {n: v for n, v in batch.items() if n in self.keep}
        return {**kept, **_answer_of(self.path, self.verb, tuple(self.settings.items()))}

    def schema(self, batch: Any) -> Any:
        """Return the Arrow schema of the answers, from a batch of a few rows: ``mapInArrow`` of Spark asks for it.

        ``pyspark.sql.pandas.types.from_arrow_schema`` makes of it what Spark takes.
        """
        return forms.arrow_of(self._columns(batch)).schema

    def meta(self, frame: Any) -> Any:
        """Return an empty frame like the answers, from a pandas frame of a few rows: ``map_partitions`` asks for it."""
        return self(frame).iloc[:0]


@lru_cache(maxsize=4)
def _run_at(path: str) -> Run:
    """Return a run, read once in each process."""
    return load(path)


@lru_cache(maxsize=16)
def _answer_of(path: str, verb: str, settings: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    run = _run_at(path)
    with alike():
        return forms.columns_of(run.do(verb, run.do("sample", 2, seed=0), **dict(settings)), verb)


def map_batches(run: Run | str | Path, verb: str, /, *, keep: Sequence[str] = (), **settings: Any) -> BatchVerb:
    """Return a verb of a run as a function of batches, for Ray Data, Spark and Dask.

    ``dataset.map_batches(f, batch_format="pyarrow")`` of Ray Data, ``frame.mapInArrow(f, schema)`` of Spark with
    ``schema = from_arrow_schema(f.schema(some_rows))``, ``frame.map_partitions(f, meta=f.meta(some_rows))`` of Dask.

    Answers are those of the local verb, however the rows are cut. Of rows that are alike in everything, draws are
    alike too; the local verb gives the second of them a draw of its own.

    Args:
        run: A saved run, its folder, a packed run or an address of the hub: one that every process can read.
        verb: A verb that takes rows and answers rows, codes or scores of each: ``score``, ``encode``, ``impute`` ...
        keep: Columns of the rows that stay beside the answer.
        **settings: Settings of the verb.

    Raises:
        SettingError: The run is not saved, or a setting is unknown.
        CombinationError: The verb does not answer row by row, or does not fit the run.
    """
    found = verb_named(verb)
    _need_rows(found)
    known = run if isinstance(run, Run) else load(run)
    path = known.folder if isinstance(run, Run) else run
    if path is None:
        raise SettingError(
            "Other processes read a run from its folder, but this one is in memory. Save it: run.save('runs/NAME')."
        )
    found.need(known.schema, known.model)
    if wrong := [s for s in settings if s not in (names := [p.name for p in found.parameters])]:
        raise SettingError(
            f"The verb {verb!r} has the settings {', '.join(names) or 'none'}, but got {wrong[0]!r}."
            f"{suggestion(wrong[0], names)}"
        )
    where = str(path)
    return BatchVerb(where if "://" in where else str(Path(where).resolve()), verb, settings, tuple(keep))


def _by_row(verb: Verb) -> bool:
    return verb.takes == "rows" and verb.answers in ANSWERS and not verb.together


def _need_rows(found: Verb) -> None:
    if not _by_row(found):
        fit = sorted(name for name, one in every_verb().items() if _by_row(one))
        why = "looks at all rows together" if found.together else f"takes {found.takes} and answers {found.answers}"
        raise CombinationError(
            f"Engines cut rows as they like, so a verb must answer row by row, but {found.name!r} {why}. "
            f"Those that do: {', '.join(fit)}."
        )
