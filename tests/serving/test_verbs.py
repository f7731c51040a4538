"""Every verb of a run is an endpoint, and answers what the run answers."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

import senzai
from senzai.runs.verbs.registry import every_verb, served_verbs

from .conftest import records, serving

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


def test_every_verb_has_an_endpoint_and_an_example_of_every_run(client):
    told = client.get("/openapi.json").json()
    for name, verb in served_verbs().items():
        post = told["paths"][f"/v1/{{run}}/{name}"]["post"]
        assert post["summary"] == verb.summary
        examples = post["requestBody"]["content"]["application/json"]["examples"]
        assert set(examples) == {"people", "numbers", "digits"}
        assert post["responses"]["422"]["content"]["application/problem+json"]


def test_no_verb_that_acts_in_the_users_name_is_done_for_whoever_asks(client):
    assert set(every_verb()) - set(served_verbs()) == {"export", "pack", "push"}
    for name in ("pack", "push"):
        assert client.post(f"/v1/people/{name}", json={}).status_code in (404, 405)
        assert name not in client.get("/v1/people").json()["verbs"]


@pytest.mark.parametrize("run", ["people", "numbers", "digits"])
def test_the_examples_of_the_description_are_answered(client, run):
    told = client.get("/openapi.json").json()
    fits = client.get(f"/v1/{run}").json()["verbs"]
    names = ("encode", "reconstruct", "sample", "score", "interpolate", "traverse", "impute", "augment", "predict")
    for name in names:
        content = told["paths"][f"/v1/{{run}}/{name}"]["post"]["requestBody"]["content"]
        found = client.post(f"/v1/{run}/{name}", json=content["application/json"]["examples"][run]["value"])
        assert found.status_code == (200 if fits[name]["why_not"] is None else 422), (name, found.text)


def test_rows_come_as_records_or_columns_and_say_the_same(client, runs, frame):
    some = frame.head(7)
    told = client.post("/v1/people/encode", json={"data": records(some)}).json()
    columns = {name: [r[name] for r in records(some)] for name in some}
    assert client.post("/v1/people/encode", json={"data": columns}).json() == told
    np.testing.assert_allclose(told["codes"], runs["people"].encode(some).to_numpy(), rtol=1e-5, atol=1e-6)
    assert told["names"] == ["z0", "z1", "z2"]


def test_answers_of_rows_are_those_of_the_run(client, runs, frame):
    run = runs["people"]
    own = json.loads(json.dumps(run.kind.to_json(run.sample(5, seed=3), run.schema)))
    assert client.post("/v1/people/sample", json={"n": 5, "seed": 3}).json()["rows"] == own
    columns = client.post("/v1/people/sample?orient=columns", json={"n": 5, "seed": 3}).json()["rows"]
    assert columns == {name: [r[name] for r in own] for name in own[0]}
    filled = client.post("/v1/people/impute", json={"data": records(frame.head(20)), "k": 20}).json()["rows"]
    assert pd.DataFrame(filled)["weight"].tolist() == pytest.approx(run.impute(frame.head(20), k=20)["weight"].tolist())
    drawn = client.post("/v1/people/impute", json={"data": records(frame.head(3)), "draws": 2}).json()["rows"]
    assert [len(d) for d in drawn] == [3, 3]


def test_scores_are_numbers_and_with_shares_records(client, runs, frame):
    some = frame.head(4)
    plain = client.post("/v1/people/score", json={"data": records(some)}).json()["scores"]
    np.testing.assert_allclose(plain, runs["people"].score(some), rtol=1e-5)
    shares = client.post("/v1/people/score", json={"data": records(some), "shares": True}).json()["scores"]
    assert set(shares[0]) == {"score", *(f"share: {c}" for c in some), "share: latent code"}
    assert [s["score"] for s in shares] == pytest.approx(plain)


def test_pictures_come_and_go_as_base64_png(client, runs):
    rows = client.post("/v1/digits/sample", json={"n": 2, "seed": 1}).json()["rows"]
    assert all(text.startswith("iVBORw0KGgo") for text in rows)
    codes = client.post("/v1/digits/encode", json={"data": rows}).json()["codes"]
    pixels = runs["digits"].sample(2, seed=1)
    again = client.post("/v1/digits/encode", json={"data": np.asarray(pixels).tolist()}).json()["codes"]
    np.testing.assert_allclose(again, runs["digits"].encode(pixels), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(codes, again, rtol=1e-4, atol=1e-5)
    sheet = client.post("/v1/digits/sample", json={"n": 4}, headers={"accept": "image/png"})
    assert sheet.headers["content-type"] == "image/png"
    assert sheet.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("media", [ARROW, PARQUET, "text/csv", "application/x-ndjson"])
def test_bodies_of_many_rows_come_in_forms_of_other_programs(client, runs, frame, media):
    held = io.BytesIO()
    if media == ARROW:
        table = pa.Table.from_pandas(frame)
        with ipc.new_stream(held, table.schema) as writer:
            writer.write_table(table)
    elif media == PARQUET:
        frame.to_parquet(held)
    elif media == "text/csv":
        held.write(frame.to_csv(index=False).encode())
    else:
        held.write(frame.to_json(orient="records", lines=True, force_ascii=False).encode())
    sent = {"content": held.getvalue(), "headers": {"content-type": media}}
    found = client.post("/v1/people/score?method=elbo&k=4", **sent)
    assert found.status_code == 200, found.text
    np.testing.assert_allclose(found.json()["scores"], runs["people"].score(frame, method="elbo", k=4), rtol=1e-5)


def test_answers_of_many_rows_go_in_forms_of_other_programs(client, runs, frame):
    body, own = {"data": records(frame)}, runs["people"].encode(frame)
    arrow = client.post("/v1/people/encode", json=body, headers={"accept": ARROW})
    read = ipc.open_stream(arrow.content).read_all().to_pandas()
    np.testing.assert_allclose(read.to_numpy(), own.to_numpy(), rtol=1e-5, atol=1e-6)
    parquet = client.post("/v1/people/encode", json=body, headers={"accept": PARQUET})
    assert pq.read_table(io.BytesIO(parquet.content)).column_names == ["z0", "z1", "z2"]
    lines = client.post("/v1/people/sample", json={"n": 3}, headers={"accept": "application/x-ndjson"}).text
    assert [set(json.loads(line)) for line in lines.splitlines()] == [set(frame)] * 3
    csv = client.post("/v1/people/sample", json={"n": 3}, headers={"accept": "text/csv"}).text
    assert list(pd.read_csv(io.StringIO(csv))) == list(frame)
    refused = client.post("/v1/people/sample", json={"n": 3}, headers={"accept": "image/png"})
    assert refused.status_code == 406


def test_files_come_in_a_form(client, runs, frame, pictures, tmp_path):
    frame.to_excel(tmp_path / "rows.xlsx", index=False)
    with (tmp_path / "rows.xlsx").open("rb") as file:
        found = client.post("/v1/people/encode", files={"data": ("../../rows.xlsx", file)})
    assert found.status_code == 200, found.text
    np.testing.assert_allclose(found.json()["codes"], runs["people"].encode(frame).to_numpy(), rtol=1e-5, atol=1e-6)
    files = [("data", (p.name, p.read_bytes(), "image/png")) for p in sorted((pictures / "files").iterdir())]
    with serving(pictures / "drawn") as other:
        codes = other.post("/v1/drawn/encode", files=files).json()["codes"]
        np.testing.assert_allclose(codes, senzai.load(pictures / "drawn").encode(pictures / "files"), atol=1e-5)
        two = {"a": files[0][1], "b": files[1][1]}
        assert len(other.post("/v1/drawn/interpolate", files=two, data={"steps": "3"}).json()["rows"]) == 3


def test_documents_and_pages(client):
    assert client.get("/v1/people/info").json()["recipe"] == "vae"
    judged = client.post("/v1/people/evaluate", json={"k": 4, "rows": 20})
    assert judged.status_code == 200, judged.text
    assert {"elbo", "log_likelihood"} <= set(judged.json())
    page = client.post("/v1/numbers/report", json={})
    assert page.status_code == 422  # it was trained on an array that is not at hand
    assert "not here" in page.json()["detail"]
    page = client.post("/v1/people/report", json={})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.lstrip().startswith("<!")
    both = client.post("/v1/people/compare", json={"others": ["digits"], "k": 4, "rows": 20})
    assert both.status_code == 422, both.text


def test_what_a_server_has_is_listed(client):
    assert [r["name"] for r in client.get("/v1").json()["runs"]] == ["digits", "numbers", "people"]
    told = client.get("/v1/numbers").json()
    assert told["example"] == [[0.0, 0.0, 0.0, 0.0]]
    assert told["verbs"]["predict"]["why_not"]
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").status_code == 200


def test_many_rows_go_out_in_pieces_that_are_the_same_document(client, runs, monkeypatch):
    from senzai.serving import answers

    for name in ("people", "numbers"):
        asked = {"n": 50, "seed": 3}
        whole = client.post(f"/v1/{name}/sample", json=asked)
        monkeypatch.setattr(answers, "JSON_ROWS", 7)
        pieces = client.post(f"/v1/{name}/sample", json=asked)
        monkeypatch.undo()
        assert "content-length" in whole.headers
        assert "content-length" not in pieces.headers
        assert pieces.content == whole.content
    verb = served_verbs()["encode"]
    codes = runs["numbers"].encode(np.zeros((20, 4), np.float32))
    monkeypatch.setattr(answers, "JSON_ROWS", 6)
    made = list(answers.answered(runs["numbers"], verb, codes).content)
    assert len(made) == 5
    np.testing.assert_allclose(json.loads(b"".join(made))["codes"], codes)
