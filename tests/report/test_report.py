"""A page is whole, true, safe, and the same each time, whatever the data are."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import OutputError
from senzai.data import open_data
from senzai.parts import MixtureOfNormals
from senzai.report import build_report, write_report
from senzai.report.findings import hold
from senzai.report.numbers import number, with_error
from senzai.training.samplers import Samplers

NASTY = "<script>alert('x')</script>"


def images(rng, n=30, shape=(6, 6), labels=True):
    x = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return (x, np.arange(n) % 3) if labels else x


CASES = {
    "grey": lambda r: (images(r), 3),
    "rgb": lambda r: (images(r, shape=(9, 7, 3), labels=False), 4),
    "rgba, large": lambda r: (images(r, n=6, shape=(66, 70, 4), labels=False), 2),
    "bits": lambda r: (r.random((20, 8, 8)) > 0.5, 2),
    "one latent": lambda r: (images(r), 1),
    "two columns": lambda r: (r.normal(size=(40, 2)), 2),
    "few columns, one latent": lambda r: (r.normal(size=(40, 5)), 1),
    "a sequence": lambda r: (r.normal(size=(30, 60)).cumsum(1), 3),
    "1000 columns": lambda r: (r.normal(size=(12, 1000)), 2),
    "many latents": lambda r: (r.normal(size=(300, 4)), 70),
    "counts": lambda r: (r.poisson(3, size=(50, 14)), 2),
    "bits in columns": lambda r: ((r.random((50, 20)) > 0.3).astype(np.uint8), 2),
    "a constant column": lambda r: (np.column_stack([r.normal(size=(40, 3)), np.ones(40)]), 2),
    "boxes": lambda r: (r.normal(size=(20, 3, 2, 4)), 2),
    "three rows": lambda r: (r.normal(size=(3, 3)), 2),
    "three pictures": lambda r: (images(r, n=3), 2),
    "a table": lambda r: (pd.DataFrame(r.normal(size=(40, 15)) * 10.0 ** np.arange(15)).add_prefix("c"), 3),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_for_every_kind_of_data(rng, make_run, history, case, check):
    data, n_latent = CASES[case](rng)
    run, dataset = make_run(data, n_latent=n_latent, history=history)
    page = check(build_report(run, dataset))
    own = ("associations", "quality", "strange") if dataset.schema.kind == "table" else ("reconstructions",)
    for section in ("learning", *own, "samples", "map", "rates", "traversals", "between", "data", "use"):
        assert section in page.ids
    assert page.charts
    if dataset.schema.kind == "images":
        assert sum(t == "img" for t, _ in page.tags) > 60
    assert "first look" in page.text


@pytest.mark.parametrize("recipe", ["beta-vae", "sigma-vae", "autoencoder"])
def test_a_page_for_other_recipes(rng, make_run, recipe, check):
    check(build_report(*make_run(rng.normal(size=(40, 5)), recipe=recipe)))


def test_missing_values(rng, make_run, check):
    x = rng.normal(size=(60, 5))
    x[rng.random(x.shape) < 0.2] = np.nan
    check(build_report(*make_run(x, options={"missing": "keep"})))


def test_without_history_data_or_evaluation_the_page_says_so(rng, make_run, check):
    run, _ = make_run(rng.normal(size=(40, 5)))
    page = check(build_report(run, None))
    assert "No learning curve was recorded" in page.text
    assert "The data were not at hand" in page.text
    assert "Not evaluated yet: run senzai evaluate" in page.text
    assert not page.charts
    assert 'id="plotly"' not in build_report(run, None)  # nothing to draw, nothing to carry


def test_other_data_than_the_training_data(rng, make_run, check):
    run, _ = make_run(rng.normal(size=(40, 5)))
    page = check(build_report(run, open_data(rng.normal(size=(25, 5)), schema=run.schema)))
    assert "rows of the data given for this report" in page.text


def test_unseen_rows_are_shown(rng, make_run):
    run, dataset = make_run(rng.normal(size=(400, 3)))
    held = hold(dataset, run.schema, rows=2000, seed=0)
    assert held.part == "test"
    assert set(held.index) == set(dataset.split_indices()["test"])
    assert torch.equal(held.batch.tensor, dataset.batch(held.index).tensor)


EVALUATED = {
    "n": 4321, "k": 77, "elbo": -100.5, "elbo_se": 0.5, "distortion": 80.25, "distortion_se": 0.4, "rate": 20.25,
    "rate_se": 0.2, "rate_per_dimension": [17.0, 3.2, 0.05], "log_likelihood": -98.765, "log_likelihood_se": 0.321,
    "ess": 12.0, "ess_low": 2.0, "bits_per_dim": 1.2345, "bits_per_dim_se": 0.0123, "active_units": 2, "n_latent": 3,
    "mutual_information": None, "notes": ["Take <care>."], "split": "test",
}


def test_numbers_are_those_that_were_measured(rng, make_run, check):
    metrics = {"evaluate": EVALUATED, "fit": {"seconds": 12.3, "steps": 987}}
    run, dataset = make_run(rng.normal(size=(40, 5)), metrics=metrics)
    page = check(build_report(run, dataset))
    numbers = ("−98.8 ± 0.3 nats", "1.234 ± 0.012 bits", "80.2 ± 0.4 nats", "20.2 ± 0.2 nats", "2 of 3", "100.5 nats")
    words = ("4\u202f321 rows; log p(x) with 77 draws", "Take <care>.", "987")
    for shown in numbers + words:
        assert shown in page.text, (shown, page.text[:1500])
    assert "first look" not in page.text
    bars = [t for c in page.charts for t in c["data"] if t["type"] == "bar" and "customdata" in t]
    assert [(b["y"], b["customdata"]) for b in bars] == [([17.0, 3.2, 0.05], ["0", "1", "2"])]


def test_numbers_taken_for_the_page_are_those_of_the_evaluation(rng, make_run, check):
    from senzai.evaluation import evaluate
    from senzai.report import headline

    run, dataset = make_run(rng.normal(size=(400, 5)))
    page = check(build_report(run, dataset))
    held = hold(dataset, run.schema, rows=2000, seed=0)
    found = evaluate(run.model, held.batch, k=headline.K, seed=0, discrete_step=None)
    for name in ("log_likelihood", "distortion", "rate"):
        value, error = with_error(found[name], found[f"{name}_se"])
        assert f"{value} ± {error} nats" in page.text
    assert run.metrics == {}  # a report measures for itself and changes nothing


def test_as_many_bars_are_active_as_the_headline_says(rng, make_run, check):
    run, dataset = make_run(rng.normal(size=(400, 5)), n_latent=12)
    html = build_report(run, dataset)
    said = int(re.search(r"(\d+) of 12 Latent dimensions whose", check(html).text)[1])
    bars = next(t for c in check(html).charts for t in c["data"] if t["type"] == "bar" and "customdata" in t)
    assert bars["marker"]["color"].count("var(--rate)") == said
    assert f"({said} of 12)" in check(html).text


def test_curves_are_the_history(rng, make_run, history, check):
    run, _ = make_run(rng.normal(size=(40, 5)), history=history)
    charts = check(build_report(run, None)).charts
    assert len(charts) == 3
    for chart, term in zip(charts, (100.0, 90.0, 10.0), strict=True):
        for trace in chart["data"]:
            assert trace["x"] == [50, 100, 150, 200, 250, 300]
            assert trace["y"] == pytest.approx([term / i for i in range(1, 7)], rel=1e-5)


def test_a_recovery_is_shown(rng, make_run, history, check):
    lines = [*history, {"kind": "recovered", "step": 120, "back_to": 100, "tries_left": 2}]
    run, _ = make_run(rng.normal(size=(40, 5)), history=lines)
    page = check(build_report(run, None))
    assert "1 red line" in page.text
    assert any(s["x0"] == 120 for c in page.charts for s in c["layout"]["shapes"])


@pytest.mark.parametrize("kind", ["array", "table"])
def test_strings_of_the_user_are_text_and_nothing_else(rng, make_run, tmp_path, kind, check, strip):
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=[NASTY, "a & b", '"quoted"'])
    labels = np.where(np.arange(60) % 2, NASTY, "plain")
    dataset = open_data((frame, labels), kind=kind)
    reasons = (*dataset.schema.reasons, f"Because {NASTY}")
    run, dataset = make_run(dataset, source=f"/data/{NASTY}.csv", folder=tmp_path / "a<b>")
    run.schema = run.schema.but(reasons=reasons)
    html = build_report(run, dataset)
    page = check(html)
    assert NASTY not in strip(html)
    assert f"Because {NASTY}" in page.text
    assert "a<b>" in page.text
    drawn = [str(a.get("text")) for c in page.charts for a in c["layout"].get("annotations", [])]
    assert drawn or kind == "table"  # there the names of classes are beside the map
    assert not any("<script" in text for text in drawn)  # Plotly reads a little HTML: it gets none of the user's


def test_the_same_page_for_the_same_seed(rng, make_run):
    run, dataset = make_run(images(rng, n=300))
    state = torch.get_rng_state()
    first = build_report(run, dataset, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert build_report(run, dataset, seed=1) == first
    assert build_report(run, dataset, seed=2) != first


def test_a_page_is_not_too_heavy(rng, make_run):
    run, dataset = make_run(images(rng, n=400, shape=(20, 20)), n_latent=4)
    assert len(build_report(run, dataset)) < 3_000_000  # noise: the hardest pictures to compress


def test_writing(rng, make_run, tmp_path):
    run, dataset = make_run(rng.normal(size=(20, 2)))
    path = write_report(run, dataset, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == build_report(run, dataset)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OutputError, match="must be writable"):
        write_report(run, None, tmp_path / "no" / "such" / "folder.html")


def test_charts_are_ones_that_plotly_knows(rng, make_run, history, check):
    import plotly.graph_objects as go

    frame = pd.DataFrame(rng.normal(size=(40, 14)))
    frame.columns = [f"c{i}" for i in range(14)]
    for data in ((images(rng)), rng.normal(size=(30, 60)), frame):
        run, dataset = make_run(data, history=history)
        for chart in check(build_report(run, dataset)).charts:
            text = re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(chart))
            found = json.loads(text)
            go.Figure(data=found["data"], layout=found["layout"])  # raises for a name or a value it does not know


def test_every_colour_of_a_chart_is_one_of_the_scheme(rng, make_run, history, strip):
    run, dataset = make_run(images(rng), history=history)
    html = strip(build_report(run, dataset))
    style = html[html.index("<style>") : html.index("</style>")]
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for name in set(re.findall(r"var\((--[\w-]+)\)", html)) - {"--least", "--mark"}:
        assert f"{name}:" in light, name
        assert f"{name}:" in dark, name


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1234.5678, "1\u202f235"), (-0.00123456, "−0.001235"), (99999.6, "100\u202f000"), (2.5, "2.500")],
)
def test_numbers_have_no_more_digits_than_they_need(value, shown):
    assert number(value) == shown


def test_a_page_shows_what_samples_are_drawn_from(rng, make_run):
    run, dataset = make_run(images(rng))
    plain = build_report(run, dataset)
    prior = MixtureOfNormals(3, n_components=2).eval()
    fitted = Samplers({"mixture": prior}, "mixture", "Samples come from the mixture: a test.")
    run = replace(run, samplers=fitted, metrics={"fit": {"steps": 3, "sampler": fitted.facts()}})
    text = build_report(run, dataset)
    assert "latents drawn from the prior" in plain
    assert "latents drawn from the mixture" in text
    assert "Samples come from the mixture: a test." in text
