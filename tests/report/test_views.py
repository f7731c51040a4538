"""Every kind has a view, also one that nobody has drawn yet; a report shows what a model has and says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from senzai.core.batch import Batch
from senzai.core.random import forked
from senzai.data import KINDS, Dataset, Schema, open_data
from senzai.data.array import ArrayKind
from senzai.data.rows import MemoryRows
from senzai.data.schema import Field
from senzai.distributions import BernoulliFamily, NormalFamily, NormalFixedFamily
from senzai.models import Flat
from senzai.models.generative import Generative
from senzai.nn import MLPDecoder, MLPEncoder, ModalEncoder
from senzai.parts import Likelihood, ModalLikelihood, Posterior, StandardNormal
from senzai.report import build_report
from senzai.report.blocks import Charts, Code, Pairs, TableBlock, Wall
from senzai.report.findings import Scope, hold, measure
from senzai.report.views import VIEWS, View, view_of
from senzai.report.views.array.columns import CHARTED, column_names, real_columns
from senzai.report.views.images import Darkroom, uris

MAP = "map"


def other_kind(name: str, base: Any) -> Any:
    """A kind that somebody else wrote."""
    made = object.__new__(type(base))
    object.__setattr__(made, "name", name)
    return made


@pytest.fixture
def scents(monkeypatch, make_run):
    """Make a run of a kind without a view."""
    kind = other_kind("scents", KINDS["array"])

    def make(x: np.ndarray, **more: Any):
        run, dataset = make_run(open_data(x, kind="array"), **more)
        monkeypatch.setitem(KINDS, "scents", kind)
        schema = dataset.schema.but(kind="scents")
        run.schema = schema
        return run, replace(dataset, schema=schema, kind=kind)

    return make


class Scents(View):
    """Draws a row as a line of text."""

    scope: ClassVar[Scope] = Scope(mapped=30, samples=4)

    def lede(self, schema):
        return f"{schema.n_rows} scents"

    def picture(self, row, schema, *, about=None):
        assert len(Batch(row)) == 1
        return Code(f"scent of {row.numel()} notes <b>")


class Drawer(Generative):
    """Draws rows, and infers nothing."""

    def __init__(self, made: torch.Tensor) -> None:
        super().__init__()
        self.made = nn.Parameter(made, requires_grad=False)

    def simulate(self, n, c=None, *, temperature=1.0, noise=True):
        return self.made[torch.arange(n) % len(self.made)]


def drawing(run: Any, dataset: Any) -> Any:
    """Exchange the model for one without an inference."""
    return replace(run, model=Drawer(dataset.batch(np.arange(20)).x), metrics={"evaluate": {"n": 20}})


# --- kinds that nobody has drawn --------------------------------------------------------------------------------------
def test_every_kind_has_a_view():
    assert set(VIEWS) == set(KINDS)


def test_a_kind_without_a_view_says_so_and_draws_none_of_its_values(rng, scents, history, check):
    run, dataset = scents(rng.normal(size=(40, 3000)), history=history)
    page = check(build_report(run, dataset))
    assert "No picture yet: no view draws rows of the kind “scents”" in page.text
    assert "40 rows of the kind “scents”" in page.text
    assert {"learning", MAP, "rates", "use"} <= set(page.ids)
    assert not {"traversals", "between", "samples", "reconstructions"} & set(page.ids)
    assert len(page.charts) == 5  # loss, distortion, rate, map, rate by dimension
    assert max(len(t["x"]) for c in page.charts for t in c["data"]) <= 40


def test_a_view_that_knows_the_picture_of_a_row_gets_every_section(rng, scents, monkeypatch, check):
    monkeypatch.setitem(VIEWS, "scents", Scents())
    run, dataset = scents(rng.normal(size=(80, 6)))
    page = check(build_report(run, dataset))
    assert "80 scents" in page.text
    assert {"reconstructions", "samples", "traversals", "between"} <= set(page.ids)
    # six pairs, four new rows, three places of three latents, three points of three lines
    assert page.text.count("scent of 6 notes <b>") == 2 * 6 + 4 + 3 * 3 + 3 * 3
    assert "No picture yet" not in page.text


def test_a_card_with_a_chart_brings_the_script_that_draws_it(rng, scents, monkeypatch, check):
    class Curves(Scents):
        def picture(self, row, schema, *, about=None):
            return VIEWS["array"].picture(torch.zeros(1, 60), schema.but(event_shape=(60,)))

    monkeypatch.setitem(VIEWS, "scents", Curves())
    run, dataset = scents(rng.normal(size=(80, 6)))
    html = build_report(run, dataset)
    assert 'id="plotly"' in html
    assert sum(len(c["data"][0]["x"]) == 60 for c in check(html).charts) == 2 * 6 + 4 + 9 + 9


def test_views_look_at_so_many_rows_as_they_ask_for(rng, scents, monkeypatch):
    monkeypatch.setitem(VIEWS, "scents", Scents())
    run, dataset = scents(rng.normal(size=(400, 6)))
    scope = view_of(run.schema).scope
    held = hold(dataset, run.schema, rows=scope.mapped, seed=0)
    found = measure(run.model, dataset, run.schema, held, scope, rates=None, seed=0)
    assert (len(found.mapped.batch), len(found.samples), found.compared) == (30, 4, None)


def test_what_samples_are_shown_as_is_the_kinds_business(rng, make_run, monkeypatch):
    x = rng.normal(size=(40, 6))

    def samples():
        run, dataset = make_run(x)
        held = hold(dataset, run.schema, rows=30, seed=0)
        return measure(run.model, dataset, run.schema, held, Scope(), rates=None, seed=0)

    drawn = samples()
    monkeypatch.setattr(ArrayKind, "shows", "mean")
    mean = samples()
    assert (drawn.noisy, mean.noisy) == (True, False)
    assert mean.samples.var() < drawn.samples.var()


# --- rows of several tensors ------------------------------------------------------------------------------------------
def pairs_of(monkeypatch: pytest.MonkeyPatch, make_run: Any):
    """Make a run of rows that are two tensors, one of which some rows lack."""
    run, dataset = make_run(np.random.default_rng(1).normal(size=(80, 2)))
    kind = other_kind("pairs", KINDS["array"])
    monkeypatch.setitem(KINDS, "pairs", kind)
    fields = {"a": Field.of((3, 2), "real"), "b": Field.of((2,), "binary", n_levels=2)}
    schema = Schema(kind="pairs", fields=fields, dtype="float32", n_rows=80, split=dataset.schema.split)
    drawn = torch.Generator().manual_seed(0)
    x = {"a": torch.randn(80, 3, 2, generator=drawn), "b": (torch.rand(80, 2, generator=drawn) < 0.5).float()}
    with forked(0):
        model = Flat(
            StandardNormal(2),
            Posterior(ModalEncoder({"a": MLPEncoder((3, 2), (4,)), "b": MLPEncoder((2,), (4,))}), NormalFamily(), 2),
            ModalLikelihood({
                "a": Likelihood(MLPDecoder(2, (1, 3, 2), (4,)), NormalFixedFamily(scale=1.0), (3, 2)),
                "b": Likelihood(MLPDecoder(2, (1, 2), (4,)), BernoulliFamily(), (2,)),
            }),
        )
        rows = MemoryRows(x)
        model.initialise(rows.take(np.arange(80)))
    return replace(run, schema=schema, model=model.eval()), Dataset(schema, rows, kind)


def test_rows_of_several_tensors_have_a_report_without_a_view(monkeypatch, make_run, history, check):
    run, dataset = pairs_of(monkeypatch, make_run)
    run.history = history
    page = check(build_report(run, dataset))
    assert "No picture yet" in page.text
    assert {MAP, "rates", "data"} <= set(page.ids)
    assert "shape of a 3 × 2" in page.text
    assert "log p(x)" in page.text
    assert len(page.charts) == 5


def test_rows_of_several_tensors_are_drawn_by_their_view(monkeypatch, make_run, check):
    class Pairs_(Scents):
        def picture(self, row, schema, *, about=None):
            assert {k: tuple(v.shape) for k, v in row.items()} == {"a": (1, 3, 2), "b": (1, 2)}
            return TableBlock("", [(k, f"row with {v.numel()} numbers") for k, v in row.items()])

    run, dataset = pairs_of(monkeypatch, make_run)
    monkeypatch.setitem(VIEWS, "pairs", Pairs_())
    page = check(build_report(run, dataset))
    assert page.text.count("row with 6 numbers") == 2 * 6 + 4 + 2 * 3 + 3 * 3
    assert page.text.count("row with 2 numbers") == page.text.count("row with 6 numbers")


# --- the picture of a row ---------------------------------------------------------------------------------------------
def test_a_picture_of_a_row_is_in_the_users_values(rng, make_run):
    frame = pd.DataFrame({"age": [30, 41, 52] * 20, "city": ["Ulm", "Bonn", "<i>"] * 20})
    dataset = open_data(frame)
    assert VIEWS["table"].picture(dataset.batch([1]).x, dataset.schema).rows == [("age", "41"), ("city", "Bonn")]
    array = open_data(np.array([[0.5, -1.25], [2.0, 3.0]]))
    assert VIEWS["array"].picture(array.batch([0]).x, array.schema) == TableBlock(
        "", [("column 0", "0.5"), ("column 1", "−1.25")])
    long = open_data(rng.normal(size=(9, 90)))
    chart = VIEWS["array"].picture(long.batch([4]).x, long.schema)
    assert isinstance(chart, Charts)
    drawn = chart.charts[0].figure["data"][0]["y"]
    assert drawn == pytest.approx(long.batch([4]).x[0].tolist(), rel=1e-4)
    pixels = open_data(rng.integers(0, 256, (9, 6, 5, 3), dtype=np.uint8))
    wall = VIEWS["images"].picture(pixels.batch([0]).x, pixels.schema)
    assert isinstance(wall, Wall)
    assert wall.pictures[0].src.startswith("data:image/png;base64,")


# --- arrays -----------------------------------------------------------------------------------------------------------
def test_of_thousands_of_columns_few_are_charted_and_the_page_says_so(rng, make_run, history, check):
    run, dataset = make_run(rng.normal(size=(20, 2500)), history=history)
    page = check(build_report(run, dataset))
    assert "Charts show 1\u202f000 of 2\u202f500 columns, evenly spaced." in page.text
    assert max(len(t["x"]) for c in page.charts for t in c["data"]) == CHARTED
    small, data = make_run(rng.normal(size=(20, 900)))
    assert "evenly spaced" not in check(build_report(small, data)).text


def test_charted_columns_have_their_own_names_and_values(rng, make_run):
    x = rng.normal(size=(20, 2500))
    x[:, 2499] = 7.0
    dataset = open_data(x)
    values = real_columns(dataset.batch(), dataset.schema)
    assert values.shape == (20, CHARTED)
    assert np.allclose(values[:, -1], 7.0)
    assert np.allclose(values[:, 0], x[:, 0], atol=1e-5)
    names = column_names(dataset.schema)
    assert (names[0], names[-1], len(names)) == ("column 0", "column 2499", CHARTED)


def test_what_lies_behind_the_end_of_a_sequence_is_not_shown(rng):
    x = torch.arange(24.0).reshape(2, 4, 3)
    schema = open_data(np.zeros((5, 4, 3)) + rng.normal(size=(5, 4, 3)), kind="array").schema
    seen = real_columns(Batch(x, lengths=torch.tensor([4, 1])), schema)
    assert np.isfinite(seen).sum(1).tolist() == [12, 3]


# --- models without this or that --------------------------------------------------------------------------------------
DATA = {
    "images": lambda r: r.integers(0, 256, (30, 6, 6), dtype=np.uint8),
    "array": lambda r: r.normal(size=(40, 5)),
    "table": lambda r: pd.DataFrame({"a": r.normal(size=90), "b": r.choice(["x", "y"], 90)}),
}


@pytest.mark.parametrize("kind", DATA)
def test_a_model_without_inference_shows_samples_and_says_what_is_missing(rng, make_run, history, kind, check):
    run, dataset = make_run(DATA[kind](rng))
    run = drawing(run, dataset)
    losses = [{"kind": "train", "step": s, "loss": 1.0 / s, "critic": 2.0 / s, "epoch": 1.0} for s in (10, 20, 30)]
    run.history = losses
    page = check(build_report(run, dataset))
    assert "samples" in page.ids
    assert "This model draws rows and has no inference" in page.text
    assert not {"reconstructions", "rates", "traversals", "between", "strange"} & set(page.ids)
    assert "nats per row" not in page.text
    assert "latents drawn from" not in page.text
    titles = [c["layout"].get("yaxis") is not None for c in page.charts]
    assert len(titles) >= 2  # loss and critic


def test_samples_of_a_model_without_inference_are_its_own(rng, make_run):
    run, dataset = make_run(rng.normal(size=(40, 5)))
    run = drawing(run, dataset)
    held = hold(dataset, run.schema, rows=30, seed=0)
    found = measure(run.model, dataset, run.schema, held, Scope(samples=20), rates=None, seed=0)
    assert torch.equal(found.samples, run.model.made)
    assert found.codes is found.shown is None


def test_a_model_without_a_bound_has_reconstructions_and_a_map_all_the_same(rng, make_run, monkeypatch, check):
    from senzai.core.errors import CombinationError
    from senzai.report import findings, headline

    def refuse(*_: Any, **__: Any):
        raise CombinationError("There is no density.")

    monkeypatch.setattr(findings, "elbo", refuse)
    monkeypatch.setattr(headline, "evaluate", refuse)
    for kind in DATA:
        for n_latent in (1, 3):
            run, dataset = make_run(DATA[kind](rng), n_latent=n_latent)
            page = check(build_report(run, dataset))
            assert {MAP, "rates", "traversals", "between", "samples"} <= set(page.ids)
            assert "evidence lower bound of the row" not in page.text
            assert "distortion" not in page.text.replace("distortion, nats", "")


def test_what_cannot_be_measured_is_said_with_its_reason(rng, make_run, monkeypatch, check):
    from senzai.core.errors import CombinationError
    from senzai.report import findings

    def refuse(*_: Any, **__: Any):
        raise CombinationError("These latents lie on no line.")

    monkeypatch.setattr(findings, "find_paths", refuse)
    page = check(build_report(*make_run(rng.normal(size=(40, 5)))))
    assert "These latents lie on no line." in page.text
    assert "between" in page.ids


def test_an_exact_likelihood_is_called_exact(rng, make_run, check):
    run, dataset = make_run(rng.normal(size=(40, 5)))
    numbers = {"n": 40, "exact": True, "log_likelihood": -3.25, "log_likelihood_se": 0.1, "split": "test"}
    run = replace(drawing(run, dataset), metrics={"evaluate": numbers})
    page = check(build_report(run, dataset))
    assert "Log-likelihood of a row, exact; higher is better." in page.text
    assert "40 rows; log p(x) is exact" in page.text
    assert "bound" not in page.text


def test_pairs_of_pictures_are_a_row_and_its_own_reconstruction(rng, make_run):
    run, dataset = make_run((DATA["images"](rng), np.arange(30) % 3))
    scope = view_of(run.schema).scope
    held = hold(dataset, run.schema, rows=scope.mapped, seed=0)
    found = measure(run.model, dataset, run.schema, held, scope, rates=None, seed=0)
    (block,) = VIEWS["images"].sections(found)[0].blocks
    assert isinstance(block, Pairs)
    known = dict(zip(held.index.tolist(), held.batch.y.tolist(), strict=True))
    dark = Darkroom.of(run.schema, held.batch.tensor)
    again = uris(dark.develop(found.shown.reconstructions))
    for (a, b), row, own in zip(block.pairs, found.shown.index.tolist(), again, strict=True):
        assert b.src == own
        assert a.says == f"row {row}"
        assert b.says == f"row {row}, reconstructed"
        assert a.caption == str(known[row])
