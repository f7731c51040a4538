"""`info` reads data as `fit` would: as a kind that is named, with settings that are given."""

from __future__ import annotations

import pandas as pd


def test_a_kind_may_be_named_and_is_in_the_next_command(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    when = pd.date_range("2024-01-01", periods=120, freq="h")
    pd.DataFrame({"when": when, "rides": range(120)}).to_csv("hours.csv", index=False)
    told = cli.text("info", "hours.csv", "--kind", "series", "--set", "window=12")
    assert "of the kind series" in " ".join(told.split())
    assert "senzai fit hours.csv --kind series --set window=12 --out runs/NAME" in told
    assert cli.json("info", "hours.csv")["kind"] == "table"


def test_the_kind_of_a_run_cannot_be_named(cli, tmp_path):
    (tmp_path / "spec.json").write_text("{}")
    done = cli.run("info", tmp_path, "--kind", "table")
    assert done.exit_code == 2
    assert "Leave out --kind" in done.stderr
