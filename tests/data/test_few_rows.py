"""A few rows are read without pandas' columns, and every number is what it was with them."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from senzai.core.errors import InputError, UserError
from senzai.data import open_data
from senzai.data.table import codec, quick
from senzai.data.table.plain import frame_of
from senzai.data.table.source import FEW

N = 300


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "real": rng.normal(size=N),
        "again": rng.choice([0.0, 1.5, 2.5, 9.0], N) + (rng.random(N) > 0.5) * rng.random(N),
        "whole": rng.integers(0, 10**6, N), "steps": rng.integers(0, 12, N), "positive": np.exp(rng.normal(size=N) * 3),
        "share": rng.random(N).round(6), "count": rng.poisson(4000, N), "city": rng.choice(["Ulm", "Bonn", "x"], N),
        "number": rng.choice([1, 2, 7], N).astype(str), "truth": rng.random(N) < 0.5,
        "zero": np.where(rng.random(N) < 0.4, 0.0, rng.normal(size=N)), "gone": rng.normal(size=N),
        "when": pd.date_range("2020-01-01", periods=N, freq="D").astype(str),
    }).assign(gone=lambda f: f["gone"].mask(rng.random(N) < 0.3))


SCHEMA = open_data(table(), kind="table").schema
TABLE = SCHEMA.details
NAMES = [str(c.name) for c in TABLE.columns]
CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 20), st.integers(), st.floats(allow_infinity=True, allow_nan=True),
    st.sampled_from(["Ulm", "Bonn", "x", "1", "2", "7", "1.5", "", "NaN", "2020-03-01", 0.0, -0.0, 1.5, 2.5, 9.0, 3.0]),
)


def outcome(work):
    try:
        x, seen = work()
        return np.asarray(x, dtype=np.float64).tobytes(), np.asarray(seen).tolist()
    except UserError as err:
        return type(err), str(err)


def by_both_ways(frame):
    """What a column is, by itself, with and without a plan; whatever is refused is refused alike."""
    cells = frame.to_numpy(dtype=object).T.tolist()
    for i, (column, plan) in enumerate(zip(TABLE.modelled, quick.plans_of(TABLE), strict=True)):
        at = NAMES.index(str(column.name))
        series = frame.iloc[:, at].rename(column.name)
        found = None if plan is None else plan(cells[at])
        if found is not None:
            assert outcome(lambda f=found: f) == outcome(lambda s=series, c=column: codec.encode(s, c, TABLE)), i
        yield found is not None


ROWS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, CELLS)), min_size=1, max_size=4)


@hypothesis.settings(max_examples=60)
@hypothesis.given(rows=ROWS)
def test_whatever_cells_hold_a_plan_says_what_the_codec_says_or_leaves_it(rows):
    list(by_both_ways(frame_of(rows, NAMES)))


def test_usual_rows_are_read_by_plans_and_to_the_last_bit():
    frame = table()
    for start in range(0, N, FEW):
        used = list(by_both_ways(frame.iloc[start : start + FEW]))
        assert sum(used) >= len(used) - 1  # dates are left to the codec


@pytest.mark.parametrize("value", [-1e9, 1e9, 0.0, 1.5, 9.0, -0.0])
def test_numbers_beyond_the_ends_and_repeated_ones(value):
    frame = table().head(3).assign(**dict.fromkeys(("real", "again", "zero"), value))
    assert any(by_both_ways(frame))


def test_a_data_set_of_few_rows_is_the_same_as_among_many():
    whole = open_data(table().assign(real=lambda f: f["real"] + 1), schema=SCHEMA).batch()
    for i in (0, 7, 120):
        one = open_data(table().assign(real=lambda f: f["real"] + 1).iloc[[i]], schema=SCHEMA).batch()
        assert np.array_equal(one.tensor[0].numpy(), whole.tensor[i].numpy())


def test_fingerprints_of_few_rows_follow_their_values_and_are_never_those_of_the_training_data():
    def print_of(frame):
        return open_data(frame, schema=SCHEMA).schema.fingerprint

    frame = table()
    assert print_of(frame) == SCHEMA.fingerprint
    assert print_of(frame.head(3)) == print_of(frame.head(3).copy()) != print_of(frame.head(4))
    assert print_of(frame.head(3)) != print_of(frame.head(3).assign(real=0.0))
    small = table().head(40)
    own = open_data(small, kind="table").schema
    assert open_data(small, schema=own).schema.fingerprint == own.fingerprint


def test_plans_are_made_once_for_a_model_and_forgotten_in_the_end():
    assert quick.plans_of(TABLE) is quick.plans_of(TABLE)
    copies = [TABLE.model_copy() for _ in range(quick.MOST + 1)]
    for other in copies:
        quick.plans_of(other)
    assert len(quick._PLANS) <= quick.MOST


def test_numbers_nothing_can_be_computed_with_are_refused():
    for value in (1e40, -1e300, 1.7e308):
        with pytest.raises(InputError, match="single precision"):
            open_data(table().head(2).assign(gone=value), schema=SCHEMA)


def test_plain_rows_keep_what_cells_are():
    frame = frame_of([{}, {"city": "Ulm", "whole": 3}], ["city", "whole"])
    assert frame["whole"].tolist() == [None, 3]
    assert str(frame["whole"].dtype) == "object"
    with pytest.raises(InputError, match="Did you mean 'city'"):
        frame_of([{"cty": 1}], ["city", "whole"])
