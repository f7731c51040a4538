"""Who may talk to a studio, and what leaves it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from senzai.core.errors import SettingError
from senzai.studio.api import create_studio
from senzai.studio.gate import BODY, Gate, is_loopback

from .conftest import TOKEN

BARE = {"authorization": ""}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A studio without runs: who is let in does not depend on them."""
    gate = create_studio(tmp_path_factory.mktemp("bare"), token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with TestClient(gate, base_url="http://127.0.0.1:8737", headers=headers) as found:
        yield found


def says(answer, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return answer.json()["detail"]


def test_without_the_token_nothing_is_told(bare):
    for path in ("/api/runs", "/page/app.js", "/v1", "/exports/x.csv", "/health", "/api/about"):
        assert says(bare.get(path, headers=BARE), 401)
    page = bare.get("/", headers=BARE)
    assert page.status_code == 401
    assert "senzai studio" in page.text
    assert "app.js" not in page.text


def test_a_wrong_token_is_no_token(bare):
    assert bare.get("/api/runs", headers={"authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
    assert bare.get("/?token=nonsense", headers=BARE, follow_redirects=False).status_code == 401


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_do_not_see(bare):
    answer = bare.get(f"/?token={TOKEN}", headers=BARE, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("senzai-studio-8737=")
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    bare.cookies.clear()
    told = bare.get("/api/runs", headers={**BARE, "cookie": cookie.split(";")[0]})
    assert told.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8737", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_another_name_for_this_address_is_refused(bare, host):
    assert says(bare.get("/api/runs", headers={"host": host}), 421)


@pytest.mark.parametrize("host", ["127.0.0.1:8737", "localhost:1", "[::1]:8737"])
def test_names_of_this_machine_are_taken(bare, host):
    assert bare.get("/api/runs", headers={"host": host}).status_code == 200


def test_pages_of_others_may_not_ask(bare):
    for headers in ({"origin": "http://evil.example"}, {"origin": "http://127.0.0.1:9999"}, {"origin": "null"},
                    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert says(bare.post("/api/compare", json={"a": "x", "b": "y"}, headers=headers), 403)
    own = {"origin": "http://127.0.0.1:8737", "sec-fetch-site": "same-origin"}
    assert bare.get("/api/runs", headers=own).status_code == 200


def test_every_answer_says_what_a_page_may_do(bare):
    for path in ("/", "/api/runs", "/api/runs/none", "/page/app.js"):
        headers = bare.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_a_request_has_a_size(bare):
    assert says(bare.post("/api/compare", content=b" " * (BODY + 1)), 413)

    def pieces():
        for _ in range(BODY // 2**20 + 2):
            yield b" " * 2**20

    assert bare.post("/api/compare", content=pieces()).status_code in (400, 413)


def test_a_studio_for_others_needs_a_token(tmp_path):
    with pytest.raises(SettingError, match="without a token"):
        create_studio(tmp_path, token=None, host="0.0.0.0")
    assert isinstance(create_studio(tmp_path, token=None), Gate)
    assert [is_loopback(h) for h in ("::1", "127.0.0.9", "192.168.0.4", "example.org")] == [True, True, False, False]


def test_on_other_addresses_numbers_are_taken_and_names_are_not(tmp_path):
    gate = create_studio(tmp_path, token=TOKEN, host="0.0.0.0")
    with TestClient(gate, base_url="http://192.168.0.4:8737", headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get("/api/runs").status_code == 200
        assert client.get("/api/runs", headers={"host": "evil.example"}).status_code == 421


OUTSIDE = ["%2e%2e", "../x", "a/../../x", ".studio", ".senzai", "x\0y", "/etc", "a\\b", "x" * 200, "x\n"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_folder(bare, name):
    coded = quote(name, safe="%")
    gets = (f"/api/runs/{coded}/history", f"/api/runs/{coded}/report", f"/exports/{coded}", f"/api/jobs/{coded}")
    for method, path in (*(("GET", g) for g in gets), ("PUT", f"/api/data/{coded}"), ("DELETE", f"/api/data/{coded}"),
                         ("POST", f"/api/data/{coded}/look")):
        answer = bare.request(method, path, **({"json": {}} if method == "POST" else {}))
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
    answer = bare.post("/api/runs", json={"data": name, "name": "ok"})
    assert 400 <= answer.status_code < 500


def test_a_link_out_of_the_folder_is_not_followed(client, workspace, runs):
    (workspace / "elsewhere").symlink_to(runs / "people")
    try:
        assert "leads out of it" in says(client.get("/api/runs/elsewhere"), 422)
        assert "elsewhere" not in [r["name"] for r in client.get("/api/runs").json()["runs"]]
    finally:
        (workspace / "elsewhere").unlink()


def test_a_report_is_shut_off_from_the_page(client, workspace):
    (workspace / "people" / "report.html").write_text("<script>1</script>")
    answer = client.get("/api/runs/people/report")
    (workspace / "people" / "report.html").unlink()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy  # default-src 'none' holds


def test_the_verbs_of_the_server_stand_behind_the_same_gate(client):
    assert {r["name"] for r in client.get("/v1").json()["runs"]} >= {"people", "digits"}
    assert client.get("/v1", headers=BARE).status_code == 401
