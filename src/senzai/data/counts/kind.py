"""The kind `counts`: a row is a cell, its entries the counts of genes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data, first, only
from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor

from .. import covariates, sources
from ..conditioning import LABEL
from ..kind import KINDS, Claim, Kind, Opened
from ..labels import as_labels, encode_labels, make_label
from ..options import Options
from ..proposal import Choice, Proposal
from ..rows import Array, Rows, Targets
from ..schema import Axis, Field, Label, Schema
from ..sparse import SparseRows
from ..split import marked
from . import annotated
from .memory import HDF5, SUFFIXES, is_anndata, is_sparse_frame, matrix_file, read_table
from .options import CountDetails, CountOptions, details_of
from .table import CountTable


@final
class CountKind(Kind):
    """Counts of genes in cells: AnnData, folders and files of 10x, sparse matrices, tables.

    Example:
        >>> from scipy.sparse import csr_array
        >>> kind = KINDS["counts"]
        >>> opened = kind.read(csr_array(np.array([[0, 3], [1, 0]])), kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.columns, kind.rows(opened, schema).take(np.array([1])).x.tolist()
        ((0, 1), [[1, 0]])
    """

    name: ClassVar[str] = "counts"
    title: ClassVar[str] = "genes in cells: h5ad, AnnData, 10x folders and h5, loom, sparse npz and matrices, csv"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    suffix: ClassVar[str] = ".h5ad"
    options: ClassVar[type[Options]] = CountOptions
    details: ClassVar[type[CountDetails]] = CountDetails
    unit: ClassVar[str] = "gene"
    beside: ClassVar[tuple[str, ...]] = (".h5ad",)
    forms_beside: ClassVar[tuple[str, ...]] = ("anndata",)

    # --- in ---------------------------------------------------------------------------------------------------------
    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim AnnData, its files, those of 10x and loom, and sparse frames.

        Sparse matrices and text may be anything: they are read where this kind is named.
        """
        if is_anndata(source):
            return Claim(0.95, "it is an AnnData")
        if is_sparse_frame(source):
            return Claim(0.9, "all of its columns are sparse")
        path = sources.existing(source)
        if path is None:
            return None
        if path.is_dir():
            return Claim(0.95, "it holds a matrix.mtx") if matrix_file(path) is not None else None
        return Claim(0.95, "it is named as files of counts are") if path.suffix.lower() in HDF5 else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source; for a model, with its genes in its order."""
        set_ = _options(options)
        y, name = None, set_.label
        if isinstance(source, tuple) and len(source) == 2:
            source, y = source
        found = read_table(source, set_)
        if not len(found):
            raise InputError(f"There must be at least one row, but {found.origin} has none. Give some.")
        split = set_.split if schema is None else schema.split
        if schema is not None:
            found = found.of_genes(schema.columns or (), keep=set_.missing == "keep")
            name = None if schema.label is None else schema.label.name
        if y is None and name is not None and (schema is None or str(name) in map(str, found.obs.columns)):
            y = found.column(str(name)).to_numpy(dtype=object, na_value=None)
        marks = {}
        if split.column is not None and (schema is None or split.column in map(str, found.obs.columns)):
            marks[split.column] = found.column(split.column)
        return Opened(
            data=found, n_rows=len(found), dtype="int64", form=found.form, origin=found.origin,
            labels=None if y is None else as_labels(y), label_name=str(name or LABEL), label_asked=True,
            index=annotated.index_of(found), notes=found.notes, **marked(marks, split, found.origin, len(found)),
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide what rows are given, and say how much there is."""
        set_, found = _options(options), _table(opened)
        if len(set(found.genes)) < len(found.genes):
            raise InputError(f"Genes have names of their own, but some of {found.origin} share one. Make them unique.")
        if set_.values not in (None, "count"):
            raise SettingError(f"Counts are counts, but got values={set_.values}. Read them with another kind=...")
        names = tuple(n for n in set_.condition)
        if names and set(names) <= {LABEL, set_.label} and set_.label is not None:
            names = (str(set_.label),)
        columns = {n: found.column(n) for n in names}
        given = tuple(covariates.covariate_of(columns[n], n, found.origin) for n in names)
        label = None if opened.labels is None else make_label(opened.labels, opened.label_name, set_.unlabelled)
        depth = depth_of(found)
        details = CountDetails(
            place=found.place, covariates=given, usual_depth=max(1.0, float(np.median(depth))),
            depth_spread=float(np.log(np.maximum(depth, 1)).std()),
            density=len(found.matrix.indices) / max(1, found.matrix.n_rows * found.matrix.n_columns),
        )
        field = Field(axes=(Axis(name="gene", size=found.matrix.n_columns),), support="count")
        return Schema(
            kind=self.name, fields={"x": field}, dtype=opened.dtype, columns=found.genes, form=opened.form, label=label,
            condition=covariates.condition_of(given, columns, set_.seed) if given else None, n_rows=len(found),
            split=set_.split, details=details, fingerprint=found.fingerprint,
            reasons=(*opened.notes, *reasons_of(found, details, depth, label)),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Return the schema for these rows."""
        found = _table(opened)
        return schema.but(
            n_rows=len(found), fingerprint=found.fingerprint, form=opened.form, reasons=opened.notes,
            details=details_of(schema).model_copy(update={"place": found.place}),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows by genes, sparse."""
        found, how = _table(opened), details_of(schema)
        values = found.matrix.values
        top = 1.0 if values is None or not len(values) else float(values.max())
        targets = encode_labels(opened.labels, schema.label)
        if how.covariates:
            c = covariates.encode(how.covariates, {n.name: found.column(n.name).tolist() for n in how.covariates})
            targets = Targets(targets.y, targets.known, 0, c)
        return SparseRows(
            found.matrix, targets, top=top, about={"row": np.arange(len(found))}, in_memory=found.in_memory,
            absent=found.absent,
        )

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return rows in the user's form: an AnnData, a frame, a sparse matrix, an array."""
        rows = first(x).cpu().numpy()
        return annotated.formed(rows if soft else np.rint(rows), schema, None, whole=not soft)

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return all rows with what is known of them."""
        rows = first(x).cpu().numpy()
        table = source if isinstance(source, CountTable) else None
        return annotated.formed(rows if soft else np.rint(rows), schema, table, whole=not soft)

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write .h5ad, .npz (sparse), csv, tsv or parquet."""
        annotated.write(decoded, Path(path), schema)

    def with_numbers(self, source: Any, schema: Schema, values: Any, *, name: str, columns: list[str] | None) -> Any:
        """Return an AnnData with numbers of its rows in ``obsm`` (codes) or ``obs`` (named columns)."""
        if not isinstance(source, CountTable):
            return None
        return annotated.with_numbers(source, schema, values, name=name, columns=columns)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return counts as lists, genes in the order of the model."""
        plain: JsonValue = annotated.dense_of(decoded).tolist()
        return plain

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return rows from lists of counts, or from records of genes, of which those that are not named are 0."""
        import pandas as pd

        genes = [str(g) for g in schema.columns or ()]
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            frame = pd.DataFrame(value)
            unknown = [c for c in frame.columns if str(c) not in set(genes)]
            if unknown:
                raise InputError(f"Counts are of genes that the model knows, but {unknown[0]!r} is none. Leave it out.")
            return frame.reindex(columns=genes).fillna(0)
        if not (isinstance(value, list) and value and all(isinstance(v, list) and len(v) == len(genes) for v in value)):
            raise InputError(f"Rows are lists of {len(genes)} counts, or records of genes, but these are neither.")
        return pd.DataFrame(value, columns=genes)

    # --- about ------------------------------------------------------------------------------------------------------
    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Keep some rows that were given in memory: scores compare with them."""
        return in_memory

    def propose(self, schema: Schema) -> Proposal:
        """Suggest negative binomial counts given the depth of a row."""
        how = details_of(schema)
        own = {"usual_depth": how.usual_depth, "depth_spread": how.depth_spread}
        return Proposal(
            likelihood=Choice("negative_binomial_given_depth", own), decoder=Choice("mlp"), shared=("log_dispersion",),
            encoder=Choice("profile", {"log": True, "input_dropout": 0.0}), recipe="count-vae",
            training={"steps": steps_for(schema.n_rows), "batch_size": 128, "schedule": "follow"},
            reason="Reads of a cell are shares of its depth, and vary more than by chance.",
        )

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the codes of classes and numbers that rows are conditioned on."""
        return covariates.encode(details_of(schema).covariates, values)

    def widths(self, schema: Schema) -> tuple[int, ...]:
        """Return the width of the code of each fact that rows are conditioned on."""
        return tuple(one.width for one in details_of(schema).covariates)

    def fact(self, source: Any, schema: Schema, name: str) -> Array:
        """Return a column of ``obs``, classes as text."""
        if not isinstance(source, CountTable):
            raise SettingError("Facts about rows are those of data that were read from a source. Give the data again.")
        return np.array([covariates.text_of(v) for v in source.column(name)], object)

    def decode_given(self, x: Data, schema: Schema, given: Mapping[str, list[Any]]) -> Any:
        """Return new rows with what they were given as facts in ``obs``."""
        made = self.decode(x, schema)
        for name, values in given.items() if hasattr(made, "obs") else ():
            made.obs[name] = np.array([covariates.text_of(v) for v in values], object)
        return made

    # --- genes that were not observed -------------------------------------------------------------------------------
    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield the rows in pieces."""
        for start in range(0, len(source), rows):
            yield source.take(np.arange(start, min(len(source), start + rows)))

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return rows whose genes that were not observed hold what is expected of them; others keep their counts."""
        found, x = part.matrix.dense(np.arange(len(part))), only(x)
        if part.absent is not None and x.ndim == 2:
            at = np.arange(len(part)) if rows is None else rows
            found[np.ix_(at, part.absent)] = x.cpu().numpy()[:, part.absent]
        return found

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return completed rows with what is known of them."""
        return annotated.formed(np.concatenate(parts), schema, source, whole=False)


def steps_for(n_rows: int) -> int:
    """Return the most optimiser steps for so many rows: more rows need fewer passes; validation may end them sooner.

    Example:
        >>> steps_for(700), steps_for(20_000), steps_for(1_000_000)
        (2400, 4710, 15630)
    """
    passes = min(400.0, max(2.0, 600_000 / n_rows))
    return max(2000, round(passes * -(-n_rows // 128) / 10) * 10)


def depth_of(found: CountTable) -> Array:
    """Return the counts that each row has in all."""
    matrix, total = found.matrix, np.zeros(len(found))
    for start in range(0, len(found), 1 << 16):
        part = matrix.rows_of(np.arange(start, min(len(found), start + (1 << 16))))
        weight = None if part.values is None else part.values.astype(np.float64)
        total[start : start + part.n_rows] = np.bincount(part.row, weights=weight, minlength=part.n_rows)
    return total


def reasons_of(found: CountTable, how: CountDetails, depth: Array, label: Label | None) -> tuple[str, ...]:
    """Return what was decided, one sentence each."""
    empty = int((depth == 0).sum())
    n, genes = found.matrix.n_rows, found.matrix.n_columns
    given = ", ".join(
        f"{c.name} ({'a number' if c.classes is None else f'{len(c.classes)} classes'})" for c in how.covariates
    )
    return (
        f"The counts are those of {how.place}: {n:,} rows and {genes:,} genes, {how.density:.1%} of the entries are "
        "not zero.",
        f"A row has {how.usual_depth:,.0f} counts in all (the median); what is modelled are shares of that depth.",
        *((f"{empty:,} rows have no count at all: nothing is known of them.",) if empty else ()),
        *((f"Rows are given {given}.",) if given else ()),
        *((f"The label {label.name!r} has {len(label.classes)} classes.",) if label else ()),
    )


def _options(options: Options) -> CountOptions:
    assert isinstance(options, CountOptions)  # parsed by this kind's class
    return options


def _table(opened: Opened) -> CountTable:
    assert isinstance(opened.data, CountTable)  # what this kind's `read` gave
    return opened.data


KINDS.add("counts")(CountKind())
