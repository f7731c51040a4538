"""Music through every verb."""

import json

import numpy as np
import pytest

import senzai
from senzai.core.errors import CombinationError, SettingError
from senzai.data import KINDS
from senzai.data.music import Note, Passage
from senzai.runs.verbs import optimise as verb
from senzai.runs.verbs import region

pytest.importorskip("symusic")


def tunes(n=40, seed=0):
    """Melodies of which some have many notes and some have few."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        step = (2, 4, 8)[i % 3]
        root = 60 + int(rng.integers(0, 5))
        made.append(Passage((tuple(Note(t, step, root + (t // step) % 3 * 2) for t in range(0, 16, step)),), 16, 100.0))
    return made


SMALL = {"likelihood.width": 48, "likelihood.embedding": 16, "encoder.width": 32, "encoder.embedding": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    (folder / "tunes.json").write_text(json.dumps([t.plain() for t in tunes()]))
    return senzai.fit(
        folder / "tunes.json", kind="music", steps=120, n_latent=4, seed=0, lr=1e-2, bars=1, batch_size=32,
        properties="density", free_bits=0.1, sampler="none", out=folder / "run", **SMALL,
    )


def test_the_recipe_is_proposed_and_rows_come_back(run):
    assert run.spec.recipe == "music-vae"
    back = run.reconstruct(tunes())
    found = np.mean([x.voices[0][:1] == y.voices[0][:1] for x, y in zip(tunes(), back, strict=True)])
    assert found > 0.3
    assert all(p.steps == 16 and p.tempo == 100.0 for p in back)


@pytest.mark.parametrize("suffix", [".mid", ".json", ""])
def test_every_verb_writes_music_that_is_read_again(run, tmp_path, suffix):
    made = run.interpolate(tunes()[:1], tunes()[1:2], steps=5)
    path = tmp_path / f"way{suffix}"
    KINDS["music"].write(made, path, run.schema)
    read = senzai.data.open_data(path, schema=run.schema)
    whole = [p for p in made if p.voices[0]]
    assert read.decode(read.batch(np.arange(1)).x)[0] == whole[0]
    assert len(read) == len(whole)


def test_a_traversal_is_a_row_of_pieces(run):
    assert len(run.traverse(tunes()[:1], dim=0, values=(-2.0, 0.0, 2.0))) == 3


def test_codes_tell_the_numbers_that_they_are_to_tell(run):
    found = run.evaluate(tunes(), k=5, split="all")["measured"]
    assert found["numbers"]["density"]["value"] > 0.5
    assert found["symbols"]["recovered"]["value"] > 0.3


def test_an_edit_goes_towards_more_notes(run):
    rows = [t for t in tunes() if len(t.voices[0]) == 2]
    kind = KINDS["music"]
    before = kind.quantity(rows, "density", run.schema).mean()
    more = kind.quantity(run.edit(rows, towards="density", by=1.5), "density", run.schema).mean()
    assert more > before + 0.2
    with pytest.raises((SettingError, CombinationError)):
        run.edit(rows, towards="densities")


def test_the_report_has_piano_rolls_and_plays_them(run, tmp_path):
    page = run.report(tmp_path / "r.html", data=tunes()).read_text(encoding="utf-8")
    assert "data:image/svg+xml;base64," in page
    assert 'data-sound="[[0.0,' in page
    assert "AudioContext" in page
    assert "40 rows of 1 bar in 4/4" in page


def test_new_rows_follow_a_number_that_is_given():
    run = senzai.fit(
        tunes(), steps=90, n_latent=2, seed=0, lr=1e-2, bars=1, batch_size=32, condition="density", sampler="none",
        beta=1.0, free_bits=0.0, **SMALL,
    )
    kind = KINDS["music"]
    few, many = (kind.quantity(run.sample(30, seed=0, given={"density": d}), "density", run.schema).mean()
                 for d in (0.5, 2.0))
    assert many > few + 0.5
    with pytest.raises(SettingError, match="is a number"):
        run.sample(2, given={"density": "much"})
    with pytest.raises(CombinationError, match="told density too"):
        run.optimise(objective="density")


def test_rows_of_many_bars_get_a_plan():
    long = [Passage((tuple(Note(t, 4, 60 + i % 5) for t in range(0, 64, 4)),), 64) for i in range(12)]
    data = senzai.data.open_data(long, options={"bars": 4})
    assert data.propose().likelihood.name == "conductor_tokens"
    assert data.propose().likelihood.settings["segment"] == 16
    run = senzai.fit(long, steps=2, bars=4, n_latent=2, sampler="none", **SMALL)
    assert run.sample(2, seed=0)[0].steps == 64


def test_a_search_finds_rows_with_more_of_a_number(run, monkeypatch):
    pytest.importorskip("botorch")
    monkeypatch.setattr(region, "CANDIDATES", 50)
    monkeypatch.setattr(verb, "IDLE", 3)
    best = run.optimise(objective="density - 0.01 * range", budget=24, top=3, batch=4, seed=0)
    assert len(best) == 3
    assert list(best.scores) == sorted(best.scores, reverse=True)
