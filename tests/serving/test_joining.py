"""Requests that are answered together get what they would have got by themselves, and nobody else's rows."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from senzai.runs.verbs.registry import every_verb
from senzai.serving import ServeSettings, Shelf
from senzai.serving.calls import Call
from senzai.serving.endpoints import Endpoint
from senzai.serving.work import Work

from .conftest import records


@pytest.fixture
def ask(folder):
    """Ask one verb of one run several things at once; returns status-like outcomes."""
    made = []

    def asked(verb, bodies, run="people", **settings):
        given = ServeSettings(**settings)
        endpoint = Endpoint(every_verb()[verb], Shelf.of([folder]), Work(given), given)
        made.append(endpoint)
        return endpoint.several([Call(run, json.dumps(b).encode(), "application/json") for b in bodies])

    yield asked
    for endpoint in made:
        endpoint.work.close()


def values(answer, key):
    assert not isinstance(answer, BaseException), answer
    return json.loads(answer.content)[key]


@pytest.mark.parametrize(("verb", "key", "settings"), [
    ("encode", "codes", {}), ("score", "scores", {}), ("score", "scores", {"method": "elbo", "k": 4}),
])
def test_together_is_as_one_by_one(ask, frame, verb, key, settings):
    bodies = [{"data": records(frame.iloc[i : i + 1 + i % 3]), **settings} for i in range(12)]
    together = [values(a, key) for a in ask(verb, bodies)]
    alone = [values(ask(verb, [b])[0], key) for b in bodies]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_classes_and_shares_are_cut_apart_as_well(ask, runs, frame):
    rows = np.asarray(runs["digits"].sample(6, seed=2)).tolist()
    together = ask("predict", [{"data": [r]} for r in rows], run="digits")
    alone = [ask("predict", [{"data": [r]}], run="digits")[0] for r in rows]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(values(a, "scores"), values(b, "scores"), rtol=1e-4, atol=1e-6)
    bodies = [{"data": records(frame.iloc[[i]]), "shares": True} for i in range(3)]
    for a, body in zip(ask("score", bodies), bodies, strict=True):
        (found,), (own,) = values(a, "scores"), values(ask("score", [body])[0], "scores")
        assert found.keys() == own.keys()
        assert list(found.values()) == pytest.approx(list(own.values()), rel=1e-4, abs=1e-5)


def test_one_call_of_the_verb_answers_them(ask, frame, monkeypatch):
    from senzai.runs import Run

    calls, do = [], Run.do
    monkeypatch.setattr(Run, "do", lambda self, name, *a, **k: calls.append(len(a[0])) or do(self, name, *a, **k))
    ask("encode", [{"data": records(frame.iloc[[i]])} for i in range(8)])
    assert calls == [8]
    calls.clear()
    ask("encode", [{"data": records(frame.iloc[:5])}] * 4, join_rows=12)
    assert calls == [10, 10]


def test_draws_are_never_joined_since_rows_that_are_alike_get_draws_of_their_own(ask, frame):
    body = {"data": records(frame.iloc[[3]]), "seed": 7}
    found = [values(a, "codes") for a in ask("encode", [body] * 4)]
    assert found == [found[0]] * 4
    both = values(ask("encode", [{"data": [*body["data"], *body["data"]], "seed": 7}])[0], "codes")
    assert both[0] != both[1]  # within one request they do differ


def test_a_bad_row_is_the_trouble_of_whoever_sent_it(ask, frame):
    good = {"data": records(frame.iloc[[0]])}
    secret = {"data": [{**records(frame.iloc[[1]])[0], "city": "Atlantis"}]}
    first, second, third, fourth = ask("encode", [good, secret, {"data": []}, good])
    np.testing.assert_allclose(values(first, "codes"), values(fourth, "codes"))
    assert "Atlantis" in str(second)
    assert "Atlantis" not in str(third) + str(first)
    assert "`data` is a list of rows" in str(third)


def test_other_settings_are_another_call(ask, frame):
    one = {"data": records(frame.iloc[[0]])}
    found = ask("score", [{**one, "method": "elbo"}, {**one, "method": "knn"}, one])
    assert len({values(a, "scores")[0] for a in found}) == 3


def test_what_one_lacks_is_not_told_by_another(folder, ask):
    whole, half = {"data": [[0.1, 0.2, 0.3, 0.4]]}, {"data": [[0.1, 0.2]]}
    first, second = ask("encode", [whole, half], run="numbers")
    assert len(values(first, "codes")) == 1
    assert isinstance(second, Exception)


def test_under_load_requests_wait_for_a_thread_and_go_together():
    seen = []

    async def main():
        work = Work(ServeSettings(at_once=1))
        work.joined = seen.append
        gate = asyncio.Event()

        def task(items):
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10) if items == [0] else None
            return [i * 10 for i in items]

        loop = asyncio.get_running_loop()
        first = asyncio.create_task(work.together("a", 0, task))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(work.together("a", i, task)) for i in range(1, 6)]
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(first, *rest)
        work.close()
        return found

    with ThreadPoolExecutor(1) as alone:  # a browser's test in this process may have a loop of its own
        assert alone.submit(lambda: asyncio.run(main())).result() == [0, 10, 20, 30, 40, 50]
    assert seen == [1, 5]
