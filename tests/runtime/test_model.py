"""What the runtime does around its graphs: pieces, noise, windows and flags, with graphs that are plain functions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from senzai.runtime import ExportedModel, ExportedModelError
from senzai.runtime import model as runtime_model


class Session:
    """A graph that is a function."""

    def __init__(self, inputs, run):
        self.inputs, self.function = inputs, run

    def get_inputs(self):
        return [type("Input", (), {"name": n}) for n in self.inputs]

    def run(self, outputs, given):
        return self.function(**given)


def made(tmp_path, *, shape=(2,), batch=None, held=None, missing=None, **graphs):
    noise = {"noise_0": {"like": "normal", "shape": [None, 2], "dtype": "float32"},
             "noise_1": {"like": "uniform", "shape": [3, None], "dtype": "float64"}}
    told = {
        "format": 1, "recipe": "plain", "shows": "mean", "batch": batch, "held": held or {}, "missing": missing or {},
        "rows": {"form": "array", "shape": list(shape), "support": "real", "dtype": "float64"},
        "graphs": {n: {"file": f"{n}.onnx", "outputs": [], "noise": noise if n == "prior" else {}} for n in graphs},
    }
    (tmp_path / "export.json").write_text(json.dumps(told))
    found = ExportedModel(tmp_path)
    found._sessions = graphs
    return found


ENCODER = Session(["x"], lambda x: [x.reshape(len(x), -1) + 1])
SCORER = Session(["x"], lambda x: [np.abs(x.reshape(len(x), -1)), np.zeros(len(x)), np.ones(len(x))])


@pytest.mark.parametrize("batch", [None, 4])
def test_rows_are_answered_in_pieces_and_in_their_order(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(runtime_model, "ROWS_AT_ONCE", 5)
    seen = []
    encoder = Session(["x"], lambda x: (seen.append(len(x)), [x + 1])[1])
    x = np.arange(26.0).reshape(13, 2)
    np.testing.assert_array_equal(made(tmp_path, batch=batch, encoder=encoder).encode(x), x + 1)
    assert seen == ([4] * 4 if batch else [5, 5, 3])


def test_noise_is_what_the_description_asks_for(tmp_path):
    asked = []
    prior = Session(["noise_0", "noise_1"], lambda noise_0, noise_1: (asked.append((noise_0, noise_1)), [noise_0])[1])
    decoder = Session(["z"], lambda z: [z])
    found = made(tmp_path, prior=prior, decoder=decoder)
    wide, narrow = (found.sample(2000, seed=0, temperature=t) for t in (1.0, 0.5))
    np.testing.assert_allclose(narrow, 0.5 * wide, rtol=1e-6)
    normal, uniform = asked[0]
    assert (normal.shape, normal.dtype, uniform.shape, uniform.dtype) == ((2000, 2), "float32", (3, 2000), "float64")
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    assert 0 <= uniform.min() < uniform.max() < 1
    np.testing.assert_array_equal(asked[1][1], uniform)  # a temperature is of normal numbers alone


def test_a_window_moves_one_step_at_a_time(tmp_path):
    found = made(tmp_path, shape=(3, 1), encoder=ENCODER, scorer=SCORER)
    stream = found.stream("encode")
    got = [stream.push(np.array([float(i)])) for i in range(6)]
    assert [len(g) for g in got] == [0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(np.concatenate(got[2:]), [[1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]])
    stream.forget()
    assert stream.push(np.zeros((2, 1))) == []
    hopping = found.stream("score", hop=2)
    assert hopping.push(np.arange(7.0).reshape(7, 1)) == [3.0, 9.0, 15.0]


def test_rows_that_are_no_series_are_answered_one_by_one(tmp_path):
    found = made(tmp_path, scorer=SCORER)
    assert found.stream("score").push(np.array([[1.0, -2.0]])) == [3.0]


def test_p_values_are_shares_of_held_out_rows(tmp_path):
    found = made(tmp_path, scorer=SCORER, held={"elbo": [4.0, 1.0, 2.0, 3.0]})
    got = found.score(np.array([[0.5, 0.0], [2.5, 0.0], [9.0, 0.0], [3.0, 0.0]]), false_alarm=0.5)
    np.testing.assert_allclose(got["p_value"], [1.0, 3 / 5, 1 / 5, 3 / 5])
    assert got["anomaly"].tolist() == [False, False, True, False]


def test_scores_are_sums_of_what_the_graph_gives(tmp_path):
    scorer = Session(["x"], lambda x: [np.abs(x), np.full(len(x), 10.0), np.full(len(x), 7.0)])
    found, x = made(tmp_path, scorer=scorer), np.array([[1.0, -2.0]])
    assert [found.score(x, method=m)[0] for m in ("elbo", "nll", "reconstruction")] == [13.0, 7.0, 3.0]
    values, costs = found.score(x, shares=True)
    assert (values.tolist(), costs.tolist()) == ([13.0], [[1.0, 2.0]])


def test_what_an_export_has_not_is_refused_with_its_reason(tmp_path):
    found = made(tmp_path, missing={"encode": "Because.", "score": "Of this."}, decoder=Session(["z"], lambda z: [z]))
    assert found.verbs == ("reconstruct", "sample")
    with pytest.raises(ExportedModelError, match=r"has no encode: Because\."):
        found.encode(np.zeros((1, 2)))
    with pytest.raises(ExportedModelError, match="n >= 1"):
        found.sample(0)
    assert found.decode(np.array([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]
