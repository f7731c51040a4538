"""Molecules: read and cleaned, to SELFIES symbols and back; what is said of sets of them."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, detect_kind, open_data

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from senzai.data.molecules import chemistry, sets

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
    found = sets.set_figures(made, known)
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
    assert sets.set_figures(["", "C1CC"], known) == {"valid": 0.0}


def test_structures_are_drawn():
    assert "<svg" in chemistry.drawing("CCO")
    assert "<svg" in chemistry.drawing("no molecule")


def test_json_goes_there_and_back():
    kind = KINDS["molecules"]
    found = open_data(SMILES, kind="molecules")
    assert kind.from_json(kind.to_json(SMILES, found.schema), found.schema) == SMILES
    with pytest.raises(InputError, match="list of SMILES"):
        kind.from_json({"a": 1}, found.schema)


# --- numbers ----------------------------------------------------------------------------------------------------------
def test_numbers_are_those_of_rdkit():
    from rdkit import Chem
    from rdkit.Chem import QED, Crippen, Descriptors

    from senzai.data.molecules.properties import PROPERTIES, computed

    some = ["CCO", "c1ccccc1C(=O)O", "CC(N)=O"]
    mols = [Chem.MolFromSmiles(s) for s in some]
    assert computed(some, "logp").tolist() == [Crippen.MolLogP(m) for m in mols]
    assert computed(some, "qed").tolist() == [QED.qed(m) for m in mols]
    assert computed(some, "weight").tolist() == [Descriptors.MolWt(m) for m in mols]
    assert computed(["c1ccccc1"], "rings").tolist() == [1.0]
    assert all(np.isfinite(computed(some, name)).all() for name in PROPERTIES)
    assert np.isnan(computed([""], "qed")[0])
    with pytest.raises(SettingError, match="Did you mean 'logp'"):
        computed(some, "logP")


def test_properties_are_columns_or_computed_and_conditions(tmp_path):
    many = ["CCO", "CCN", "CCC", "CC(=O)O", "c1ccccc1", "C1CCCCC1"] * 4
    frame = pd.DataFrame({"smiles": many, "mu": [str(i % 5) for i in range(24)]})
    frame.loc[3, "mu"] = ""
    path = tmp_path / "x.csv"
    frame.to_csv(path, index=False)
    found = open_data(path, kind="molecules", options={"column": "smiles", "properties": "mu,logp"})
    numbers = found.batch().numbers
    assert numbers.shape == (24, 2)
    assert numbers[:, 0].isnan().nonzero().flatten().tolist() == [3]
    q = found.schema.quantities[1]
    assert numbers[0, 1].item() * q.scale + q.mean == pytest.approx(-0.0014, abs=1e-4)
    told = open_data(many, kind="molecules", options={"condition": "logp"})
    assert told.batch().c.shape == (24, 1)
    again = open_data(["CCO"], schema=told.schema)
    assert torch.allclose(again.batch().c, told.batch([0]).c)
    with pytest.raises(InputError, match="row 3"):
        open_data(path, kind="molecules", options={"column": "smiles", "condition": "mu"})
    frame.loc[3, "mu"] = "much"
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match="must be numbers, but row 3"):
        open_data(path, kind="molecules", options={"column": "smiles", "properties": "mu"})


def test_five_thousand_properties(tmp_path):
    names = [f"p{i}" for i in range(5000)]
    frame = pd.DataFrame([[s, *range(5000)] for s in ["CCO", "CCN", "CCC"]], columns=["smiles", *names])
    path = tmp_path / "wide.csv"
    frame.to_csv(path, index=False)
    assert len(open_data(path, kind="molecules", options={"column": "smiles"})) == 3
    with pytest.raises(SettingError, match="Up to 64 numbers"):
        open_data(path, kind="molecules", options={"column": "smiles", "properties": ",".join(names)})
    with pytest.raises(SettingError, match="has no number 'q1'"):
        open_data(path, kind="molecules", options={"column": "smiles", "properties": "q1"})


def test_training_rows_are_read_again_without_what_is_none(tmp_path):
    path = tmp_path / "x.smi"
    path.write_text("CCO\nC1CC\nCCN\nCCC\n")
    found = open_data(path)
    assert len(open_data(path, schema=found.schema)) == 3
    path.write_text("CCO\nC1CC\nCCN\nCCF\n")
    with pytest.raises(InputError, match=r"row 1 \(from 0\)"):
        open_data(path, schema=found.schema)


def test_fields_of_sdf_come_in_and_go_out(tmp_path):
    from rdkit import Chem

    path = tmp_path / "in.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for s, v in (("CCO", "1.5"), ("CCN", "2.5"), ("CCC", None), ("CCCC", "4.0")):
            molecule = Chem.MolFromSmiles(s)
            if v is not None:
                molecule.SetProp("gap", v)
            writer.write(molecule)
    found = open_data(path, options={"properties": "gap,logp", "validation": 0, "test": 0})
    assert found.batch().numbers[:, 0].isnan().tolist() == [False, False, True, False]
    out = tmp_path / "out.sdf"
    found.kind.write(["CCO", ""], out, found.schema)
    read = list(Chem.SDMolSupplier(str(out)))
    assert float(read[0].GetProp("logp")) == pytest.approx(-0.0014, abs=1e-4)
    assert not read[0].HasProp("gap")


def test_broken_blocks_of_sdf_are_named_and_empty_files_refused(tmp_path):
    found = open_data(["CCO", "CCN", "CCC"], kind="molecules")
    path = tmp_path / "x.sdf"
    found.kind.write(["CCO", "CCN", "CCC", "CCCC"], path, found.schema)
    blocks = path.read_text().split("$$$$\n")
    blocks[1] = blocks[1].replace("V2000", "V2")[:60] + "\nM  END\n"
    path.write_text("$$$$\n".join(blocks))
    data = open_data(path, options={"validation": 0, "test": 0})
    assert len(data) == 3
    assert any("1 of 4 rows" in r and "row 1" in r for r in data.schema.reasons)
    (tmp_path / "none.sdf").write_bytes(b"")
    with pytest.raises(InputError, match="has none"):
        open_data(tmp_path / "none.sdf")
    (tmp_path / "junk.sdf").write_bytes(b"\x00\x01" * 500)
    with pytest.raises(InputError):
        open_data(tmp_path / "junk.sdf")


def test_sets_have_more_figures_and_each_is_what_it_is_by_hand():
    from rdkit import Chem
    from rdkit.Chem import Crippen

    made, known = ["CCO", "CCN", "c1ccccc1OCC"], ["CCO", "CCCC"]
    found = sets.set_figures(made, known)
    assert sets.fragments(["c1ccccc1OCC"]) == {"[16*]c1ccccc1": 1, "[3*]O[3*]": 1, "[4*]CC": 1}
    assert found["fragments"] == pytest.approx(1 / np.sqrt(5 * 2))
    logp = [sorted(Crippen.MolLogP(Chem.MolFromSmiles(s)) for s in group) for group in (made, known)]
    grid = np.sort(np.concatenate(logp))
    steps = [abs(np.mean(np.array(logp[0]) <= a) - np.mean(np.array(logp[1]) <= a)) * (b - a)
             for a, b in pairwise(grid)]
    assert found["distance_logp"] == pytest.approx(sum(steps))
    prints = sets.fingerprints(made)
    pairs = [sets.similarities([prints[i]], [prints[j]])[0, 0] for i, j in ((0, 1), (0, 2), (1, 2))]
    by_name = dict(zip(sorted(made), made, strict=True))
    assert len(by_name) == 3
    assert found["internal_diversity_2"] == pytest.approx(1 - np.sqrt(np.mean(np.square(pairs))))
    assert found["passes_pains"] == 1.0
    assert sets.passes_pains(["CCO", "O=C1C=CC(=O)C=C1"]) == 0.5
    many = [f"{'C' * (i % 40 + 1)}" for i in range(1000)]
    assert sets.set_figures(many, known)["unique_1k"] == 0.04
    assert "unique_10k" not in sets.set_figures(made, known)


@pytest.mark.slow
def test_molecules_of_qm9_go_there_and_back(data_dir):
    rows = (data_dir / "qm9" / "qm9.csv").read_text().split()[1:]
    bad = 0
    for smiles in rows[:: len(rows) // 10_000][:10_000]:
        clean = chemistry.clean(smiles)
        symbols = None if clean is None else chemistry.symbols_of(clean)
        if symbols is None:
            bad += 1
            continue
        assert chemistry.smiles_of(symbols) == clean
    assert bad < 100


@pytest.mark.slow
def test_the_distance_of_a_set_to_itself_is_nothing():
    pytest.importorskip("fcd")
    some = ["CCO", "CCN", "CCC", "CC(=O)O", "c1ccccc1", "C1CCCCC1", "CC(N)=O"] * 3
    assert sets.frechet_chemnet(some, some) == pytest.approx(0, abs=1e-3)
    assert sets.frechet_chemnet(some, ["CCCCCC"] * 21) > 1
