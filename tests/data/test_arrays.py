"""Arrays, tensors and DataFrames come back bit for bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.data.facts import GRIDS, grid_table

SHAPES = hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=5)


def comes_back(source, **options):
    data = open_data(source, options=options, kind="array")
    back = data.decode(data.batch().x)
    x = source[0] if isinstance(source, tuple) else source
    assert type(back) is type(x)
    if isinstance(x, pd.DataFrame):
        pd.testing.assert_frame_equal(back, x)
    elif isinstance(x, torch.Tensor):
        assert back.dtype == x.dtype
        assert torch.equal(back, x)
    else:
        assert back.dtype == x.dtype
        assert np.array_equal(back, x)
    return data


@given(st.data(), st.sampled_from(["uint8", "bool", "int8", "int16", "uint16", "float16", "float32"]))
def test_every_value_of_a_small_dtype_comes_back(draw, dtype):
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else {}
    elements = hnp.from_dtype(np.dtype(dtype), **finite)
    x = draw.draw(hnp.arrays(dtype, SHAPES, elements=elements))
    comes_back(x)


@given(st.data(), st.sampled_from(["int32", "int64", "uint32", "uint64", "float64"]))
def test_wide_whole_numbers_come_back_up_to_24_bits(draw, dtype):
    low = 0 if dtype.startswith("u") else -(2**24)
    x = draw.draw(hnp.arrays(dtype, SHAPES, elements=st.integers(low, 2**24).map(float if dtype == "float64" else int)))
    comes_back(x)


@given(st.data(), st.integers(0, 4))
def test_decimals_come_back_from_doubles(draw, d):
    top = 2**22 // 10**d
    x = draw.draw(hnp.arrays("float64", (4, 3), elements=st.integers(-top, top).map(lambda k: round(k + 1 / 3, d))))
    comes_back(x)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_eight_bit_values_stored_as_floats_come_back(grid, dtype):
    x = grid_table(grid, dtype).reshape(64, 4)
    if x.max() > 1:
        pytest.skip("this rounding leaves [0, 1]")
    data = comes_back(x)
    assert (data.schema.values, data.schema.n_levels, data.schema.value_scale) == ("levels", 256, 255)
    assert data.batch().x.flatten().tolist() == list(range(256))
    assert any("k/255" in r for r in data.schema.reasons)


def test_doubles_that_float32_cannot_hold_come_back_to_seven_digits():
    x = np.random.default_rng(0).normal(size=(20, 3))
    data = open_data(x)
    back = data.decode(data.batch().x)
    assert back.dtype == x.dtype
    np.testing.assert_allclose(back, x, rtol=1e-7)
    assert any("seven digits" in r for r in data.schema.reasons)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int64, torch.uint8, torch.bool])
def test_tensors(dtype):
    data = comes_back(torch.arange(12).remainder(5).reshape(6, 2).to(dtype))
    assert data.schema.form == "torch"


def test_a_frame_keeps_names_order_dtypes_and_index():
    frame = pd.DataFrame(
        {"b": np.array([1, 2, 3], "int8"), "a": [0.5, 1.25, -3.0], "c": pd.array([1, 2, 3], "Int64")},
        index=["r0", "r1", "r2"],
    )
    frame["d"] = [True, False, True]
    data = comes_back(frame)
    assert data.schema.columns == ("b", "a", "c", "d")
    half = data.kind.decode(data.batch([1]).x, data.schema)
    assert half.index.tolist() == [0]


def test_a_frame_without_names_keeps_its_numbers():
    comes_back(pd.DataFrame(np.arange(6.0).reshape(3, 2)))


def test_model_output_is_rounded_and_clipped_to_what_the_user_can_have():
    data = open_data(np.array([[0, 3], [7, 255]], dtype=np.uint8))
    assert data.decode(torch.tensor([[-4.0, 3.4], [254.6, 900.0]])).tolist() == [[0, 3], [255, 255]]
    soft = data.decode(torch.tensor([[1.25, 3.5]]), soft=True)
    assert soft.dtype == np.float32
    assert soft.tolist() == [[1.25, 3.5]]


def test_whole_number_columns_of_doubles_come_back_whole():
    data = open_data(np.array([[1.0, 0.25], [2.0, 0.5], [-3.0, 0.75]]))
    assert data.decode(torch.tensor([[1.4, 0.333]])).tolist() == [[1.0, 0.33]]


def test_numbers_that_are_not_finite_do_not_become_integers():
    data = open_data(np.array([[-1, 3], [7, 255]]))
    with pytest.raises(InputError, match=r"finite.*int64"):
        data.decode(torch.tensor([[float("nan"), 1.0]]))


@pytest.mark.parametrize(
    ("x", "values", "n_levels", "scale", "torch_dtype"),
    [
        (np.array([[0, 1], [1, 0]]), "binary", 2, 1, torch.uint8),
        (np.array([[False, True]]), "binary", 2, 1, torch.uint8),
        (np.array([[0, 255], [255, 0]], dtype=np.uint8), "binary", 2, 1 / 255, torch.uint8),
        (np.array([[0, 9], [3, 2]], dtype=np.uint8), "levels", 10, 1, torch.uint8),
        (np.array([[0, 99], [3, 2]], dtype=np.uint8), "levels", 256, 1, torch.uint8),
        (np.array([[0, 9], [3, 2]]), "count", None, 1, torch.float32),
        (np.array([[0.0, 900.0], [3, 2]]), "count", None, 1, torch.float32),
        (np.array([[0, 255], [3, 2]]), "levels", 256, 1, torch.uint8),
        (np.array([[0, 9], [-3, 2]]), "real", None, 1, torch.float32),
        (np.array([[0.0, 0.123], [0.5, 1]]), "unit", None, 1, torch.float32),
        (np.array([[0.2, 0.4], [0.6, 1]]), "unit", None, 1, torch.float32),
        (np.array([[0.0, 1.123], [0.5, 1]]), "real", None, 1, torch.float32),
    ],
)
def test_values_are_recognised(x, values, n_levels, scale, torch_dtype):
    data = comes_back(x)
    s = data.schema
    assert (s.values, s.n_levels, s.value_scale, data.batch().tensor.dtype) == (values, n_levels, scale, torch_dtype)


@pytest.mark.parametrize("values", ["unit", "levels", "count", "real"])
def test_the_user_decides(values):
    x = np.arange(0, 250, dtype=np.uint8).reshape(50, 5)
    data = comes_back(x, values=values)
    assert data.schema.values == values
    assert f"The option values={values!r} was given." in " ".join(data.schema.reasons)


def test_what_the_user_decides_must_hold():
    with pytest.raises(InputError, match=r"values='binary'.*only 0 and 1.*0 to 9.*leave the option out"):
        open_data(np.arange(10).reshape(5, 2), options={"values": "binary"})


def test_missing_entries_are_masked():
    x = np.array([[1.5, np.nan], [np.nan, 2.5], [3.5, 4.0]])
    data = open_data(x, options={"missing": "keep"})
    batch = data.batch()
    assert batch.observed.tolist() == [[True, False], [False, True], [True, True]]
    assert torch.isfinite(batch.tensor).all()
    assert any("2 entries are missing" in r for r in data.schema.reasons)
    again = open_data(x[:1], schema=data.schema)
    assert again.batch().observed.tolist() == [[True, False]]
    assert open_data(x[2:], schema=data.schema).batch().observed is None


def test_constant_columns_are_named():
    data = open_data(pd.DataFrame({"a": [1.5, 2.5, 3.1], "b": [7.0, 7.0, 7.0]}), kind="array")
    assert any("1 columns have one value only: b" in r for r in data.schema.reasons)
    assert any("nothing to learn" in r for r in open_data(np.full((4, 2), 3.5)).schema.reasons)


def test_mapped_arrays_give_the_same_rows(tmp_path):
    x = np.random.default_rng(1).normal(size=(40, 3, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    whole = open_data(tmp_path / "x.npy", options={"in_memory": True})
    mapped = open_data(tmp_path / "x.npy", options={"in_memory": False})
    assert (whole.rows.in_memory, mapped.rows.in_memory) == (True, False)
    assert whole.schema.but(reading={}) == mapped.schema.but(reading={})
    assert whole.rows.nbytes == mapped.rows.nbytes == x.nbytes
    index = [5, 3, 39, 3, 0]
    assert torch.equal(whole.batch(index).x, mapped.batch(index).x)
    with pytest.raises(IndexError):
        mapped.batch([40])


def test_labels_from_a_pair_a_file_and_a_column(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.array(list("abcabc"))
    np.savez(tmp_path / "d.npz", x=x, y=y)
    frame = pd.DataFrame(x, columns=["u", "v"]).assign(species=y)
    frame.to_csv(tmp_path / "d.csv", index=False)
    sets = [
        open_data((x, y)), open_data(tmp_path / "d.npz"), open_data(frame, options={"label": "species"}),
        open_data(tmp_path / "d.csv", options={"label": "species"}),
    ]
    for data in sets:
        assert data.schema.label.classes == ("a", "b", "c")
        assert data.batch().y.tolist() == [0, 1, 2, 0, 1, 2]
        assert data.schema.event_shape == (2,)
    assert sets[2].schema.label.name == "species"


def test_labels_of_other_data():
    x = np.random.default_rng(0).normal(size=(4, 2))
    schema = open_data((x, [3.0, 5.0, np.nan, 5.0])).schema
    assert schema.label.classes == (3, 5)
    batch = open_data((x, [5, 9, 3, 3]), schema=schema).batch()
    assert batch.y.tolist() == [1, 0, 0, 0]
    assert batch.y_known.tolist() == [True, False, True, True]
    assert open_data(x, schema=schema).batch().y is None


def test_a_csv_comes_back_as_a_frame_and_as_a_file(tmp_path):
    text = "a,b\n1,0.1\n2,0.25\n-3,17.5\n"
    (tmp_path / "t.csv").write_text(text)
    data = open_data(tmp_path / "t.csv")
    data.kind.write(data.decode(data.batch().x), tmp_path / "out.csv", data.schema)
    assert (tmp_path / "out.csv").read_text() == text


def test_a_csv_without_names_or_with_other_marks(tmp_path):
    (tmp_path / "t.csv").write_text("1;0.5\n2;0.25\n3;0.75\n")
    data = open_data(tmp_path / "t.csv", kind="array")
    assert data.schema.columns == (0, 1)
    assert len(data) == 3


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".tsv"])
def test_arrays_are_written_and_read_again(tmp_path, suffix):
    x = np.array([[0.5, 1.25], [2.0, -3.0]])
    data = open_data(x)
    data.kind.write(data.decode(data.batch().x), tmp_path / f"o{suffix}", data.schema)
    assert np.array_equal(np.asarray(open_data(tmp_path / f"o{suffix}", kind="array").batch().x), x)
    assert [p.name for p in tmp_path.iterdir()] == [f"o{suffix}"]


class Rowwise:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.full((3,), i + 0.5), i % 2


def test_lists_and_data_sets_of_rows():
    data = open_data(Rowwise(5))
    assert (data.schema.event_shape, data.schema.form, data.batch().y.tolist()) == ((3,), "torch", [0, 1, 0, 1, 0])
    rows = [np.array([1.5, 2.0]), np.array([0.5, -1.0]), np.array([2.5, 2.0])]
    assert np.array_equal(open_data(rows).decode(open_data(rows).batch().x), np.stack(rows))
    assert open_data([[1, 2], [3, 4], [5, 6]]).schema.event_shape == (2,)
