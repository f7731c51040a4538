"""Rows that are private at every site: epsilon against one table's, noise, ledgers, and what a site refuses to send."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.apps.cli import app
from senzai.core.errors import BundleError, CombinationError, InputError, SettingError, TrainingError
from senzai.core.secret import Secret
from senzai.data import open_data
from senzai.federated import local as local_module
from senzai.federated import rounds as rounds_module
from senzai.federated import simulate
from senzai.federated.flower import as_server
from senzai.federated.grids import Inside
from senzai.federated.ledger import Asked, Plan, SiteLedger, spent
from senzai.federated.local import LocalFit
from senzai.federated.private import spent_by_sites
from senzai.federated.rounds import federate
from senzai.federated.settings import Federation
from senzai.federated.site import Site
from senzai.federated.state import folder_of, load
from senzai.federated.wire import crossing
from senzai.runs.continuing import train_on
from senzai.training import private as rule_module
from senzai.training.privacy import PrivateSettings, epsilon_of

pytest.importorskip("opacus")
SCHEMA = {"columns": [
    {"name": "age", "type": "number", "low": 18, "high": 90},
    {"name": "pay", "type": "number", "low": 0, "high": 50_000, "missing": True},
    {"name": "city", "type": "categorical", "levels": ["Ulm", "Bonn", "Kiel"]},
]}
BUDGET = {"epsilon": 6.0, "delta": 1e-5, "noise_seed": 1, "accountant": "rdp"}
SMALL = {"n_latent": 2, "hidden": [8], "seed": 0, "public": SCHEMA}
FEW = {"rounds": 2, "local_steps": 4}
STEPS = 8


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    pay = np.where(rng.random(n) < 0.9, rng.integers(1, 50_000, n), np.nan)
    return pd.DataFrame({"age": rng.integers(18, 91, n), "pay": pay,
                         "city": rng.choice(["Ulm", "Bonn", "Kiel"], n, p=[0.7, 0.2, 0.1])})


@pytest.fixture(scope="module")
def parts():
    return [people(600, 1), people(400, 2), people(300, 3)]


def sites_of(parts, folder, kind=Site, **more):
    return [kind(d, name=f"s{i}", state=folder / f"s{i}", **more) for i, d in enumerate(parts, 1)]


def together(sites, out, *, settings=None, private=None, **federation):
    as_server()
    told = Federation.parse({"sites": len(sites), **FEW, "private": BUDGET if private is None else private,
                             **federation})
    return federate(Inside(sites), told, out=out, kind="table", given={**SMALL, **(settings or {})})


@pytest.fixture(scope="module")
def run(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    return together(sites_of(parts, folder), folder / "run")


# --- epsilon --------------------------------------------------------------------------------------------------------
def test_every_site_spends_what_one_table_of_its_rows_would(run, parts):
    sites = run.spec.privacy.sites
    assert list(sites) == ["s1", "s2", "s3"]
    for part, found in zip(parts, sites.values(), strict=True):
        alone = senzai.fit(part, private=BUDGET, public=SCHEMA, steps=STEPS, batch_size=found.batch_size, hidden=(8,),
                           n_latent=2, progress=False).spec.privacy
        assert found.epsilon == pytest.approx(alone.epsilon)
        assert (found.steps, found.noise, found.sample_rate) == (alone.steps, alone.noise, alone.sample_rate)
        assert found.delta == alone.delta
    assert len({s.sample_rate for s in sites.values()}) > 1


def test_the_run_says_the_largest_epsilon_and_opacus_agrees(run):
    from opacus.accountants import RDPAccountant

    promised, each = run.spec.privacy, []
    for found in promised.sites.values():
        accountant = RDPAccountant()
        for _ in range(STEPS):
            accountant.step(noise_multiplier=found.noise, sample_rate=found.sample_rate)
        each.append(0.6 + accountant.get_epsilon(delta=0.9e-5))
    assert promised.epsilon == pytest.approx(max(each))
    assert min(each) < promised.epsilon <= 6.0
    assert promised.steps == STEPS
    assert promised.delta == 1e-5


def test_rounds_that_a_site_missed_cost_it_nothing(parts, tmp_path):
    run = together(sites_of(parts[:2], tmp_path) + sites_of([parts[2]], tmp_path / "late", Gone), tmp_path / "run")
    found = run.spec.privacy.sites
    assert {name: s.steps for name, s in found.items()} == {"s1": 8, "s2": 8, "late": 4}
    gone = found["late"]
    assert gone.epsilon == pytest.approx(
        0.6 + epsilon_of(gone.noise, gone.sample_rate, 4, 0.9e-5, accountant="rdp"))
    assert gone.epsilon < run.spec.privacy.epsilon == max(s.epsilon for s in found.values())
    assert all(s.heard for s in found.values())


class Gone(Site):
    """A site that does not come to train from the second round on."""

    def __init__(self, *given, **more):
        super().__init__(*given, **{**more, "name": "late"})

    def trained(self, body, weights):
        if body["round"] >= 2:
            raise TrainingError("there is no power")
        return super().trained(body, weights)


class Silent(Gone):
    """A site that trains, and whose answer does not come."""

    def trained(self, body, weights):
        found = Site.trained(self, body, weights)
        if body["round"] >= 2:
            raise RuntimeError("the line is down")
        return found


def test_a_site_that_is_silent_may_have_spent_its_whole_budget(parts, tmp_path):
    sites = sites_of(parts[:2], tmp_path) + sites_of([parts[2]], tmp_path / "late", Silent)
    run = together(sites, tmp_path / "run")
    late = run.spec.privacy.sites["late"]
    assert not late.heard
    assert late.steps == 8
    assert late.epsilon == pytest.approx(
        0.6 + epsilon_of(late.noise, late.sample_rate, 8, 0.9e-5, accountant="rdp"))
    assert "late at most" in run.spec.privacy.sentence()


# --- noise ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def nothing_but_noise(monkeypatch):
    """Gradients of rows are nothing, so that all that moves is noise."""
    monkeypatch.setattr(
        rule_module, "clipped_sum", lambda found, clip: {k: torch.zeros_like(g[0]) for k, g in found.items()})


def plain(run):
    training = run.spec.training.model_copy(update={
        "optimiser": "sgd", "optimiser_settings": {}, "lr": 1.0, "schedule": "constant", "clip": None})
    return run.spec.model_copy(update={"training": training})


def moved(fit, start, number=0):
    after = fit.round(start, number)
    return torch.cat([(after[k] - start[k]).reshape(-1).double() for k, _ in fit.model.named_parameters()]).numpy()


def ledger_of(folder, name="s", *, steps=12, **budget):
    told = {k: v for k, v in {**BUDGET, "noise_seed": None, **budget}.items() if v is not None}
    return SiteLedger(folder / name, name, Asked(private=PrivateSettings(**told), steps=steps))


def test_noise_is_added_once_in_each_step_at_each_site(run, parts, tmp_path, nothing_but_noise):
    spec, dataset = plain(run), open_data(parts[0], schema=run.schema)
    start = {k: v.clone() for k, v in crossing(run.spec.make_model(), ()).items()}
    found = []
    for name in ("s1", "s2"):
        fit = LocalFit(spec, dataset, site=name, local_steps=4, ledger=ledger_of(tmp_path, name))
        found.append(moved(fit, start))
    n, plan = len(found[0]), fit.ledger.page.plan
    spread = plan.noise / plan.batch_size * np.sqrt(4)  # four steps of noise, the clip and the rate are 1
    for one in found:
        assert one.std() == pytest.approx(spread, rel=5 / np.sqrt(2 * n))
        assert abs(one.mean()) < 5 * spread / np.sqrt(n)
    assert abs(np.corrcoef(*found)[0, 1]) < 5 / np.sqrt(n)


def test_each_training_of_a_round_has_a_key_of_its_own_and_is_counted(run, parts, tmp_path, nothing_but_noise):
    spec, dataset = plain(run), open_data(parts[0], schema=run.schema)
    start = {k: v.clone() for k, v in crossing(run.spec.make_model(), ()).items()}
    other = {k: v + 1 for k, v in start.items()}
    fit = LocalFit(spec, dataset, site="s", local_steps=4, ledger=ledger_of(tmp_path))
    first, second = moved(fit, start), moved(fit, other)  # the same round with other weights: a server could subtract
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first))
    assert fit.ledger.spent.steps == 8
    assert np.array_equal(moved(fit, other), second)  # asked again: the same answer, at no cost
    assert fit.ledger.spent.steps == 8
    assert fit.private.secret is local_module.NOBODY
    moved(fit, start, 1)
    with pytest.raises(TrainingError, match=r"12 steps that its noise was planned for, and 12 are taken"):
        moved(fit, start, 2)
    assert fit.ledger.spent.steps == 12


def test_a_round_that_failed_is_counted(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.planned(540, None)

    def fails(secret):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.round("a", 4, fails)
    assert ledger_of(tmp_path).spent.steps == 4


def test_keys_come_from_the_system_unless_there_is_a_seed(tmp_path):
    keys = []
    for name, budget in (("a", {}), ("b", {}), ("c", {"noise_seed": 3}), ("d", {"noise_seed": 3})):
        ledger = ledger_of(tmp_path, name, **budget)
        ledger.planned(540, None)
        for question in "xy":
            ledger.round(question, 1, lambda secret: keys.append(secret) or {"w": torch.zeros(1)})
    assert len({k.key for k in keys}) == 8
    assert [k.known for k in keys] == [False] * 4 + [True] * 4


# --- what is counted ------------------------------------------------------------------------------------------------
def test_the_schema_is_the_sum_of_noisy_counts(parts, tmp_path):
    run = together(sites_of(parts, tmp_path), tmp_path / "run", private={**BUDGET, "epsilon": 200.0})
    whole = pd.concat(parts)
    city = next(c for c in run.schema.details.columns if c.name == "city")
    real = [(whole["city"] == v).mean() for v in city.levels]
    assert city.shares == pytest.approx(real, abs=0.02)
    assert city.shares != pytest.approx(real, abs=1e-6)
    assert run.schema.n_rows == 1300


def test_counts_are_taken_once_each_site_with_its_own_noise(tmp_path):
    found = []
    for name in ("a", "b"):
        ledger = ledger_of(tmp_path, name)
        told = [ledger.counts("schema", 300, lambda budget: budget.histogram("x", np.zeros(300, int), 400))
                for _ in range(2)]
        assert told[0] == told[1] == ledger_of(tmp_path, name).counts("schema", 300, pytest.fail)
        found.append(np.array(told[0])[1:])
        with pytest.raises(SettingError, match="once"):
            ledger.counts("another", 300, pytest.fail)
    assert abs(np.corrcoef(*found)[0, 1]) < 5 / np.sqrt(399)
    spread = found[0].std()
    assert epsilon_of(float(spread), 1.0, 1, 0.5e-6, accountant="rdp") == pytest.approx(0.6, rel=0.2)


def test_nothing_but_noise_and_the_number_of_rows_follows_from_values(tmp_path, monkeypatch):
    heard = []
    whole = Inside.send_and_receive

    def spy(self, messages, *, timeout=None):
        found = list(whole(self, messages, timeout=timeout))
        told = [json.loads(str(m.content.config_records["senzai"]["json"])) for m in found]
        heard.append(sorted(told, key=lambda answer: answer["site"]))  # Flower asks them in any order
        return found

    monkeypatch.setattr(Inside, "send_and_receive", spy)
    runs = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        runs.append(together(sites_of([people(300, seed), people(300, seed + 10)], folder), folder / "run",
                             private={**BUDGET, "schema_share": 0.0}))
    half = len(heard) // 2
    assert heard[:half] == heard[half:]
    assert heard[0][0]["outline"] == {"rows": 300, "form": "pandas"}
    assert runs[0].spec == runs[1].spec
    assert runs[0].spec.privacy.ledger[1].what == "parameters from s1"


def test_the_run_its_card_and_its_pages_say_the_promise(run):
    promised = run.spec.privacy
    costs = {e.what: e.epsilon for e in promised.ledger if e.how == "noise"}
    assert len(costs) == 4
    assert max(costs.values()) + min(costs.values()) == pytest.approx(promised.epsilon)
    again = senzai.load(run.folder)
    assert again.spec.privacy == promised
    assert run.metrics["federated"]["epsilon_of_rows"] == promised.epsilon
    card = (run.folder / "README.md").read_text()
    assert "largest epsilon of 3 sites" in card
    assert "parameters from s2: **noise**" in card
    page = (folder_of(run.folder) / "round-0001.html").read_text()
    assert "Rows are private with ε = " in page
    assert again.audit(canaries=50)["epsilon"] == promised.epsilon
    with pytest.raises(CombinationError, match="cannot be trained on"):
        train_on(again, people(50))


# --- starting again -------------------------------------------------------------------------------------------------
def test_neither_side_forgets_what_was_spent_when_it_starts_again(run, parts, tmp_path, monkeypatch):
    keep = rounds_module._Rounds._keep

    def killed(self, number, heard, facts):
        if number == 2:
            raise KeyboardInterrupt  # the sites have answered, and the server did not write it down
        keep(self, number, heard, facts)

    monkeypatch.setattr(rounds_module._Rounds, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        together(sites_of(parts, tmp_path), tmp_path / "run")
    monkeypatch.setattr(rounds_module._Rounds, "_keep", keep)
    assert [s.steps for s in spent_by_sites(load(folder_of(tmp_path / "run"))).values()] == [4, 4, 4]
    again = together(sites_of(parts, tmp_path), tmp_path / "run")  # other processes, the same folders
    assert again.spec.privacy == run.spec.privacy
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_the_same_rows_in_another_federation_are_refused(run, parts, tmp_path):
    together(sites_of(parts, tmp_path), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"8 are taken"):
        together(sites_of(parts, tmp_path), tmp_path / "again")
    with pytest.raises(SettingError, match=r"epsilon=6 over 8 steps, of which 8 are spent.*adds up"):
        together(sites_of(parts, tmp_path), tmp_path / "more", private={**BUDGET, "epsilon": 5.0})
    fewer = [parts[0], parts[1], parts[2].iloc[:200]]
    with pytest.raises(TrainingError, match=r"270 to train on, but there are 180 now"):
        together(sites_of(fewer, tmp_path), tmp_path / "fewer", min_sites=3)


def test_a_damaged_ledger_is_no_empty_one(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.planned(540, None)
    (tmp_path / "s" / "ledger.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        ledger_of(tmp_path)


# --- together with other settings -----------------------------------------------------------------------------------
def test_secure_rounds_report_their_ledgers(run, parts, tmp_path):
    secure = together(sites_of(parts, tmp_path), tmp_path / "run", secure=True, min_sites=3, range=8.0, bound=None)
    assert secure.spec.privacy.sites == run.spec.privacy.sites


def test_a_proximal_term_kept_moments_and_own_parameters_go_with_privacy(parts, tmp_path):
    own = tmp_path / "own"
    sites = [Site(d, name=f"s{i}", state=tmp_path / f"s{i}", out=own / f"s{i}") for i, d in enumerate(parts, 1)]
    run = together(sites, tmp_path / "run", strategy="fedprox", mu=0.1, moments="kept", own="posterior")
    assert run.spec.privacy.sites["s1"].steps == STEPS
    assert senzai.load(own / "s2").spec.privacy == run.spec.privacy


def test_whole_sites_can_be_private_besides(parts, tmp_path):
    run = together(sites_of(parts, tmp_path), tmp_path / "run", noise=1.0, bound=0.5)
    assert run.metrics["federated"]["epsilon"] > 0
    assert run.metrics["federated"]["epsilon_of_rows"] == run.spec.privacy.epsilon


# --- what cannot be -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "why"), [
    ({"measure": True}, "leave measure out"), ({"site_column": "clinic"}, "leave site_column out"),
    ({"passes": 2}, "passes=2. Leave it out"), ({"private": {"epsilon": -1}}, "private.epsilon"),
    ({"private": {"epsilonn": 1}}, "private"),
])
def test_settings_that_cannot_be(given, why):
    with pytest.raises(SettingError, match=why):
        Federation.parse({"private": BUDGET, **given})


@pytest.mark.parametrize(("settings", "federation", "why"), [
    ({"public": None}, {}, "there is no public schema"), ({"condition": "city"}, {}, "condition"),
    ({"private": {"epsilon": 1.0}}, {}, "--private epsilon=3"), ({"patience": 3}, {}, "rules out patience"),
    ({"hidden": [2000, 2000]}, {}, "stand out of the noise"),
])
def test_what_would_look_at_rows_is_refused_before_any_site_is_asked(parts, tmp_path, settings, federation, why):
    with pytest.raises((SettingError, CombinationError), match=why):
        together(sites_of(parts[:2], tmp_path), tmp_path / "run", settings=settings, **federation)


def test_levels_that_a_site_would_have_to_send_are_refused(parts, tmp_path):
    columns = [*SCHEMA["columns"][:2], {"name": "city", "type": "categorical"}]
    with pytest.raises(SettingError, match="List them there"):
        together(sites_of(parts[:2], tmp_path), tmp_path / "run", settings={"public": {"columns": columns}})
    assert not (tmp_path / "s1").exists()


def test_a_model_whose_rows_mix_is_refused(parts, tmp_path):
    as_server()
    with pytest.raises(CombinationError, match="depends on"):
        federate(Inside(sites_of(parts[:2], tmp_path)), Federation.parse({**FEW, "private": BUDGET}), kind="table",
                 out=tmp_path / "run", recipe="wae", given=SMALL)


def test_a_site_insists_on_a_budget_and_on_a_folder(parts, tmp_path):
    most = PrivateSettings(epsilon=2.0, delta=1e-6)
    with pytest.raises(SettingError, match=r"may cost epsilon=2 at most at delta=1e-06, but the server.*epsilon=6"):
        together(sites_of(parts[:2], tmp_path, private=most), tmp_path / "run")
    with pytest.raises(SettingError, match=r"at most at delta=1e-06"):
        together(sites_of(parts[:2], tmp_path, private=most), tmp_path / "run", private={**BUDGET, "epsilon": 1.0})
    as_server()
    plainly = Federation.parse({**FEW, "sites": 2})
    with pytest.raises(SettingError, match=r"asks for training without noise"):
        federate(Inside(sites_of(parts[:2], tmp_path, private=most)), plainly, out=tmp_path / "run", kind="table")
    with pytest.raises(SettingError, match=r"--state FOLDER"):
        together([Site(d, name=f"s{i}") for i, d in enumerate(parts[:2])], tmp_path / "run")
    assert not (tmp_path / "s1").exists()


def test_a_ledger_that_cannot_be_leaves_the_site_out(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(Site, "spent", lambda self: {"epsilon": -1.0})
    with pytest.raises(TrainingError, match="what it spent"):
        together(sites_of(parts[:2], tmp_path), tmp_path / "run")


def test_a_message_that_asks_for_nonsense_is_refused():
    with pytest.raises(InputError, match="epsilon and steps"):
        Asked.of({"private": {"epsilon": 0}, "steps": 3})


def test_plans_and_costs_add_up():
    asked = Asked(private=PrivateSettings(**{**BUDGET, "schema_share": 0.25}), steps=20)
    plan = Plan.of(asked, 320, None)
    assert plan.batch_size == 10
    assert spent(asked, plan, 0, counted=False).epsilon == 0.0
    assert spent(asked, plan, 0, counted=True).epsilon == 1.5
    most = spent(asked, plan, 20, counted=True)
    assert 5.9 < most.epsilon <= 6.0
    assert spent(asked, plan, 10, counted=True).epsilon < most.epsilon


# --- commands -------------------------------------------------------------------------------------------------------
def call(*words):
    with pytest.raises(SystemExit) as left:
        app(list(map(str, words)))
    return left.value.code


def test_the_command_line_simulates_keeps_ledgers_and_refuses(tmp_path, capsys, parts):
    parts[0].to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    words = ["federate", "simulate", tmp_path / "rows.csv", "--sites", 2, "--rounds", 2, "--local-steps", 4, "--quiet",
             "--set", "hidden=8", "--private", "epsilon=6,delta=1e-5", "--private", "accountant=rdp"]
    out = tmp_path / "run"
    assert call(*words, "--schema", tmp_path / "schema.json", "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)["federated"]
    assert told["epsilon_of_rows"] <= 6
    assert told["delta_of_rows"] == 1e-5
    ledger = json.loads((folder_of(out) / "sites" / "site-1" / "ledger.json").read_text())
    assert ledger["steps"] == STEPS
    assert call("info", out) == 0
    assert "largest epsilon of 2 sites" in " ".join(capsys.readouterr().out.split())
    assert call(*words, "--out", tmp_path / "b") == 2
    assert "no public schema" in capsys.readouterr().err
    assert call("federate", "server", "--out", tmp_path / "c", "--how", "measure=true", "--private", "epsilon=3") == 2
    assert "leave measure out" in capsys.readouterr().err
    assert call("federate", "client", tmp_path / "rows.csv", "--server", "127.0.0.1:1", "--name", "x", "--private",
                "delta=1") == 2
    assert "private" in capsys.readouterr().err


def test_a_second_start_of_a_simulation_goes_on_with_its_ledgers(parts, tmp_path, stopped_in_round):
    given = {"out": tmp_path / "run", "settings": SMALL, "federation": {**FEW, "private": BUDGET}}
    with stopped_in_round(2):
        simulate(parts[:2], **given)
    run = simulate(parts[:2], **given)
    assert {s.steps for s in run.spec.privacy.sites.values()} == {STEPS}
    assert Secret.fresh().key != Secret.fresh().key


def test_sites_of_a_real_server_keep_ledgers_and_insist(parts, tmp_path):
    import threading

    from senzai.federated import join, serve

    budget, errors, threads = {k: v for k, v in BUDGET.items() if k != "noise_seed"}, [], []

    def come(data, **given):
        def go():
            try:
                join(data, patience=60, **given)
            except Exception as err:
                errors.append(err)

        threads.append(threading.Thread(target=go, daemon=True))
        threads[-1].start()

    def started(address):
        for i in (0, 2):
            come(parts[i], server=address, name=f"s{i}", state=tmp_path / f"s{i}", out=tmp_path / f"own-{i}",
                 private={"epsilon": 6.0, "delta": 1e-5})

    run = serve(out=tmp_path / "run", port=0, settings=SMALL, started=started,
                federation={**FEW, "sites": 2, "timeout": 120.0, "wait": 120.0, "private": budget})
    for thread in threads:
        thread.join(timeout=120)
    assert errors == []
    assert {name: s.steps for name, s in run.spec.privacy.sites.items()} == {"s0": STEPS, "s2": STEPS}
    assert json.loads((tmp_path / "s2" / "ledger.json").read_text())["steps"] == STEPS
    assert senzai.load(tmp_path / "own-2").spec.privacy == run.spec.privacy
    assert "never kept" in run.spec.privacy.sentence()
