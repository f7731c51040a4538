"""Private runs: what they guarantee, what they never look at, and what is refused before any work."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import BundleError, CombinationError, SettingError
from senzai.core.secret import Secret
from senzai.data import open_data, public_template
from senzai.data.budgeted import Budget, shares
from senzai.runs.continuing import train_on
from senzai.training.privacy import epsilon_of

N = 400
SCHEMA = {"columns": [
    {"name": "age", "type": "number", "low": 18, "high": 90},
    {"name": "pay", "type": "number", "low": 0, "high": 50_000, "usual": 0, "scale": "log", "missing": True},
    {"name": "city", "type": "categorical", "levels": ["Ulm", "Bonn", "Kiel"]},
    {"name": "member", "type": "boolean", "levels": ["no", "yes"]},
    {"name": "note", "type": "dropped"},
]}
SMALL = {"steps": 6, "batch_size": 64, "hidden": (8,), "n_latent": 2, "progress": False}
PRIVATE = {"epsilon": 4.0, "delta": 1e-5, "noise_seed": 1, "accountant": "rdp"}


class Stopped(Exception):
    """Raised by a listener, as a crash would be."""


def people(n=N, seed=0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 91, n)
    pay = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 50_000, n)).astype(float)
    pay[rng.random(n) < 0.1] = np.nan
    city = rng.choice(["Ulm", "Bonn", "Kiel"], n, p=[0.7, 0.2, 0.1])
    return pd.DataFrame({"age": age, "pay": pay, "city": city, "member": np.where(age > 50, "yes", "no"), "note": "x"})


def fit(data=None, **more):
    given = {**SMALL, "private": PRIVATE, "public": SCHEMA, **more}
    return senzai.fit(people() if data is None else data, **given)


@pytest.fixture(scope="module")
def run():
    return fit()


def test_the_promise_is_kept_by_the_accountant(run):
    promised = run.spec.privacy
    assert promised.epsilon <= 4.0
    schema, weights = (e for e in promised.ledger if e.how == "noise")
    assert schema.epsilon == pytest.approx(0.4)
    assert weights.epsilon == pytest.approx(epsilon_of(
        promised.noise, promised.sample_rate, promised.steps, weights.delta, accountant="rdp"))
    assert schema.epsilon + weights.epsilon == pytest.approx(promised.epsilon)
    assert schema.delta + weights.delta == pytest.approx(1e-5)
    assert promised.sample_rate == pytest.approx(64 / 360)
    assert promised.steps == 6


def test_what_a_row_may_do_to_the_counts_is_what_their_noise_covers():
    codes = np.array([0, 1, 1, 2])
    budget = Budget(noise=3.0, delta=1e-6, secret=Secret.seeded(0)).of(4)
    assert budget.spread == pytest.approx(6.0)  # four histograms: a row moves one count of each
    found = np.concatenate([Budget(3.0, 0.1, Secret.seeded(i)).of(4).histogram("a", codes, 3) for i in range(400)])
    z = (found - np.tile([1, 2, 1], 400)) / 6
    assert abs(z.mean()) < 5 / np.sqrt(1200)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / 1200)
    assert shares(np.array([-1.0, 3.0])).tolist() == [0.0, 1.0]


def test_a_value_of_one_row_is_hardly_ever_shown():
    values = np.array(["usual"] * 200 + ["mine"], dtype=object)
    seen = [Budget(1.0, 0.01, Secret.seeded(i)).of(1).frequent("a", values)[0] for i in range(400)]
    assert all("usual" in s for s in seen)
    assert sum("mine" in s for s in seen) <= 12  # of 400, four are expected
    loose = [Budget(1.0, 0.4, Secret.seeded(i)).of(1).frequent("a", values)[0] for i in range(50)]
    assert any("mine" in s for s in loose)


def test_nothing_of_a_run_but_weights_and_counts_follows_from_values(tmp_path):
    """Two tables that share only names, types and the number of rows give runs alike but for what has noise."""
    more = {"private": {**PRIVATE, "schema_share": 0.0}, "steps": 1}
    a, b = (fit(people(seed=s), out=tmp_path / str(s), **more) for s in (1, 2))
    assert a.spec.data_schema == b.spec.data_schema
    assert a.spec.privacy == b.spec.privacy
    told = [json.loads(line) for line in (tmp_path / "1" / "history.jsonl").read_text().splitlines()]
    assert not any("loss" in line or "distortion" in line for line in told)
    for name in ("reference.safetensors", "samplers.safetensors", "private.key"):
        assert not (tmp_path / "1" / name).exists()
    from safetensors.torch import load_file

    first, second = (load_file(tmp_path / str(s) / "weights.safetensors") for s in (1, 2))
    scales = [k for k in first if "shift" in k or "scale" in k]
    assert scales
    assert all((first[k] == second[k]).all() for k in scales)


def test_a_private_run_is_used_as_any_other(run):
    made = run.sample(30, seed=0)
    assert list(made) == ["age", "pay", "city", "member", "note"][: len(made.columns)]
    assert set(made["city"]) <= {"Ulm", "Bonn", "Kiel"}
    assert made["age"].between(18, 90).all()
    assert run.samplers.chosen == "prior"
    assert run.reference is None
    found = run.evaluate(people(60, seed=5), k=4)
    assert "guarantee" in found["privacy"]


def test_card_info_and_report_say_the_guarantee_and_the_ledger(tmp_path):
    made = fit(out=tmp_path / "run")
    card = (tmp_path / "run" / "README.md").read_text()
    assert "differentially private for one row" in card
    assert "losses of training rows: **off**" in card
    assert made.info()["privacy"]["epsilon"] <= 4
    from senzai.report import build_report

    page = build_report(made, made.dataset(people()))
    assert "differentially private" in page
    assert "No real row is shown" in page
    again = senzai.load(tmp_path / "run")
    assert again.spec.privacy == made.spec.privacy


def test_a_stopped_run_goes_on_to_the_same_weights_and_then_forgets_its_key(tmp_path):
    import torch

    from senzai.training.events import Reached

    people().to_csv(tmp_path / "people.csv", index=False)
    more = {"private": {**PRIVATE, "noise_seed": 7}, "validate_every": 1, "checkpoint_seconds": 0.0}
    whole = fit(str(tmp_path / "people.csv"), out=tmp_path / "whole", **more)

    class Stop:
        def on(self, event, training):
            if isinstance(event, Reached) and event.step == 3:
                raise Stopped

    with pytest.raises(Stopped):
        fit(str(tmp_path / "people.csv"), out=tmp_path / "part", listeners=[Stop()], **more)
    key = tmp_path / "part" / "private.key"
    assert key.stat().st_mode & 0o077 == 0
    done = senzai.resume(tmp_path / "part", progress=False)
    a, b = whole.model.state_dict(), done.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not key.exists()
    with pytest.raises((SettingError, BundleError)):
        senzai.resume(tmp_path / "part", steps=50, progress=False)


def test_two_runs_without_a_seed_have_other_noise():
    a, b = (fit(private={"epsilon": 4.0, "accountant": "rdp"}, steps=1) for _ in range(2))
    assert not all((p == q).all() for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))
    assert "nobody is protected" not in a.spec.privacy.generator
    assert "nobody is protected" in fit(steps=1).spec.privacy.generator


@pytest.mark.parametrize(("more", "words"), [
    ({"public": None}, "public schema"), ({"validation": 0.1}, "validation"), ({"patience": 3}, "patience"),
    ({"sampler": "mixture"}, "sampler=mixture"), ({"condition": "city"}, "condition"), ({"label": "city"}, "label"),
    ({"recipe": "beta-tc-vae"}, "sum over rows"), ({"recipe": "factor-vae"}, "players"),
    ({"recipe": "bn-vae"}, "sum over rows"), ({"private": {"epsilon": 1e-4, "delta": 1e-9}}, "epsilon"),
    ({"devices": 2, "out": "x"}, "devices"), ({"private": None}, "private.epsilon"),
])
def test_what_cannot_be_private_is_refused_before_any_work(tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SettingError, CombinationError), match=words):
        fit(**more)
    assert not list(tmp_path.iterdir())


def test_a_private_run_is_not_trained_on(run):
    with pytest.raises(CombinationError, match="private"):
        train_on(run, people(), steps=2)


@pytest.mark.parametrize(("change", "words"), [
    ({"name": "city", "type": "categorical", "levels": ["Ulm", "Ulm"]}, "each once"),
    ({"name": "age", "type": "number"}, "low < high"), ({"name": "foreign", "type": "dropped"}, "no column"),
    ({"name": "age", "type": "real"}, "type"), ({"name": "a", "type": "ordinal"}, "order"),
])
def test_a_public_schema_that_makes_no_sense_is_refused(change, words):
    columns = [c for c in SCHEMA["columns"] if c["name"] != change["name"]] + [change]
    with pytest.raises(SettingError, match=words):
        fit(public={"columns": columns})


def test_types_may_not_be_set_besides_and_files_are_read(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    assert fit(public=str(path), steps=1).spec.privacy.steps == 1
    path.write_text("{")
    with pytest.raises(SettingError, match="JSON"):
        fit(public=str(path))
    with pytest.raises(SettingError, match="cannot be read"):
        fit(public=str(tmp_path / "none.json"))


def test_levels_that_many_rows_have_are_found_within_the_budget():
    columns = [c | ({"levels": None} if c["name"] == "city" else {}) for c in SCHEMA["columns"]]
    made = fit(public={"columns": columns}, private={**PRIVATE, "epsilon": 40.0, "schema_share": 0.5}, steps=1)
    (city,) = (c for c in made.schema.details.columns if c.name == "city")
    assert set(city.levels) == {"Ulm", "Bonn", "Kiel"}
    assert city.shares[city.levels.index("Ulm")] > 0.5
    with pytest.raises(SettingError, match="levels"):
        fit(public={"columns": columns}, private={**PRIVATE, "schema_share": 0.0})


def test_a_template_has_names_and_nothing_else():
    found = public_template(people())
    assert [c["name"] for c in found["columns"]] == ["age", "pay", "city", "member", "note"]
    assert found == public_template(people(seed=9))
    with pytest.raises(CombinationError, match="table"):
        public_template("digits")


def test_rows_made_up_are_of_the_schema_alone():
    a, b = (open_data(people(seed=s), kind="table", options={"public": SCHEMA, "validation": 0.0}, budget=Budget.none())
            for s in (1, 2))
    one, two = (d.kind.made_up(d.schema, 50, 3) for d in (a, b))
    assert (one.x == two.x).all()
    assert one.mask is not None
    assert one.mask[:, [0, 2, 3]].all()


def test_an_audit_stays_below_the_promise_and_asks_for_one(run):
    found = run.audit(canaries=200)
    assert found["holds"]
    assert 0 <= found["epsilon_at_least"] <= found["epsilon"] == run.spec.privacy.epsilon
    assert found["rows"] == 200
    with pytest.raises(SettingError, match="canaries"):
        run.audit(canaries=3)
    plain = senzai.fit(np.random.default_rng(0).standard_normal((60, 3)), steps=1, progress=False)
    with pytest.raises(CombinationError, match="promises none"):
        plain.audit()


# --- pictures -------------------------------------------------------------------------------------------------------
PIXELS = {"steps": 2, "batch_size": 64, "hidden": (8,), "n_latent": 2, "network": "mlp", "values": "unit",
          "progress": False, "private": {**PRIVATE, "epsilon": 8.0}}


def pixels(n=500, seed=0, top=256):
    return np.random.default_rng(seed).integers(0, top, (n, 6, 6), dtype=np.uint8)


def test_of_private_pictures_nothing_but_their_size_and_number_is_looked_at(tmp_path):
    a, b = (senzai.fit(x, out=tmp_path / str(i), **PIXELS) for i, x in enumerate((pixels(seed=1), pixels(top=3))))
    few, all_ = (open_data(x, kind="images", budget=Budget.none()).schema for x in (pixels(top=3), pixels()))
    assert few == all_
    assert few.n_levels == 256
    assert a.spec.data_schema == b.spec.data_schema
    assert a.spec.privacy == b.spec.privacy
    assert a.schema.fingerprint.startswith("public-sha256:")
    assert a.schema.fingerprint != senzai.fit(pixels(501), **PIXELS).schema.fingerprint
    assert [e.what for e in a.spec.privacy.ledger if e.how == "noise"] == ["weights"]
    assert a.spec.privacy.epsilon <= 8.0
    made = a.sample(3, seed=0)
    assert made.shape == (3, 6, 6)
    assert made.dtype == np.uint8
    assert a.dataset(pixels(seed=1)).schema.fingerprint == a.schema.fingerprint


def test_rows_that_are_nobodys_are_any_pictures():
    data = open_data(pixels(), kind="images", options={"values": "unit"}, budget=Budget.none())
    made = data.kind.made_up(data.schema, 400, 3).tensor
    assert made.shape == (400, 1, 6, 6)
    n = made.numel()
    assert float(made.double().mean()) == pytest.approx(0.5, abs=5 / np.sqrt(12 * n))
    assert float(made.double().std()) == pytest.approx(1 / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize(("data", "more", "why"), [
    (pixels().astype("float32") / 255, {}, "as an array of bytes"), ((pixels(), np.arange(500) % 2), {}, "label"),
    (pixels(), {"missing": "keep"}, "missing"),
])
def test_pictures_that_would_have_to_be_looked_at_are_refused(data, more, why):
    with pytest.raises(CombinationError, match=why):
        senzai.fit(data, **{**PIXELS, "kind": "images", **more})
