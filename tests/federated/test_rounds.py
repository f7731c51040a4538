"""Whole federations in this process: an ordinary run at the end, from wherever a server was stopped."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.apps.cli import app
from senzai.core.errors import InputError, OutputError, SettingError, TrainingError
from senzai.data import open_data
from senzai.federated import rounds as rounds_module
from senzai.federated import simulate
from senzai.federated.flower import as_server
from senzai.federated.grids import Inside
from senzai.federated.local import LocalFit, nearby
from senzai.federated.rounds import federate
from senzai.federated.settings import Federation
from senzai.federated.site import Site
from senzai.federated.splits import parts
from senzai.federated.state import folder_of, load
from senzai.federated.wire import crossing

SMALL = {"n_latent": 2, "hidden": [8], "seed": 0}
FEW = {"rounds": 2, "local_steps": 3}


def together(data, out, *, settings=None, sites=None, **federation):
    as_server()
    here = [Site(d, name=f"site-{i}") for i, d in enumerate(data, 1)] if sites is None else sites
    told = Federation.parse({"sites": len(here), **FEW, **federation})
    return federate(Inside(here), told, out=out, kind="table", given={**SMALL, **(settings or {})})


@pytest.fixture(scope="module")
def run(thirds, tmp_path_factory):
    return together(thirds, tmp_path_factory.mktemp("federated") / "run")


def test_the_end_is_an_ordinary_run(run, rows):
    again = senzai.load(run.folder)
    assert list(again.sample(4, seed=0)) == list(rows)
    assert np.isfinite(again.log_likelihood(rows, k=5)).all()
    assert np.isfinite(np.asarray(again.encode(rows))).all()
    assert again.metrics["federated"]["rows"] == {"site-1": 150, "site-2": 90, "site-3": 60}
    assert again.metrics["federated"]["sent"] > again.metrics["federated"]["received"] > 0
    card = (run.folder / "README.md").read_text()
    assert "trained federated" in card
    assert "bytes received from sites" in card
    assert {"spec.json", "weights.safetensors", "metrics.json"} <= {p.name for p in run.folder.iterdir()}


def test_each_round_has_a_page(run):
    text = (folder_of(run.folder) / "round-0002.html").read_text()
    assert "3 of 3 sites took part" in text
    assert "site-2" in text


def test_the_same_again_gives_the_same_weights(run, thirds, tmp_path):
    other = together(thirds, tmp_path / "run")
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def test_a_server_that_was_stopped_goes_on_to_the_same_weights(run, thirds, tmp_path, monkeypatch, stopped_in_round):
    with stopped_in_round(2):
        together(thirds, tmp_path / "run")
    done, whole = [], rounds_module._Rounds._round
    monkeypatch.setattr(rounds_module._Rounds, "_round", lambda self, n: (done.append(n), whole(self, n)))
    with pytest.raises(OutputError, match=r"holds round 1 of one with others"):
        together(thirds, tmp_path / "run", rounds=3)
    other = together(thirds, tmp_path / "run")
    assert done == [2]
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


# --- local steps ----------------------------------------------------------------------------------------------------
def double(run):
    model = run.spec.make_model().double()
    model.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in run.model.state_dict().items()})
    return model


@pytest.fixture
def without_noise(monkeypatch):
    """Draws are zero, so that the gradient of a row does not depend on which rows stand beside it."""
    from senzai.core import random

    monkeypatch.setattr(random.Noise, "normal", lambda self, shape, **more: torch.zeros(shape, **{
        k: v for k, v in more.items() if k in ("dtype", "device")}), raising=False)


def test_the_mean_of_full_batch_steps_is_the_step_of_all_rows(run, rows, without_noise):
    training = run.spec.training.model_copy(update={
        "optimiser": "sgd", "optimiser_settings": {}, "lr": 0.1, "batch_size": 10_000, "weight_decay": 0.0,
        "clip": None, "schedule": "constant", "precision": "fp32",
    })
    schema = run.schema.but(split=run.schema.split.model_copy(update={"validation": 0.0, "test": 0.0}))
    spec = run.spec.model_copy(update={"training": training, "data_schema": schema.model_dump(mode="json")})
    start = {k: v.clone() for k, v in crossing(double(run), ()).items()}
    found, n = [], []
    for part in (rows, rows.iloc[:200].reset_index(drop=True), rows.iloc[200:].reset_index(drop=True)):
        fit = LocalFit(spec, open_data(part, schema=schema), site="s", local_steps=1)
        found.append(fit.round(start, 0))
        n.append(fit.rows)
    for name in start:
        mean = (n[1] * found[1][name] + n[2] * found[2][name]) / (n[1] + n[2])
        assert torch.allclose(mean, found[0][name], atol=1e-10, rtol=0), name
    assert any(not torch.equal(found[0][k], start[k]) for k in start)


def test_rounds_of_one_site_that_keeps_its_moments_are_one_training(run, rows):
    dataset = open_data(rows, schema=run.schema)
    start = {k: v.clone() for k, v in crossing(run.spec.make_model(), ()).items()}
    cut, whole = (LocalFit(run.spec, dataset, site="s", local_steps=n, kept=True) for n in (3, 6))
    there = cut.round(cut.round(start, 0), 1)
    for name, value in whole.round(start, 0).items():
        assert torch.equal(value, there[name]), name
    fresh = LocalFit(run.spec, dataset, site="s", local_steps=3)
    again = fresh.round(fresh.round(start, 0), 1)
    assert any(not torch.equal(again[name], there[name]) for name in there)


def test_the_proximal_term_is_mu_times_the_distance():
    class Stepper:
        player = type("P", (), {"parameters": [torch.nn.Parameter(torch.tensor([1.0, 2.0]))]})()

    p = Stepper.player.parameters[0]

    def rule(stepper, pieces, step):
        p.grad = torch.tensor([0.5, 0.5])
        return torch.zeros(1)

    ruled = nearby(0.1, rule)
    ruled(Stepper(), [], 0)
    assert p.grad.tolist() == [0.5, 0.5]
    p.data += torch.tensor([1.0, -2.0])
    ruled(Stepper(), [], 1)
    assert p.grad.tolist() == pytest.approx([0.6, 0.3])


def test_fedprox_holds_sites_nearer(thirds, run, tmp_path):
    held = together(thirds, tmp_path / "run", strategy="fedprox", mu=50.0)
    free, near = (load(folder_of(r.folder)).history[0]["sites"] for r in (run, held))
    assert all(b["norm"] < a["norm"] for a, b in zip(free, near, strict=True))


# --- sites that are not alike ---------------------------------------------------------------------------------------
def test_what_is_a_sites_own_stays_there(thirds, tmp_path, monkeypatch):
    seen = set()
    whole = Inside.send_and_receive

    def spy(self, messages, *, timeout=None):
        from safetensors.torch import load

        found = whole(self, messages, timeout=timeout)
        for message in [*messages, *found]:
            for held in message.content.config_records.values():
                seen.update(load(held["safetensors"]) if "safetensors" in held else ())
        return found

    monkeypatch.setattr(Inside, "send_and_receive", spy)
    sites = [Site(d, name=f"s{i}", out=tmp_path / f"own-{i}", state=tmp_path / f"state-{i}")
             for i, d in enumerate(thirds)]
    run = together(thirds, tmp_path / "run", sites=sites, own="posterior")
    assert seen
    assert not [name for name in seen if name.startswith("posterior")]
    own = [senzai.load(tmp_path / f"own-{i}").model.state_dict() for i in range(3)]
    for name in run.model.state_dict():
        same = torch.equal(own[0][name], own[1][name])
        assert same or name.startswith("posterior"), name
    assert any(not torch.equal(own[0][n], own[1][n]) for n in own[0] if n.startswith("posterior"))
    assert (tmp_path / "state-0" / "own.safetensors").is_file()


def test_rows_can_be_generated_for_a_site(thirds, tmp_path):
    run = together(thirds, tmp_path / "run", site_column="clinic")
    made = run.sample(5, given={"clinic": "site-2"})
    assert made["clinic"].tolist() == ["site-2"] * 5
    assert set(run.schema.condition.names) == {"clinic"}
    with pytest.raises(InputError, match=r"has one already"):
        together(thirds, tmp_path / "other", site_column="city")


# --- sites that go away, and sites that lie -------------------------------------------------------------------------
class Gone(Site):
    """A site that breaks down from some round on."""

    def trained(self, body, weights):
        if body["round"] >= 2:
            raise TrainingError("the disk is full")
        return super().trained(body, weights)


def test_the_others_go_on_where_a_site_is_gone(thirds, tmp_path):
    sites = [Site(thirds[0], name="a"), Site(thirds[1], name="b"), Gone(thirds[2], name="c")]
    run = together(thirds, tmp_path / "run", sites=sites, rounds=3)
    assert run.metrics["federated"]["missed"]["c"] >= 1
    text = (folder_of(tmp_path / "run") / "round-0002.html").read_text()
    assert "the disk is full" in text


def test_too_few_sites_end_the_server_and_the_rounds_are_kept(thirds, tmp_path):
    sites = [Site(thirds[0], name="a"), Gone(thirds[1], name="b")]
    with pytest.raises(TrainingError, match=r"needs 2 sites, but in round 2 1.*start the server again"):
        together(thirds, tmp_path / "run", sites=sites)
    assert (folder_of(tmp_path / "run") / "state.safetensors").is_file()


def test_secure_rounds_are_the_plain_ones_to_the_quantum(run, thirds, tmp_path):
    secure = together(thirds, tmp_path / "run", secure=True, min_sites=3, range=8.0, bound=None)
    assert secure.metrics["federated"]["quantum"] < 5e-5
    first = {k: v for k, v in run.model.state_dict().items() if v.is_floating_point()}
    apart = max(float((secure.model.state_dict()[k] - v).abs().max()) for k, v in first.items())
    assert apart < 0.05  # two rounds of training are between the quantum and here


def test_a_site_may_insist_on_secure_aggregation(thirds, tmp_path):
    sites = [Site(d, name=f"s{i}", secure=True) for i, d in enumerate(thirds)]
    with pytest.raises(SettingError, match=r"secure aggregation alone"):
        together(thirds, tmp_path / "run", sites=sites)


# --- what cannot be -------------------------------------------------------------------------------------------------
def test_sites_without_rows_and_with_one_name(thirds, tmp_path):
    with pytest.raises(InputError, match=r"rows"):
        together([thirds[0], thirds[1].iloc[:0]], tmp_path / "run")
    with pytest.raises(InputError, match=r"'x' comes twice"):
        together(thirds, tmp_path / "run", sites=[Site(thirds[0], name="x"), Site(thirds[1], name="x")])


def test_parts_of_a_table(rows):
    found = parts(rows, 3, by="part")
    assert [sorted(set(p.data["part"])) for p in found] == [["x"], ["y"], ["z"]]
    dealt = parts(rows, 7, seed=1)
    assert sum(len(p.data) for p in dealt) == len(rows)
    assert pd.concat([p.data for p in dealt]).sort_values(["a"])["a"].tolist() == sorted(rows["a"])
    with pytest.raises(SettingError, match=r"3 values cannot be dealt to 4"):
        parts(rows, 4, by="part")
    with pytest.raises(SettingError, match=r"no column 'parts'"):
        parts(rows, 2, by="parts")


def call(*words):
    with pytest.raises(SystemExit) as left:
        app(list(map(str, words)))
    return left.value.code


def test_the_command_line(rows, tmp_path, capsys):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "run"
    code = call("federate", "simulate", tmp_path / "rows.csv", "--out", out, "--rounds", 1, "--local-steps", 2,
                "--sites", 2, "--set", "hidden=8", "--json", "--quiet")
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["federated"]["sites"] == 2
    assert call("federate", "simulate", tmp_path / "rows.csv", "--out", out) == 2
    assert "does not exist yet" in capsys.readouterr().err
    assert call("federate", "simulate", tmp_path / "rows.csv", "--out", tmp_path / "b", "--strategy", "fedsgd") == 2
    assert "Error:" in capsys.readouterr().err
    assert call("federate", "server", "--out", tmp_path / "c", "--host", "0.0.0.0") == 2
    assert "under TLS alone" in capsys.readouterr().err


def test_simulate_takes_the_data_of_each_site(thirds, tmp_path):
    run = simulate(thirds[:2], out=tmp_path / "run", federation={"rounds": 1, "local_steps": 1}, settings=SMALL)
    assert run.metrics["federated"]["sites"] == 2
