"""What objectives promise, whichever they are: parts add up, the watch is raw, rows mix only where they say so.

Those with a critic and those of images have files of their own; every registered one sits the exams.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from senzai.core.spec import from_spec, registry, to_spec
from senzai.recipes import about

EVERY = {
    "elbo": [{}], "iwae": [{}, {"gradient": "dreg"}, {"n_groups": 2, "partial": True}], "renyi": [{}, {"order": 0.0}],
    "capacity": [{}], "tc": [{"n_rows": 50}, {"n_rows": 50, "sampling": "weighted"}], "dip": [{}, {"dip": "i"}],
    "mmd": [{}, {"kernel": "rbf", "beta": 0.5}], "rae": [{}, {"smoothing": "gradient"}], "aggressive": [{}],
}
CASES = [(name, settings) for name, many in EVERY.items() for settings in many]


@pytest.fixture(params=CASES, ids=["-".join(map(str, (n, *s.values()))) for n, s in CASES])
def objective(request):
    name, settings = request.param
    return registry("objective")[name](**settings).over(40)


def jacobian(objective, model, batch, terms):
    J = torch.autograd.functional.jacobian(lambda x: terms(objective, model, batch.with_x(x)).loss, batch.tensor)
    return J.abs().sum(-1)[~torch.eye(len(batch), dtype=torch.bool)]


def test_parts_add_up_and_the_watch_is_raw(objective, model_of, batch, terms):
    model = model_of()
    objective.check(model)
    for step in (0, 30):
        found = terms(objective, model, batch, step)
        assert found.loss.shape == (6,)
        torch.testing.assert_close(sum(found.parts.values()), found.loss)
        assert {"distortion", "rate"} <= set(found.watch)
        assert not any(v.requires_grad for v in found.watch.values())
        assert all(v.shape == (6,) for v in [*found.watch.values(), *found.parts.values()])


def test_rows_mix_exactly_where_an_objective_says_so(objective, model_of, batch, terms):
    model = model_of()
    mixed = bool((jacobian(objective, model, batch, terms) > 0).any())
    assert mixed == objective.mixes_rows(model)
    assert all(p.mixes_rows == mixed for p in objective.players(model))


def test_the_loss_of_a_row_depends_on_the_batch_exactly_where_rows_mix(objective, model_of, batch, terms):
    model = model_of()
    whole = terms(objective, model, batch, 30, total=6).loss
    pieces = [terms(objective, model, batch.take(slice(a, b)), 30, offset=a, total=6).loss for a, b in ((0, 1), (1, 6))]
    assert torch.allclose(torch.cat(pieces), whole, rtol=1e-12, atol=1e-12) != objective.mixes_rows(model)


def test_every_parameter_is_somebodys_and_gets_a_finite_gradient(objective, model_of, batch, terms):
    model = model_of()
    owners = [id(p) for player in objective.players(model) for p in player.parameters]
    assert sorted(owners) == sorted(id(p) for p in model.parameters())
    for player in objective.players(model):
        terms(player.loss, model, batch, 30).loss.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in player.parameters if p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())


def test_it_survives_its_spec(objective):
    assert from_spec(to_spec(objective)) == objective


PAGES = Path(__file__).parents[2] / "docs" / "recipes"
DEFAULT = re.compile(r"`([a-z_0-9.]+)` \(([-0-9.e]+)[;)]")


@pytest.mark.parametrize("name", sorted(p.stem for p in PAGES.glob("*.md") if DEFAULT.search(p.read_text("utf-8"))))
def test_settings_have_the_defaults_that_their_page_gives(name):
    settings = about(name).settings
    told = DEFAULT.findall((PAGES / f"{name}.md").read_text("utf-8").partition("## Settings")[2])
    assert {n: settings[n] for n, _ in told if n in settings} == {n: float(v) for n, v in told if n in settings}
