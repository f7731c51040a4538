"""What the page is told about a run: against what the run itself says."""

from __future__ import annotations

import base64
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

import senzai

from .conftest import NAUGHTY, people, until_ready


@pytest.fixture(scope="module")
def run(workspace):
    return senzai.load(workspace / "people")


@pytest.fixture(scope="module")
def about(client):
    return until_ready(client, "/api/runs/people/map")


def floats(client, path: str) -> np.ndarray:
    return np.frombuffer(client.get(path).content, dtype="<f4")


def test_data_are_described_with_types_to_correct(client):
    client.put("/api/data/people.csv", content=people().to_csv(index=False).encode())
    found = client.post("/api/data/people.csv/look", json={}).json()
    types = {e["name"]: e["type"] for e in found["entries"]}
    assert types["city"] == "categorical"
    assert set(types) == set(people().columns)
    assert found["lede"] == "260 rows of 5 columns"
    assert found["grid"]["rows"][0][2] == people()["city"][0]
    again = client.post("/api/data/people.csv/look", json={"options": {"schema.age": "real"}}).json()
    assert {e["name"]: e["type"] for e in again["entries"]}["age"] == "real"
    wrong = client.post("/api/data/people.csv/look", json={"options": {"schema.age": "purple"}})
    assert wrong.status_code == 422
    assert "purple" in wrong.json()["detail"]


def test_pictures_are_shown_as_pictures(client):
    found = client.post("/api/data/digits/look", json={}).json()
    assert found["entries"] == []
    assert found["grid"] is None
    assert found["rows"][0]["pictures"][0]["src"].startswith("data:image/png;base64,")


def test_places_on_the_map_are_codes_on_two_axes(client, about, run, workspace):
    plane = client.get("/api/runs/people/map/plane").json()
    origin, axes = np.array(plane["origin"]), np.array(plane["axes"])
    z = np.asarray(run.encode(run.source()), dtype=float)
    xy = floats(client, "/api/runs/people/map/points").reshape(-1, 2)
    assert np.allclose(xy, (z - origin) @ axes.T, atol=1e-4)
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-5)
    _, spread, _ = np.linalg.svd(z - z.mean(0), full_matrices=False)
    assert np.allclose(np.linalg.norm(xy, axis=0), spread[:2], rtol=1e-3)  # the widest plane there is
    dims = floats(client, "/api/runs/people/map/points?x=2&y=0").reshape(-1, 2)
    assert np.allclose(dims, z[:, [2, 0]], atol=1e-5)
    assert client.get("/api/runs/people/map/points?x=9&y=0").status_code == 422


def test_numbers_of_the_rows_are_those_of_the_data(client, about):
    rows = np.frombuffer(client.get("/api/runs/people/map/rows").content, dtype="<i4")
    assert rows.tolist() == list(range(260))
    assert (about["n"], about["total"], about["whole"]) == (260, 260, True)


def test_colours_say_what_the_table_says(client, about):
    at = [c["name"] for c in about["colourings"]].index("city")
    found = client.get(f"/api/runs/people/map/colours/{at}").json()
    codes = np.frombuffer(base64.b64decode(found["codes"]), dtype=np.uint8)
    assert [found["texts"][c] for c in codes] == people()["city"].tolist()
    ages = [c["name"] for c in about["colourings"]].index("age")
    found = client.get(f"/api/runs/people/map/colours/{ages}").json()
    codes = np.frombuffer(base64.b64decode(found["codes"]), dtype=np.uint8)
    assert (codes == 255).tolist() == people()["age"].isna().tolist()
    assert client.get("/api/runs/people/map/colours/99").status_code == 422


def test_what_a_point_decodes_to_is_the_reconstruction(client, about, run):
    codes = client.get("/api/runs/people/codes?at=3&at=5").json()["codes"]
    drawn = client.post("/api/runs/people/decode", json={"points": codes}).json()["drawn"]
    again = run.reconstruct(run.dataset(run.source()).take([3, 5]))
    assert [dict(d["rows"])["city"] for d in drawn] == again["city"].tolist()
    for points in ([[0.0]], [], [[float(1)] * 4], [[1e400, 0, 0]]):
        text = str(points).replace("inf", "1e999")
        answer = client.post("/api/runs/people/decode", content=f'{{"points": {text}}}',
                             headers={"content-type": "application/json"})
        assert answer.status_code == 422, points


def test_rows_are_the_rows(client):
    found = client.get("/api/runs/people/rows?at=7&at=2").json()
    names = [dict(d["rows"]) for d in found["drawn"]]
    assert "".join(names[0]["income"].split()) == "400000"
    assert names[1]["city"] == people()["city"][2]
    assert NAUGHTY[:10] in str(names[0])
    assert client.get("/api/runs/people/rows?at=260").status_code == 422
    assert client.get("/api/runs/people/rows?at=-1").status_code == 422


def test_ways_and_new_rows_are_those_of_the_verbs(client, run):
    found = client.post("/api/runs/people/interpolate", json={"a": 0, "b": 4, "steps": 5}).json()
    data = run.dataset(run.source())
    way = run.interpolate(data.take([0]), data.take([4]), steps=5)
    city = found["grid"]["names"].index("city")
    assert [r[city] for r in found["grid"]["rows"]] == way["city"].tolist()
    made = client.post("/api/runs/people/sample", json={"n": 4, "seed": 3}).json()
    assert [r[city] for r in made["grid"]["rows"]] == run.sample(4, seed=3)["city"].tolist()


def test_new_rows_can_be_given_something(client):
    about = client.get("/api/runs/given/given").json()
    assert about["conditions"] == {"digit": list(range(10))}
    assert client.post("/api/runs/given/sample", json={"n": 3, "given": {"digit": 4}}).status_code == 200
    wrong = client.post("/api/runs/given/sample", json={"n": 3, "given": {"digit": 77}})
    assert wrong.status_code == 422
    free = client.post("/api/runs/people/sample", json={"n": 5, "seed": 1, "given": {"city": "Lima"}}).json()
    city = free["grid"]["names"].index("city")
    assert {r[city] for r in free["grid"]["rows"]} == {"Lima"}


def test_holes_are_filled_and_the_rest_stays(client, run):
    found = client.get("/api/runs/people/grid?n=4").json()
    assert found["holes"] == int(people().isna().any(axis=1).sum())
    assert people()["age"].isna()[found["rows"]].all()
    grid = found["grid"]
    whole = client.post("/api/runs/people/impute", json={**grid}).json()["grid"]
    age = grid["names"].index("age")
    assert all(isinstance(r[age], int | float) for r in whole["rows"])
    for a, b in zip(grid["rows"], whole["rows"], strict=True):
        assert [v for j, v in enumerate(a) if j != age] == [v for j, v in enumerate(b) if j != age]
    expected = run.impute(people().loc[found["rows"]])
    assert [r[age] for r in whole["rows"]] == expected["age"].tolist()


def test_rows_go_out_as_they_came_in(client):
    file = client.post("/api/runs/people/export", json={"rows": [9, 7, 2]}).json()["file"]
    answer = client.get(f"/exports/{file}")
    assert "attachment" in answer.headers["content-disposition"]
    back = pd.read_csv(io.BytesIO(answer.content))
    expected = people().loc[[9, 7, 2]].reset_index(drop=True)
    assert back["income"].tolist() == expected["income"].tolist()
    assert list(back.columns) == list(expected.columns)


def test_many_pictures_go_out_as_files(client):
    until_ready(client, "/api/runs/digits/map")
    file = client.post("/api/runs/digits/export", json={"rows": [0, 5]}).json()["file"]
    assert file.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(client.get(f"/exports/{file}").content)) as found:
        assert len([n for n in found.namelist() if n.endswith(".png")]) == 2


def test_scores_and_reasons_find_the_strange_row(client, run):
    until_ready(client, "/api/runs/people/anomalies")
    both = floats(client, "/api/runs/people/anomalies/scores")
    scores, rare = both[:260], both[260:]
    frame = run.score(run.source(), false_alarm=0.5)
    assert np.allclose(scores, frame["score"], rtol=1e-4)
    assert np.allclose(rare, frame["p_value"], atol=1e-5)
    worst = int(scores.argmax())
    found = client.get(f"/api/runs/people/anomalies/reasons?at={worst}").json()
    assert worst == 7
    assert "income" in [r["name"] for r in found["reasons"][0]]
    assert all(r["beyond"] > 1 for r in found["reasons"][0])


def test_other_data_are_scored_as_the_run_reads_them(client):
    more = people(40, seed=5)
    client.put("/api/data/more.csv", content=more.to_csv(index=False).encode())
    assert until_ready(client, "/api/runs/people/anomalies?data=more.csv")["n"] == 40
    client.put("/api/data/less.csv", content=more.drop(columns="age").to_csv(index=False).encode())
    answer = client.get("/api/runs/people/anomalies?data=less.csv")
    while answer.status_code == 202:
        answer = client.get("/api/runs/people/anomalies?data=less.csv")
    assert answer.status_code == 422
    assert "age" in answer.json()["detail"]


def test_names_give_directions_in_the_latent_space(client, about):
    found = {a["name"]: a for a in about["attributes"]}
    assert all(0 < a["share"] <= 1 for a in found.values())
    assert len(next(iter(found.values()))["direction"]) == 3
    assert not any(name.startswith("z") for name in found)


def test_a_run_that_cannot_do_it_says_why(client):
    assert client.post("/api/runs/digits/impute", json={"names": ["a"], "rows": [[None]]}).status_code == 422
    verbs = client.get("/api/runs/digits").json()["verbs"]
    assert "goes on in time" in verbs["forecast"]
    assert verbs["encode"] is None
    assert client.post("/api/runs/people/judge/sample", json={}).status_code == 422
    assert client.post("/api/compare", json={"a": "people", "b": "people"}).status_code == 422


def test_the_recipes_and_verbs_are_those_of_the_registries(client):
    from senzai.recipes import RECIPES
    from senzai.runs.verbs.registry import every_verb

    about = client.get("/api/about").json()
    assert {v["name"] for v in about["verbs"]} == set(every_verb())
    assert {r["name"] for members in about["recipes"].values() for r in members} == set(RECIPES)
    assert client.get("/api/recipes/beta-vae").json()["settings"]["beta"] == 4.0
    assert client.get("/api/recipes/nope").status_code in (404, 422)
