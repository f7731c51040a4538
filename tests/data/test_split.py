"""The split is a partition, and the same one for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senzai.core.errors import InputError, SettingError
from senzai.data import Split, open_data, split
from senzai.data.split import first_of_permutation, permutation, split_indices

FRACTIONS = st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.45, 0.9])


@given(st.integers(3, 400), FRACTIONS, FRACTIONS, st.integers(0, 2**31))
def test_parts_are_disjoint_cover_and_are_never_empty_by_accident(n, validation, test, seed):
    if validation + test >= 1:
        return
    split = Split(seed=seed, validation=validation, test=test)
    parts = split_indices(n, split)
    assert list(parts) == ["train", "validation", "test"]
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(n))
    assert len(parts["train"]) >= 1
    assert (len(parts["validation"]) > 0) == (validation > 0)
    assert (len(parts["test"]) > 0) == (test > 0)


def test_the_permutation_never_changes():
    assert permutation(10, 0).tolist() == [3, 8, 5, 0, 1, 9, 6, 2, 7, 4]
    assert split_indices(20, Split(seed=7))["test"].tolist() == [10, 19]


def test_seeds_differ_and_repeat():
    a, b = (split_indices(100, Split(seed=s))["test"] for s in (1, 2))
    assert a.tolist() != b.tolist()
    assert a.tolist() == split_indices(100, Split(seed=1))["test"].tolist()


def test_a_data_set_splits_as_its_schema_says():
    x = np.random.default_rng(0).normal(size=(50, 3))
    data = open_data(x, options={"validation": 0.2, "test": 0, "seed": 3})
    parts = data.split_indices()
    assert [len(p) for p in parts.values()] == [40, 10, 0]
    again = open_data(x, schema=data.schema)
    assert all(np.array_equal(parts[k], v) for k, v in again.split_indices().items())


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows_to_split(n):
    data = open_data(np.arange(n * 2.0).reshape(n, 2))
    with pytest.raises(InputError, match=f"at least 3 rows.*but got {n}.*validation=0"):
        data.split_indices()


def test_fractions_must_leave_rows():
    with pytest.raises(SettingError, match=r"validation \+ test < 1"):
        open_data(np.eye(5), options={"validation": 0.5, "test": 0.5})


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (0, 1), (3, 4), (10, 0), (0, 10), (4, 6)])
def test_parts_are_those_of_the_sorted_permutation(counts, monkeypatch):
    order = permutation(10, 3)
    wanted = np.full(10, 2)
    wanted[order[: sum(counts)]] = 1
    wanted[order[: counts[0]]] = 0
    assert first_of_permutation(10, 3, counts).tolist() == wanted.tolist()
    monkeypatch.setattr(split, "_raw", lambda n, seed: np.full(n, 5, dtype=np.uint64))  # all drew one number
    assert np.bincount(first_of_permutation(10, 3, counts), minlength=3)[:2].tolist() == list(counts)
