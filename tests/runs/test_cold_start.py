"""Items that nobody had, and users of whom something is known: against shares that are known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import CombinationError, SettingError

USERS, ITEMS, GENRES, COLD, EACH = 300, 40, 4, 4, 30
SHARE = {"red": np.array([8.0, 1, 1, 0.5]), "blue": np.array([1.0, 6, 0.5, 1])}
"""How much likelier than another an item of each genre is, by the club of a user: nothing else matters."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def log(place):
    """Counts of items whose probability follows from genre and club alone; the first of each genre was never sold."""
    rng = np.random.default_rng(0)
    genre = np.arange(ITEMS) % GENRES
    clubs = rng.choice(["red", "blue"], USERS)
    lines = []
    for user, club in enumerate(clubs):
        p = SHARE[club][genre] * (np.arange(ITEMS) >= COLD)
        counts = rng.multinomial(EACH, p / p.sum())
        lines += [(f"u{user}", f"i{i}", int(n)) for i, n in enumerate(counts) if n]
    items = {"item": [f"i{i}" for i in range(ITEMS)], "genre": [f"g{g}" for g in genre]}
    pd.DataFrame(items).to_csv(place / "items.csv", index=False)
    pd.DataFrame({"user": [f"u{u}" for u in range(USERS)], "club": clubs}).to_csv(place / "people.csv", index=False)
    return pd.DataFrame(lines, columns=["user", "item", "count"])


@pytest.fixture(scope="module")
def run(log, place):
    return senzai.fit(
        log, items=str(place / "items.csv"), users=str(place / "people.csv"), values="count", steps=150, n_latent=2,
        hidden=(8,), lr=1e-2, batch_size=100, sampler="none", progress=False,
    )


def truth(club):
    """Shares of all items, cold ones included."""
    share = SHARE[club][np.arange(ITEMS) % GENRES]
    return dict(zip([f"i{i}" for i in range(ITEMS)], share / share.sum(), strict=True))


@pytest.mark.parametrize("club", ["red", "blue"])
def test_an_item_that_nobody_had_has_the_share_of_its_genre(run, place, club):
    told = run.recommend(items=[], given={"club": club}, k=ITEMS, newcomers=place / "items.csv")
    found, expected = dict(zip(told.item, told.share, strict=True)), truth(club)
    assert len(found) == ITEMS
    assert sum(found.values()) == pytest.approx(1)
    for i in range(COLD):
        assert found[f"i{i}"] == pytest.approx(expected[f"i{i}"], rel=0.2)


def test_newcomers_leave_the_order_of_the_others_alone(run, place):
    plain = run.recommend(items=["i4"], given={"club": "red"}, k=10)
    told = run.recommend(items=["i4"], given={"club": "red"}, k=ITEMS, newcomers=place / "items.csv")
    others = told[~told.item.isin([f"i{i}" for i in range(COLD)])]
    assert others.item.tolist()[:10] == plain.item.tolist()
    assert "i4" not in told.item.tolist()
    ratio = others.share.to_numpy()[:10] / plain.share.to_numpy()
    assert np.allclose(ratio, ratio[0], rtol=1e-6)  # only the new ones take their part
    assert told.item.tolist()[0] in {f"i{i}" for i in range(0, ITEMS, GENRES)}


def test_what_is_known_of_a_user_is_used(run, log):
    red, blue = (run.recommend(items=[], given={"club": c}, k=1).item[0] for c in ("red", "blue"))
    assert (int(red[1:]) % GENRES, int(blue[1:]) % GENRES) == (0, 1)
    every = run.recommend(log, k=3)
    assert len(every) == 3 * USERS
    with pytest.raises(SettingError, match="given club, but got 'age'"):
        run.recommend(items=[], given={"age": 3})
    with pytest.raises(SettingError, match="classes blue, red, but got 'green'"):
        run.recommend(items=[], given={"club": "green"})


def test_rows_are_drawn_for_users_of_whom_something_is_known(run):
    made = run.sample(40, given={"club": "blue"})
    genre = made.item.str[1:].astype(int) % GENRES
    assert float(np.average(genre == 1, weights=made["count"])) > 0.5


def test_other_verbs_know_what_to_do_with_facts(run, log):
    assert len(run.similar(item="i5", k=3)["similar"]) == 3
    told = run.reasons(log, item="i8", user="u0")
    assert told["log_share"] == pytest.approx(told["log_share_of_nobody"] + sum(b["adds"] for b in told["because"]))
    assert run.recommend(items=["i4"], k=2, because=1, given={"club": "red"}).because.notna().all()


def test_a_saved_run_ranks_newcomers_alike(run, place, tmp_path):
    run.save(tmp_path / "r")
    again = senzai.load(tmp_path / "r")
    asked = {"items": ["i4", "i9"], "given": {"club": "red"}, "k": 8, "newcomers": str(place / "items.csv")}
    assert run.recommend(**asked).equals(again.recommend(**asked))


def test_the_command_line_ranks_newcomers_for_a_new_user(run, place, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from senzai.apps.cli import app

    run.save(tmp_path / "r")
    run.folder = None
    monkeypatch.chdir(place)
    asked = ["recommend", str(tmp_path / "r"), "--items", "i4,i8", "-k", "40", "--json"]
    told = CliRunner().invoke(app, [*asked, "--given", "club=red", "--newcomers", "items.csv"])
    assert told.exit_code == 0, told.output
    found = [line["item"] for line in json.loads(told.stdout)["recommend"]]
    assert len(found) == ITEMS - 2
    assert "i0" in found[:12]
    assert "notes" not in json.loads(told.stdout)
    assert CliRunner().invoke(app, [*asked, "--given", "club=green"]).exit_code == 2
    pd.read_csv("items.csv").iloc[COLD:].to_csv(tmp_path / "known.csv", index=False)
    asked += ["--given", "club=red", "--newcomers", str(tmp_path / "known.csv")]
    assert "no item that the model does not know" in json.loads(CliRunner().invoke(app, asked).stdout)["notes"][0]
    asked.remove("--json")
    assert "that the model does not know" in " ".join(CliRunner().invoke(app, asked).output.split())
    wrote = CliRunner().invoke(app, [*asked, "-o", str(tmp_path / "told.csv")])
    assert "does not know, so that none" in " ".join(wrote.output.split())


def test_the_report_is_made_for_users_of_whom_something_is_known(run, log, place):
    path = run.report(place / "page.html", data=log)
    assert "Popularity" in path.read_text(encoding="utf-8")


def test_runs_without_facts_of_items_refuse_newcomers(log, place):
    plain = senzai.fit(log, steps=2, n_latent=2, hidden=(4,), sampler="none", progress=False)
    with pytest.raises(CombinationError, match="items=PATH"):
        plain.recommend(items=["i4"], newcomers=place / "items.csv")
    with pytest.raises(SettingError, match="without facts about users"):
        plain.recommend(items=["i4"], given={"club": "red"})
    other = senzai.fit(
        log, items=str(place / "items.csv"), decoder="mlp", steps=2, n_latent=2, sampler="none", progress=False,
    )
    with pytest.raises(CombinationError, match="decoder of items"):
        other.recommend(items=["i4"], newcomers=place / "items.csv")
