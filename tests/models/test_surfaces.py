"""Encoder and decoder are modules from tensors to tensors, and nothing in them looks at the numbers it computes."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim, export

from senzai.core.random import forked
from senzai.models import verbs
from senzai.recipes import Frame, build
from senzai.recipes.settings import Settings
from senzai.testing.data import DATA

CASES = {
    "mlp": ("vae", "real", {}), "conv": ("vae", "pictures", {"width": 4}), "bits": ("vae", "binary", {}),
    "levels": ("vae", "levels", {}), "flow posterior": ("iaf-vae", "real", {}), "generator": ("gan", "real", {}),
}


def made(recipe, data, settings):
    rows = DATA[data]
    with forked(0):
        own = {"n_latent": 2, **({} if data == "pictures" else {"hidden": (8,)}), **settings}
        frame = Frame(rows.event, rows.proposal, n_rows=50, settings=Settings(own))
        model, _ = build(recipe, frame)
        batch = rows.rows(6)
        model.initialise(batch)
    return model.eval(), batch


@pytest.mark.parametrize("name", sorted(CASES))
@torch.no_grad()
def test_surfaces_say_what_the_model_says(name):
    model, batch = made(*CASES[name])
    found, z = model.surfaces(), torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    if not model.infers:
        assert set(found) == {"decoder"}
        assert torch.equal(found["decoder"](z), model.generate(z))
        return
    codes = found["encoder"](batch.tensor)
    torch.testing.assert_close(codes, torch.cat([g.flatten(1) for g in verbs.encode(model, batch)], 1))
    torch.testing.assert_close(found["decoder"](z), verbs.decode(model, (z,)))


@pytest.mark.parametrize("name", sorted(CASES))
@torch.no_grad()
def test_surfaces_are_traced_for_any_number_of_rows(name):
    model, batch = made(*CASES[name])
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    n = Dim("n", min=2, max=4096)
    for what, surface in model.surfaces().items():
        given = batch.tensor if what == "encoder" else z
        shapes = ({0: n},) if what == "encoder" or not model.infers else (({0: n},),)
        program = export(surface, (given,), dynamic_shapes=shapes, strict=False).module()
        more = torch.cat([given, given[:3].flip(0)])
        torch.testing.assert_close(program(more), surface(more), rtol=1e-5, atol=1e-5)


def test_a_mean_that_overflows_is_still_replaced_where_nothing_is_traced():
    from torch.distributions import LogNormal

    from senzai.distributions.ops import expected

    p = LogNormal(torch.tensor([0.0, 200.0]), torch.ones(2))
    assert torch.isfinite(expected(p)[0])
    assert float(expected(p)[1]) == float(p.mode[1])
