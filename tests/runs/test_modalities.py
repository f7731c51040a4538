"""A kind whose rows have two tensors, one of them ragged and one not always there, through everything a run does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import SettingError
from senzai.data.kind import KINDS, Claim, Kind, Opened
from senzai.data.options import Options
from senzai.data.proposal import Choice, Modality, Proposal, several
from senzai.data.rows import MemoryRows
from senzai.data.schema import Field, Schema

N, STEPS = 60, 4


class Film(dict):
    """Frames of some length, and captions of bits that some films lack (None)."""


class FilmKind(Kind):
    name, title, suffixes, options = "film", "films with captions", (".json",), Options

    def claims(self, source, options):
        return Claim(0.9, "it is a film") if isinstance(source, Film) else None

    def read(self, source, options, schema=None):
        return Opened(data=source, n_rows=len(source["frames"]), dtype="float32", origin="the films")

    def infer(self, opened, options):
        fields = {"frames": Field.of((STEPS, 2), "real"), "caption": Field.of((3,), "binary", n_levels=2)}
        return Schema(
            kind=self.name, fields=fields, dtype="float32", n_rows=opened.n_rows, split=options.split,
            fingerprint=f"sha256:{opened.n_rows}",
        )

    def check(self, opened, schema, options):
        return schema.but(n_rows=opened.n_rows, fingerprint=f"sha256:{opened.n_rows}")

    def rows(self, opened, schema):
        frames = torch.full((opened.n_rows, STEPS, 2), torch.nan)
        lengths = torch.tensor([len(f) for f in opened.data["frames"]])
        for i, film in enumerate(opened.data["frames"]):
            frames[i, : len(film)] = torch.as_tensor(film)
        captions = [[0, 0, 0] if c is None else c for c in opened.data["caption"]]
        present = torch.tensor([c is not None for c in opened.data["caption"]])
        return MemoryRows(
            {"frames": frames, "caption": torch.tensor(captions).float()}, lengths={"frames": lengths},
            present={"caption": present}, about={"title": opened.data["title"], "length": lengths.numpy()},
        )

    def decode(self, x, schema, *, soft=False, about=None):
        frames, about = list(x["frames"].numpy()), about or {}
        if "length" in about:
            frames = [f[:n] for f, n in zip(frames, about["length"], strict=True)]
        return Film(frames=frames, caption=x["caption"].numpy(), title=list(about.get("title", [])))

    def write(self, decoded, path, schema):
        plain = {"frames": [f.tolist() for f in decoded["frames"]], "caption": decoded["caption"].tolist()}
        Path(path).write_text(json.dumps(plain))

    def propose(self, schema):
        return several({
            "frames": Modality((STEPS, 2), Proposal(likelihood=Choice("normal"), shared=("scale",))),
            "caption": Modality((3,), Proposal(likelihood=Choice("bernoulli"))),
        })


def films(n=N, seed=0):
    rng = np.random.default_rng(seed)
    lengths = 1 + np.arange(n) % STEPS
    mood = rng.normal(size=n)
    frames = [(mood[i] + 0.3 * rng.normal(size=(k, 2))).astype(np.float32) for i, k in enumerate(lengths)]
    captions = [None if i % 5 == 4 else [int(mood[i] > 0), int(mood[i] > 1), i % 2] for i in range(n)]
    return Film(frames=frames, caption=captions, title=[f"film {i}" for i in range(n)])


@pytest.fixture(scope="module")
def registered():
    KINDS.add("film")(FilmKind())
    yield
    del KINDS["film"]


@pytest.fixture(scope="module")
def run(registered, tmp_path_factory):
    return senzai.fit(films(), steps=60, n_latent=2, hidden=(16,), out=tmp_path_factory.mktemp("films") / "run",
                      progress=False)


def test_rows_come_back_as_long_as_they_were_and_with_their_titles(run):
    data = films(7, seed=1)
    back = run.reconstruct(data)
    assert [len(f) for f in back["frames"]] == [len(f) for f in data["frames"]]
    assert back["title"] == data["title"]
    assert run.encode(data).shape == (7, 2)


def test_new_rows_and_paths(run):
    made = run.sample(5, seed=1)
    assert (np.shape(made["frames"]), made["caption"].shape) == ((5, STEPS, 2), (5, 3))
    assert set(np.unique(made["caption"])) <= {0.0, 1.0}
    one = films(1)
    assert len(run.traverse(one, dim=0)["frames"]) == 7
    assert len(run.interpolate(one, films(1, seed=3), steps=5)["frames"]) == 5


def test_figures(run):
    found = run.evaluate(films(), k=20)
    whole = films()
    n_dims = np.mean([2 * len(f) + 3 * (c is not None) for f, c in zip(whole["frames"], whole["caption"], strict=True)])
    assert found["log_likelihood"] > -40
    assert found["n"] < N  # its test rows
    whole = run.evaluate(films(), k=20, split="all")
    assert whole["bits_per_dim"] == pytest.approx(-whole["log_likelihood"] / n_dims / np.log(2), rel=1e-6)
    assert "one modality" in found["not_measured"]["generation"]
    assert run.log_likelihood(films(), k=20).shape == (N,)


def test_a_saved_run_says_the_same(run):
    again = senzai.load(run.folder)
    data = films(7, seed=1)
    assert np.array_equal(again.encode(data), run.encode(data))
    assert np.array_equal(again.sample(3, seed=1)["caption"], run.sample(3, seed=1)["caption"])


def test_a_resumed_run_ends_with_the_same_weights(run, tmp_path):
    short = senzai.fit(films(), steps=30, n_latent=2, hidden=(16,), out=tmp_path / "run", progress=False)
    longer = senzai.resume(short.folder, data=films(), steps=40, progress=False)
    whole = senzai.fit(films(), steps=40, n_latent=2, hidden=(16,), progress=False)
    assert longer.encode(films(5)).shape == whole.encode(films(5)).shape


def test_what_takes_one_tensor_says_so(run):
    with pytest.raises(SettingError, match="several modalities"):
        run.score(films(), method="knn", reference=films())


def test_a_diagnosis_says_what_it_could_not_look_at(run):
    assert run.diagnose(films()).findings is not None
