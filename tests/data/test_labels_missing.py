"""Rows without a label, however a user marks them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.data import open_data
from senzai.data.labels import encode_labels, make_label

X = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(("y", "classes", "known"), [
    (np.array([0, 1, -1, 1, -1, 0]), (0, 1), [1, 1, 0, 1, 0, 1]),
    (np.array([0.0, 1, np.nan, 2, 1, 0]), (0, 1, 2), [1, 1, 0, 1, 1, 1]),
    (np.array(["b", "", "a", "a", "  ", "b"]), ("a", "b"), [1, 0, 1, 1, 0, 1]),
    (np.array(["b", None, "a", float("nan"), "", "b"], dtype=object), ("a", "b"), [1, 0, 1, 0, 0, 1]),
    (np.array([-1, 1, 1, -1, 1, 1]), (-1, 1), [1, 1, 1, 1, 1, 1]),
    (np.array([-1, 3, 5, -1, 3, 5]), (-1, 3, 5), [1, 1, 1, 1, 1, 1]),
    (pd.Series([1, pd.NA, 0, 1, pd.NA, 0], dtype="Int64"), (0, 1), [1, 0, 1, 1, 0, 1]),
    (pd.Series(["u", None, "v", "u", "v", None], dtype="string"), ("u", "v"), [1, 0, 1, 1, 1, 0]),
    ([0, 1, None, 1, None, 0], (0, 1), [1, 1, 0, 1, 0, 1]),
], ids=str)
def test_rows_without_a_label_are_unlabelled(y, classes, known):
    data = open_data((X, y))
    assert data.schema.label.classes == classes
    got = data.batch().y_known
    assert ([True] * 6 if got is None else got.tolist()) == [bool(v) for v in known]
    if got is not None:
        assert any("unlabelled" in r for r in data.schema.reasons)


def test_another_value_can_stand_for_none():
    assert make_label(np.array([9, 1, 2, 9]), "y", 9).classes == (1, 2)
    assert make_label(np.array(["?", "b"]), "y", "?").classes == ("b",)
    assert make_label(np.array([0, 1, -1]), "y", "never").classes == (-1, 0, 1)
    data = open_data((X, np.array([9, 1, 2, 9, 1, 2])), options={"unlabelled": "9"})
    assert data.batch().y_known.tolist() == [False, True, True, False, True, True]


def test_classes_of_a_model_stay_what_they_are_in_other_data():
    label = make_label(np.array([0, 1, 2, -1]), "y")
    targets = encode_labels(np.array([-1, 2, 7]), label)
    assert targets.known.tolist() == [False, True, False]
