"""What cannot work is refused: the rule, what came, the way out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, UserError
from senzai.data import open_data


def nan_at(*places):
    x = np.ones((9, 4)) * np.arange(4)
    for place in places:
        x[place] = np.nan
    return x


CASES = {
    "no rows": (np.zeros((0, 3)), r"at least one row.*\(0, 3\)"),
    "no columns": (np.zeros((3, 0)), r"at least one row and one feature.*\(3, 0\)"),
    "empty list": ([], "Known: .*array"),
    "one dimension": (np.arange(5.0), r"rows and features.*\(5,\).*x\[:, None\].*x\[None\]"),
    "one number": (np.array(5.0), "rows and features"),
    "ragged": ([[1, 2], [3]], r"same shape.*\(1,\), \(2,\).*[Cc]ut or pad"),
    "ragged arrays": ([np.zeros((2, 2)), np.zeros((3, 2))], r"same shape.*\(2, 2\), \(3, 2\)"),
    "text": (np.array([["a", "b"], ["c", "d"]]), "real numbers.*text"),
    "objects": (np.array([[1, None], [2, 3]], dtype=object), "real numbers.*object"),
    "complex": (np.ones((3, 2)) * 1j, "real numbers.*complex128"),
    "dates": (np.zeros((3, 2), "datetime64[s]"), "real numbers.*datetime64"),
    "nan": (nan_at((3, 1)), "finite, but 1 is not: row 3, column 1 is nan.*count from 0.*missing='keep'"),
    "nans": (nan_at((3, 1), (4, 0), (8, 3), (8, 0)), r"4 are not: row 3, column 1.*; row 4, .*; row 8, .*; \.\.\."),
    "inf": (np.array([[1.0, np.inf]]), "row 0, column 1 is inf"),
    "nan in a frame": (pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, None]}), "row 1, column 'b' is nan"),
    "nan in an image": (np.full((2, 8, 8), np.nan), "128 are not: row 0, position 0, 0 is nan"),
    "huge": (np.array([[1.0, 1e39], [2.0, 3.0]]), "32-bit numbers.*1e\\+39.*Rescale"),
    "text column": (pd.DataFrame({"a": [1], "b": ["x"]}), "'b' .*Drop or encode.*label=COLUMN"),
    "date column": (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "datetime64"),
    "complex column": (pd.DataFrame({"a": [1j]}), "complex128"),
    "columns twice": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "different, but.*'a'.*more than once"),
    "empty frame": (pd.DataFrame(), "needs rows and columns"),
    "no data": (None, "of a known kind, but got a NoneType"),
    "a number": (3, "of a known kind, but got a int"),
    "list of paths": ([Path("a"), Path("b")], "of a known kind"),
    "a dictionary": ({"x": np.eye(3)}, "of a known kind, but got a dict"),
    "too few labels": ((np.eye(3), [1, 2]), "one label per row.*3 rows and 2 labels"),
    "labels with fractions": ((np.eye(3), [1.5, 2, 3]), "classes, but 'label' has 1.5.*leave the label out"),
    "one-hot labels": ((np.eye(6).reshape(3, 3, 4), np.eye(3)), "one class per row.*argmax"),
}


OF_NUMBERS = ("nan in a frame", "text column", "date column", "complex column")
"""Frames that are asked to be arrays; as tables they are welcome."""


@pytest.mark.parametrize("name", CASES)
def test_data_in_memory(name):
    source, message = CASES[name]
    with pytest.raises(InputError, match=message) as caught:
        open_data(source, kind="array" if name in OF_NUMBERS else None)
    assert caught.value.exit_code == 2


def test_missing_entries_everywhere():
    with pytest.raises(InputError, match="at least one observed value"):
        open_data(np.full((3, 2), np.nan), options={"missing": "keep"})
    with pytest.raises(InputError, match="column 1 is inf"):
        open_data(np.array([[np.nan, np.inf]]), options={"missing": "keep"})


def test_missing_entries_for_a_model():
    schema = open_data(np.random.default_rng(0).normal(size=(5, 4))).schema
    with pytest.raises(InputError, match="row 3, column 1 is nan"):
        open_data(nan_at((3, 1)), schema=schema)
    assert open_data(nan_at((3, 1)), schema=schema, options={"missing": "keep"}).batch().observed is not None


def test_no_such_file(tmp_path):
    np.save(tmp_path / "train.npy", np.eye(3))
    with pytest.raises(InputError, match=r"no .*trian.npy'.*Did you mean 'train.npy'"):
        open_data(tmp_path / "trian.npy")
    with pytest.raises(InputError, match=r"Did you mean.*'digits'"):
        open_data("digit")
    with pytest.raises(InputError, match="Check the path"):
        open_data(tmp_path / "nowhere" / "x.npy")


def test_unknown_files(tmp_path):
    (tmp_path / "a.foo").write_text("?")
    with pytest.raises(InputError, match=r"known kind, but got '.*a\.foo'.*array.*images.*kind="):
        open_data(tmp_path / "a.foo")
    with pytest.raises(UserError):
        open_data(tmp_path / "a.foo", kind="array")
    with pytest.raises(InputError, match=r"but got 'a.foo'"):
        open_data(tmp_path / "a.foo", kind="images")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "a.psd").write_text("?")
    with pytest.raises(InputError, match=r"holds \.psd \(1\).*png.*kind="):
        open_data(tmp_path)
    with pytest.raises(InputError, match=r"folder. Name the file"):
        open_data(tmp_path, kind="array")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="holds nothing"):
        open_data(tmp_path / "none")


def test_archives(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.eye(3), b=np.eye(3))
    with pytest.raises(InputError, match=r"m\.npz' has a, b\. Choose one with the option key=NAME"):
        open_data(tmp_path / "m.npz")
    with pytest.raises(InputError, match="arrays a, b, but got key='c'"):
        open_data(tmp_path / "m.npz", options={"key": "c"})
    assert open_data(tmp_path / "m.npz", options={"key": "b"}).schema.values == "binary"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickles_are_refused(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    x = np.array([[1, None]], dtype=object)
    np.save(path, x, allow_pickle=True) if suffix == ".npy" else np.savez(path, x=x)
    with pytest.raises(InputError, match=r"refused, because reading them could run code.*np.stack"):
        open_data(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_arrays(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    np.save(path, np.eye(300)) if suffix == ".npy" else np.savez(path, x=np.eye(300))
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"hello"):
        path.write_bytes(part)
        with pytest.raises(InputError, match=f"d{suffix}' must be a whole file"):
            open_data(path)


def test_tables(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4,5\n")
    with pytest.raises(InputError, match="same number of cells"):
        open_data(tmp_path / "t.csv", kind="array")
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(InputError, match="must be a table"):
        open_data(tmp_path / "t.csv", kind="array")
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,2\n")
    with pytest.raises(InputError, match="UTF-8"):
        open_data(tmp_path / "t.csv", kind="array")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n,4\n")
    with pytest.raises(InputError, match="row 1, column 'a' is nan"):
        open_data(tmp_path / "t.csv", kind="array")
    with pytest.raises(InputError, match=r"no column 'bb' for the label. Did you mean 'b'"):
        open_data(tmp_path / "t.csv", kind="array", options={"label": "bb"})


def test_a_label_that_has_no_place():
    with pytest.raises(InputError, match=r"label='y' names.*Give the labels as"):
        open_data(np.eye(3), options={"label": "y"})


def test_unknown_output(tmp_path):
    data = open_data(np.random.default_rng(0).normal(size=(3, 2, 2)), kind="array")
    with pytest.raises(InputError, match=r"\.npy, \.npz, \.csv or \.tsv, but got 'o\.xls'"):
        data.kind.write(data.decode(data.batch().x), tmp_path / "o.xls", data.schema)
    with pytest.raises(InputError, match="table has two dimensions"):
        data.kind.write(data.decode(data.batch().x), tmp_path / "o.csv", data.schema)
    assert list(tmp_path.iterdir()) == []
