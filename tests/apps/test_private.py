"""Private training on the command line: a template, a fit, what it promises, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

SMALL = ("--set", "steps=3", "--set", "batch_size=64", "--set", "hidden=8", "--set", "n_latent=2")


def test_from_a_template_to_a_run_that_says_what_it_promises(cli, tmp_path):
    rng = np.random.default_rng(0)
    people, schema, run = tmp_path / "people.csv", tmp_path / "schema.json", tmp_path / "run"
    rows = {"age": rng.integers(18, 80, 300), "city": rng.choice(["Ulm", "Bonn"], 300)}
    pd.DataFrame(rows).to_csv(people, index=False)
    assert cli.json("schema", people, "-o", schema)["columns"] == ["age", "city"]
    text = schema.read_text()
    assert "Ulm" not in text
    cli.refuses("fit", people, "--out", run, "--private", "epsilon=5", "--schema", schema, said=("low", "high"))
    schema.write_text(json.dumps({"columns": [
        {"name": "age", "type": "number", "low": 18, "high": 90},
        {"name": "city", "type": "categorical", "levels": ["Ulm", "Bonn"]},
    ]}))
    made = cli.json("fit", people, "--out", run, "--private", "epsilon=5,delta=1e-5", "--private", "accountant=rdp",
                    "--schema", schema, *SMALL, "--no-report")
    assert made["epsilon"] <= 5
    assert made["delta"] == 1e-5
    told = cli.text("info", run)
    assert "differentially private" in told
    assert "losses of training rows" in told
    assert cli.json("info", run)["privacy"]["steps"] == 3
    cli.refuses("fit", people, "--out", tmp_path / "other", "--private", "epsilon=5", *SMALL, said=("public schema",))
    cli.refuses("resume", run, "--set", "steps=9")
