"""A verb as a function of batches gives what the local verb gives, in every form and however rows are cut."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from senzai.core.errors import CombinationError, InputError, SettingError, ShapeError
from senzai.distributed import map_batches
from senzai.runs import fit
from senzai.runs.verbs.registry import every_verb, fitting


def cut(frame, *at):
    return [frame.iloc[a:b] for a, b in pairwise([0, *at, len(frame)])]


def cuttable(run):
    fits = fitting(run.schema, run.model)
    return [
        n for n, v in every_verb().items()
        if v.takes == "rows" and v.answers in ("rows", "codes", "scores") and not v.together and fits[n] is None
    ]


def settings_of(name):
    seeded = any(p.name == "seed" for p in every_verb()[name].parameters)
    needed = {"edit": {"by": 0.0}, "transfer": {"to": "Ulm"}}.get(name, {})
    return {**needed, **({"seed": 3} if seeded else {})}


def test_every_verb_that_may_be_cut_gives_the_same_rows_however_they_are_cut(saved, table_rows):
    known, done = cuttable(saved), []
    assert {"score", "encode", "impute", "reconstruct"} <= set(known)
    for name in known:
        try:
            f = map_batches(saved, name, **settings_of(name))
            whole = f(table_rows)
        except (InputError, CombinationError, SettingError):
            continue  # it needs settings that only its user knows
        done.append(name)
        parts = pd.concat([f(part) for part in cut(table_rows, 1, 40, 97)])
        pd.testing.assert_frame_equal(parts, whole, rtol=1e-4, atol=1e-5, obj=name)
    assert {"score", "encode", "impute", "reconstruct"} <= set(done)


def test_forms_agree_with_the_local_verb(saved, table_rows):
    local = saved.score(table_rows)
    f = map_batches(saved, "score", keep=["key"])
    table = pa.Table.from_pandas(table_rows, preserve_index=False)
    arrays = f({n: table_rows[n].to_numpy() for n in table_rows})
    arrow, frame = f(table), f(table_rows.set_axis(range(7, 127)))
    streamed = list(f(iter(table.to_batches(max_chunksize=50))))
    assert isinstance(arrays["score"], np.ndarray)
    assert isinstance(arrow, pa.Table)
    assert frame.index.tolist() == list(range(7, 127))
    assert all(isinstance(b, pa.RecordBatch) for b in streamed)
    assert [b.num_rows for b in streamed] == [50, 50, 20]
    several = [arrays, arrow.to_pydict(), frame, pa.Table.from_batches(streamed).to_pydict()]
    for found in several:
        assert list(found["key"]) == table_rows["key"].tolist()
        np.testing.assert_allclose(np.asarray(found["score"], dtype=float), local, rtol=1e-5)


def test_draws_for_rows_that_are_alike_do_not_depend_on_the_cut(saved, table_rows):
    twice = pd.concat([table_rows[:4], table_rows[:4]], ignore_index=True)
    f = map_batches(saved, "encode", seed=1)
    whole = f(twice)
    pd.testing.assert_frame_equal(f(twice[4:]), whole[4:])
    local = saved.encode(twice, seed=1)
    np.testing.assert_allclose(whole.to_numpy()[:4], np.asarray(local)[:4], rtol=1e-5)
    assert not np.allclose(np.asarray(local)[:4], np.asarray(local)[4:])  # the local verb draws for each


def test_an_empty_batch_gives_the_columns_of_an_answer(saved, table_rows):
    f = map_batches(saved, "encode", keep=["key"])
    table = pa.Table.from_pandas(table_rows, preserve_index=False)
    assert f(table[:0]).schema.names == f(table).schema.names == ["key", "z0", "z1"]
    assert f(table[:0]).num_rows == 0
    assert f(table_rows[:0]).columns.tolist() == ["key", "z0", "z1"]
    assert list(f(iter([]))) == []
    assert list(f(iter(table[:0].to_batches()))) == []


def test_what_is_sent_is_a_path_and_settings(saved, table_rows):
    f = map_batches(saved, "score", method="elbo")
    sent = pickle.dumps(f)
    assert len(sent) < 1000
    assert b"torch" not in sent
    np.testing.assert_allclose(pickle.loads(sent)(table_rows)["score"], f(table_rows)["score"])


def test_arrays_of_many_axes_are_one_column(tmp_path):
    x = np.random.default_rng(0).random((40, 4, 4), dtype=np.float32)
    run = fit(x, kind="array", steps=2, n_latent=2, hidden=[4], out=tmp_path / "run")
    f = map_batches(run, "encode")
    np.testing.assert_allclose(f({"x": x[:5]})["encode_0"], run.encode(x)[:5, 0], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_cut_or_sent_is_refused(saved, table_rows):
    with pytest.raises(CombinationError, match=r"looks at all rows together.*score"):
        map_batches(saved, "log_likelihood")
    with pytest.raises(CombinationError, match="takes number"):
        map_batches(saved, "sample")
    with pytest.raises(SettingError, match=r"but got 'methd'.*Did you mean 'method'"):
        map_batches(saved, "score", methd="elbo")
    with pytest.raises(SettingError, match=r"in memory\. Save it"):
        map_batches(fit(table_rows, steps=1, n_latent=1), "score")
    f = map_batches(saved, "encode", keep=["kye"])
    with pytest.raises(InputError, match="no 'kye'"):
        f(table_rows)
    with pytest.raises(InputError, match="but got a int"):
        f(3)
    with pytest.raises(ShapeError, match="one length"):
        map_batches(saved, "encode")({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(CombinationError, match="which has a too"):
        map_batches(saved, "reconstruct", keep=["a"])(table_rows)
