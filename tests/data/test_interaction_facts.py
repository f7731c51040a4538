"""Facts about users and items beside a log: which columns are facts, whose they are, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.data import Schema, open_data
from senzai.data.interactions.options import details_of

LOG = pd.DataFrame({"user": ["07", "7", "07", "c,d", "e", "7"], "item": [30, 10, 20, 10, 20, 30]})
PEOPLE = pd.DataFrame({
    "name": ["Ann", "Bob", "Cy", "Dee", "Eve"], "user": ["c,d", "07", "7", "e", "nobody"],
    "age": [30, 20, 40, None, 99], "club": ["red", "blue", "red", "blue", "green"],
})
MOVIES = pd.DataFrame({
    "item": [10, 20, 30, 40], "genre": ["Action|War", "War", "Action", "War|Noir"], "price": [1.5, 3.0, 4.5, 9.0],
    "title": ["one", "two", "three", "four"], "same": [1, 1, 1, 2],
})


def opened(source=LOG, **options):
    return open_data(source, kind="interactions", options={"validation": 0, "test": 0, **options})


@pytest.fixture
def people(tmp_path):
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    return str(tmp_path / "people.csv")


@pytest.fixture
def movies(tmp_path):
    MOVIES.to_csv(tmp_path / "movies.csv", index=False)
    return str(tmp_path / "movies.csv")


def test_users_have_the_facts_of_their_line_by_their_identifier(people):
    data = opened(users=people)
    assert [f.name for f in details_of(data.schema).of_users] == ["age", "club"]  # names are everybody's own
    assert data.schema.condition.names == ("age", "club")
    mean, scale = 30.0, np.std([20, 40, 30])
    expected = {"07": [(20 - mean) / scale, 1, 0], "7": [(40 - mean) / scale, 0, 1], "c,d": [0, 0, 1], "e": [0, 1, 0]}
    found = dict(zip(data.rows.about(np.arange(4))["user"], data.batch().c.tolist(), strict=True))
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[u], expected[u], atol=1e-6) for u in expected)


def test_facts_follow_from_users_of_the_log_alone(people):
    age, club = details_of(opened(users=people).schema).of_users
    assert club.classes == ("blue", "red")  # the green one is not in the log
    assert age.mean == pytest.approx(30)


def test_a_condition_names_some_facts(people):
    data = opened(users=people, condition="club")
    assert data.schema.condition.names == ("club",)
    assert data.batch().c.shape == (4, 2)
    with pytest.raises(InputError, match=r"no column 'clb'.*club"):
        opened(users=people, condition="clb")
    with pytest.raises(InputError, match="no column 'city'"):
        opened(users=people, condition="city")


def test_facts_may_stand_in_the_log_and_are_the_same_in_all_lines_of_a_user(tmp_path):
    own = LOG.assign(age=[20, 40, 20, 30, 25, 40], club=["b", "r", "b", "r", "b", "r"])
    own.to_csv(tmp_path / "log.csv", index=False)
    for source in (own, tmp_path / "log.csv"):
        data = opened(source, condition="age,club")
        found = dict(zip(data.rows.about(np.arange(4))["user"], data.batch().c.tolist(), strict=True))
        assert found["07"][1:] == [1, 0]
        assert found["7"][0] > found["c,d"][0] > found["e"][0] > found["07"][0]
    with pytest.raises(InputError, match=r"'age' of '7' has 2 values"):
        opened(own.assign(age=[20, 41, 20, 30, 25, 40]), condition="age")
    with pytest.raises(InputError, match=r"users=\.\.\."):
        opened(LOG, condition="age")


def test_items_have_the_facts_of_their_line_in_the_order_of_the_columns(movies):
    data = opened(items=movies)
    genre, price = details_of(data.schema).of_items
    assert data.schema.columns == (30, 10, 20)
    assert (genre.name, genre.classes, price.name) == ("genre", ("Action", "War"), "price")
    assert data.rows.known[:, :2].tolist() == [[1, 0], [1, 1], [0, 1]]
    assert np.allclose(data.rows.known[:, 2], (np.array([4.5, 1.5, 3.0]) - 3) / np.std([4.5, 1.5, 3.0]))
    assert any("title" in r and "left out" in r for r in data.schema.reasons)
    assert data.schema.condition is None
    assert data.propose().decoder.name == "items"


def test_newcomers_are_items_of_a_table_that_the_model_does_not_know(movies):
    data = opened(items=movies)
    names, facts, notes = data.kind.newcomers(movies, data.schema)
    assert names == (40,)
    assert len(notes) == 1  # its price is out of range
    assert facts[0, :2].tolist() == [0, 1]  # War; nothing is known of Noir
    plain = opened()
    with pytest.raises(CombinationError, match="items=PATH"):
        plain.kind.newcomers(movies, plain.schema)


def test_a_number_of_a_newcomer_that_is_out_of_range_is_said_and_so_is_a_table_without_newcomers(tmp_path, movies):
    data = opened(items=movies)  # prices go from 1.5 to 4.5
    known, new = MOVIES.iloc[:3], MOVIES.iloc[:1]
    rows = [new.assign(item=50, price=4.5), new.assign(item=51, price=1e6), new.assign(item=52, price=np.nan)]
    pd.concat([known, *rows]).to_csv(tmp_path / "more.csv", index=False)
    found = data.kind.newcomers(tmp_path / "more.csv", data.schema)
    assert found.names == (50, 51, 52)
    (note,) = found.notes
    assert "'price' goes from 1.5 to 4.5" in note
    assert "1 of 3" in note
    assert "(1e+06 of '51')" in note
    known.to_csv(tmp_path / "known.csv", index=False)
    none = data.kind.newcomers(tmp_path / "known.csv", data.schema)
    assert none.names == ()
    assert none.facts.shape == (0, 3)
    assert ["no item that the model does not know" in note for note in none.notes] == [True]


def test_what_is_not_known_of_an_item_or_a_user_is_zeros(tmp_path, people):
    MOVIES.iloc[:2].to_csv(tmp_path / "few.csv", index=False)
    data = opened(items=str(tmp_path / "few.csv"), users=people)
    assert data.rows.known[0].tolist() == [0] * data.rows.known.shape[1]
    again = open_data([[10, 20]], schema=data.schema)
    assert again.batch().c.tolist() == [[0, 0, 0]]


def test_a_run_finds_its_tables_from_any_folder(people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = opened(users="people.csv", items=None)
    assert data.schema.reading["users"] == people
    monkeypatch.chdir("/")
    again = open_data(LOG, schema=data.schema)
    assert again.batch().c.tolist() == data.batch().c.tolist()


def test_later_users_have_facts_of_their_own_table(people, tmp_path):
    data = opened(users=people)
    pd.DataFrame({"user": ["z"], "age": [40], "club": ["violet"]}).to_csv(tmp_path / "later.csv", index=False)
    later = pd.DataFrame({"user": ["z"], "item": [10]})
    found = open_data(later, schema=data.schema, options={"users": str(tmp_path / "later.csv")})
    assert found.batch().c[0].tolist() == pytest.approx([(40 - 30) / np.std([20, 40, 30]), 0, 0])
    (tmp_path / "people.csv").unlink()
    with pytest.raises(InputError, match=r"people\.csv"):
        open_data(later, schema=data.schema)
    with pytest.raises(SettingError, match="items"):
        open_data(later, schema=data.schema, options={"items": people})


def test_a_schema_with_facts_survives_json(people, movies):
    schema = opened(users=people, items=movies).schema
    again = TypeAdapter(Schema).validate_json(schema.model_dump_json())
    assert again == schema
    assert details_of(again).of_items == details_of(schema).of_items


@pytest.mark.parametrize(("change", "why"), [
    (lambda f: f.assign(item=[10, 10, 30, 40]), "several for '10'"),
    (lambda f: f.assign(item=[None, 20, 30, 40]), "1 lines of .* have no 'item'"),
    (lambda f: f.assign(item=[1, 2, 3, 4]), "knows none of them, such as 30"),
    (lambda f: f[["item", "title"]], "a few classes or numbers"),
    (lambda f: f.assign(price=[1, np.inf, 3, 4]).drop(columns="genre"), "a few classes or numbers"),
])
def test_tables_that_are_no_facts_are_refused(tmp_path, change, why):
    change(MOVIES).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(InputError, match=why):
        opened(items=str(tmp_path / "x.csv"))


def test_a_table_that_is_not_there_or_no_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        opened(items=str(tmp_path / "nowhere.csv"))
    (tmp_path / "x.csv").write_bytes(b'item,genre\n1,"\xff\xfe\n')
    with pytest.raises(InputError, match="table in UTF-8"):
        opened(items=str(tmp_path / "x.csv"))


@pytest.mark.parametrize("value", ["inf", float("inf"), "nan", "cheap"])
def test_numbers_that_are_none_are_refused_and_named(value):
    from senzai.core.errors import SettingError
    from senzai.data.covariates import Covariate, encode

    age = Covariate(name="age", mean=30.0, scale=10.0)
    assert encode([age], {"age": ["40", 20, None]}, gaps=True).flatten().tolist() == [1.0, -1.0, 0.0]
    with pytest.raises(SettingError, match=rf"finite number, but got {value!r}\. Write age=2\.5"):
        encode([age], {"age": [3, value]})
