"""Searching a latent space: what is counted, what is remembered, what is written, and what is refused."""

import numpy as np
import pytest

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.data import KINDS
from senzai.data.molecules import chemistry
from senzai.data.ranked import RankedRows
from senzai.runs.verbs import optimise as verb
from senzai.runs.verbs import region
from senzai.runs.verbs.optimise import scorer

pytest.importorskip("rdkit")
pytest.importorskip("selfies")
pytest.importorskip("botorch")

SMILES = ["CCO", "CCN", "CCC", "CC(=O)O", "c1ccccc1", "C1CCCCC1", "CC(N)=O", "C#N", "CCCC", "CCCO", "OCCO", "CCOC"] * 4


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few candidates and little patience: the search is looked at, not what it finds."""
    monkeypatch.setattr(region, "CANDIDATES", 50)
    monkeypatch.setattr(verb, "IDLE", 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return senzai.fit(
        SMILES, kind="molecules", steps=60, n_latent=4, seed=0, batch_size=32, lr=2e-2, properties="logp,atoms",
        sampler="none", out=tmp_path_factory.mktemp("m") / "run", **{
            "likelihood.width": 32, "likelihood.embedding": 16, "encoder.width": 24, "encoder.embedding": 16,
        },
    )


def test_no_more_rows_are_scored_than_asked_for_and_none_twice(run):
    asked = []

    def objective(rows):
        asked.extend(rows)
        return [len(row) for row in rows]

    best = run.optimise(objective=objective, budget=12, top=5, batch=50, seed=1)
    assert len(asked) == len(set(asked)) <= 12
    assert best.scores[0] == max(map(len, asked))
    assert list(best.scores) == sorted(best.scores, reverse=True)
    assert all(p < c for p, c in zip(best.fields["parent"], best.fields["call"], strict=True))
    again = run.optimise(objective=lambda rows: [len(row) for row in rows], budget=12, top=5, batch=50, seed=1)
    assert again == best


def test_scores_are_those_of_the_rows_that_are_given_back(run):
    best = run.optimise(objective="logp - 0.1 * atoms", budget=16, batch=4, seed=0)
    kind = KINDS["molecules"]
    again = kind.quantity(list(best), "logp", run.schema) - 0.1 * kind.quantity(list(best), "atoms", run.schema)
    assert np.allclose(best.scores, again)
    assert np.allclose(best.fields["logp"], kind.quantity(list(best), "logp", run.schema))


def test_what_is_remembered_is_the_code_of_the_row_and_not_the_one_it_came_from(run):
    from senzai.runs.verbs.optimise import Ledger

    ledger = Ledger(run, scorer("atoms", run.schema), 10)
    far = 3.0 * np.ones((4, 4), dtype=np.float32)
    import torch

    ledger.spend(torch.from_numpy(far), None, parents=None)
    assert ledger.calls >= 1
    assert np.allclose(ledger.codes.numpy(), run.encode(ledger.rows), atol=1e-5)


def test_rows_to_start_from_are_scored_first(run):
    seen = []
    run.optimise(objective=lambda rows: seen.extend(rows) or [1.0] * len(rows), budget=4, start=["CCO", "C#N"], seed=0)
    assert seen[:2] == ["CCO", "C#N"]


def test_scores_and_lineage_are_in_the_file(run, tmp_path):
    from rdkit import Chem

    best = run.optimise(objective="logp", budget=12, top=3, seed=0)
    KINDS["molecules"].write(best, tmp_path / "best.sdf", run.schema)
    read = list(Chem.SDMolSupplier(str(tmp_path / "best.sdf")))
    assert [Chem.MolToSmiles(m) for m in read] == list(best)
    assert [float(m.GetProp("score")) for m in read] == pytest.approx(list(best.scores), rel=1e-4)
    assert read[0].GetProp("lineage") == best.fields["lineage"][0]
    KINDS["molecules"].write(best, tmp_path / "best.csv", run.schema)
    head = (tmp_path / "best.csv").read_text().splitlines()[0].split(",")
    assert head[0] == "smiles"
    assert {"score", "call", "parent", "lineage"} <= set(head)


@pytest.mark.parametrize(("objective", "said"), [
    ("qed +", "no expression"), ("__import__('os').system('x')", "cannot stand"), ("qedd", "Did you mean 'qed'"),
    ("1 + 2", "same for every row"), ("", "1 to 500"), ("qed.real", "cannot stand"), ("qed if sa else 1", "cannot"),
    ("lambda: qed", "cannot stand"), ("min(qed)", "cannot stand"), ("qed[0]", "cannot stand"), (None, "expression of"),
    ("'qed'", "cannot stand"), ("(" * 300 + "qed" + ")" * 300, "1 to 500"), ("True * qed", "cannot stand"),
])
def test_a_bad_objective_is_an_error_in_words(run, objective, said):
    with pytest.raises(SettingError, match=said):
        run.optimise(objective=objective, budget=4)


def test_functions_that_give_something_else_are_refused(run):
    with pytest.raises(SettingError, match="a score for each"):
        run.optimise(objective=lambda rows: [1.0], budget=8)
    with pytest.raises(SettingError, match="returns numbers"):
        run.optimise(objective=lambda rows: ["much"] * len(rows), budget=8)
    with pytest.raises(InputError, match="none of"):
        run.optimise(objective=lambda rows: [float("nan")] * len(rows), budget=4)
    with pytest.raises(SettingError, match="budget"):
        run.optimise(objective="qed", budget=0)


def test_rows_without_numbers_are_not_searched():
    other = senzai.fit("digits", steps=1, n_latent=2)
    with pytest.raises(CombinationError, match="no numbers to search by"):
        other.optimise(objective="x")


def test_a_ranked_list_is_a_list():
    assert RankedRows(["a"], {"score": [1.0]}) == ["a"]
    assert chemistry.clean("OCC") == "CCO"
