"""Molecules: read and cleaned, to SELFIES symbols and back; what is said of sets of them."""

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError
from senzai.data import KINDS, detect_kind, open_data

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from senzai.data.molecules import chemistry

SMILES = ["CCO", "CC(=O)O", "c1ccccc1", "C1CCCCC1", "CC(N)C(=O)O", "C#N", "CCN(CC)CC", "OCC1OC(O)C(O)C(O)C1O",
          "O=C1CCCN1", "F/C=C/F", "N[C@@H](C)C(=O)O", "C[N+](C)(C)C"] * 2


def back(dataset):
    return dataset.decode(dataset.batch().x)


def test_molecules_come_back_as_their_canonical_smiles():
    found = open_data(SMILES, kind="molecules", options={"validation": 0, "test": 0})
    assert back(found) == [chemistry.clean(s) for s in SMILES]


def test_the_same_molecules_come_from_every_file(tmp_path):
    plain = [chemistry.clean(s) for s in SMILES]
    (tmp_path / "a.smi").write_text("".join(f"{s} name{i}\n" for i, s in enumerate(SMILES)))
    pd.DataFrame({"id": range(len(SMILES)), "SMILES": SMILES}).to_csv(tmp_path / "a.csv", index=False)
    options = {"validation": 0, "test": 0}
    lines = open_data(tmp_path / "a.smi", options=options)
    table = open_data(tmp_path / "a.csv", kind="molecules", options=options)
    named = open_data(tmp_path / "a.csv", options={**options, "column": "SMILES"})
    assert back(lines) == back(table) == back(named) == plain
    lines.kind.write(plain, tmp_path / "b.sdf", lines.schema)
    assert sorted(back(open_data(tmp_path / "b.sdf", options=options))) == sorted(plain)


def test_a_table_of_smiles_stays_a_table_unless_it_is_named(tmp_path):
    pd.DataFrame({"smiles": SMILES, "y": range(len(SMILES))}).to_csv(tmp_path / "a.csv", index=False)
    assert detect_kind(tmp_path / "a.csv") == "table"
    assert detect_kind(tmp_path / "a.csv", {"column": "smiles"}) == "molecules"


def test_whatever_symbols_a_model_makes_are_a_molecule_or_nothing():
    found = open_data(SMILES, kind="molecules", options={"validation": 0, "test": 0})
    n, size = found.schema.n_levels, found.schema.event_shape[0]
    import torch

    made = found.decode(torch.from_numpy(np.random.default_rng(0).integers(2, n, (500, size))).float())
    assert all(chemistry.clean(s) == s for s in made if s)
    assert sum(bool(s) for s in made) > 490


def test_what_is_no_molecule_is_left_out_of_a_fit_and_refused_later(tmp_path):
    path = tmp_path / "a.smi"
    path.write_text("CCO\nnot one\nC1CC\nCC\nCCC\nCCCC\n")
    found = open_data(path)
    assert len(found) == 4
    assert any("2 of 6 rows are no molecules" in r and "'not" in r and "row 2 ('C1CC')" in r
               for r in found.schema.reasons)
    with pytest.raises(InputError, match=r"row 1 \(from 0\).*'C1CC'"):
        open_data(["CC", "C1CC"], schema=found.schema)
    with pytest.raises(InputError, match="none either"):
        open_data(["x", "y"], kind="molecules")


def test_salts_keep_their_largest_part():
    assert chemistry.clean("CC(=O)[O-].[Na+]") == "CC(=O)[O-]"
    assert chemistry.clean("Cl.CCN") == "CCN"


def test_symbols_are_learned_from_training_rows_alone():
    rare = ["CC[Si](C)(C)C", "CCB(O)O", "CC[Se]C"]
    found = open_data(["CCO", "CCC", "CCN"] * 10 + rare, kind="molecules")
    train = {found.decode(found.batch([i]).x)[0] for i in found.split_indices()["train"]}
    for smiles in rare:
        symbols = set(chemistry.symbols_of(smiles)) - {"[C]", "[Branch1]", "[=Branch1]", "[O]"}
        known = symbols <= set(found.schema.details.symbols)
        assert known == (chemistry.clean(smiles) in train)


def test_sets_are_compared_as_they_are_by_hand():
    from rdkit import Chem, DataStructs
    from rdkit.Chem import AllChem

    made, known = ["CCO", "CCO", "c1ccccc1C", "C1CC", "CCN"], ["CCO", "c1ccccc1CC"]
    found = chemistry.set_figures(made, known)
    assert found["valid"] == 4 / 5
    assert found["unique"] == 3 / 4
    assert found["novel"] == 2 / 3
    every = {*made, *known} - {"C1CC"}
    bits = {s: AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 2048) for s in every}
    pairs = [("CCO", "CCN"), ("CCO", "c1ccccc1C"), ("CCN", "c1ccccc1C")]
    mean = np.mean([DataStructs.TanimotoSimilarity(bits[a], bits[b]) for a, b in pairs])
    assert found["internal_diversity"] == pytest.approx(1 - mean)
    near = np.mean([max(DataStructs.TanimotoSimilarity(bits[a], bits[b]) for b in known)
                    for a in ("CCO", "CCN", "c1ccccc1C")])
    assert found["nearest_similarity"] == pytest.approx(near)
    # scaffolds: made has 3 chains and 1 benzene, known one of each
    assert found["scaffolds"] == pytest.approx((3 * 1 + 1 * 1) / np.sqrt(10 * 2))
    assert chemistry.set_figures(["", "C1CC"], known) == {"valid": 0.0}


def test_structures_are_drawn():
    assert "<svg" in chemistry.drawing("CCO")
    assert "<svg" in chemistry.drawing("no molecule")


def test_json_goes_there_and_back():
    kind = KINDS["molecules"]
    found = open_data(SMILES, kind="molecules")
    assert kind.from_json(kind.to_json(SMILES, found.schema), found.schema) == SMILES
    with pytest.raises(InputError, match="list of SMILES"):
        kind.from_json({"a": 1}, found.schema)
