"""Molecules through every verb."""

import pytest

import senzai

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from senzai.data.molecules import chemistry

SMILES = ["CCO", "CCN", "CCC", "CC(=O)O", "c1ccccc1", "C1CCCCC1", "CC(N)=O", "C#N"] * 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return senzai.fit(
        SMILES, kind="molecules", steps=120, n_latent=3, seed=0, batch_size=32, out=tmp_path_factory.mktemp("m") / "run"
    )


def test_every_row_that_is_made_is_a_molecule(run):
    for made in (run.sample(30, seed=0), run.reconstruct(SMILES[:8]), run.interpolate(["CCO"], ["CCN"], steps=5),
                 run.traverse(["CCO"], dim=0)):
        assert all(chemistry.clean(s) == s for s in made if s)
        assert sum(bool(s) for s in made) >= 0.8 * len(made)


def test_new_molecules_are_judged_as_such(run):
    found = run.evaluate(SMILES, k=10, split="all")["measured"]
    assert found["new_rows"]["valid"]["value"] > 0.8
    assert 0 < found["new_rows"]["unique"]["value"] <= 1
    assert 0 <= found["new_rows"]["novel"]["value"] <= 1
    assert found["symbols"]["recovered"]["value"] > 0.3


def test_the_report_draws_structures(run, tmp_path):
    page = run.report(tmp_path / "r.html", data=SMILES).read_text(encoding="utf-8")
    assert "data:image/svg+xml;base64," in page
    assert "64 molecules" in page


def test_it_is_loaded_again(run):
    assert senzai.load(run.folder).sample(5, seed=1) == run.sample(5, seed=1)
