"""Whole packages from outside go the whole way of a run, with no file of senzai edited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent / "packages"
SENTENCES = """
import json, random, sys
import numpy as np
import senzai

random.seed(0)
words = (("the", "a"), ("cat", "dog", "sun"), ("runs", "sleeps", "shines"))
rows = [" ".join(random.choice(w) for _ in range(random.randint(1, 3)) for w in words) for _ in range(200)]
with open("all.sentences", "w") as file:
    file.write("\\n".join(rows) + "\\n")

run = senzai.fit("all.sentences", out="run", steps=150, n_latent=3, **{"encoder.width": 16})
again = senzai.load("run")
found = {"samples": run.sample(60, seed=0), "plugins": run.spec.plugins, "unit": run.dataset(rows).kind.unit}
assert found["samples"] == again.sample(60, seed=0)
assert run.reconstruct(rows[:5]) == again.reconstruct("all.sentences")[:5]
assert np.array_equal(run.encode(rows), again.encode(rows)) and run.encode(rows).shape == (200, 3)
assert len(run.interpolate(rows[:1], rows[1:2], steps=5)) == 5
assert len(run.traverse(rows[:1], dim=0)) == 7
found["evaluate"] = again.evaluate("all.sentences", k=5)
found["findings"] = [str(f) for f in again.diagnose().findings]
assert again.report().stat().st_size > 10_000
assert np.isfinite(again.score(rows[:9])).all()
more = senzai.resume("run", steps=160)
assert more.metrics["fit"]["steps"] == 160
try:
    senzai.fit("al.sentences")
except senzai.InputError as err:
    found["absent"] = str(err)
print("FOUND", json.dumps(found))
"""

BASKETS = """
import json, random
import numpy as np
import senzai

random.seed(0)
drinks, tools = ["tea", "milk", "sugar", "lemon"], ["nail", "hammer", "saw", "glue"]
rows = [random.sample(drinks if i % 2 else tools, 3) for i in range(300)]
with open("all.baskets", "w") as file:
    file.write("".join(", ".join(row) + "\\n" for row in rows))
with open("some.baskets", "w") as file:
    file.write("tea, milk\\nsaw, glue\\n")

run = senzai.fit("all.baskets", out="run", steps=300, n_latent=2, hidden=[16], lr=0.01)
again = senzai.load("run")
found = {"plugins": run.spec.plugins, "items": again.suggest("some.baskets", top=2)["items"]}
assert again.suggest("some.baskets", top=2)["items"] == run.suggest("some.baskets", top=2)["items"]
assert run.sample(5, seed=0) == again.sample(5, seed=0)
assert [sorted(r) for r in run.dataset("all.baskets").decode(run.dataset("all.baskets").batch().x)] == [
    sorted(r) for r in rows]
assert len(run.interpolate("some.baskets", "some.baskets", steps=3)) == 3
assert len(run.reconstruct("some.baskets")) == 2 and run.encode("some.baskets").shape == (2, 2)
found["evaluate"] = again.evaluate("all.baskets", k=5)
found["findings"] = [str(f) for f in again.diagnose().findings]
found["report"] = again.report().read_text(encoding="utf-8")
try:
    senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1, n_latent=2).suggest("some.baskets")
except senzai.CombinationError as err:
    found["refused"] = str(err)
print("FOUND", json.dumps(found))
"""


PAIRS = """
import json
import numpy as np
import senzai

rng = np.random.default_rng(0)
rows = []
for i in range(800):
    at, n = i % 4, 1 + i // 4 % 5
    picture = [[int(j == at) ^ int(rng.random() < 0.05) for j in range(4)] for _ in range(4)]
    steps = rng.normal(3 * at, 0.5, size=n).tolist()
    rows.append({"picture": None if i % 5 == 3 else picture, "steps": None if i % 7 == 5 and i % 5 != 3 else steps})
with open("all.pairs", "w") as file:
    file.write("".join(json.dumps(row) + "\\n" for row in rows))

run = senzai.fit("all.pairs", recipe="mvae", out="run", steps=400, n_latent=2, hidden=[64, 64], lr=0.01)
again = senzai.load("run")
found = {"plugins": run.spec.plugins, "samples": run.sample(5, seed=0)}
assert found["samples"] == again.sample(5, seed=0)
assert run.dataset(rows).kind.name == "pairs"
back = again.reconstruct("all.pairs")
assert back == run.reconstruct(rows)
assert [len(b["steps"]) for b in back] == [len(r["steps"] or range(5)) for r in rows]
alone = [{"picture": [[int(j == at) for j in range(4)]] * 4, "steps": None} for at in range(4)]
found["crossed"] = again.reconstruct(alone)
assert again.encode(rows).shape == (800, 2) and np.array_equal(again.encode(rows), run.encode("all.pairs"))
assert len(again.interpolate(alone[:1], [{"picture": None, "steps": [9.0]}], steps=5)) == 5
assert len(run.traverse(alone[:1], dim=1)) == 7
found["evaluate"] = again.evaluate("all.pairs", k=5)
found["findings"] = [str(f) for f in again.diagnose().findings]
found["report"] = again.report().read_text(encoding="utf-8")
assert senzai.resume("run", steps=405).metrics["fit"]["steps"] == 405
other = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1, n_latent=2)
found["other"] = other.evaluate(np.zeros((5, 3)), k=2)
print("FOUND", json.dumps(found))
"""


@pytest.fixture
def outside(site):
    """A place where one of the packages is installed."""

    def install(name: str):
        source = (PACKAGES / f"{name}.py").read_text(encoding="utf-8")
        assert len(source.splitlines()) < 200
        site.install(name.replace("_", "-"), {name: source})
        return site

    return install


def test_sentences_with_a_recurrent_encoder_and_decoder_of_their_own(outside):
    site = outside("senzai_sentences")
    done = site.run(SENTENCES)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    assert found["plugins"] == {"senzai-sentences": "1.0"}
    assert found["unit"] == "token"
    assert "Did you mean 'all.sentences'" in found["absent"]
    subjects = {"the", "a"}
    assert sum(s.split()[0] in subjects for s in found["samples"] if s) > 40  # by chance 2 of 10 words
    assert {len(s.split()) for s in found["samples"]} != {9}  # sentences end where the model ends them
    sampled = site.process("-m", "senzai", "sample", "run", "-n", "4", "-o", "new.sentences")
    assert sampled.returncode == 0, sampled.stderr
    assert len((site.folder / "new.sentences").read_text().splitlines()) == 4
    assert "sentences" in site.process("-m", "senzai", "info", "run").stdout


def test_baskets_that_are_sparse_with_a_verb_a_measure_and_a_view_of_their_own(outside):
    site = outside("senzai_baskets")
    done = site.run(BASKETS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    assert found["plugins"] == {"senzai-baskets": "1.0"}
    assert [set(items) for items in found["items"]] == [{"sugar", "lemon"}, {"nail", "hammer"}]
    assert found["evaluate"]["measured"]["recall"]["recall_at_3"] > 0.9  # the fourth of its group, and by chance 3 of 6
    assert "recommended for baskets, not for array" in found["refused"]
    assert "No picture yet" not in found["report"]
    said = site.process("-m", "senzai", "suggest", "run", "some.baskets", "--top", "1", "--json")
    assert said.returncode == 0, said.stderr
    assert len(json.loads(said.stdout)["items"]) == 2
    listed = site.process("-m", "senzai", "verbs").stdout
    assert "suggest" in listed


def test_pairs_of_two_modalities_of_which_the_missing_one_follows_from_the_other(outside):
    site = outside("senzai_pairs")
    done = site.run(PAIRS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    assert found["plugins"] == {"senzai-pairs": "1.0"}
    assert all(len(s["steps"]) == 5 and len(s["picture"]) == 4 for s in found["samples"])
    assert [[round(v / 3) for v in row["steps"]] for row in found["crossed"]] == [[at] * 5 for at in range(4)]
    crossing = found["evaluate"]["measured"]["crossing"]  # of held-out rows; 1 is what the mean says
    assert max(crossing.values()) < 0.8
    assert "crossing" not in found["other"]["measured"]
    assert found["other"]["not_measured"]["crossing"].startswith("It judges rows of the kind pairs")
    assert "pairs of a picture and steps" in found["report"]
    assert "No picture yet" not in found["report"]
    sampled = site.process("-m", "senzai", "sample", "run", "-n", "3", "-o", "new.pairs")
    assert sampled.returncode == 0, sampled.stderr
    assert len((site.folder / "new.pairs").read_text().splitlines()) == 3
