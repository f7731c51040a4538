"""A run on a server has the verbs of a run, takes what a run takes and gives what it gives."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import httpx
import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.serving.client import ServerError
from senzai.serving.problems import RequestError

from .conftest import serving


@contextmanager
def connected(client, name, **more):
    """A remote run whose requests go to a server in this process."""

    def handle(request: httpx.Request) -> httpx.Response:
        found = client.request(
            request.method, request.url.raw_path.decode(), content=request.read(),
            headers={k: v for k, v in request.headers.items() if k not in ("host", "accept-encoding", "connection")},
        )
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    url = f"http://localhost/{name}" if name else "http://localhost"
    with senzai.connect(url, transport=httpx.MockTransport(handle), **more) as run:
        yield run


@pytest.fixture
def people(client):
    with connected(client, "people") as run:
        yield run


def test_frames_go_and_frames_come_with_their_row_names(people, runs, frame):
    some = frame.set_axis([f"r{i}" for i in range(len(frame))], axis=0).head(9)
    found, own = people.encode(some), runs["people"].encode(some)
    pd.testing.assert_frame_equal(found, own, rtol=1e-4, atol=1e-5)
    again = people.reconstruct(some)
    assert list(again) == list(some)
    assert again.index.tolist() == some.index.tolist()
    np.testing.assert_allclose(people.score(some, method="elbo"), runs["people"].score(some, method="elbo"), rtol=1e-5)
    shares = people.score(some, shares=True)
    assert list(shares) == list(runs["people"].score(some, shares=True))


def test_rows_come_as_the_run_gives_them(people, runs):
    pd.testing.assert_frame_equal(people.sample(6, seed=4), runs["people"].sample(6, seed=4), check_dtype=False)
    way = people.interpolate(people.sample(1, seed=1), people.sample(1, seed=2), steps=3)
    assert len(way) == 3
    assert isinstance(way.attrs["changes"], list)
    given = people.sample(2, seed=1, given={"city": "Ulm"})
    assert given["city"].tolist() == ["Ulm", "Ulm"]


def test_records_files_and_documents(people, runs, frame, folder):
    rows = [{"age": 30, "city": "Ulm"}, {"age": 31}]
    assert np.shape(people.encode(rows)) == (2, 3)
    found = people.encode(folder / "people.csv")
    np.testing.assert_allclose(found, runs["people"].encode(folder / "people.csv"), rtol=1e-4, atol=1e-5)
    assert people.info()["recipe"] == "vae"
    assert people.report().lstrip().startswith("<!")
    assert "encode" in dir(people)
    assert "latent code" in people.encode.__doc__


def test_arrays_keep_their_dtype(client, runs):
    rows = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
    with connected(client, "numbers") as run:
        found = run.encode(rows)
        assert found.dtype == runs["numbers"].encode(rows).dtype
        np.testing.assert_allclose(found, runs["numbers"].encode(rows), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(run.sample(3, seed=1), runs["numbers"].sample(3, seed=1))
        assert run.traverse(rows[:1], dim=0, values=(-1.0, 1.0)).shape == (2, 4)
    with connected(client, "digits") as run:
        pictures = run.sample(2, seed=1)
        np.testing.assert_array_equal(pictures, runs["digits"].sample(2, seed=1))
        assert run.predict(pictures).shape == (2, 10)


def test_errors_are_those_of_the_run(people, frame):
    with pytest.raises(CombinationError, match="classifier"):
        people.predict(frame.head(1))
    with pytest.raises(InputError, match="Atlantis"):
        people.encode(frame.head(1).assign(city="Atlantis"))
    with pytest.raises(RequestError, match="Did you mean 'seed'"):
        people.encode(frame.head(1), sed=1)
    with pytest.raises(AttributeError, match="no verb 'encod'"):
        _ = people.encod
    with pytest.raises(InputError, match="file or a folder"):
        people.encode("/nowhere/at/all.csv")
    with pytest.raises(SettingError, match="2 arguments"):
        people.encode(frame, frame)


def test_which_run(client, folder):
    with pytest.raises(SettingError, match="digits, numbers, people"):
        connected(client, "").__enter__()
    with serving(folder / "numbers") as one, connected(one, "") as run:
        assert run.name == "numbers"
    with pytest.raises(RequestError, match="none called 'nobody'"):
        connected(client, "nobody").__enter__()
    for wrong in ("localhost:8000", "http://localhost/a/b"):
        with pytest.raises(SettingError, match="address"):
            senzai.connect(wrong)


def test_tokens_travel_and_nobody_there_is_said(folder, monkeypatch):
    token = "a-token-of-some-length"
    with serving(folder / "numbers", token=token) as server:
        with connected(server, "numbers", token=token) as run:
            assert run.about["kind"] == "array"
        monkeypatch.setenv("SENZAI_TOKEN", token)
        with connected(server, "numbers") as run:
            assert token not in repr(run)
        monkeypatch.delenv("SENZAI_TOKEN")
        with pytest.raises(RequestError, match="token is asked for"):
            connected(server, "numbers").__enter__()
    with pytest.raises(ServerError, match="Is it running"):
        senzai.connect("http://127.0.0.1:9/people")
    stranger = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>"))
    with pytest.raises(ServerError, match="answered 502"):
        senzai.connect("http://localhost/people", transport=stranger)


def test_a_run_replaced_while_it_is_asked_answers_every_request(folder, tmp_path):
    rows = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)
    senzai.fit(rows, out=tmp_path / "own", steps=2, n_latent=2)
    with serving(tmp_path / "own") as server:
        body, found, stop = {"data": rows[:2].tolist()}, [], threading.Event()

        def asks():
            while not stop.is_set():
                found.append(server.post("/v1/own/encode", json=body))

        threads = [threading.Thread(target=asks) for _ in range(3)]
        for t in threads:
            t.start()
        for n in (3, 4):
            senzai.fit(rows, out=tmp_path / "own", overwrite=True, steps=2, n_latent=n)
        last = server.post("/v1/own/encode", json=body).json()["codes"]
        stop.set()
        for t in threads:
            t.join()
    assert {f.status_code for f in found} == {200}
    assert {len(f.json()["codes"][0]) for f in found} <= {2, 3, 4}
    assert len(last[0]) == 4
    assert json.loads(found[0].text)
