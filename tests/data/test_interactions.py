"""Logs of users and items: every form they come in, the rules of what counts, identifiers, and what is held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, detect_kind, open_data
from senzai.data.histories import folded, items_of
from senzai.data.interactions.prepared import _in_order
from senzai.data.sparse import Sparse

LOG = pd.DataFrame({
    "user": ["ann", "bob", "ann", "cy", "bob", "ann"], "item": ["tea", "tea", "milk", "rye", "rye", "rye"],
    "rating": [5, 2, 4, 3, 5, 1], "timestamp": [1, 2, 3, 4, 5, 6],
})
ALL = {"ann": ["tea", "milk", "rye"], "bob": ["tea", "rye"], "cy": ["rye"]}


def opened(source, **options):
    return open_data(source, kind="interactions", options={"validation": 0, "test": 0, **options})


def contents(data):
    """Items of each user, as the rows have them."""
    names, users = data.schema.columns, data.rows.about(np.arange(len(data)))["user"]
    rows = data.batch().tensor.numpy()
    return {u: [names[j] for j in np.flatnonzero(r)] for u, r in zip(users, rows, strict=True)}


# --- forms ----------------------------------------------------------------------------------------------------------
def test_a_table_is_rows_of_users_in_order_of_appearance():
    data = opened(LOG)
    assert contents(data) == ALL
    assert data.schema.columns == ("tea", "milk", "rye")
    assert items_of(data.schema) == data.schema.columns
    assert list(data.index) == ["ann", "bob", "cy"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_files_hold_the_same(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    if suffix == ".parquet":
        LOG.to_parquet(path)
    else:
        LOG.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert detect_kind(path) == "interactions"
    assert contents(opened(path)) == ALL


@pytest.mark.parametrize(("name", "mark"), [("ratings.dat", "::"), ("u.data", "\t")])
def test_movielens_files_have_no_header(tmp_path, name, mark):
    lines = [mark.join(map(str, row)) for row in [(1, 31, 5, 100), (2, 31, 3, 90), (1, 1029, 3, 80)]]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    assert detect_kind(tmp_path / name) == "interactions"
    assert contents(opened(tmp_path / name)) == {1: [31, 1029], 2: [31]}


def test_typed_headers_are_read(tmp_path):
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\trating:float\nx\t7\t1.0\ny\t8\t2.0\n")
    assert contents(opened(tmp_path / "a.inter")) == {"x": [7], "y": [8]}


def test_a_sparse_matrix_is_users_by_items(tmp_path):
    matrix = sparse.csr_array(np.array([[0, 2, 0], [1, 0, 1], [0, 0, 0]]))
    sparse.save_npz(tmp_path / "x.npz", matrix)
    assert detect_kind(tmp_path / "x.npz") == "interactions"
    for source in (matrix, tmp_path / "x.npz"):
        assert contents(opened(source)) == {0: [1], 1: [0, 2]}
    with pytest.raises(InputError, match=r"from 0 up, but .* has -2\.0"):
        opened(-matrix)


def test_a_database_is_read_by_query(tmp_path):
    import sqlite3

    pytest.importorskip("sqlalchemy")
    with sqlite3.connect(tmp_path / "shop.db") as link:
        LOG.to_sql("log", link, index=False)
    link.close()
    found = opened(f"sqlite:///{tmp_path / 'shop.db'}", query="select user, item from log where rating > 2")
    assert contents(found) == {"ann": ["tea", "milk"], "cy": ["rye"], "bob": ["rye"]}


def test_columns_can_be_named(tmp_path):
    odd = LOG.rename(columns={"user": "who", "item": "what"})
    assert contents(opened(odd, user="who", item="what")) == ALL
    with pytest.raises(InputError, match="option user=COLUMN"):
        opened(odd)
    with pytest.raises(InputError, match="no column 'wo'"):
        opened(odd, user="wo", item="what")


# --- identifiers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ids", [
    ["a,b", 'say "so"', " x "], ["007", "7", "07"], [2**63 - 1, -(2**63) + 1, 0], ["ä", "漢", "🙂"],
])
def test_identifiers_come_back_unchanged(tmp_path, ids):
    log = pd.DataFrame({"user": ids * 2, "item": ids[::-1] * 2})
    for source in (log, tmp_path / "log.csv"):
        if source is not log:
            log.to_csv(source, index=False)
        data = opened(source)
        assert contents(data) == dict(zip(ids, ([i] for i in ids[::-1]), strict=True))
        again = type(data.schema).model_validate_json(data.schema.model_dump_json())
        assert again.columns == data.schema.columns
        assert [type(c) for c in again.columns] == [type(ids[0])] * 3


def test_a_log_survives_the_way_out_and_back(tmp_path):
    data = opened(LOG)
    log = data.decode(data.batch().x)
    data.kind.write(log, tmp_path / "back.csv", data.schema)
    assert contents(opened(tmp_path / "back.csv")) == {k: [i for i in data.schema.columns if i in v]
                                                      for k, v in ALL.items()}


# --- what counts ----------------------------------------------------------------------------------------------------
def test_ratings_below_the_least_are_no_interactions():
    data = opened(LOG, min_rating=3)
    assert contents(data) == {"ann": ["tea", "milk"], "cy": ["rye"], "bob": ["rye"]}
    assert any("rating below 3" in r for r in data.schema.reasons)


def test_a_rating_of_zero_is_an_interaction_and_a_count_of_zero_is_none():
    rated = pd.DataFrame({"user": [1, 1], "item": [5, 6], "rating": [0, 3]})
    counted = rated.rename(columns={"rating": "count"})
    assert contents(opened(rated)) == {1: [5, 6]}
    assert contents(opened(counted)) == {1: [6]}


def test_repeated_lines_are_one_interaction_and_counts_are_added():
    log = pd.DataFrame({"user": [1, 2, 1], "item": [5, 5, 5], "count": [2, 1, 3]})
    assert opened(log).batch().tensor.tolist() == [[1], [1]]
    counted = opened(log, values="count")
    assert counted.batch().tensor.tolist() == [[5], [1]]
    assert counted.schema.values == "count"
    assert any("counts were added" in r for r in counted.schema.reasons)


def test_added_counts_stay_with_their_user_and_item():
    log = pd.DataFrame({"user": [2, 1, 2, 1, 1], "item": [9, 4, 3, 9, 4], "plays": [7, 1, 2, 5, 10]})
    found = opened(log, values="count")
    back = found.decode(found.batch().x)
    assert sorted(map(tuple, back.itertuples(index=False))) == [(1, 4, 11), (1, 9, 5), (2, 3, 2), (2, 9, 7)]


def test_thresholds_are_repeated_until_both_hold():
    log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 1, 2, 3]})
    assert contents(opened(log, min_user=2, min_item=2)) == {1: [1, 2], 2: [1, 2]}
    chain = pd.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": [1, 2, 2, 3, 3, 4]})
    with pytest.raises(InputError, match="nobody is left"):
        opened(chain, min_user=2, min_item=2)


def test_thresholds_are_for_training_data_alone():
    data = opened(LOG, min_user=2)
    assert list(contents(data)) == ["ann", "bob"]
    again = open_data(LOG, schema=data.schema)
    assert contents(again) == contents(data), "the same log has the same users"
    other = open_data(LOG.iloc[3:4], schema=data.schema)
    assert contents(other) == {"cy": ["rye"]}


# --- other data -----------------------------------------------------------------------------------------------------
def test_new_users_are_lists_of_items():
    schema = opened(LOG).schema
    assert contents(open_data([["milk"], [], ["rye", "tea"]], schema=schema)) == {0: ["milk"], 1: [], 2: ["tea", "rye"]}
    assert contents(open_data({"zoe": ["tea"]}, schema=schema)) == {"zoe": ["tea"]}
    assert contents(open_data(KINDS["interactions"].from_json([["tea"]], schema), schema=schema)) == {0: ["tea"]}


def test_numbers_given_as_text_are_the_same_items():
    schema = opened(pd.DataFrame({"user": [1, 2], "item": [31, 7]})).schema
    assert contents(open_data([["7"]], schema=schema)) == {0: [7]}


def test_items_that_the_model_does_not_know_are_left_out_and_said():
    schema = opened(LOG).schema
    found = open_data([["milk", "gin"]], schema=schema)
    assert contents(found) == {0: ["milk"]}
    assert any("does not know" in r for r in found.schema.reasons)
    with pytest.raises(InputError, match="none of those"):
        open_data([["gin"]], schema=schema)


# --- held out -------------------------------------------------------------------------------------------------------
def test_about_a_fifth_of_the_items_of_a_user_is_hidden_and_never_all():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 40, 200)
    rows = Sparse.of(np.repeat(np.arange(200), counts), np.concatenate([rng.permutation(90)[:n] for n in counts]),
                     shape=(200, 90))
    hidden = np.bincount(rows.row, weights=~folded(rows, 0.8, seed=3), minlength=200)
    assert np.array_equal(hidden, np.where(counts > 1, np.maximum(1, np.floor(0.2 * counts + 1e-9)), 0))


def test_what_is_hidden_follows_from_the_row_alone():
    rng = np.random.default_rng(1)
    rows = Sparse.of(np.repeat(np.arange(9), 10), np.concatenate([rng.permutation(50)[:10] for _ in range(9)]),
                     shape=(9, 50))
    other = rows.rows_of(np.array([4, 8, 0]))
    whole, part = folded(rows, 0.7, seed=2), folded(other, 0.7, seed=2)
    assert np.array_equal(part, np.concatenate([whole[rows.row == i] for i in (4, 8, 0)]))
    assert not np.array_equal(folded(rows, 0.7, seed=5), whole)


def test_the_last_item_of_every_user_is_held_out():
    data = opened(LOG, hold="last")
    assert contents(data) == {"ann": ["tea", "milk"], "bob": ["tea"], "cy": ["rye"]}
    assert {k: len(v) for k, v in data.split_indices().items()} == {"train": 3, "validation": 0, "test": 3}
    found = data.kind.histories(data.rows, data.schema, np.arange(3))
    assert found.judged.tolist() == [0, 1], "of cy there is nothing to find"
    names = data.schema.columns
    assert [names[i] for i in found.held.indices] == ["rye", "rye"]
    assert [names[i] for i in found.seen.indices] == ["tea", "milk", "tea"]


def test_the_latest_interactions_are_held_out():
    data = opened(LOG, hold="time", test=0.3)
    assert contents(data) == {"ann": ["tea", "milk"], "bob": ["tea"], "cy": ["rye"]}
    found = data.kind.histories(data.rows, data.schema, np.arange(3))
    assert [data.schema.columns[i] for i in found.held.indices] == ["rye", "rye"]
    assert open_data(LOG, schema=data.schema).batch().tensor.tolist() == data.batch().tensor.tolist()


def test_without_times_one_item_is_held_out_at_random():
    log = LOG.drop(columns="timestamp")
    data = opened(log, hold="last")
    found = data.kind.histories(data.rows, data.schema, np.arange(3))
    assert found.held.counts.tolist() == [1, 1]
    for user, row in zip(("ann", "bob"), range(2), strict=True):
        both = {*found.seen.rows_of(np.array([row])).indices, *found.held.rows_of(np.array([row])).indices}
        assert {data.schema.columns[i] for i in both} == set(ALL[user])
    with pytest.raises(InputError, match="needs the time"):
        opened(log, hold="time", test=0.3)


def test_held_out_users_are_shown_a_part():
    rng = np.random.default_rng(0)
    items = np.tile(np.arange(10), 40) + rng.integers(5, size=400)
    log = pd.DataFrame({"user": np.repeat(np.arange(40), 10), "item": items})
    data = open_data(log)
    test = data.split_indices()["test"]
    found = data.kind.histories(data.rows, data.schema, test)
    whole = data.rows.matrix.rows_of(test[found.judged]).dense(np.arange(len(found.judged)))
    seen, held = (m.dense(np.arange(m.n_rows)) for m in (found.seen, found.held))
    assert np.array_equal(seen + held, whole)
    assert (seen * held == 0).all()


# --- bad input ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("log", "said"), [
    (LOG.iloc[:0], "at least one line"),
    (LOG.assign(user=[None, *LOG.user[1:]]), "needs a user"),
    (LOG.assign(item=["", *LOG.item[1:]]), "needs an item"),
    (LOG.assign(rating=[np.nan, 2, 4, 3, 5, 1]), "A rating is a number"),
    (LOG.assign(count=[-1, 2, 4, 3, 5, 1]), "from 0 up"),
    (LOG.assign(timestamp=["soon", *map(str, range(5))]), "Times must have an order"),
    (LOG.assign(user=[1, "b", 2, 3, 4, 5]), "all of one sort"),
    (pd.DataFrame({"user": [1], "item": [2], "count": [0]}), "interactions to learn from"),
    (pd.DataFrame({"user": [1], "item": [2]}), None),
])
def test_what_cannot_be_a_log_is_refused(log, said):
    if said is None:
        assert len(opened(log)) == 1, "one user with one item is little, and is a log"
        return
    with pytest.raises(InputError, match=said):
        opened(log)


def test_settings_are_checked():
    with pytest.raises(InputError, match="needs a column of ratings"):
        opened(LOG.drop(columns="rating"), min_rating=3)
    with pytest.raises(SettingError, match="values=count"):
        opened(LOG, values="real")
    with pytest.raises(SettingError, match="hold"):
        opened(LOG, hold="first")
    with pytest.raises(InputError, match="fractions"):
        opened(LOG.assign(count=0.5), values="count")


def test_users_and_items_come_in_their_order_of_appearance():
    numbers = np.random.default_rng(0).integers(40, size=500) * 3
    assert _in_order(numbers).tolist() == list(dict.fromkeys(numbers.tolist()))
    assert _in_order(numbers[:0]).tolist() == []
