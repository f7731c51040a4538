"""Every verb does what it says, for people and for machines."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import senzai

FIT = {
    "out", "recipe", "kind", "epochs", "steps", "seconds", "samples_per_second", "best_step", "validation_elbo",
    "report",
}
EVALUATE = {
    "n", "elbo", "distortion", "rate", "log_likelihood", "log_likelihood_se", "k", "ess", "bits_per_dim",
    "active_units", "n_latent", "mutual_information",
}


# --- train ----------------------------------------------------------------------------------------------------------
def test_fit_says_what_it_did(fitted, trained):
    assert fitted.keys() >= FIT
    assert (fitted["recipe"], fitted["kind"], fitted["steps"], fitted["report"]) == ("vae", "images", 20, None)
    assert {"spec.json", "weights.safetensors", "history.jsonl", "metrics.json", "README.md"} <= {
        p.name for p in trained.iterdir()
    }


def test_fit_explains_what_it_recognised_and_what_to_do_next(cli, shelf, tiny, tmp_path):
    text = cli.text("fit", shelf / "rows.csv", "--out", tmp_path / "run", *tiny, "--no-report")
    for words in ("90 rows of the kind table", "Because", "each column", "likelihood  mixed", "senzai evaluate"):
        assert words in text
    quiet = cli.text("fit", shelf / "rows.csv", "--out", tmp_path / "other", *tiny, "--no-report", "--quiet")
    assert "Because" not in quiet


def test_fit_reads_a_config_and_the_command_line_wins(cli, shelf, tmp_path):
    config = tmp_path / "fit.toml"
    config.write_text(
        f'recipe = "beta-vae"\nout = "{tmp_path / "there"}"\nsteps = 50\nnetwork = "mlp"\nhidden = [8]\n'
        '[warmup]\nname = "linear"\nsteps = 2\n'
    )
    found = cli.json("fit", shelf / "rows.npy", "--config", config, "--set", "steps=4", "--no-report")
    assert (found["recipe"], found["steps"], found["out"]) == ("beta-vae", 4, str(tmp_path / "there"))
    spec = json.loads((tmp_path / "there" / "spec.json").read_text())
    assert spec["settings"]["warmup.steps"] == 2


def test_fit_overwrites_when_asked(cli, shelf, tiny, tmp_path):
    words = ("fit", shelf / "rows.npy", "--out", tmp_path / "run", *tiny, "--no-report")
    cli.json(*words)
    assert cli.json(*words, "--overwrite", "--set", "steps=3")["steps"] == 3


def test_a_report_that_fails_does_not_lose_the_run(cli, shelf, tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "senzai.report", None)
    done = cli.run("fit", shelf / "rows.npy", "--out", tmp_path / "run", *tiny, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["report"] is None
    assert "Warning: The run is complete, but its report could not be written" in done.stderr
    senzai.load(tmp_path / "run")


def test_resume_trains_for_longer(cli, copy_of):
    run = copy_of()
    found = cli.json("resume", run, "--set", "steps=25", "--no-report")
    assert found["steps"] == 25
    assert found.keys() >= FIT


def test_info_tells_of_a_run_that_is_to_replace_this_one(cli, copy_of):
    run = copy_of()
    shutil.copytree(run, run / ".senzai-new", ignore=shutil.ignore_patterns("weights.safetensors"))
    assert cli.json("info", run)["replacement"] == {"step": 20}
    assert cli.json("info", run)["state"] == "finished"
    told = cli.text("info", run)
    assert "to replace this one is unfinished, at step 20" in told
    assert "senzai resume" in told


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_signal_stops_training_and_resume_goes_on(cli, pictures, tiny, tmp_path):
    run = tmp_path / "run"
    long = ("--set", "steps=100000", "--set", "log_every=1")
    words = ["fit", pictures, "--out", run, *tiny, *long, "--no-report", "--json"]
    command = [sys.executable, "-m", "senzai", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(run / "history.jsonl", process)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=1800)
    assert process.returncode == 143, stderr
    assert f"senzai resume {run}" in stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout)["error"]["exit_code"] == 143
    assert cli.json("info", run)["state"] == "unfinished"
    assert "senzai resume" in cli.text("info", run)
    cli.refuses("sample", run, "-o", tmp_path / "x.npy", said=("senzai resume",))


# --- judge ----------------------------------------------------------------------------------------------------------
def test_evaluate_measures_rows_that_were_held_out(cli, trained, pictures):
    found = cli.json("evaluate", trained, pictures, "--k", 5)
    assert found.keys() >= EVALUATE
    assert (found["n"], found["k"], found["n_latent"]) == (12, 5, 3)
    again = cli.json("evaluate", trained, "--k", 5)  # the run's own data
    assert {**again, "seconds": 0, "timing": 0} == {**found, "seconds": 0, "timing": 0}
    assert cli.json("evaluate", trained, pictures, "--k", 5, "--rows", 7, "--split", "train")["n"] == 7


def test_evaluate_measures_what_is_asked_for_and_says_what_is_left_out(cli, trained, pictures, tmp_path):
    factors = tmp_path / "factors.csv"
    n = cli.json("evaluate", trained, pictures, "--k", 2, "--only", "map", "--split", "all")["n"]
    factors.write_text("a,b\n" + "".join(f"{i % 3},{i % 2 / 2}\n" for i in range(n)))
    words = ("--k", 5, "--split", "all", "--only", "map,disentanglement", "--factors", factors)
    done = cli.run("evaluate", trained, pictures, *words, "--json")
    assert done.exit_code == 0, done.stderr
    assert "This takes about" in done.stderr
    found = json.loads(done.stdout)
    assert set(found["measured"]) == {"map", "disentanglement"}
    assert 0 <= found["measured"]["disentanglement"]["mig"]["value"] <= 1
    assert "elbo" not in found
    assert "--also ais" in found["not_measured"]["ais"]


def test_evaluate_compares_with_other_data(cli, trained, pictures):
    words = ("evaluate", trained, pictures, "--k", 2, "--split", "all", "--against", pictures, "--only", "paradox")
    found = cli.json(*words)["measured"]["paradox"]
    assert abs(found["likelihood"]["value"] - 0.5) < 0.25
    text = cli.text("evaluate", trained, pictures, "--k", 2, "--split", "all", "--features", "random")
    assert "frechet[random-64]" in text
    assert "real rows" in text


def test_evaluate_tells_people(cli, trained, pictures):
    text = cli.text("evaluate", trained, pictures, "--k", 5, "--rows", 5)
    for words in ("log p(x)", "±", "k = 5", "ELBO", "bits per dimension", "of 3"):
        assert words in text


def test_report_is_one_page(cli, copy_of, tmp_path):
    pytest.importorskip("senzai.report")
    run = copy_of()
    found = cli.json("report", run)
    assert found["out"] == str(run / "report.html")
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")[:500].lower()
    cli.text("report", run, "-o", tmp_path / "page.html")
    cli.refuses("report", run, "-o", tmp_path / "page.html", said=("--overwrite",), folder=tmp_path)


# --- use ------------------------------------------------------------------------------------------------------------
def test_samples_come_back_in_the_form_of_the_data(cli, trained, table_run, tmp_path):
    found = cli.json("sample", trained, "-n", 5, "--seed", 1, "-o", tmp_path / "new.npy")
    assert (found["n"], found["seed"], found["shape"]) == (5, 1, [5, 8, 8])
    new = np.load(tmp_path / "new.npy")
    assert (new.shape, new.dtype) == ((5, 8, 8), np.uint8)
    cli.text("sample", table_run, "-n", 3, "--seed", 1, "-o", tmp_path / "new.csv")
    assert list(pd.read_csv(tmp_path / "new.csv").columns) == ["a", "b", "c", "d"]


def test_a_sample_without_a_seed_says_how_to_have_it_again(cli, trained, tmp_path):
    first = cli.json("sample", trained, "-n", 4, "--noise", "-o", tmp_path / "a.npy")
    other = cli.json("sample", trained, "-n", 4, "--noise", "-o", tmp_path / "b.npy")
    cli.json("sample", trained, "-n", 4, "--noise", "-o", tmp_path / "c.npy", "--seed", first["seed"])
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert first["seed"] != other["seed"]
    assert (a == c).all()
    assert (a != b).any()


def test_pictures_are_written_one_by_one_or_as_a_sheet(cli, trained, tmp_path):
    cli.text("sample", trained, "-n", 5, "-o", tmp_path / "folder")
    assert len(list((tmp_path / "folder").glob("*.png"))) == 5
    cli.text("sample", trained, "-n", 5, "-o", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (6 * 3 * 9, 6 * 2 * 9)
    cli.text("sample", trained, "-n", 2, "-o", tmp_path / "folder", "--overwrite")
    assert len(list((tmp_path / "folder").glob("*.png"))) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "sheet.png"]


def test_a_folder_of_other_things_is_never_replaced(cli, trained, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    cli.refuses("sample", trained, "-o", tmp_path / "mine", "--overwrite", said=("not replaced",), folder=tmp_path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "tsv", "parquet"])
def test_codes_in_every_format(cli, trained, pictures, tmp_path, suffix):
    file = tmp_path / f"z.{suffix}"
    found = cli.json("encode", trained, pictures, "-o", file)
    assert (found["n"], found["n_latent"], found["seed"]) == (120, 3, None)
    readers = {
        "npy": np.load, "npz": lambda p: np.load(p)["x"], "csv": pd.read_csv, "parquet": pd.read_parquet,
        "tsv": lambda p: pd.read_csv(p, sep="\t"),
    }
    codes = readers[suffix](file)
    if isinstance(codes, pd.DataFrame):
        assert list(codes.columns) == ["z0", "z1", "z2"]
    expected = senzai.load(trained).encode(np.load(pictures))
    np.testing.assert_allclose(np.asarray(codes), expected, rtol=1e-5, atol=1e-6)


def test_codes_of_a_table_are_a_table(cli, table_run, shelf, tmp_path):
    cli.json("encode", table_run, shelf / "rows.csv", "-o", tmp_path / "z.csv", "--seed", 3)
    assert pd.read_csv(tmp_path / "z.csv").shape == (90, 3)


def test_reconstruct(cli, trained, table_run, pictures, shelf, tmp_path):
    found = cli.json("reconstruct", trained, pictures, "-o", tmp_path / "again.npy")
    assert found["shape"] == [120, 8, 8]
    assert np.load(tmp_path / "again.npy").dtype == np.uint8
    cli.text("reconstruct", table_run, shelf / "rows.csv", "-o", tmp_path / "again.csv")
    assert pd.read_csv(tmp_path / "again.csv").shape == (90, 4)


def test_interpolate_goes_from_row_to_row(cli, trained, pictures, tmp_path):
    found = cli.json("interpolate", trained, f"{pictures}:3", f"{pictures}:4", "--steps", 5, "-o", tmp_path / "way.npy")
    assert found["shape"] == [5, 8, 8]
    x, run = np.load(pictures), senzai.load(trained)
    assert (np.load(tmp_path / "way.npy") == run.interpolate(x[3:4], x[4:5], steps=5)).all()
    cli.text("interpolate", trained, pictures, f"{pictures}:4", "-o", tmp_path / "way.png")
    cli.refuses("interpolate", trained, pictures, f"{pictures}:120", "-o", tmp_path / "x.npy", said=("0 … 119",))


def test_traverse_moves_one_dimension(cli, trained, pictures, tmp_path):
    found = cli.json("traverse", trained, f"{pictures}:2", "--dim", 1, "--values", "-1,0,1", "-o", tmp_path / "t.npy")
    assert (found["values"], found["shape"]) == ([-1, 0, 1], [3, 8, 8])
    words = ("traverse", trained, pictures, "-o", tmp_path / "u.npy", "--dim")
    cli.refuses(*words, 3, said=("0 … 2",))
    cli.refuses(*words, 0, "--values", "a", said=("--values",))


# --- look -----------------------------------------------------------------------------------------------------------
def test_info_on_a_run(cli, trained):
    found = cli.json("info", trained)
    assert (found["what"], found["state"], found["recipe"], found["step"]) == ("run", "finished", "vae", 20)
    assert found["settings"]["n_latent"] == 3
    assert found["n_parameters"] > 1000
    assert found["metrics"]["fit"]["steps"] == 20
    assert {"spec.json", "weights.safetensors"} <= found["files"].keys()
    text = cli.text("info", trained)
    assert "discretised_logistic" in text
    assert "finished" in text


def test_info_on_data(cli, pictures, shelf):
    found = cli.json("info", pictures)
    assert (found["what"], found["kind"], found["n_rows"]) == ("data", "images", 120)
    assert found["proposal"]["likelihood"]["name"] == "discretised_logistic"
    assert "Because" in cli.text("info", shelf / "rows.csv")
    assert cli.json("info", "digits")["label"]["name"] == "digit"


def test_lists(cli):
    assert {r["name"] for r in cli.json("recipes")["recipes"]} >= {"vae", "beta-vae"}
    assert {k["name"] for k in cli.json("kinds")["kinds"]} >= {"array", "images"}
    assert "skip_bad" in cli.text("kinds")


def test_recipes_are_listed_by_family_and_told_in_full(cli):
    listed = cli.text("recipes")
    assert listed.index("The plain recipes") < listed.index("  beta-vae") < listed.index("senzai recipes NAME")
    assert max(map(len, listed.splitlines())) < 140
    told = cli.text("recipes", "iaf-vae")
    for said in ("arxiv.org", "posterior.n_steps", "by data", "standard_normal", "--recipe iaf-vae"):
        assert said in told
    found = cli.json("recipes", "beta-vae")
    assert (found["parts"]["objective"], found["settings"]["beta"]) == ("elbo", 4.0)
    assert found["family"] == "The plain recipes"


def test_a_name_with_brackets_is_a_name(cli, pictures, tmp_path):
    odd = tmp_path / "a[bold]b.npy"
    shutil.copy(pictures, odd)
    assert "a[bold]b.npy" in cli.text("info", odd)


def test_a_table_is_told_to_sample_a_table():
    from senzai.apps.cli.train import trained

    numbers = {"seconds": 1.0, "steps": 2, "epochs": 1.0, "samples_per_second": 3.0, "validation_elbo": None}
    facts = {"out": "runs/a", **numbers}
    assert "new.csv" in trained({**facts, "kind": "table"}, "a.csv")[-1]
    assert "new.npy" in trained({**facts, "kind": "array"}, "a.npy")[-1]
