"""What `fit` was told about reading holds for every later verb; other data may be read in a way of their own."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from senzai.core.errors import InputError, SettingError, ShapeError
from senzai.data import Schema, open_data
from senzai.data.table.databases import without_password
from senzai.runs import fit, load, resume

R = np.random.default_rng(0)
FAST = {"steps": 4, "hidden": [8], "n_latent": 2, "sampler": "none", "progress": False}
ROWS = {"first": 40, "2020": 60, "y2021": 50}
FRAMES = {s: pd.DataFrame({"a": 100.0 * i + R.normal(size=n).round(6), "b": R.normal(size=n).round(6)})
          for i, (s, n) in enumerate(ROWS.items())}


def workbook(path):
    with pd.ExcelWriter(path) as book:
        for name, frame in FRAMES.items():
            frame.to_excel(book, sheet_name=name, index=False)
    return path


def database(path):
    link = sqlite3.connect(path)
    for name, frame in FRAMES.items():
        frame.to_sql(name, link, index=False)
    link.close()
    return path


def latin(path):
    path.write_bytes(("naïve;x\n" + "".join(f"é{i % 3};{i / 7}\n" for i in range(60))).encode("latin-1"))
    return path


def text(path):
    path.write_text("1;2,5;NA;-\n" + "".join(f"{i % 5};{i},5;{'NA' if i % 3 else 'x'};{i % 2}\n" for i in range(59)))
    return path


def archive(path):
    np.savez(path, foo=R.normal(size=(60, 3)), bar=R.normal(size=(40, 3)), cls=np.arange(60) % 2)
    return path


def pictures(path):
    for i in range(60):
        (path / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(R.integers(0, 255, (6, 6), dtype=np.uint8)).save(path / f"{i % 2}" / f"{i}.png")
    (path / "0" / "bad.png").write_bytes(b"no picture")
    return path


CASES = {
    "sheet": (workbook, "t.xlsx", {"sheet": "2020"}),
    "sheet by a number that is a name": (workbook, "t.xlsx", {"sheet": 2020}),
    "table": (database, "t.db", {"table": 2020}),
    "query": (database, "t.db", {"query": 'select b, a from "y2021" union all select b, a from "first" limit 60'}),
    "encoding": (latin, "t.csv", {"encoding": "latin-1"}),
    "header, decimals, missing values": (text, "t.txt.csv", {"header": False, "decimal": ",", "keep": "NA", "na": "-"}),
    "array and label": (archive, "t.npz", {"key": "foo", "label": "cls"}),
    "bad files": (pictures, "pictures", {"skip_bad": True}),
    "streamed": (latin, "t.csv", {"encoding": "latin-1", "in_memory": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_verb_reads_as_fit_did(tmp_path, case):
    make, name, options = CASES[case]
    source = make(tmp_path / name)
    fit(source, out=tmp_path / "run", **options, **FAST)
    run = load(tmp_path / "run")
    again, first = run.dataset(source), open_data(source, options=options)
    assert len(again) == len(first) == run.schema.n_rows == 60
    assert again.schema.fingerprint == run.schema.fingerprint
    np.testing.assert_array_equal(again.batch().tensor, first.batch().tensor)
    y = first.rows.targets.y
    assert y is None or (again.rows.targets.y == y).all()
    assert len(run.score(source)) == run.encode(source).shape[0] == 60
    assert run.evaluate(run.source(), k=2)["rows_available"] == len(run.part(source)) == 6  # its own test rows


def test_other_data_are_read_by_options_of_their_own(tmp_path):
    source = workbook(tmp_path / "t.xlsx")
    run = fit(source, sheet="2020", **FAST)
    for sheet, n in ROWS.items():
        assert len(run.encode(run.dataset(source, options={"sheet": sheet}))) == n
    other = run.dataset(source, options={"sheet": "y2021"})
    assert run.evaluate(other, k=2)["rows_available"] == 50  # all rows of what it was not trained on
    assert other.schema.fingerprint != run.dataset(source).schema.fingerprint
    for wrong in ({"max_steps": 3}, {"validation": 0.5}, {"schema.a": "count"}):
        with pytest.raises(SettingError, match="What a model has decided holds"):
            run.dataset(source, options=wrong)
    with pytest.raises(SettingError, match="Did you mean 'sheet'"):
        run.dataset(source, options={"sheeet": 1})


def test_an_encoding_set_for_other_data_does_not_spoil_utf_8(tmp_path):
    run = fit(latin(tmp_path / "t.csv"), encoding="latin-1", **FAST)
    (tmp_path / "new.csv").write_text((tmp_path / "t.csv").read_text("latin-1"), "utf-8")
    assert run.impute(tmp_path / "new.csv")["naïve"].tolist() == run.impute(tmp_path / "t.csv")["naïve"].tolist()


def test_later_data_need_no_label(tmp_path):
    run = fit(archive(tmp_path / "t.npz"), key="foo", label="cls", **FAST)
    np.savez(tmp_path / "new.npz", foo=R.normal(size=(7, 3)))
    assert len(run.score(tmp_path / "new.npz")) == 7


def test_runs_of_before_load(tmp_path):
    fit(FRAMES["first"], out=tmp_path / "run", **FAST)
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["data_schema"].pop("reading") == {}
    (tmp_path / "run" / "spec.json").write_text(json.dumps(spec))
    assert len(load(tmp_path / "run").score(FRAMES["first"])) == 40


# --- databases by their address -------------------------------------------------------------------------------------
def test_a_database_is_resumed_diagnosed_and_reported(tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)
    database(tmp_path / "t.db")
    fit("sqlite:///t.db", query='select a, b from "2020" where b = b', out=tmp_path / "run", **FAST)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = load(tmp_path / "run")
    assert len(run.dataset(run.source())) == 60
    assert run.diagnose(rows=30, k=2).facts.log_p == run.diagnose(run.dataset(run.source()), rows=30, k=2).facts.log_p
    assert run.evaluate(run.source(), k=2)["rows_available"] == 6  # its own test rows
    assert run.report().is_file()
    longer = resume(tmp_path / "run", steps=6, progress=False)
    assert longer.metrics["fit"]["steps"] == 6


@pytest.mark.parametrize(("address", "kept"), [
    ("postgresql://me:geheim@host:5432/shop", "postgresql://***@host:5432/shop"),
    ("postgresql+psycopg://me:ge:h/e?im@host/shop?a=b", "postgresql+psycopg://***@host/shop?a=b"),
    ("mysql://me@host/shop?ssl=1&password=geheim", "mysql://***@host/shop?ssl=1&password=***"),
    ("mssql://host/shop?PWD=geheim&driver=x&apitoken=geheim", "mssql://host/shop?PWD=***&driver=x&apitoken=***"),
    ("sqlite:///shop@home.db", "sqlite:///shop@home.db"), ("sqlite:////a/b.db", "sqlite:////a/b.db"),
])
def test_a_password_is_not_kept(address, kept):
    assert without_password(address) == kept


def test_a_run_says_how_to_give_a_password_again(tmp_path, monkeypatch):
    alchemy = pytest.importorskip("sqlalchemy")
    database(tmp_path / "t.db")
    secret, real = "postgresql://me:geheim@host/shop", alchemy.create_engine
    engine = real(f"sqlite:///{tmp_path / 't.db'}")
    monkeypatch.setattr(alchemy, "create_engine", lambda url: engine if url == secret else real(url))
    fit(secret, table="2020", out=tmp_path / "run", **FAST)
    assert not [f for f in (tmp_path / "run").rglob("*") if f.is_file() and b"geheim" in f.read_bytes()]
    run = load(tmp_path / "run")
    assert run.spec.source == "postgresql://***@host/shop"
    for verb in (lambda: run.dataset(run.source()), lambda: resume(tmp_path / "run", steps=6, progress=False)):
        with pytest.raises(InputError, match=r"A name and a password are not kept .* Give the whole address again"):
            verb()
    assert len(run.dataset(run.source(secret))) == 60
    assert resume(tmp_path / "run", data=secret, steps=6, progress=False).metrics["fit"]["steps"] == 6
    with pytest.raises(InputError, match="must be reachable") as err:
        fit("nosuch://me:geheim@host/shop", **FAST)
    assert "geheim" not in str(err.value)


# --- labels ---------------------------------------------------------------------------------------------------------
def test_a_label_means_the_same_everywhere(tmp_path):
    frame = pd.DataFrame({"a": R.normal(size=90), "y": np.array(["yes", "no", "unknown"])[np.arange(90) % 3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    numbers = pd.DataFrame({"a": frame["a"], "y": np.arange(90) % 3})
    np.savez(tmp_path / "t.npz", x=frame[["a"]].to_numpy(), y=frame["y"].to_numpy().astype(str))
    files = [(tmp_path / name, memory) for name in ("t.csv", "t.parquet") for memory in (True, False)]
    for source, memory in [*files, (frame, True), (tmp_path / "t.npz", True)]:
        data = open_data(source, options={"label": "y", "unlabelled": "unknown", "in_memory": memory})
        assert data.schema.label.classes == ("no", "yes")
        batch = data.batch([0, 1, 2, 3])
        assert batch.y.tolist()[:2] == [1, 0]
        assert batch.y_known.tolist() == [True, True, False, True]
        assert data.schema.event_shape == (1,)
        assert any("30 of 90 rows have none" in r for r in data.schema.reasons)
        again = open_data(source, schema=Schema.model_validate_json(data.schema.model_dump_json()))
        assert again.batch([0, 1, 2, 3]).y_known.tolist() == [True, True, False, True]
    for source, kind in ((tmp_path / "t.csv", None), (frame, None), (tmp_path / "t.npz", None), (numbers, "array")):
        for memory in (True, False):
            with pytest.raises(InputError, match="nonsense"):
                open_data(source, kind=kind, options={"label": "nonsense", "in_memory": memory})


def test_a_table_without_the_model_s_columns_is_refused(tmp_path):
    source = workbook(tmp_path / "t.xlsx")
    run = fit(database(tmp_path / "t.db"), table="2020", **FAST)
    assert len(run.score(run.dataset(source, options={"sheet": "2020"}))) == 60
    with pytest.raises(ShapeError, match="lacks a"):
        run.dataset(tmp_path / "t.db", options={"query": 'select b from "2020"'})
