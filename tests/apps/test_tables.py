"""A table on the command line: every verb writes whole files and says what it did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    r = np.random.default_rng(0)
    n = 150
    frame = pd.DataFrame({
        "age": r.integers(20, 40, n), "pay": r.normal(3000, 500, n).round(2), "city": r.choice(["Ulm", "Bonn"], n),
    })
    frame.loc[r.random(n) < 0.2, "pay"] = np.nan
    path = tmp_path_factory.mktemp("people") / "people.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(cli, people, tiny):
    out = people.parent / "run"
    cli.json("fit", people, "--out", out, *tiny, "--no-report")
    return out


def test_info_says_the_type_of_every_column(cli, people):
    text = cli.text("info", people)
    for words in ("age: ordinal", "pay: real", "city: categorical", "entries are missing"):
        assert words in text
    changed = cli.json("info", people, "--set", "schema.age=count")
    assert "age: count" in " ".join(changed["reasons"])


def test_score_impute_augment_sample(cli, people, folder, tmp_path):
    found = cli.json("score", folder, people, "-o", tmp_path / "s.csv", "--shares", "--false-alarm", "0.2")
    scores = pd.read_csv(tmp_path / "s.csv")
    assert found["n"] == len(scores) == 150
    assert found["anomalies"] == scores["anomaly"].sum()
    np.testing.assert_allclose(scores.filter(like="share: ").sum(axis=1), scores["score"], atol=1e-4)

    assert cli.json("impute", folder, people, "-o", tmp_path / "i.csv")["n"] == 150
    whole, holes = pd.read_csv(tmp_path / "i.csv"), pd.read_csv(people)
    assert not whole.isna().any().any()
    there = holes["pay"].notna()
    assert whole["pay"][there].tolist() == holes["pay"][there].tolist()
    assert cli.json("impute", folder, people, "-o", tmp_path / "d.csv", "--draws", "3")["n"] == 450
    assert set(pd.read_csv(tmp_path / "d.csv")["imputation"]) == {0, 1, 2}

    cli.json("augment", folder, "--column", "city", "--value", "Ulm", "-n", "7", "-o", tmp_path / "a.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet")["city"].tolist() == ["Ulm"] * 7
    made = cli.json("sample", folder, "-n", "9", "--given", "city=Ulm", "-o", tmp_path / "g.csv")
    assert made["ess"] > 10
    assert set(pd.read_csv(tmp_path / "g.csv")["city"]) == {"Ulm"}
    for verb in ("encode", "reconstruct"):
        assert cli.json(verb, folder, people, "-o", tmp_path / f"{verb}.csv")["n"] == 150
        assert len(pd.read_csv(tmp_path / f"{verb}.csv")) == 150


def test_ways_say_what_changes(cli, people, folder, tmp_path):
    found = cli.json("traverse", folder, f"{people}:3", "--dim", "0", "--values=-9,9", "-o", tmp_path / "t.csv")
    rows = pd.read_csv(tmp_path / "t.csv")
    for change in found["changes"]:
        assert [change["from"], change["to"]] == rows[change["column"]].tolist()
    text = cli.text("interpolate", folder, people, f"{people}:9", "-o", tmp_path / "w.csv")
    assert "What changes" in text or "No column changes" in text


def test_a_fitted_condition(cli, people, tiny, tmp_path):
    cli.json("fit", people, "--out", tmp_path / "run", *tiny, "--no-report", "--condition", "city")
    cli.json("sample", tmp_path / "run", "-n", "5", "--given", "city=Bonn", "-o", tmp_path / "b.jsonl")
    assert set(pd.read_json(tmp_path / "b.jsonl", lines=True)["city"]) == {"Bonn"}


def test_mistakes(cli, people, folder, tmp_path):
    out = ("-o", tmp_path / "x.csv")
    cli.refuses("score", folder, people, *out, "--method", "elbow", said=("elbo",), folder=tmp_path)
    cli.refuses("sample", folder, "-n", "3", "--given", "city=Rome", *out, said=("never seen",), folder=tmp_path)
    cli.refuses("sample", folder, "-n", "3", "--given", "city", *out, said=("NAME=VALUE",), folder=tmp_path)
    asked = ("--column", "cty", "--value", "Ulm")
    cli.refuses("augment", folder, *asked, *out, said=("no column 'cty'",), folder=tmp_path)
    cli.refuses("impute", folder, people, "-o", tmp_path / "x.foo", said=(".csv",), folder=tmp_path)


def test_the_graph_that_was_learned_is_shown_after_training_and_by_info(cli, tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    pd.DataFrame({"a": a, "b": b, "c": a + b + 0.3 * rng.normal(size=300)}).to_csv(tmp_path / "abc.csv", index=False)
    words = ("fit", tmp_path / "abc.csv", "--recipe", "causal-table", "--out", tmp_path / "run", "--no-report")
    asked = ("graph=learned", "numbers_by=linear", "hidden=0", "steps=3")
    text = cli.text(*words, *(w for s in asked for w in ("--set", s)))
    assert "graph                      a>c;b>c (learned)" in text
    assert "a>c;b>c (learned)" in cli.text("info", tmp_path / "run")
    found = cli.json("info", tmp_path / "run")
    assert (found["graph"], found["graph_is"]) == ("a>c;b>c", "learned")
    given = cli.json(*words, "--overwrite", "--set", "graph=a>c", "--set", "steps=3")
    assert (given["graph"], given["graph_is"]) == ("a>c", "given")
