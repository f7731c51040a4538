"""What lies under the mask of an array is missing and never data, whatever sort of array it is."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import senzai
from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.estimators import VAEImputer, VAETransformer

RNG = np.random.default_rng(3)
GONE = RNG.random((60, 3)) < 0.2
JUNK = {"f": -9999.0, "i": 77, "u": 77, "b": True}


def masked(x, gone, junk=None):
    """An array with a value under its mask that must never be seen."""
    junk = JUNK[x.dtype.kind] if junk is None else junk
    return np.ma.masked_array(np.where(gone, np.array(junk).astype(x.dtype), x), mask=gone)


@pytest.mark.parametrize(
    "x",
    [
        RNG.normal(size=(60, 3)), RNG.normal(size=(60, 3)).astype(np.float32), RNG.integers(0, 9, (60, 3)),
        RNG.integers(-5, 5, (60, 3)).astype(np.int16), RNG.random((60, 3)) < 0.5,
        RNG.integers(0, 30, (60, 3)).astype(np.uint8),
    ],
    ids=lambda x: x.dtype.name,
)
def test_masked_arrays_are_arrays_with_holes(x):
    data = open_data(masked(x, GONE))
    batch = data.batch()
    assert torch.equal(batch.mask, torch.from_numpy(~GONE))
    assert data.schema.dtype == x.dtype.name
    back = data.decode(batch.x)
    assert back.dtype == x.dtype
    np.testing.assert_allclose(back[~GONE], x[~GONE], rtol=1e-6)
    holes = np.where(GONE, np.nan, x.astype(float))
    other = open_data(holes, options={"missing": "keep"})
    usual = other.schema.values, other.schema.n_levels
    assert (data.schema.values, data.schema.n_levels) == (("levels", 30) if x.dtype == np.uint8 else usual)
    assert torch.equal(torch.where(batch.mask, batch.x, 0), torch.where(other.batch().mask, other.batch().x, 0))
    assert any(f"{GONE.sum()} entries of the MaskedArray are under its mask" in r for r in data.schema.reasons)


def test_a_mask_that_hides_nothing_changes_nothing():
    x = RNG.normal(size=(20, 3))
    data = open_data(np.ma.masked_array(x, mask=False))
    assert data.batch().mask is None
    assert data.schema.fingerprint == open_data(x).schema.fingerprint


def test_what_is_not_under_the_mask_must_still_be_finite():
    x = RNG.normal(size=(60, 3))
    row = int(np.flatnonzero(~GONE[:, 1])[0])
    x[row, 1] = np.nan
    with pytest.raises(InputError, match=f"1 is not: row {row}, column 1 is nan"):
        open_data(masked(x, GONE))
    hidden = np.where(GONE, np.inf, np.nan_to_num(x))
    assert open_data(np.ma.masked_array(hidden, mask=GONE)).batch().mask is not None
    both = open_data(masked(x, GONE), options={"missing": "keep"}).batch().mask
    assert int((~both).sum()) == GONE.sum() + 1


def test_masked_pictures():
    x = RNG.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    gone = RNG.random((20, 8, 8)) < 0.1
    data = open_data(masked(x, gone))
    assert (data.schema.kind, data.schema.n_levels, data.schema.dtype) == ("images", 256, "uint8")
    assert torch.equal(data.batch().mask, torch.from_numpy(~gone).unsqueeze(1))
    assert np.array_equal(data.decode(data.batch().x)[~gone], x[~gone])


def test_masked_ends_of_sequences_are_their_ends():
    x = RNG.normal(size=(9, 5, 2))
    ends = RNG.integers(1, 6, 9)
    gone = np.broadcast_to((np.arange(5) >= ends[:, None])[..., None], x.shape)
    assert open_data(masked(x, gone)).batch().lengths.tolist() == ends.tolist()


@pytest.mark.parametrize("y", [np.arange(60) % 3, np.array(["a", "b", "c"] * 20), (np.arange(60) % 2).astype(float)])
def test_masked_labels_are_rows_without_a_label(y):
    gone = np.arange(60) < 7
    data = open_data((RNG.normal(size=(60, 3)), np.ma.masked_array(y, mask=gone)))
    assert data.schema.label.classes == tuple(sorted(set(y[~gone].tolist())))
    assert torch.equal(data.batch().y_known, torch.from_numpy(~gone))


def test_rows_with_masks_in_a_list():
    rows = [np.ma.masked_array([1.5, -9999.0], mask=[0, 1]), np.array([2.5, 3.5]), np.ma.masked_array([4.0, 5.0])]
    for source in (rows, list(map(np.ma.asarray, rows))):
        assert open_data(source).batch().mask.tolist() == [[True, False], [True, True], [True, True]]

    class Rows:
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return rows[i]

    assert open_data(Rows()).batch().mask.tolist() == [[True, False], [True, True], [True, True]]


def test_masked_arrays_as_tables():
    x = RNG.integers(0, 5, (60, 3))
    seen = open_data(masked(x, GONE), kind="table").batch().mask
    assert np.array_equal(seen.numpy().reshape(60, -1)[:, :3], ~GONE)


def test_masked_records_as_tables():
    made = np.ma.array(
        [(i % 7, i / 2) for i in range(60)], mask=[(i < 5, i > 50) for i in range(60)], dtype=[("a", int), ("b", float)]
    )
    data = open_data(made, kind="table")
    back = data.decode(data.batch().x)
    assert list(back.columns) == ["a", "b"]
    assert np.array_equal(data.batch().mask.numpy(), np.array([(i >= 5, i <= 50) for i in range(60)]))
    with pytest.raises(InputError, match="values of the type"):
        open_data(made)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]", "double[pyarrow]", "boolean"])
def test_nullable_columns_in_arrays(dtype):
    values = [True, None, False] if dtype == "boolean" else [1, None, 4]
    frame = pd.DataFrame({"a": pd.array(values * 20, dtype=dtype), "b": np.arange(60) / 7})
    with pytest.raises(InputError, match=r"20 are not: row 1, column 'a' is nan"):
        open_data(frame, kind="array")
    data = open_data(frame, kind="array", options={"missing": "keep"})
    assert data.batch().mask[:, 0].tolist() == [True, False, True] * 20
    assert data.batch().mask[:, 1].all()


def test_objects_are_refused_with_none_among_them():
    with pytest.raises(InputError, match="text or Python objects"):
        open_data(np.array([[1, None], [2.5, 3]], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        open_data([[1, None], [2.5, 3]])


@pytest.mark.parametrize(
    ("make", "way"),
    [
        (lambda: scipy.sparse.eye(5, format="csr"), "toarray"), (lambda: torch.eye(5).to_sparse(), "to_dense"),
        (lambda: torch.eye(5).to_sparse_csr(), "to_dense"),
        (lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "padded"),
        (lambda: (scipy.sparse.eye(5, format="csr"), np.arange(5)), "toarray"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch warns of its own prototypes
def test_arrays_that_are_not_dense_are_refused(make, way):
    with pytest.raises(InputError, match=f"dense array.*({way})"):
        open_data(make())


def test_estimators_take_masks_for_holes():
    x = masked(RNG.normal(size=(60, 3)), GONE)
    filled = VAEImputer(steps=5).fit_transform(x)
    assert np.abs(filled).max() < 100
    np.testing.assert_allclose(filled[~GONE], x.data[~GONE], rtol=1e-6)
    with pytest.raises(ValueError, match="NaN"):
        VAETransformer(steps=5).fit(x)


def test_a_model_never_sees_what_lies_under_the_mask():
    x = RNG.normal(size=(120, 3))
    gone = RNG.random((120, 3)) < 0.2
    made = [senzai.fit(masked(x, gone, junk), steps=5, n_latent=2, progress=False) for junk in (-9999.0, 1e30)]
    codes = [run.encode(masked(x, gone, junk)) for run, junk in zip(made, (3.0, -7e9), strict=True)]
    assert np.array_equal(codes[0], codes[1])
    assert abs(made[0].sample(200, seed=0)).max() < 100
