"""What belongs to rows travels with them: lengths, modalities, facts, groups; from memory, streamed, chosen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from senzai.core.batch import Batch, cat, concatenate, count, entries, first, only
from senzai.core.errors import CombinationError, ShapeError
from senzai.data import Dataset, open_data
from senzai.data.rows import ChosenRows, MemoryRows, StreamedRows, Targets
from senzai.training.feed import Feed, FeedPlan

N = 12
X = torch.arange(N * 6.0).view(N, 3, 2)
LENGTHS = torch.arange(N) % 3 + 1
NAMES = [f"scan {i}" for i in range(N)]


def memory():
    return MemoryRows(X, Targets(torch.arange(N)), lengths=LENGTHS, about={"file": NAMES, "start": np.arange(N) * 0.5})


def streamed():
    return StreamedRows(
        N, lambda at: X.numpy()[at], lambda part: (torch.from_numpy(part), None), targets=Targets(torch.arange(N)),
        lengths=LENGTHS, about=lambda at: {"file": np.array(NAMES, dtype=object)[at], "start": at * 0.5},
    )


@pytest.fixture(params=[memory, streamed], ids=lambda f: f.__name__)
def rows(request):
    return request.param()


def test_lengths_and_facts_travel_with_rows(rows):
    at = np.array([7, 0, 7, 3])
    batch = rows.take(at)
    assert batch.lengths.tolist() == LENGTHS[at].tolist()
    assert torch.equal(batch.x, X[at])
    told = rows.about(at)
    assert list(told["file"]) == [NAMES[i] for i in at]
    assert told["start"].tolist() == (at * 0.5).tolist()


def test_chosen_rows_take_everything_along(rows):
    rows.groups, rows.order = np.arange(N) // 4, np.arange(N)[::-1]
    chosen = ChosenRows(ChosenRows(rows, np.array([5, 2, 9, 0])), np.array([2, 1]))
    assert chosen.take(np.array([1, 0])).lengths.tolist() == LENGTHS[[2, 9]].tolist()
    assert chosen.lengths.tolist() == LENGTHS[[9, 2]].tolist()
    assert list(chosen.about(np.array([1, 0]))["file"]) == ["scan 2", "scan 9"]
    assert (chosen.groups.tolist(), chosen.order.tolist()) == ([2, 0], [2, 9])
    assert chosen.targets.y.tolist() == [9, 2]


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_feed_keeps_lengths_beside_their_rows(rows, in_memory):
    index = np.array([1, 2, 3, 5, 7, 8, 11])
    feed = Feed(rows, index, FeedPlan(len(index), 3, seed=4), device=torch.device("cpu"), in_memory=in_memory,
                accumulate=2)
    found = []
    for _, pieces in feed.run(0, feed.plan.steps_per_epoch):
        for piece in pieces:
            numbers = (piece.batch.x[:, 0, 0] / 6).long()
            assert piece.batch.lengths.tolist() == LENGTHS[numbers].tolist()
            found += numbers.tolist()
    assert sorted(found) == index.tolist()


def two():
    return MemoryRows(
        {"a": X, "b": torch.arange(N * 2.0).view(N, 2)}, lengths={"a": LENGTHS},
        mask={"b": torch.arange(N * 2).view(N, 2) % 3 > 0}, present={"b": torch.arange(N) % 2 == 0},
    )


@pytest.mark.parametrize("in_memory", [True, False])
def test_modalities_are_fed_side_by_side(in_memory):
    feed = Feed(two(), np.arange(N), FeedPlan(N, 5, seed=0), device=torch.device("cpu"), in_memory=in_memory)
    for _, pieces in feed.run(0, 3):
        for piece in pieces:
            at = (piece.batch.x["a"][:, 0, 0] / 6).long()
            whole = two().take(at.numpy())
            for name in ("x", "mask", "lengths", "present"):
                ours, theirs = getattr(piece.batch, name), getattr(whole, name)
                assert all(torch.equal(ours[k], theirs[k]) for k in theirs), name
    assert (len(two()), two().nbytes) == (N, N * (6 + 2) * 4 + N * 2)


def test_bytes_decide_how_many_rows_are_taken_at_once(rows):
    whole = memory()
    assert whole.dense_nbytes == N * 6 * 4
    assert whole.at_once(10, budget=3 * 6 * 4) == 3
    assert whole.at_once(10, budget=0) == 1
    assert whole.at_once(10) == 10
    assert ChosenRows(whole, np.arange(4)).dense_nbytes == 4 * 6 * 4


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match="one entry of everything"):
        MemoryRows(X, lengths=LENGTHS[:3])
    with pytest.raises(ShapeError, match="one entry of everything"):
        MemoryRows({"a": X, "b": X[:4]})


class Titled:
    """A kind whose rows come back with the name of their file."""

    name = "array"

    def decode(self, x, schema, *, soft=False, about=None):
        return list(zip(x[:, 0, 0].tolist(), about.get("file", [None] * len(x)), strict=True))

    def joined(self, x, schema, source, *, soft=False, about=None):
        return self.decode(x, schema, soft=soft, about=about)


def test_facts_of_rows_come_back_to_decode(rows):
    schema = SimpleNamespace(form="numpy")
    data = Dataset(schema, rows, Titled())
    whole = data.decode(X)
    assert whole == [(6.0 * i, NAMES[i]) for i in range(N)]
    some = ChosenRows(rows, np.array([4, 1]))
    assert Dataset(schema, some, Titled()).decode(X[[4, 1]]) == [(24.0, "scan 4"), (6.0, "scan 1")]
    assert data.decode(X[:2], about={"file": ["x", "y"]}) == [(0.0, "x"), (6.0, "y")]
    with pytest.raises(ValueError, match="shorter"):
        data.decode(X[:2], about=rows.about(np.array([0])))


# --- batches --------------------------------------------------------------------------------------------------------
def test_all_fields_are_taken_repeated_and_joined():
    batch = two().take(np.arange(4))
    again = concatenate([batch.take(torch.tensor([0, 1])), batch.take(slice(2, 4))])
    for name in ("x", "mask", "lengths", "present"):
        ours, theirs = getattr(again, name), getattr(batch, name)
        assert all(torch.equal(ours[k], theirs[k]) for k in theirs), name
    assert batch.repeat(3).lengths["a"].tolist() == LENGTHS[:4].tolist() * 3
    assert (len(batch), count(batch.x), entries(batch.x)) == (4, 4, 8)
    assert first(batch.x).shape == (4, 3, 2)
    assert batch.part("a").lengths.tolist() == LENGTHS[:4].tolist()
    assert batch.part("b").lengths is None


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ShapeError, match="`lengths`"):
        concatenate([Batch(X[:2], lengths=LENGTHS[:2]), Batch(X[2:])])
    with pytest.raises(ShapeError, match="same modalities"):
        cat([{"a": X}, {"b": X}])
    with pytest.raises(ShapeError, match="same modalities"):
        cat([{"a": X}, X])
    with pytest.raises(CombinationError, match="modalities a, b"):
        only({"a": X, "b": X})
    with pytest.raises(CombinationError, match="modalities a, b"):
        _ = two().take(np.arange(2)).tensor


def test_where_a_row_has_something_to_see():
    batch = two().take(np.arange(4))
    seen = batch.seen
    assert seen["a"].sum((1, 2)).tolist() == [2, 4, 6, 2]
    assert seen["b"].tolist() == [[False, True], [False, False], [True, True], [False, False]]
    assert Batch(X, lengths=LENGTHS).observed.sum((1, 2)).tolist() == (2 * LENGTHS).tolist()
    assert Batch(X).observed is None


def test_padding_of_an_array_is_no_mask_and_is_not_imputed():
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    x[1, 2:] = np.nan
    batch = open_data(x).batch()
    assert batch.mask is None
    assert batch.lengths.tolist() == [4, 2, 4, 4, 4, 4]
