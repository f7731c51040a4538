"""One row of some data is that row: its holes, its condition and its length go with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli import app
from senzai.core.errors import ShapeError
from senzai.data import open_data

SMALL = {"steps": 20, "n_latent": 2, "sampler": "none"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    f = pd.DataFrame({"a": 100 + 10 * z, "b": 50 + 5 * z + rng.normal(size=200), "c": np.where(z > 0, "up", "down")})
    f.loc[5, "a"] = np.nan
    return f


def called(*words):
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("verb", ["traverse", "interpolate"])
def test_a_row_of_a_file_is_the_file_of_that_row(verb, table, tmp_path):
    senzai.fit(table, out=tmp_path / "run", **SMALL)
    table.to_csv(tmp_path / "all.csv", index=False)
    table.iloc[[5]].to_csv(tmp_path / "one.csv", index=False)
    more = ["--dim", "0"] if verb == "traverse" else [tmp_path / "all.csv"]
    for name, data in (("x", f"{tmp_path / 'all.csv'}:5"), ("y", tmp_path / "one.csv")):
        called(verb, tmp_path / "run", data, *more, "-o", tmp_path / f"{name}.csv")
    assert (tmp_path / "x.csv").read_text() == (tmp_path / "y.csv").read_text()


def test_a_row_keeps_its_condition(tmp_path):
    run = senzai.fit("digits", condition="label", recipe="cvae", hidden=[16], out=tmp_path / "run", **SMALL)
    called("traverse", tmp_path / "run", "digits:3", "--dim", "0", "-o", tmp_path / "t.npy")
    called("interpolate", tmp_path / "run", "digits:3", "digits:4", "-o", tmp_path / "i.npy")
    row = run.dataset("digits").take([3])
    assert row.batch().c.argmax() == row.rows.targets.y == run.dataset("digits").rows.targets.y[3]
    assert np.array_equal(np.load(tmp_path / "t.npy"), run.traverse(row, dim=0))


def test_rows_that_are_taken_are_those_rows(table):
    whole = open_data(table)
    some = whole.take([5, 7])
    assert len(some) == some.schema.n_rows == 2
    assert some.index.tolist() == [5, 7]
    for name in ("x", "mask"):
        assert getattr(some.batch(), name).equal(getattr(whole.batch([5, 7]), name))
    assert some.take([1]).batch().x.equal(whole.batch([7]).x)
    assert some.schema.fingerprint != whole.schema.fingerprint  # they are not the training data


@pytest.fixture(scope="module")
def sequences():
    x = np.random.default_rng(0).normal(size=(60, 8, 2)).cumsum(1)
    for row, length in enumerate(np.r_[4, 7, 8, np.random.default_rng(1).integers(3, 9, 57)]):
        x[row, length:] = np.nan
    return x


@pytest.mark.parametrize("recipe", ["vrnn", "dmm", "vae"])
def test_ways_of_sequences_end_where_their_rows_do(recipe, sequences):
    run = senzai.fit(sequences, recipe=recipe, **{**SMALL, "steps": 2})
    gone = np.isnan(run.traverse(sequences[:1], dim=0)).all(-1).sum(-1)
    assert (gone == 4).all()
    for other, left in ((1, [4, 4, 3, 3, 2, 2, 1, 1]), (2, [4, 3, 3, 2, 2, 1, 1, 0])):
        way = run.interpolate(sequences[:1], sequences[other : other + 1])
        assert np.isnan(way).all(-1).sum(-1).tolist() == left


def test_ends_of_other_numbers_of_steps_are_refused(sequences):
    run = senzai.fit(sequences, recipe="vrnn", **{**SMALL, "steps": 2})
    with pytest.raises(ShapeError, match="as many rows, of as many steps"):
        run.interpolate(sequences[2:3], sequences[2:3, :5])
