"""What a server refuses, and how it says so: problem+json, 4xx for mistakes of those who ask, never a trace of data."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import zlib
from base64 import b64encode

import numpy as np
import pytest

from senzai.core.errors import SettingError
from senzai.serving import ServeSettings
from senzai.serving.meters import JsonLines
from senzai.serving.server import address_of, listen
from senzai.serving.settings import token_of

from ..alone import run_alone
from .conftest import records, serving

TOKEN = "a-token-of-some-length"
JSON = {"content-type": "application/json"}


def refused(found, status, word):
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    told = found.json()
    assert told["status"] == status
    assert word in told["detail"]
    assert told["request_id"] == found.headers["x-request-id"]
    return told


def png(width: int, height: int) -> bytes:
    """A picture of zeros that is small as a file."""
    def part(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compressobj(9)
    body = b"".join([*(packed.compress(bytes(width + 1)) for _ in range(height)), packed.flush()])
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


@pytest.mark.parametrize(("body", "status", "word"), [
    (b"{", 400, "cannot be read"),
    (b"[1, 2]", 400, "JSON object"),
    (b'{"data": NaN}', 400, "no NaN"),
    (b'{"data": [{"age": Infinity}]}', 400, "no NaN"),
    (b'{"data": [{"age": 1e999}]}', 422, "finite"),
    (b'{"data": [{"age": ' + b"9" * 5000 + b"}]}", 400, "whole numbers"),
    (b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "levels"),
    (b'{"data": "/etc/passwd"}', 400, "list of rows"),
    (b'{"data": ["/etc/passwd"]}', 422, "records"),
    (b'{"data": null}', 400, "list of rows"),
    (b'{"data": []}', 400, "list of rows"),
    (b'{"data": [{}], "seed": "one"}', 422, "seed"),
    (b'{"data": [{}], "seed": -1}', 422, "seed"),
    (b'{"data": [{"agge": 3}]}', 422, "Did you mean 'age'"),
    (b'{"data": [{"age": [3]}]}', 422, "A cell is"),
    (b'{"data": {"age": [1, 2], "tall": [1]}}', 422, "different lengths"),
    (b'{"data": [{"age": "old"}]}', 422, "age"),
    (b"", 422, "needs 'data'"),
])
def test_bad_bodies(client, body, status, word):
    refused(client.post("/v1/people/encode", content=body, headers=JSON), status, word)


def test_bad_addresses_methods_and_forms(client, frame):
    body = {"data": records(frame.head(1))}
    refused(client.post("/v1/nobody/encode", json=body), 404, "none called 'nobody'")
    refused(client.post("/v1/peple/encode", json=body), 404, "Did you mean 'people'")
    refused(client.post("/v1/..%2fpeople/encode", json=body), 404, "no")
    refused(client.post("/v1/people/nothing", json=body), 404, "/v1/people/nothing")
    refused(client.get("/v1/people/encode"), 405, "POST")
    refused(client.post("/v1/people/encode", content=b"<x/>", headers={"content-type": "text/xml"}), 415, "text/xml")
    refused(client.post("/v1/people/encode", json=body, headers={"accept": "text/xml"}), 406, "text/xml")
    refused(client.post("/v1/people/encode?orient=up", json=body), 400, "orient")
    refused(client.post("/v1/people/predict", json=body), 422, "classifier")
    broken = {"content-type": "application/vnd.apache.arrow.stream"}
    refused(client.post("/v1/people/encode", content=b"no arrow", headers=broken), 422, "whole")
    broken = {"content-type": "application/vnd.apache.parquet"}
    found = client.post("/v1/people/encode", content=b"PAR1 no parquet", headers=broken)
    assert "/tmp" not in refused(found, 422, "the body.parquet")["detail"]
    refused(client.post("/v1/people/encode", files={"data": ("x.sqlite", b"SQLite format 3\0")}), 415, ".sqlite")
    refused(client.post("/v1/people/encode", files={"data": ("x", b"a")}), 415, "suffix ''")


def test_what_names_a_file_of_the_server_or_only_python_has_is_no_setting(client, frame):
    told = client.get("/openapi.json").json()
    schema = told["paths"]["/v1/{run}/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {
        "data", "method", "shares", "contamination", "false_alarm", "k", "seed",
    }
    body = {"data": records(frame.head(1)), "reference": "/etc/passwd"}
    refused(client.post("/v1/people/score", json=body), 422, "'reference'")
    refused(client.post("/v1/people/report", json={"path": "/tmp/x.html"}), 422, "'path'")
    refused(client.post("/v1/people/cure", json={"out": "/tmp/x"}), 422, "'out'")


def test_more_rows_bytes_or_pixels_than_allowed(folder, pictures, frame):
    with serving(folder / "people", rows=5, body_bytes=20_000) as client:
        refused(client.post("/v1/people/encode", json={"data": records(frame.head(6))}), 413, "at most 5 rows")
        refused(client.post("/v1/people/sample", json={"n": 6}), 422, "less than or equal to 5")
        csv = frame.head(6).to_csv(index=False)
        sent = {"content": csv, "headers": {"content-type": "text/csv"}}
        refused(client.post("/v1/people/encode", **sent), 413, "at most 5 rows")
        refused(client.post("/v1/people/encode", content=b"x" * 20_001, headers=JSON), 413, "20,000 bytes")
        pieces = (b"x" * 1000 for _ in range(30))  # nobody says beforehand how many
        refused(client.post("/v1/people/encode", content=pieces, headers=JSON), 413, "20,000 bytes")
    with serving(pictures / "drawn", pixels=1000) as client:
        bomb = png(2000, 2000)
        assert len(bomb) < 8000
        refused(client.post("/v1/drawn/encode", json={"data": [b64encode(bomb).decode()]}), 422, "1,000 pixels")
        refused(client.post("/v1/drawn/encode", files={"data": ("b.png", bomb)}), 422, "1,000 pixels")


def test_a_file_of_few_bytes_that_holds_many_rows_is_not_unpacked(folder, frame, tmp_path):
    many = frame.head(1).loc[[0] * 50_000]
    many.to_parquet(tmp_path / "many.parquet")
    sent = {"content": (tmp_path / "many.parquet").read_bytes(),
            "headers": {"content-type": "application/vnd.apache.parquet"}}
    assert len(sent["content"]) < 10_000
    with serving(folder / "people", rows=1000) as client:
        refused(client.post("/v1/people/encode", **sent), 422, "At most 1,000 rows")


@pytest.mark.parametrize("verb", ["reconstruct", "encode"])
def test_work_that_takes_too_long_is_given_up_on(folder, monkeypatch, verb):
    from senzai.runs import Run

    ended = threading.Event()
    monkeypatch.setattr(Run, "do", lambda *_, **__: ended.wait(60))
    with serving(folder / "people", seconds=0.5) as client:
        refused(client.post(f"/v1/people/{verb}", json={"data": [{}]}), 504, "within 0.5 s")
        ended.set()


def test_too_many_at_once_are_asked_to_come_again(folder, monkeypatch):
    with serving(folder / "people", waiting=1) as client:
        client.app.state.work.held = 1
        found = client.post("/v1/people/sample", json={"n": 1})
        refused(found, 503, "held at once")
        assert found.headers["retry-after"] == "1"
        client.app.state.work.held = 0
    with serving(folder / "people", free_bytes=2**60) as client:
        refused(client.post("/v1/people/sample", json={"n": 1}), 503, "free memory")


def test_with_a_token_nobody_else_may_ask(folder):
    with serving(folder / "people", token=TOKEN) as client:
        found = client.get("/v1")
        refused(found, 401, "Bearer")
        assert found.headers["www-authenticate"] == "Bearer"
        for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer ä".encode()):
            assert client.get("/v1", headers={"authorization": wrong}).status_code == 401
        assert client.get("/v1", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/health").status_code == 200
        assert "people" not in client.get("/ready").text
        assert client.get("/metrics").status_code == 401
        assert client.get("/openapi.json").status_code == 401


def test_without_a_token_only_this_machine_is_answered_and_no_page_of_others(folder):
    with serving(folder / "people") as client:
        refused(client.get("/v1", headers={"host": "evil.example"}), 403, "localhost")
        refused(client.get("/v1", headers={"origin": "http://evil.example"}), 403, "origins")
        found = client.get("/v1", headers={"origin": "http://localhost"})
        assert found.status_code == 200
        assert "access-control-allow-origin" not in found.headers
    with serving(folder / "people", origins=("https://page.example",)) as client:
        asked = {"origin": "https://page.example", "access-control-request-method": "POST"}
        found = client.options("/v1/people/encode", headers=asked)
        assert found.headers["access-control-allow-origin"] == "https://page.example"
        assert client.get("/v1", headers={"origin": "https://page.example"}).status_code == 200
        refused(client.get("/v1", headers={"origin": "https://other.example"}), 403, "origins")


def test_addresses_that_cannot_be_had(monkeypatch):
    with pytest.raises(SettingError, match="Without a token"):
        listen(ServeSettings(host="0.0.0.0", port=0))
    with listen(ServeSettings(port=0)) as taken:
        assert address_of(taken).startswith("http://127.0.0.1:")
        with pytest.raises(SettingError, match="is in use"):
            listen(ServeSettings(port=taken.getsockname()[1]))
    with pytest.raises(SettingError, match="is none"):
        listen(ServeSettings(host="no host", port=0, token=TOKEN))

    def bind(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(SettingError, match="may not be opened"):
        listen(ServeSettings(port=80))


def test_tokens_come_from_a_file_or_a_variable(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(file, {"SENZAI_TOKEN": "another-token-here"}) == TOKEN
    assert token_of(None, {}) is None
    file.write_text("\n")
    with pytest.raises(SettingError, match="is empty"):
        token_of(file)
    with pytest.raises(SettingError, match="cannot be"):
        token_of(tmp_path / "none")
    with pytest.raises(SettingError, match="at least 16"):
        ServeSettings(token="short")


def test_a_bug_is_told_without_data_and_logged_with_its_place(folder, frame, caplog, monkeypatch):
    from senzai.runs import Run

    def do(self, name, *inputs, **settings):
        raise KeyError("Atlantis is secret")

    monkeypatch.setattr(Run, "do", do)
    with serving(folder / "people") as client, caplog.at_level(logging.INFO, "senzai.serving"):
        found = client.post("/v1/people/reconstruct", json={"data": records(frame.head(1))})
    told = refused(found, 500, "bug in senzai: KeyError")
    lines = [JsonLines().format(r) for r in caplog.records if r.name == "senzai.serving"]
    assert "Atlantis" not in json.dumps(told) + "".join(lines)
    bug = next(json.loads(line) for line in lines if '"bug"' in line)
    assert bug["request_id"] == told["request_id"]
    assert any("test_limits.py" in place for place in bug["where"])


def test_the_log_has_requests_by_id_and_never_their_rows(folder, frame, caplog):
    row = {**records(frame.head(1))[0], "city": "Köln"}
    with serving(folder / "people") as client, caplog.at_level(logging.INFO, "senzai.serving"):
        client.post("/v1/people/encode?seed=77", json={"data": [row]}, headers={"x-request-id": "mine-1"})
        client.post("/v1/people/encode", json={"data": [{**row, "city": "Atlantis"}]})
        client.post("/v1/people/encode", json={"data": [row]}, headers={"x-request-id": "no\tid " * 20})
    lines = [json.loads(JsonLines().format(r)) for r in caplog.records if r.getMessage() == "request"]
    assert [r["status"] for r in lines] == [200, 422, 200]
    assert lines[0]["request_id"] == "mine-1"
    assert lines[0]["path"] == "/v1/{run}/encode"
    assert lines[0]["run"] == "people"
    text = json.dumps(lines, ensure_ascii=False)
    assert not any(word in text for word in ("Köln", "Atlantis", "77", "no\\tid", str(row["tall"])))


def test_meters_count_by_the_path_of_the_description(folder):
    with serving(folder / "people") as client:
        client.post("/v1/people/sample", json={"n": 1})
        for i in range(3):
            client.get(f"/v1/nobody{i}")
        text = client.get("/metrics").text
    assert 'senzai_requests_total{path="/v1/{run}/sample",run="people",status="200"} 1.0' in text
    assert 'senzai_requests_total{path="/v1/{run}",run="",status="404"} 3.0' in text
    assert "nobody" not in text
    assert "senzai_runs_loaded 1.0" in text


def test_a_slow_body_is_not_waited_for(folder):
    import asyncio

    from senzai.serving.guard import Slow
    from senzai.serving.problems import RequestError

    async def never():
        await asyncio.sleep(3600)

    async def main():
        body = Slow(never, ServeSettings(seconds=0.01), {"content-length": "5"})
        with pytest.raises(RequestError) as caught:
            await body()
        return caught.value.status

    assert run_alone(main()) == 408


def test_answers_are_not_kept_or_guessed_at_by_browsers(client):
    found = client.get("/v1")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["cache-control"] == "no-store"
    assert np.isfinite(float(found.headers["content-length"]))
