"""Rows are divided by groups and by time without a leak."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from senzai.core.errors import InputError, SettingError
from senzai.data import Split, open_data
from senzai.data.split import refuse_leaks, split_indices

N = 400
R = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "patient": R.integers(0, 40, N),
    "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(R.integers(0, 90, N), unit="D"),
    "value": R.normal(size=N), "text": [f"2024-{1 + i % 12:02d}-0{1 + i % 9}" for i in range(N)],
})


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6), st.lists(st.integers(0, 12), min_size=30, max_size=200), st.floats(0, 0.4), st.floats(0, 0.4)
)
def test_groups_stay_together_whatever_they_are(seed, groups, validation, test):
    known = np.array(groups)
    split = Split(seed=seed, validation=validation, test=test, by="groups", column="g")
    if len(np.unique(known)) < split.needs:
        with pytest.raises(InputError, match="groups, one for each"):
            split_indices(len(known), split, known)
        return
    parts = split_indices(len(known), split, known)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(known)))
    held = {name: set(known[index]) for name, index in parts.items()}
    assert not held["train"] & held["validation"]
    assert not held["train"] & held["test"]
    assert not held["validation"] & held["test"]
    assert held["train"]
    assert bool(held["validation"]) == (validation > 0)
    assert bool(held["test"]) == (test > 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 500), min_size=40, max_size=200), st.integers(0, 5), st.booleans(), st.booleans())
def test_parts_of_time_follow_each_other_with_a_gap(times, gap, validates, tests):
    order = np.array(times)
    split = Split(validation=0.2 * validates, test=0.2 * tests, by="time", column="t", gap=gap)
    try:
        parts = split_indices(len(order), split, order=order)
    except InputError as err:
        assert "nothing is left" in str(err) or "different times" in str(err)  # noqa: PT017
        return
    names = [n for n in ("train", "validation", "test") if len(parts[n])]
    assert names == ["train", *["validation"] * validates, *["test"] * tests]
    for first, second in pairwise(names):
        last, begin = order[parts[first]].max(), order[parts[second]].min()
        assert last < begin
        between = ((order > last) & (order < begin)).sum()
        assert between + (order == last).sum() - np.isin(np.flatnonzero(order == last), parts[first]).sum() >= gap


def test_shares_are_about_those_asked_for():
    split = Split(validation=0.2, test=0.3, by="groups", column="g")
    groups = np.arange(1000) // 5
    sizes = {name: len(index) for name, index in split_indices(1000, split, groups).items()}
    assert sizes == {"train": 500, "validation": 200, "test": 300}


@pytest.mark.parametrize("options", [{"groups": "patient"}, {"time": "day", "gap": 3}, {"time": "text"}])
def test_a_table_is_divided_by_a_column_again_and_again(options, tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    for source in (FRAME, tmp_path / "t.csv"):
        data = open_data(source, options=options)
        parts = data.split_indices()
        again = open_data(source, schema=data.schema).split_indices()
        assert all((parts[k] == again[k]).all() for k in parts)
        column = FRAME[next(iter(options.values()))]
        if "groups" in options:
            assert not set(column[parts["train"]]) & set(column[parts["test"]])
        else:
            assert column[parts["train"]].max() < column[parts["validation"]].min()
            assert column[parts["validation"]].max() < column[parts["test"]].min()
    with pytest.raises(InputError, match="no such column"):
        open_data(FRAME.drop(columns=["patient", "day", "text"]).assign(patient=1), schema=open_data(
            FRAME[["value"]].assign(g=FRAME["patient"], patient=1), options={"groups": "g", "schema.g": "dropped"}
        ).schema).split_indices()


def test_an_archive_says_the_groups_of_its_rows(tmp_path):
    who = np.repeat(np.arange(10), [2, 4, 8, 6, 6, 6, 6, 6, 6, 10])
    np.savez(tmp_path / "x.npz", x=R.normal(size=(60, 3)), who=who)
    data = open_data(tmp_path / "x.npz", options={"groups": "who"})
    parts = data.split_indices()
    held = {name: set(who[index]) for name, index in parts.items()}
    assert sum(map(len, held.values())) == 10  # each group once
    assert (open_data(tmp_path / "x.npz", schema=data.schema).split_indices()["test"] == parts["test"]).all()
    np.savez(tmp_path / "y.npz", x=R.normal(size=(60, 3)), who=np.arange(50))
    with pytest.raises(InputError, match="one of 'who' for each of 60 rows"):
        open_data(tmp_path / "y.npz", options={"groups": "who"})
    with pytest.raises(InputError, match="who"):
        open_data(tmp_path / "x.npz", options={"groups": "whom"})


def test_what_cannot_be_divided_is_said():
    with pytest.raises(SettingError, match="by groups or by time, but got both"):
        open_data(FRAME, options={"groups": "patient", "time": "day"})
    with pytest.raises(SettingError, match="gap=4 alone"):
        open_data(FRAME, options={"gap": 4})
    with pytest.raises(InputError, match=r"no column 'pateint'.*patient"):
        open_data(FRAME, options={"groups": "pateint"})
    with pytest.raises(InputError, match="have none"):
        open_data(FRAME.assign(day=[None, *FRAME["day"][1:]]), options={"time": "day"})
    with pytest.raises(InputError, match="nothing is left"):
        open_data(FRAME, options={"time": "day", "gap": 300}).split_indices()
    parts = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([], dtype=int)}
    with pytest.raises(InputError, match="share 1"):
        refuse_leaks(parts, Split(by="groups", column="who"), np.array([7, 8, 8]))


def test_equal_times_in_two_parts_are_a_leak():
    parts = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([], dtype=int)}
    with pytest.raises(InputError, match="must be earlier"):
        refuse_leaks(parts, Split(by="time", column="day"), np.array([7, 8, 8]))
    refuse_leaks(parts, Split(by="time", column="day"), np.array([7, 8, 9]))
