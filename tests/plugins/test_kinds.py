"""What senzai does for kinds from outside: names of files that are not there, measures that are of one kind alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import senzai
from senzai.data import open_data

SENTENCES = Path(__file__).parent / "packages" / "senzai_sentences.py"
MEASURE = """
    from senzai.evaluation.catalogue import measure


    @measure("of_arrays", "one", usual=True, kinds=("array",), cost=lambda case, pace: 0.0)
    def of_arrays(case):
        return {"one": 1.0}


    @measure("of_others", "two", usual=True, kinds=("baskets", "pairs"), cost=lambda case, pace: 0.0)
    def of_others(case):
        return {"two": 2.0}
"""


def test_a_file_that_is_not_there_is_told_with_the_names_that_are_near(here, tmp_path):
    here.install("senzai-sentences", {"senzai_sentences": SENTENCES.read_text(encoding="utf-8")})
    (tmp_path / "all.sentences").write_text("the cat runs\n" * 9)
    assert len(open_data(tmp_path / "all.sentences")) == 9
    for kind in (None, "sentences"):
        with pytest.raises(senzai.InputError, match=r"Did you mean 'all\.sentences'"):
            open_data(tmp_path / "al.sentences", kind=kind)


def test_a_measure_judges_rows_of_its_kinds_and_no_others(here):
    here.install("senzai-ones", {"senzai_ones": MEASURE})
    run = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1, n_latent=2, progress=False)
    found = run.evaluate(np.zeros((5, 3)), k=2)
    assert found["measured"]["of_arrays"] == {"one": 1.0}
    assert "of_others" not in found["measured"]
    assert found["not_measured"]["of_others"] == "It judges rows of the kind baskets or pairs; these are of another."
