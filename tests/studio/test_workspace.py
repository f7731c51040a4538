"""The folder of a studio: names, uploads, runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from senzai.core.errors import InputError, OutputError, SettingError
from senzai.serving.problems import RequestError
from senzai.studio.api import create_studio
from senzai.studio.workspace import Workspace, checked

from ..alone import run_alone
from .conftest import TOKEN


async def pieces(*parts: bytes):
    for part in parts:
        yield part


def receive(space: Workspace, name: str, inner: str, *parts: bytes) -> int:
    return run_alone(space.receive(name, inner, pieces(*parts)))


@pytest.fixture
def space(tmp_path) -> Workspace:
    return Workspace.of(tmp_path / "w", largest=100)


@pytest.mark.parametrize("name", ["people.csv", "日本語 データ.csv", "a", "run (2)", "x=1,2@3+4-5_6"])
def test_ordinary_names_are_taken(name):
    assert checked(name) == name


LEADING = ["", ".", "..", ".x", "a/b", "a\\b", "a\0", "-x", "a.", "a ", "x" * 101, "a:b", "a*", "~"]


@pytest.mark.parametrize("name", LEADING)
def test_names_that_could_lead_elsewhere_are_not(name):
    with pytest.raises(SettingError, match="A name has letters"):
        checked(name)


def test_an_upload_is_whole_or_not_there(space):
    assert receive(space, "a.csv", "", b"x,y\n", b"1,2\n") == 8
    assert Path(space.data("a.csv")).read_bytes() == b"x,y\n1,2\n"
    with pytest.raises(SettingError, match="at most 100 bytes"):
        receive(space, "b.csv", "", b"x" * 60, b"x" * 60)
    with pytest.raises(RequestError, match=r"no data 'b\.csv'"):
        space.data("b.csv")
    assert space.data_names() == ["a.csv"]


def test_a_folder_that_was_dropped_is_limited_as_a_whole(space):
    receive(space, "pets", "cats/1.png", b"x" * 60)
    with pytest.raises(SettingError, match="at most 100 bytes"):
        receive(space, "pets", "dogs/1.png", b"x" * 60)
    assert [p.name for p in Path(space.data("pets")).rglob("*.png")] == ["1.png"]
    with pytest.raises(SettingError, match="A name has letters"):
        receive(space, "pets", "../../up.png", b"x")
    with pytest.raises(SettingError, match="folders deep"):
        receive(space, "pets", "a/b/c/d/e.png", b"x")


def test_what_comes_with_senzai_keeps_its_name(space):
    assert space.data("digits") == "digits"
    with pytest.raises(SettingError, match="a name of their own"):
        receive(space, "digits", "", b"x")


def test_a_new_run_gets_a_free_name(space):
    assert space.free("people") == "people"
    (space.root / "people").mkdir()
    assert space.free("people") == "people-2"
    assert space.free("../../etc/passwd") == "etc-passwd"
    assert checked(space.free("..."))
    with pytest.raises(SettingError, match="is taken"):
        space.new_run("people")


def test_links_lead_nowhere(space, tmp_path):
    (tmp_path / "outside").mkdir()
    (space.root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="leads out of it"):
        space.run("link")


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="a folder that it can write"):
        Workspace.of(tmp_path / "file" / "w")


def test_uploads_over_the_wire_are_limited(tmp_path):
    app = create_studio(tmp_path, token=TOKEN, largest=1000)
    with TestClient(app, base_url="http://localhost", headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert client.put("/api/data/a.csv", content=b"x" * 900).json() == {"name": "a.csv", "bytes": 900}
        answer = client.put("/api/data/b.csv", content=b"x" * 1100)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert client.get("/api/data").json()["uploads"] == ["a.csv"]
        assert client.delete("/api/data/a.csv").status_code == 200
        assert client.get("/api/data").json()["uploads"] == []


def test_a_damaged_run_hides_no_other(tmp_path, runs):
    import shutil

    shutil.copytree(runs / "people", tmp_path / "w" / "people")
    (tmp_path / "w" / "broken").mkdir()
    (tmp_path / "w" / "broken" / "spec.json").write_text("{")
    app = create_studio(tmp_path / "w", token=TOKEN)
    with TestClient(app, base_url="http://localhost", headers={"authorization": f"Bearer {TOKEN}"}) as client:
        found = {r["name"]: r["state"] for r in client.get("/api/runs").json()["runs"]}
        assert found == {"people": "finished", "broken": "damaged"}
        assert 400 <= client.get("/api/runs/broken/map").status_code < 600
