"""Texts through every verb, and what is measured of them against sentences whose distribution is known."""

import json
from math import log

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, SettingError
from senzai.evaluation.code_use import exchanged_codes, recovered

LINES = [f"{a} {n} {v}" for a in ("a", "the") for n in ("dog", "cat") for v in ("barks", "sleeps")] * 12


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts") / "run"
    return senzai.fit(LINES, steps=150, n_latent=3, out=folder, seed=0, batch_size=32)


def test_every_verb_gives_texts(run):
    new = run.sample(5, seed=0)
    assert len(new) == 5
    assert all(isinstance(text, str) for text in new)
    assert new == run.sample(5, seed=0)
    assert run.encode(LINES[:4]).shape == (4, 3)
    assert len(run.reconstruct(LINES[:4])) == 4
    assert len(run.interpolate(LINES[:1], LINES[1:2], steps=4)) == 4
    assert len(run.traverse(LINES[:1], dim=0)) == 7
    assert np.isfinite(run.score(LINES[:6])).all()


def test_most_texts_come_back_from_their_codes(run):
    back = run.reconstruct(LINES[:8])
    assert np.mean([a.split()[1:] == b.split()[1:] for a, b in zip(LINES, back, strict=False)]) >= 0.5


def test_the_bound_is_below_what_is_known(run):
    """Eight sentences that are equally likely have log p = -log 8 each, at best."""
    found = run.log_likelihood(LINES[:8], k=200)
    assert found.mean() < -log(8) + 0.05
    assert found.mean() > -log(8) - 1.5


def test_a_row_of_symbols_is_measured_as_such(run):
    found = run.evaluate(LINES, k=20, also=["code_use"], split="all")
    symbols, use = found["measured"]["symbols"], found["measured"]["code_use"]["exchanged_codes"]
    assert 0.5 < symbols["recovered"]["value"] <= 1
    assert symbols["recovered_in_place"]["value"] <= symbols["recovered"]["value"]
    assert symbols["perplexity_bound"]["value"] == pytest.approx(np.exp(found["nats_per_step"]))
    assert use["value"] > 3 * use["se"] > 0


def test_exchanged_codes_are_worth_nothing_to_a_decoder_that_does_not_read_them(run):
    import copy

    deaf = copy.deepcopy(run.model)
    network = deaf.likelihood.network
    with torch.no_grad():
        network.skip.weight.zero_()
        network.first.weight.zero_()
        network.net.weight_ih_l0[:, network.symbols.embedding_dim :].zero_()
    batch = run.dataset(LINES).batch()
    assert abs(exchanged_codes(deaf, batch).value) < 1e-5
    assert exchanged_codes(run.model, batch).value > 0.1


def test_recovered_counts_symbols_once_and_never_unknown_ones():
    rows = torch.tensor([[5, 5, 1, 0, 0], [2, 3, 4, 2, 0], [0, 0, 0, 0, 0]])
    made = torch.tensor([[5, 1, 1, 5, 5], [3, 2, 2, 2, 9], [4, 0, 0, 0, 0]])
    n, shared, in_place = recovered(rows, made)
    assert n.tolist() == [3, 4, 0]
    assert shared.tolist() == [2, 3, 0]
    assert in_place.tolist() == [1, 1, 0]


def test_rows_are_drawn_as_asked_for(run):
    cold = run.sample(20, seed=1, decoding={"temperature": 1e-4})
    assert cold == run.sample(20, seed=1, decoding={"top_p": 1e-6})
    assert cold != run.sample(20, seed=1)
    beams = run.reconstruct(LINES[:8], decoding={"beam": 4})
    data = run.dataset(LINES[:8])
    z = run.model.infer(data.batch(), 1).groups[0].q.mean
    p = run.model.generate((z,))
    with torch.no_grad():
        wide, narrow = (p.log_prob(run.dataset(t).batch().x) for t in (beams, run.reconstruct(LINES[:8])))
    assert (wide >= narrow - 1e-4).all()


def test_choices_that_cannot_be_are_refused_in_words(run):
    with pytest.raises(SettingError, match="temperature, top_p, beam"):
        run.sample(2, decoding={"heat": 2})
    with pytest.raises(SettingError, match="top_p"):
        run.sample(2, decoding={"top_p": 2})
    with pytest.raises(CombinationError, match="rows of symbols"):
        senzai.fit("digits", steps=1, n_latent=2).sample(2, decoding={"top_p": 0.5})


def test_a_run_is_kept_and_goes_on(run, tmp_path):
    again = senzai.load(run.folder)
    assert again.sample(6, seed=3) == run.sample(6, seed=3)
    assert again.reconstruct(LINES[:8]) == run.reconstruct(LINES[:8])
    spec = json.loads((run.folder / "spec.json").read_text())
    assert "bag" not in json.dumps(spec["model"])


def test_the_report_shows_texts(run, tmp_path):
    page = run.report(tmp_path / "r.html", data=LINES).read_text(encoding="utf-8")
    assert "96 texts of up to 3 symbols" in page
    assert "No picture yet" not in page
    assert LINES[0] in page


def test_markup_in_texts_is_escaped_in_the_report(tmp_path):
    lines = ["<script>alert(1)</script> a", "<b>bold</b> b"] * 12
    made = senzai.fit(lines, steps=2, n_latent=2)
    page = made.report(tmp_path / "r.html", data=lines).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "<b>bold" not in page


def test_generation_given_a_label(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"t": LINES, "animal": ["dog" if "dog" in line else "cat" for line in LINES]})
    made = senzai.fit(
        frame, column="t", label="animal", condition="label", steps=200, n_latent=2, seed=0, batch_size=32,
    )
    for animal, other in (("dog", "cat"), ("cat", "dog")):
        new = made.sample(40, seed=0, given={"animal": animal})["t"]
        assert new.str.contains(animal).mean() > new.str.contains(other).mean() + 0.4


def test_nearest_rows_are_those_of_the_smallest_distance(run):
    codes = run.encode(LINES)
    found = run.nearest(LINES[:3], among=LINES, k=4)
    assert list(found.columns) == ["row", "rank", "nearest", "distance", "is"]
    for i in range(3):
        part = found[found.row == i]
        known = np.sort(np.linalg.norm(codes[i] - codes, axis=1))[:4]
        assert part.distance.to_numpy() == pytest.approx(known, abs=1e-5)
        assert part.nearest.iloc[0] == i  # the first of those that are equal
        assert part["is"].tolist() == [LINES[j] for j in part.nearest]
    with pytest.raises(SettingError, match="1 <= k"):
        run.nearest(LINES[:1], among=LINES[:2], k=3)


# --- transfer ---------------------------------------------------------------------------------------------------------
SAID = [(f"the {n} is {(bad, good)[i % 2]}", ("neg", "pos")[i % 2]) for i in range(2)
        for n in ("film", "plot", "cast") for good in ("great", "lovely") for bad in ("awful", "dull")] * 8


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    import pandas as pd

    path = tmp_path_factory.mktemp("said") / "said.csv"
    pd.DataFrame(SAID, columns=["text", "label"]).to_csv(path, index=False)
    small = {"encoder.width": 16, "encoder.embedding": 8, "likelihood.width": 24, "likelihood.embedding": 8}
    small |= {"n_latent": 4, "seed": 0, "sampler": "none", "by_length": True, "progress": False}
    both = {c: senzai.fit(path, column="text", label="label", steps=120 if more else 10, **more, **small)
            for c, more in (("condition", {"condition": "label"}), ("direction", {}))}
    return both, pd.DataFrame(SAID[:24], columns=["text", "label"])


GOOD = ("great", "lovely")


def test_transfer_brings_rows_to_the_other_class(labelled):
    runs, rows = labelled
    bad = rows[rows.label == "neg"]
    made = list(runs["condition"].transfer(bad, to="pos")["text"])
    assert np.mean([text.endswith(GOOD) for text in made]) > 0.5


def test_transfer_along_a_direction_is_an_edit(labelled):
    runs, rows = labelled
    made = runs["direction"].transfer(rows, to="pos", by=2.0)
    assert list(made["text"]) == list(runs["direction"].edit(rows, towards="pos", by=2.0)["text"])


def test_what_does_not_speak_for_the_class_stays(labelled):
    runs, rows = labelled
    bad = rows[rows.label == "neg"]
    made = list(runs["condition"].transfer(bad, to="pos", keep=0.75)["text"])
    assert [m.split()[:3] for m in made] == [t.split()[:3] for t in bad.text]
    assert np.mean([text.endswith(GOOD) for text in made]) > 0.9
    same = runs["condition"].transfer(bad, to="neg", keep=0.5)["text"]
    assert list(same) == list(bad.text)


def test_words_that_stay_are_the_rows_own_known_or_not(labelled):
    runs, rows = labelled
    words = rows[rows.label == "neg"].text.iloc[0].split()
    new = pd.DataFrame({"text": [" ".join(["zyzzyva", *words[1:]]), " ".join(words)], "label": ["neg", "neg"]})
    made = list(runs["condition"].transfer(new, to="pos", keep=0.75)["text"])
    assert made[0].split()[0] == "zyzzyva"
    assert "⟨?⟩" not in made[1]
    assert "zyzzyva" not in made[1]
    anew = list(runs["condition"].transfer(new, to="pos")["text"]) + list(runs["condition"].reconstruct(new)["text"])
    assert "zyzzyva" not in " ".join(anew)  # what was not kept is told by the code alone


def test_transfers_that_cannot_be_are_refused_in_words(labelled, run):
    runs, rows = labelled
    with pytest.raises(SettingError, match="neg, pos"):
        runs["condition"].transfer(rows, to="positive")
    with pytest.raises(CombinationError, match="condition=label"):
        runs["direction"].transfer(rows, to="pos", way="condition")
    with pytest.raises(SettingError, match="Leave one out"):
        runs["condition"].transfer(rows, to="pos", keep=0.5, decoding={"beam": 2})
    with pytest.raises(CombinationError, match="label="):
        run.transfer(LINES[:1], to="pos")
