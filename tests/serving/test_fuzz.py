"""Requests made up from the server's own description, and rows made up from what cells can be: no 5xx, no leak."""

from __future__ import annotations

import json

import hypothesis
import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # deep in a test, its many branches are too deep for Python 3.11
from hypothesis import strategies as st
from schemathesis import GenerationMode

from senzai.serving import ServeSettings, Shelf, create_app

from .conftest import records, serving

TOKEN = "a-token-of-some-length"
LONG = ("cure", "rate_distortion", "diagnose", "evaluate", "compare", "report")
"""Verbs that train, or look at all training rows."""
SECRET = 123456.75
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)


@pytest.fixture(scope="module")
def app(folder):
    return create_app(Shelf.of([folder]), ServeSettings(token=TOKEN, rows=20, seconds=120, body_bytes=10**6))


def asked(app, examples: int, verbs) -> int:
    """Ask every endpoint of these so often, with good and with bad values; return how many requests there were."""
    described = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"authorization": f"Bearer {TOKEN}"})
    seen = []

    def one(case):
        answer = case.call(headers={"authorization": f"Bearer {TOKEN}"})
        seen.append(answer.status_code)
        assert answer.status_code < 500, (case.method, case.path, case.body, answer.text)
        if answer.status_code >= 400 and case.method != "HEAD":
            assert answer.headers["content-type"][0] == "application/problem+json", answer.text

    healthy = list(hypothesis.HealthCheck)
    often = hypothesis.settings(max_examples=examples, suppress_health_check=healthy, database=None)
    for found in described.get_all_operations():
        operation = found.ok()
        if verbs(operation.path.rpartition("/")[2]):
            cases = st.one_of(*(operation.as_strategy(generation_mode=m) for m in GenerationMode))
            often(hypothesis.given(case=cases)(one))()
    assert {200, 422} <= set(seen)
    return len(seen)


def test_made_up_requests_are_answered_or_refused(app):
    assert asked(app, 12, lambda verb: verb not in LONG) > 150


@pytest.mark.slow
def test_ten_thousand_made_up_requests_are_answered_or_refused(app):
    assert asked(app, 600, lambda verb: verb not in LONG) + asked(app, 20, lambda verb: verb in LONG) > 9000


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(rows=st.lists(st.dictionaries(
    st.sampled_from(["age", "tall", "weight", "city", "member", "other"]), JSON_VALUES, max_size=6), max_size=3))
def test_made_up_cells_are_answered_or_refused(client, rows):
    for verb in ("encode", "score", "impute"):
        found = client.post(f"/v1/people/{verb}", json={"data": rows})
        assert found.status_code in (200, 400, 422), (rows, found.text)


@hypothesis.settings(max_examples=20, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(value=JSON_VALUES)
def test_made_up_rows_of_numbers_and_pictures_are_answered_or_refused(client, value):
    for run in ("numbers", "digits"):
        for body in ({"data": value}, {"data": [value]}, {"data": [value, value]}):
            found = client.post(f"/v1/{run}/encode", json=body)
            assert found.status_code in (200, 400, 422), (body, found.text)


def test_no_answer_has_anything_of_what_others_sent(folder, frame):
    """Requests with a secret and without one, at once: those without hear nothing of it, in answers and in errors."""
    from concurrent.futures import ThreadPoolExecutor

    good = {"data": records(frame.head(1))}
    secret = {"data": [{**records(frame.head(1))[0], "city": "Atlantis", "tall": SECRET}]}
    wrong = {"data": [{"age": "old"}]}
    with serving(folder / "people") as client, ThreadPoolExecutor(12) as pool:
        bodies = [good, secret, wrong] * 20
        found = list(pool.map(lambda b: client.post("/v1/people/encode", json=b), bodies))
    alone = json.dumps(found[0].json())
    for body, answer in zip(bodies, found, strict=True):
        if body is not secret:
            assert "Atlantis" not in answer.text
            assert str(SECRET) not in answer.text
        if body is good:
            assert answer.json()["codes"][0] == pytest.approx(json.loads(alone)["codes"][0], rel=1e-4, abs=1e-5)
        assert answer.status_code == (200 if body is good else 422)
