"""Sparse rows: what SciPy says they are, in memory and on disk, and the same model values as dense ones."""

from __future__ import annotations

import resource
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from scipy import sparse

from senzai.core.errors import InputError
from senzai.data.rows import MemoryRows
from senzai.data.sparse import Sparse, SparseRows, entries, of_scipy, read_sparse
from senzai.distributions import MultinomialGivenTotal


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.fixture
def matrix():
    return sparse.random_array((30, 11), density=0.2, format="csr", rng=np.random.default_rng(0), dtype=np.float64)


def test_rows_are_scipys(matrix):
    found, index = of_scipy(matrix, "x"), np.array([7, 0, 29, 7])
    assert np.array_equal(found.dense(index), matrix.toarray()[index].astype(np.float32))
    assert np.array_equal(found.rows_of(index).dense(np.arange(4)), found.dense(index))
    assert np.array_equal(found.counts, np.diff(matrix.indptr))
    assert np.allclose(found.scipy().toarray(), matrix.toarray())


def test_entries_are_chosen_by_a_mask(matrix):
    found = of_scipy(matrix, "x")
    keep = np.asarray(found.values) > 0.5
    whole = matrix.toarray()
    assert np.array_equal(found.where(keep).dense(np.arange(30)), np.where(whole > 0.5, whole, 0).astype(np.float32))


def test_repeated_entries_are_added_and_zeros_left_out():
    twice = sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [3, 3, 2])), shape=(2, 4))
    found = of_scipy(twice, "x")
    assert found.dense(np.arange(2)).tolist() == [[0, 0, 0, 3], [0, 0, 0, 0]]
    assert found.counts.tolist() == [1, 0]


def test_a_mapped_matrix_is_the_same_and_stays_on_disk(tmp_path, matrix):
    found = of_scipy(matrix, "x")
    found.save(tmp_path / "m")
    again = Sparse.mapped(tmp_path / "m")
    assert isinstance(again.indices, np.memmap)
    assert np.array_equal(again.dense(np.arange(30)), found.dense(np.arange(30)))
    rows = SparseRows(again, in_memory=False)
    assert torch.equal(rows.take(np.array([3])).x, torch.from_numpy(found.dense(np.array([3]), np.uint8)))


@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_files_of_scipy_are_read(tmp_path, matrix, layout):
    sparse.save_npz(tmp_path / "x.npz", matrix.asformat(layout))
    assert np.allclose(read_sparse(tmp_path / "x.npz").dense(np.arange(30)), matrix.toarray(), atol=1e-6)


@pytest.mark.parametrize("damage", ["pointer", "column", "shape"])
def test_a_damaged_file_is_refused(tmp_path, matrix, damage):
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr.copy(), "shape": matrix.shape}
    parts |= {"format": np.array(b"csr")}
    if damage == "pointer":
        parts["indptr"][3] = 10**6
    if damage == "column":
        parts["indices"] = parts["indices"] + 5
    if damage == "shape":
        parts["shape"] = (10**15, 11)
    np.savez(tmp_path / "x.npz", **parts)
    with pytest.raises(InputError, match=r"x\.npz"):
        read_sparse(tmp_path / "x.npz")


def test_nan_is_refused(matrix):
    matrix.data[2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        of_scipy(matrix, "x")


def test_sparse_and_dense_rows_have_the_same_loss():
    dense = (np.random.default_rng(1).random((20, 9)) < 0.3).astype(np.uint8)
    row, column = np.nonzero(dense)
    rows = (SparseRows(Sparse.of(row, column, shape=(20, 9))), MemoryRows(dense))
    p = MultinomialGivenTotal(torch.randn(9), 3)
    a, b = (p.log_prob(r.take(np.arange(20)).tensor) for r in rows)
    assert torch.equal(a, b)
    assert rows[0].take(np.arange(2)).tensor.dtype == rows[1].take(np.arange(2)).tensor.dtype == torch.uint8


def test_dense_bytes_are_those_of_all_zeros():
    rows = SparseRows(Sparse.of(np.array([0]), np.array([5]), shape=(1000, 4000)))
    assert rows.dense_nbytes == 4_000_000
    assert rows.nbytes < 10_000
    assert rows.at_once(1000, budget=40_000) == 10


def test_dense_rows_become_entries():
    x = np.array([[0, 2, 0], [1, 0, 1]])
    found = entries(MemoryRows(x), np.array([1, 0]))
    assert found.dense(np.arange(2)).tolist() == x[[1, 0]].tolist()


def test_a_file_that_announces_ten_gigabytes_takes_no_memory(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        parts = (("data", (10**9,), "<f4"), ("indices", (15 * 10**8,), "<i4"), ("indptr", (3,), "<i8"))
        for name, shape, kind in parts:
            head = BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": kind, "fortran_order": False, "shape": shape})
            archive.writestr(f"{name}.npy", head.getvalue() + bytes(64))
        for name, value in (("shape", np.array([2, 5])), ("format", np.array(b"csr"))):
            body = BytesIO()
            np.lib.format.write_array(body, value)
            archive.writestr(f"{name}.npy", body.getvalue())
    before = peak()
    with pytest.raises(InputError, match=r"x\.npz.*whole file"):
        read_sparse(path)
    assert peak() - before < 100 << 20


def test_a_folder_that_announces_more_than_it_holds_is_refused(tmp_path, matrix):
    of_scipy(matrix, "x").save(tmp_path / "m")
    with (tmp_path / "m" / "indices.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i4", "fortran_order": False, "shape": (25 * 10**8,)})
        file.write(bytes(64))
    with pytest.raises(InputError, match="whole file"):
        Sparse.mapped(tmp_path / "m")


def test_a_shape_that_does_not_fit_memory_is_refused(tmp_path):
    parts = {"data": np.ones(1), "indices": np.zeros(1, np.int32), "indptr": np.array([0, 1])}
    np.savez(tmp_path / "x.npz", **parts, shape=np.array([1, 10**12]), format=np.array(b"csr"))
    with pytest.raises(InputError, match=r"1 x 1000000000000, 8,000\.0 GB"):
        read_sparse(tmp_path / "x.npz")


def test_rows_of_many_zeros_stay_sparse_in_training():
    few = SparseRows(Sparse.of(np.arange(50), np.arange(50), shape=(50, 2000)))
    many = SparseRows(of_scipy(sparse.csr_array(np.ones((50, 20))), "x"))
    assert not few.better_dense
    assert many.better_dense
    assert SparseRows(few.matrix, in_memory=False).better_dense  # what is on disk is better read once
