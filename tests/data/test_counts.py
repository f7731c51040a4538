"""Counts: every form they come in, which numbers are counts, names and facts that come back, and hostile files."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import io, sparse

from senzai.core.errors import InputError, MissingExtraError, SettingError, ShapeError
from senzai.data import KINDS, detect_kind, open_data
from senzai.data.counts.recognising import are_counts, compact
from senzai.data.counts.table import of_dense

anndata = pytest.importorskip("anndata")
h5py = pytest.importorskip("h5py")

GENES = ("CD3D", "7SK,1", "007", "9223372036854775807", "MT-CO1")
CELLS = tuple(f"cell-{i}" for i in range(12))
X = np.random.default_rng(0).poisson(1.0, (12, 5)) * np.array([1, 1, 1, 1, 200])


def data_of(x=X, layers=None, **more):
    obs = pd.DataFrame(
        {"batch": ["a", "b"] * 6, "depth": np.linspace(0, 1, 12), "type": ["T", "B", "T"] * 4}, index=list(CELLS)
    ).astype({"batch": object, "type": object})
    obs.index = obs.index.astype(object)
    var = pd.DataFrame(index=pd.Index(list(GENES), dtype=object))
    made = anndata.AnnData(x if sparse.issparse(x) else np.asarray(x, np.float32), obs=obs, var=var, **more)
    for name, layer in (layers or {}).items():
        made.layers[name] = np.asarray(layer, np.float32)
    return made


def log_normalised(x=X):
    return np.log1p(x / np.maximum(1, x.sum(1, keepdims=True)) * 1e4)


def opened(source, **options):
    return open_data(source, kind="counts", options={"validation": 0, "test": 0, **options})


def rows(data):
    return data.batch().tensor.numpy()


# --- forms ----------------------------------------------------------------------------------------------------------
def write_10x(folder, packed):
    folder.mkdir()
    end, opener = (".gz", gzip.open) if packed else ("", open)
    io.mmwrite(folder / "matrix.mtx", sparse.coo_array(X.T.astype(int)))
    if packed:
        with gzip.open(folder / "matrix.mtx.gz", "wb") as file:
            file.write((folder / "matrix.mtx").read_bytes())
        (folder / "matrix.mtx").unlink()
    with opener(folder / f"features.tsv{end}", "wt") as file:
        file.writelines(f"ENSG{i}\t{g}\tGene Expression\n" for i, g in enumerate(GENES))
    with opener(folder / f"barcodes.tsv{end}", "wt") as file:
        file.writelines(f"{c}\n" for c in CELLS)
    return folder


def write_10x_h5(path):
    held = sparse.csr_array(X)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(held, name)
        group["shape"] = np.array(X.T.shape)
        group["barcodes"] = np.array(CELLS, "S")
        features = group.create_group("features")
        features["id"], features["name"] = np.array([f"ENSG{i}" for i in range(5)], "S"), np.array(GENES, "S")
    return path


def sources(tmp_path):
    data_of().write_h5ad(tmp_path / "dense.h5ad")
    data_of(sparse.csr_matrix(X.astype(np.float32))).write_h5ad(tmp_path / "sparse.h5ad")
    data_of(sparse.csc_matrix(X.astype(np.float32))).write_h5ad(tmp_path / "columns.h5ad")
    frame = pd.DataFrame(X, index=list(CELLS), columns=list(GENES))
    frame.to_csv(tmp_path / "cells.csv")
    with h5py.File(tmp_path / "x.loom", "w") as file:
        file["matrix"] = X.T.astype(np.float32)
        file["row_attrs/Gene"], file["col_attrs/CellID"] = np.array(GENES, "S"), np.array(CELLS, "S")
    yield from (tmp_path / f"{n}.h5ad" for n in ("dense", "sparse", "columns"))
    yield data_of()
    yield write_10x(tmp_path / "plain", packed=False)
    yield write_10x(tmp_path / "packed", packed=True)
    yield write_10x_h5(tmp_path / "x.h5")
    yield tmp_path / "x.loom"
    yield tmp_path / "cells.csv"
    yield frame.astype(pd.SparseDtype(int, 0))


def test_every_form_holds_the_same_counts_and_names(tmp_path):
    for source in sources(tmp_path):
        data = opened(source)
        assert np.array_equal(rows(data), X), source
        assert data.schema.columns == GENES, source
        assert tuple(data.index) == CELLS, source


def test_files_and_frames_of_counts_are_recognised(tmp_path):
    for source in sources(tmp_path):
        if not str(source).endswith(".csv"):
            assert detect_kind(source) == "counts"


def test_matrices_without_names_have_numbers(tmp_path):
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_array(X))
    for source in (sparse.csr_array(X), sparse.csc_matrix(X), tmp_path / "x.npz"):
        data = opened(source)
        assert np.array_equal(rows(data), X)
        assert data.schema.columns == tuple(range(5))
        assert np.array_equal(data.decode(data.batch().x).toarray(), X)


def test_rows_stay_sparse_and_become_dense_for_a_step_alone():
    data = opened(sparse.random_array((300, 400), density=0.02, rng=np.random.default_rng(0)).astype(bool) * 1)
    assert data.rows.nbytes < data.rows.dense_nbytes / 4
    assert data.batch([3, 5]).tensor.shape == (2, 400)


def test_counts_on_disk_stay_there(tmp_path):
    of_dense([X], 5).save(tmp_path / "m")
    data = opened(tmp_path / "m")
    assert isinstance(data.rows.matrix.indices, np.memmap)
    assert not data.rows.in_memory
    assert np.array_equal(rows(data), X)


def test_genes_may_be_the_rows_of_a_table(tmp_path):
    pd.DataFrame(X.T, index=list(GENES), columns=list(CELLS)).to_csv(tmp_path / "x.csv")
    data = opened(tmp_path / "x.csv", genes="rows")
    assert np.array_equal(rows(data), X)
    assert data.schema.columns == GENES


def test_repeated_entries_are_added_and_do_not_wrap_around(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"] = np.array([200, 100, 7], np.uint8), np.array([1, 1, 0])
        group["indptr"], group["shape"] = np.array([0, 3]), np.array([2, 1])
        group["barcodes"], group["features/id"] = np.array(["c"], "S"), np.array(["a", "b"], "S")
    assert rows(opened(tmp_path / "x.h5")).tolist() == [[7, 300]]


# --- where counts are -----------------------------------------------------------------------------------------------
def test_raw_counts_are_found_in_a_layer_and_in_raw(tmp_path):
    layered = data_of(log_normalised(), layers={"counts": X})
    held = data_of(log_normalised())
    held.raw = data_of()
    for source, place in ((layered, "layers/counts"), (held, "raw/X")):
        source.write_h5ad(tmp_path / "x.h5ad")
        for one in (source, tmp_path / "x.h5ad"):
            data = opened(one)
            assert np.array_equal(rows(data), X)
            assert data.schema.details.place == place


def test_a_layer_may_be_named(tmp_path):
    source = data_of(layers={"spliced": X * 2})
    source.write_h5ad(tmp_path / "x.h5ad")
    for one in (source, tmp_path / "x.h5ad"):
        assert np.array_equal(rows(opened(one, layer="spliced")), X * 2)
        with pytest.raises(InputError, match="no layer 'splicd'"):
            opened(one, layer="splicd")


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (log_normalised(), r"log\(1 \+ x\)"), (X - X.mean(0), "negative"), (X + 0.5, "fractions"),
        (np.where(X == 0, np.nan, X), "NaN"), (X / np.maximum(1, X.sum(1, keepdims=True)) * 100, "scaled to"),
    ],
)
def test_what_is_no_counts_is_refused_with_the_reason(tmp_path, x, why):
    source = data_of(x)
    source.write_h5ad(tmp_path / "x.h5ad")
    for one in (source, tmp_path / "x.h5ad", x):
        with pytest.raises(InputError, match=why) as err:
            opened(one)
        assert "layer=NAME" in str(err.value)


def test_a_fraction_behind_what_is_looked_at_is_found(tmp_path):
    from senzai.data.counts import recognising

    x = np.ones((recognising.LOOKED_AT // 4, 5), np.float32)
    x[-1, -1] = 1.5
    with pytest.raises(InputError, match="fractions"):
        opened(sparse.csr_array(x))


def test_whole_numbers_of_any_type_are_counts():
    assert are_counts(np.array([0, 2], np.int64))
    assert not are_counts(np.array(["1"]))
    assert compact(np.array([3.0, 255.0])).dtype == np.uint8
    assert compact(np.array([3.0, 256.0])).dtype == np.uint16
    assert compact(np.array([70000.0])).dtype == np.uint32


# --- hostile and damaged files --------------------------------------------------------------------------------------
def test_a_header_that_announces_ten_gigabytes_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file.attrs["encoding-type"] = "anndata"
        file.create_dataset("X", shape=(100_000, 25_000), chunks=(100, 100), dtype="f4", compression="gzip")
    with pytest.raises(InputError, match="damaged"):
        opened(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "y.h5ad", "w") as file:  # a file so large that it could hold it, but the part is empty
        file.attrs["encoding-type"] = "anndata"
        file.create_dataset("noise", data=np.random.default_rng(0).integers(0, 256, 2**20, dtype=np.uint8))
        file.create_dataset("X", shape=(10_000, 1_000), chunks=(100, 100), dtype="f4", compression="gzip")
    with pytest.raises(InputError, match=r"announces .* and has"):
        opened(tmp_path / "y.h5ad")
    folder = write_10x(tmp_path / "f", packed=False)
    head = "%%MatrixMarket matrix coordinate integer general"
    (folder / "matrix.mtx").write_text(f"{head}\n30000 800000 2000000000\n1 1 1\n")
    with pytest.raises(InputError, match="can hold"):
        opened(folder)


@pytest.mark.parametrize("name", ["x.h5ad", "x.h5", "x.loom"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    with pytest.raises(InputError, match=name):
        opened(tmp_path / name)


def test_names_and_counts_must_fit(tmp_path):
    folder = write_10x(tmp_path / "f", packed=False)
    (folder / "barcodes.tsv").write_text("one\n")
    with pytest.raises(InputError, match="names for 1 x 5"):
        opened(folder)
    (folder / "matrix.mtx").unlink()
    with pytest.raises(InputError, match=r"no matrix\.mtx"):
        opened(folder)


def test_two_genes_of_one_name_are_refused():
    frame = pd.DataFrame(X, columns=["a", "a", "b", "c", "d"])
    with pytest.raises(InputError, match="share one"):
        opened(frame)


def test_the_extra_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "x.h5ad").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"senzai\[cells\]"):
        opened(tmp_path / "x.h5ad")


# --- facts ----------------------------------------------------------------------------------------------------------
def test_batches_are_classes_and_numbers_are_numbers():
    data = opened(data_of(), condition="batch,depth", label="type")
    assert data.schema.condition.names == ("batch", "depth")
    assert data.batch().c[:, :2].tolist() == [[1.0, 0.0], [0.0, 1.0]] * 6
    assert torch.allclose(data.batch().c[:, 2].mean(), torch.zeros(()), atol=1e-6)
    assert data.schema.label.classes == ("B", "T")
    assert data.batch([0, 1]).y.tolist() == [1, 0]


def test_a_condition_may_be_replaced_in_part():
    data = opened(data_of(), condition="depth,batch")
    c = data.batch().c
    moved = KINDS["counts"].moved(c, {"batch": "b"}, data.schema)
    assert torch.equal(moved[:, 0], c[:, 0])
    assert moved[:, 1:].tolist() == [[0.0, 1.0]] * 12
    with pytest.raises(SettingError, match="classes a, b"):
        KINDS["counts"].moved(c, {"batch": "z"}, data.schema)


def test_a_fact_that_is_missing_or_unknown_is_refused():
    source = data_of()
    with pytest.raises(InputError, match="Did you mean 'batch'"):
        opened(source, condition="bach")
    source.obs.loc["cell-3", "batch"] = None
    with pytest.raises(InputError, match="no 'batch'"):
        opened(source, condition="batch")


def test_rows_of_one_group_stay_together():
    data = opened(data_of(), groups="type", test=0.5)
    parts = data.split_indices()
    types = data_of().obs["type"].to_numpy()
    assert not set(types[parts["train"]]) & set(types[parts["test"]])


# --- a model's genes ------------------------------------------------------------------------------------------------
def test_genes_come_in_the_models_order_and_none_may_be_missing():
    schema = opened(data_of()).schema
    turned = data_of()[:, ::-1].copy()
    assert np.array_equal(open_data(turned, schema=schema).batch().tensor.numpy(), X)
    less = data_of()[:, [0, 1, 3, 4]].copy()
    with pytest.raises(ShapeError, match="lacks 1 of them, such as '007'"):
        open_data(less, schema=schema)
    kept = open_data(less, schema=schema, options={"missing": "keep"}).batch()
    assert kept.mask[:, 2].sum() == 0
    assert kept.mask.sum() == 48
    assert np.array_equal(kept.tensor.numpy()[:, 3:], X[:, 3:])


def test_rows_come_back_as_they_were(tmp_path):
    source = data_of()
    data = opened(source, condition="batch")
    back = data.decode(data.batch().x)
    assert np.array_equal(back.X.toarray(), X)
    assert tuple(back.var_names) == GENES
    assert tuple(back.obs_names) == CELLS
    assert back.obs["type"].tolist() == source.obs["type"].tolist()
    data.kind.write(back, tmp_path / "x.h5ad", data.schema)
    again = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert tuple(again.var_names) == GENES
    assert np.array_equal(again.X.toarray(), X)
    for suffix in (".csv", ".npz"):
        data.kind.write(back, tmp_path / f"x{suffix}", data.schema)
    assert pd.read_csv(tmp_path / "x.csv", index_col=0).columns.tolist() == list(GENES)
    with pytest.raises(InputError, match=r"\.h5ad"):
        data.kind.write(back, tmp_path / "x.png", data.schema)


def test_plain_values_are_rows():
    data = opened(pd.DataFrame(X, columns=list(GENES)))
    kind, schema = data.kind, data.schema
    assert kind.to_json(data.decode(data.batch().x), schema) == X.tolist()
    frame = kind.from_json([{"CD3D": 2}, {"007": 1}], schema)
    assert open_data(frame, schema=schema).batch().tensor.tolist() == [[2, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    with pytest.raises(InputError, match="is none"):
        kind.from_json([{"CD4": 2}], schema)
