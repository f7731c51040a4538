"""Tables of databases are read and written chunk by chunk, whole or not at all."""

from __future__ import annotations

import sqlite3

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, OutputError, SettingError
from senzai.distributed import BatchVerb, map_batches, to_database

pytest.importorskip("sqlalchemy")


@pytest.fixture
def shop(tmp_path, table_rows):
    with sqlite3.connect(tmp_path / "shop.db") as link:
        table_rows.to_sql("orders", link, index=False)
    return f"sqlite:///{tmp_path}/shop.db"


def read(shop, query):
    with sqlite3.connect(shop.removeprefix("sqlite:///")) as link:
        return pd.read_sql(query, link)


ORDERS = {"query": "select * from orders order by key"}


@pytest.mark.parametrize("rows", [1000, 50, 7])
def test_answers_are_those_of_the_local_verb_however_large_a_chunk_is(rows, shop, saved, table_rows, monkeypatch):
    sizes = []
    call = BatchVerb.__call__
    monkeypatch.setattr(BatchVerb, "__call__", lambda self, batch: sizes.append(len(batch)) or call(self, batch))
    n = to_database(map_batches(saved, "score", keep=["key"]), shop, shop, "scores", options=ORDERS, rows=rows)
    assert n == sum(sizes) == 120
    assert max(sizes) <= rows
    found = read(shop, "select * from scores order by key")
    assert found["key"].tolist() == table_rows["key"].tolist()
    np.testing.assert_allclose(found["score"], saved.score(table_rows), rtol=1e-5)


def test_a_table_appears_whole_or_not_at_all(shop, saved, monkeypatch):
    f, calls = map_batches(saved, "score", keep=["key"]), []
    call = BatchVerb.__call__

    def failing(self, batch):
        calls.append(1)
        if len(calls) == 3:
            raise InputError("no more")
        return call(self, batch)

    monkeypatch.setattr(BatchVerb, "__call__", failing)
    with pytest.raises(InputError, match="no more"):
        to_database(f, shop, shop, "scores", options=ORDERS, rows=20)
    assert read(shop, "select name from sqlite_master")["name"].tolist() == ["orders"]


def test_a_table_that_cannot_be_written_to_its_end_is_not_there(shop, saved, monkeypatch):
    calls, write = [], pd.DataFrame.to_sql

    def failing(self, *args, **settings):
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("disk full")
        return write(self, *args, **settings)

    monkeypatch.setattr(pd.DataFrame, "to_sql", failing)
    with pytest.raises(OutputError, match="must fit a table of the database, but: disk full"):
        to_database(map_batches(saved, "score", keep=["key"]), shop, shop, "scores", options=ORDERS, rows=20)
    assert read(shop, "select name from sqlite_master")["name"].tolist() == ["orders"]


def test_a_table_is_replaced_when_it_is_said(shop, saved):
    f = map_batches(saved, "encode", keep=["key"])
    to_database(f, shop, shop, "codes", options={"query": "select * from orders where a > 0"})
    few = len(read(shop, "select * from codes"))
    with pytest.raises(OutputError, match="has 'codes'"):
        to_database(f, shop, shop, "codes", options=ORDERS)
    assert to_database(f, shop, shop, "codes", options=ORDERS, overwrite=True) == 120
    assert 0 < few < len(read(shop, "select * from codes")) == 120


def test_errors_say_what_to_do(shop, saved):
    f = map_batches(saved, "score")
    with pytest.raises(SettingError, match="rows=0"):
        to_database(f, shop, shop, "x", options=ORDERS, rows=0)
    with pytest.raises(OutputError, match=r"must be reachable") as caught:
        to_database(f, shop, "nothing://me:secret@host/x", "x", options=ORDERS)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="query must run"):
        to_database(f, shop, shop, "x", options={"query": "select * from nowhere"})
