"""An export gives what its run gives, by a runtime without torch, and is written whole or not at all."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai import runtime
from senzai.core.errors import CombinationError, OutputError, SettingError
from senzai.exporting import checking
from senzai.exporting.files import page_of
from senzai.exporting.folder import export
from senzai.exporting.parts import REFUSALS
from senzai.runtime import ExportedModelError


@pytest.fixture(scope="module")
def model(table_export):
    return runtime.load(table_export)


def test_codes_are_those_of_the_run(model, table_run, frame):
    np.testing.assert_allclose(model.encode(frame), table_run.encode(frame).to_numpy(), atol=1e-5)
    records = json.loads(frame.to_json(orient="records", date_format="iso"))
    np.testing.assert_allclose(model.encode(records), table_run.encode(frame).to_numpy(), atol=1e-5)


def test_codes_of_a_file_are_those_of_the_run(model, table_run, frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    np.testing.assert_allclose(model.encode(tmp_path / "rows.csv"), table_run.encode(frame).to_numpy(), atol=1e-5)


def test_rows_are_reconstructed_as_by_the_run(model, table_run, frame):
    told, got = table_run.reconstruct(frame), model.reconstruct(frame)
    assert list(got) == [str(c) for c in told.columns]
    for name in told.columns:
        ours, theirs = got[str(name)], told[name].tolist()
        if told[name].dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-2)
        elif told[name].dtype.kind == "M":
            assert [pd.Timestamp(v) for v in ours] == theirs
        else:
            assert ours == theirs


@pytest.mark.parametrize("method", ["elbo", "nll", "reconstruction"])
def test_scores_are_those_of_the_run(model, table_run, frame, method):
    told, got = table_run.score(frame, method=method), model.score(frame, method=method)
    np.testing.assert_allclose(got, told, rtol=1e-5, atol=1e-4)
    assert got.argmax() == told.argmax()


def test_shares_of_a_score_are_those_of_the_run(model, table_run, frame):
    told = table_run.score(frame, method="elbo", shares=True)
    _, shares = model.score(frame, shares=True)
    np.testing.assert_allclose(shares, told.iloc[:, 1:-1].to_numpy(), rtol=1e-4, atol=1e-4)


def test_rows_are_flagged_as_by_the_run(model, table_run, frame):
    if table_run.reference is None:
        pytest.skip("no rows were held out")
    told = table_run.score(frame, method="elbo", false_alarm=0.2)
    got = model.score(frame, false_alarm=0.2)
    assert (got["anomaly"] == told["anomaly"].to_numpy()).mean() > 0.97  # a score may tie with a held-out one


def test_samples_have_the_form_and_the_marginals_of_the_runs(model, table_run):
    n = 1500
    got, told = pd.DataFrame(model.sample(n, seed=0)), table_run.sample(n, seed=1)
    assert list(got) == [str(c) for c in told.columns]
    for name in ("age", "height", "kids"):
        a, b = got[name].astype(float), told[name].astype(float)
        assert abs(a.mean() - b.mean()) < 5 * b.std() * (2 / n) ** 0.5
    for value, share in told["city"].value_counts(normalize=True).items():
        assert abs((got["city"] == value).mean() - share) < 0.08
    assert got["id"].is_unique
    assert abs((got["spent"] == 0).mean() - (told["spent"] == 0).mean()) < 0.08
    assert model.sample(3, seed=5) == model.sample(3, seed=5)
    assert model.sample(3, seed=5) != model.sample(3, seed=6)


def test_a_lower_temperature_narrows_samples(model):
    wide, narrow = (np.std(model.sample(600, seed=0, temperature=t, noise=False)["height"]) for t in (1.0, 0.1))
    assert narrow < 0.5 * wide


def test_codes_are_decoded_to_what_is_reconstructed(model, frame):
    assert model.decode(model.encode(frame.head(5))) == model.reconstruct(frame.head(5))


def test_the_table_says_what_was_checked(table_export):
    manifest = json.loads((table_export / "export.json").read_text())
    checked = {c["graph"]: c for c in manifest["checked"]}
    assert set(checked) == {"encoder", "decoder", "prior", "drawer", "scorer"}
    for found in checked.values():
        assert found["error"] <= 1e-5
        assert found["bytes"] == (table_export / f"{found['graph']}.onnx").stat().st_size
        assert set(found["latency_ms"]) == {"1", "64"}
        assert min(found["latency_ms"]["1"].values()) > 0
    assert (table_export / "README.md").read_text() == page_of(manifest)


def test_no_identifier_and_no_path_is_in_an_export(table_export):
    text = (table_export / "export.json").read_text()
    assert "K-0003" not in text
    assert "/tmp" not in text


@pytest.mark.slow
def test_pictures_are_those_of_the_run(picture_export, picture_run, images):
    found = runtime.load(picture_export)
    np.testing.assert_allclose(found.encode(images), picture_run.encode(images), atol=1e-5)
    ours, theirs = found.reconstruct(images), picture_run.reconstruct(images)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert (ours != theirs).mean() < 1e-3
    assert found.sample(3, seed=0).shape == (3, 16, 16, 3)


@pytest.mark.slow
def test_an_export_of_one_batch_size_answers_for_any_number_of_rows(table_run, model, frame, tmp_path):
    fixed = runtime.load(export(table_run, tmp_path / "out", batch=4, timed=False))
    np.testing.assert_allclose(fixed.encode(frame.head(7)), model.encode(frame.head(7)), atol=1e-6)
    assert len(fixed.sample(6, seed=0)["age"]) == 6


@pytest.mark.slow
def test_a_condition_is_given_by_name(tmp_path):
    rng = np.random.default_rng(0)
    y = np.array(["cat", "dog"])[rng.integers(0, 2, 80)]
    x = (rng.normal(0, 1, (80, 4)) + 3 * (y == "dog")[:, None]).astype("float32")
    run = senzai.fit((x, y), recipe="cvae", condition="label", steps=5, n_latent=2, hidden=(8,))
    found = runtime.load(export(run, tmp_path / "out", timed=False))
    np.testing.assert_allclose(found.encode(x, labels=y), run.encode((x, y)), atol=1e-5)
    np.testing.assert_allclose(found.reconstruct(x, labels=y), run.reconstruct((x, y)), atol=1e-4)
    dogs, cats = (found.sample(400, seed=0, given={"label": c}, noise=False).mean() for c in ("dog", "cat"))
    assert dogs != cats
    with pytest.raises(ExportedModelError, match="has the classes"):
        found.sample(1, given={"label": "cow"})
    with pytest.raises(ExportedModelError, match="conditioned on"):
        found.encode(x)


@pytest.mark.slow
def test_a_window_moves_over_a_series(tmp_path):
    x = np.random.default_rng(0).normal(0, 1, (60, 5, 2)).astype("float32")
    run = senzai.fit(x, steps=2, n_latent=2, hidden=(8,))
    found = runtime.load(export(run, tmp_path / "out", timed=False))
    series = np.concatenate(x[:3])
    stream = found.stream("score")
    got = [a for step in series for a in stream.push(step)]
    windows = np.stack([series[i : i + 5] for i in range(len(series) - 4)])
    np.testing.assert_allclose(got, found.score(windows), rtol=1e-6)
    hopping = found.stream("encode", hop=3)
    np.testing.assert_allclose(hopping.push(series), found.encode(windows[::3]), rtol=1e-6)
    with pytest.raises(ExportedModelError, match="Streamed are"):
        found.stream("sample")


@pytest.mark.slow
def test_a_generator_is_exported_for_its_samples(tmp_path):
    run = senzai.fit(np.random.default_rng(0).normal(0, 1, (60, 3)), recipe="gan", steps=2, n_latent=2, hidden=(8,))
    found = runtime.load(export(run, tmp_path / "out", timed=False))
    assert found.verbs == ("sample",)
    assert found.sample(4, seed=0).shape == (4, 3)
    with pytest.raises(ExportedModelError, match="without an inference"):
        found.encode(np.zeros((1, 3)))


@pytest.mark.slow
def test_eight_bits_are_measured_both_ways(table_run, tmp_path, frame, model):
    folder = export(table_run, tmp_path / "out", to="int8", timed=False)
    measured = json.loads((folder / "export.json").read_text())["int8"]["measured"]
    assert {(m["graph"], m["way"]) for m in measured} == {
        (g, w) for g in ("encoder", "decoder") for w in ("dynamic", "static")}
    assert all(0 <= m["error"] < 0.5 for m in measured)
    assert "| encoder | static |" in (folder / "README.md").read_text()
    small = runtime.load(folder)
    a, b = small.encode(frame), model.encode(frame)
    assert 0 < np.abs(a - b).max() < 0.5 * b.std() + 0.1
    with pytest.raises(ExportedModelError, match="single precision"):
        small.score(frame)


def test_the_page_lists_what_is_refused(root):
    page = (root / "docs" / "exporting.md").read_text(encoding="utf-8")
    assert all(f"| {r.what} | {r.why} |" in page for r in REFUSALS)


# --- refusals -------------------------------------------------------------------------------------------------------
def test_nothing_is_written_where_a_graph_differs(table_run, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "TOLERANCE", 0.0)
    with pytest.raises(CombinationError, match="differs by"):
        export(table_run, tmp_path / "out", timed=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("settings", "error", "said"), [
    ({"to": "onx"}, SettingError, "Did you mean 'onnx'"), ({"batch": 0}, SettingError, "batch >= 1"),
])
def test_what_cannot_be_asked_for_is_said_before_any_work(table_run, tmp_path, settings, error, said):
    with pytest.raises(error, match=said):
        export(table_run, tmp_path / "out", **settings)


def test_a_folder_that_is_there_is_kept(table_run, table_export):
    with pytest.raises(OutputError, match="is there"):
        table_run.export(path=table_export)


def test_a_newer_or_broken_export_is_refused(tmp_path):
    with pytest.raises(ExportedModelError, match="has none that can be read"):
        runtime.load(tmp_path)
    (tmp_path / "export.json").write_text('{"format": 99}')
    with pytest.raises(ExportedModelError, match="format 99"):
        runtime.load(tmp_path)


def test_scores_that_compare_with_training_rows_stay_with_the_run(model, frame):
    with pytest.raises(ExportedModelError, match="compare with training rows"):
        model.score(frame, method="knn")


def test_programs_for_phones_need_their_package(table_run, tmp_path):
    try:
        import executorch.exir  # noqa: F401
    except ImportError:
        with pytest.raises(senzai.MissingExtraError, match=r"senzai\[edge\]"):
            export(table_run, tmp_path / "out", to="executorch")
        assert list(tmp_path.iterdir()) == []
        pytest.skip("executorch is not installed")
    folder = export(table_run, tmp_path / "out", to="executorch", batch=2)
    manifest = json.loads((folder / "export.json").read_text())
    assert {"encoder", "decoder"} <= set(manifest["graphs"])
    assert max(c["error"] for c in manifest["checked"]) <= 1e-5
