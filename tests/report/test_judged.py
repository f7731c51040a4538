"""What the judge found stands on the page, number by number, and so does what was left out."""

from __future__ import annotations

import numpy as np

from senzai.evaluation import MEASURES
from senzai.report import build_report
from senzai.report.judged import PARTS, curve, figure_text, heat, sections, table_rows

FIGURE = {"value": 12.345, "se": 0.67, "n": 89, "seed": 0}
NUMBERS = {
    "n": 200, "k": 5, "elbo": -3.0, "log_likelihood": -2.0,
    "measured": {
        "convergence": {"k": [1, 2], "bound": [-3.0, -2.5], "bound_se": [0.1, 0.1], "tail_slope": FIGURE},
        "generation": {"frechet[pca-2]": FIGURE, "samples": 89, "floor": {"frechet[pca-2]": {**FIGURE, "value": 1.5}}},
        "uncertainty": {"stddev": FIGURE, "map": [[[0.1, 0.2], [0.3, 0.4]]]},
        "tomorrow": {"score": FIGURE, "note": "Take <b>care</b>."},
    },
    "not_measured": {"probes": "It needs labels.", "ais": "It was not asked for."},
}


def test_every_measure_has_a_place_on_the_page():
    placed = [name for _, names in PARTS.values() for name in names]
    assert sorted(placed) == sorted(MEASURES)


def test_sections_hold_the_numbers_their_floors_and_what_is_missing():
    found = {s.id: s for s in sections(NUMBERS)}
    assert list(found) == ["judged-likelihood", "judged-generation", "judged-uncertainty", "judged-tomorrow",
                           "not-measured"]
    rows = dict(found["judged-generation"].blocks[0].rows)
    assert rows["frechet[pca-2]"] == "12.3 ± 0.7 (89 rows); real rows: 1.5 ± 0.7 (89 rows)"
    assert rows["samples"] == "89"
    left_out = found["not-measured"].blocks[0].items
    assert any("Labels read off the codes" in line and "It needs labels." in line for line in left_out)
    assert sections({}) == []


def test_intervals_and_undefined_values_are_shown():
    text = figure_text({**FIGURE, "low": 11.0, "high": 13.5})
    assert text == "12.3 ± 0.7, 95 % 11.0 … 13.5 (89 rows)"
    assert figure_text({"value": None, "n": 3}) == "not defined"
    assert table_rows({"a": {"b": FIGURE}})[0][0] == "a b"


def test_charts_show_what_was_measured():
    drawn = curve(NUMBERS["measured"]["convergence"])
    assert drawn.figure["data"][0]["y"] == [-3.0, -2.5]
    assert heat([[[0.1, 0.2]]]).figure["data"][0]["z"] == [[0.1, 0.2]]
    assert heat([0.1, 0.2]) is None
    assert heat([[[1.0]], [[2.0]]]) is None


def test_the_page_shows_it_where_it_was_measured_and_escapes_it(make_run):
    run, dataset = make_run(np.random.default_rng(0).normal(size=(40, 5)), metrics={"evaluate": NUMBERS})
    page = build_report(run, dataset)
    for words in ("Sample quality", "frechet[pca-2]", "Not measured", "Take &lt;b&gt;care"):
        assert words in page
    fresh, _ = make_run(np.random.default_rng(0).normal(size=(40, 5)))
    assert "Not measured" not in build_report(fresh, dataset)
