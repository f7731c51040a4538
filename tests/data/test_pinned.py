"""Small things of reading and decoding, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.data import open_data
from senzai.data.table.survey import Facts

R = np.random.default_rng(0)


# --- columns seen piece by piece --------------------------------------------------------------------------------------
PIECES = {
    "words then numbers": (["a", "b"], [1, 2], "text"), "whole then parts": ([1, 2], [0.5, 1e-9], "float"),
    "nothing then whole": ([None, None], [3, 4], "int"), "whole then words": ([1, 2], ["a", "b"], "text"),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_column_holds_what_all_its_pieces_hold(name):
    first, second, holds = PIECES[name]
    facts = Facts("c")
    for piece in (first, second):
        facts.see(pd.Series(piece, dtype=object if "words" in name else None))
    assert facts.holds == holds
    assert facts.n_seen == sum(v is not None for v in first + second)


# --- labels -----------------------------------------------------------------------------------------------------------
def test_a_label_is_the_column_of_that_very_name():
    frame = pd.DataFrame({"area": [1.5, 2.5, 0.5], "kind": ["x", "y", "x"], "kind2": ["u", "u", "v"]})
    batch = open_data(frame, options={"label": "kind"}).batch()
    assert batch.y.tolist() == [0, 1, 0]


def test_an_array_of_another_length_is_no_label(tmp_path):
    x = R.normal(size=(6, 2))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(4))
    data = open_data(tmp_path / "d.npz")
    assert data.schema.label is None
    assert len(data.batch()) == 6
