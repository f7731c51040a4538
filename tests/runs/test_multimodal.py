"""Rows of several modalities from data to every verb."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError

RECIPES = ("mvae", "mmvae", "mopoe", "mvtcae", "mmvae-plus", "jmvae")
SMALL = {"n_latent": 3, "hidden": [16], "batch_size": 64, "sampler": "none", "progress": False}


def made(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Two views of a shared pair of numbers, with a fifth of the second missing."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    mix = np.random.default_rng(7).normal(size=(2, 9))
    left = z @ mix[:, :5] + 0.1 * rng.normal(size=(n, 5))
    right = z @ mix[:, 5:] + 0.1 * rng.normal(size=(n, 4))
    right[rng.random(n) < 0.2] = np.nan
    return {"left": left, "right": right}


@pytest.fixture(scope="module")
def linear():
    """One model of two views, trained enough for one view to tell of the other."""
    return senzai.fit(made(600), recipe="mopoe", steps=300, lr=5e-3, seed=0, **SMALL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_and_a_saved_run_says_the_same(recipe, tmp_path):
    data = made(80)
    run = senzai.fit(data, recipe=recipe, steps=4, out=tmp_path / "run", **SMALL)
    again = senzai.load(tmp_path / "run")
    assert np.array_equal(run.encode(data), again.encode(data))
    for name, x in run.sample(3, seed=1).items():
        assert np.array_equal(x, again.sample(3, seed=1)[name])
    assert run.reconstruct(data)["left"].shape == (80, 5)
    assert np.isfinite(run.log_likelihood(data, k=4)).all()


def test_the_prior_is_an_expert_of_mvae_and_none_of_mvtcae():
    """Precisions of a product add up: those of the experts a row has, and 1 where the prior is one of them."""
    data = made(80)
    for recipe, prior in (("mvtcae", 0.0), ("mvae", 1.0)):
        run = senzai.fit(data, recipe=recipe, steps=1, **SMALL)
        batch = run.dataset(data).batch()
        with torch.no_grad():
            q, (_, scale, seen) = run.model.posterior(batch), run.model.posterior.asked(batch)
        assert not seen.all()
        total = (scale**-2 * seen.unsqueeze(-1)).sum(0) + prior
        assert torch.allclose(q.base_dist.scale**-2, total, rtol=1e-4)


def test_one_view_tells_of_the_other(linear):
    new = made(200, seed=1)
    there = ~np.isnan(new["right"]).any(1)
    told = linear.cross(new, from_="left", to="right")
    assert set(told) == {"right"}
    error = np.square(told["right"][there] - new["right"][there]).sum()
    assert error < 0.25 * np.square(new["right"][there] - new["right"][there].mean(0)).sum()
    blind = {**new, "right": np.where(np.isnan(new["right"]), np.nan, 9.0)}  # what is not named is not looked at
    assert np.array_equal(linear.cross(blind, from_="left", to="right")["right"], told["right"])


def test_what_a_row_lacks_is_filled_in_and_the_rest_stays(linear):
    new = made(60, seed=2)
    full = linear.impute(new)
    there = ~np.isnan(new["right"]).any(1)
    assert np.array_equal(full["left"], new["left"])
    assert np.array_equal(full["right"][there], new["right"][there])
    assert np.isfinite(full["right"]).all()
    told = linear.cross({"left": new["left"]}, from_="left")["right"]
    assert np.allclose(full["right"][~there], told[~there], atol=1e-5)
    drawn = linear.impute(new, draws=2, seed=3, k=20)
    assert not np.array_equal(drawn[0]["right"][~there], drawn[1]["right"][~there])


def test_a_modality_that_does_not_fit_the_others_is_named(linear):
    new = made(60, seed=3)
    there = np.flatnonzero(~np.isnan(new["right"]).any(1))[:10]
    new["right"][there] = np.roll(new["right"][there], 1, axis=0) + 3
    new["left"][50:] = np.nan_to_num(new["left"][50:])
    with pytest.raises(InputError, match="give the data"):
        linear.score(new, shares=True)
    found = linear.score(new, shares=True, reference=made(600))
    assert (found["misfit: right"][there] > 5).all()
    calm = np.setdiff1d(np.flatnonzero(~np.isnan(new["right"]).any(1)), there)
    assert np.median(found["misfit: right"][calm]) < 2
    total = found[[c for c in found.columns if c.startswith("share: ")]].sum(axis=1)
    assert np.allclose(total, found["score"], atol=1e-3)
    assert np.allclose(found["score"], linear.score(new), atol=1e-4)
    assert found["misfit: right"].isna().tolist() == np.isnan(new["right"]).any(1).tolist()


def test_codes_of_a_subset_are_those_of_rows_that_have_no_more(linear):
    new = made(20, seed=4)
    whole, part = linear.encode(new), linear.encode({"left": new["left"]})
    lacks = np.isnan(new["right"]).any(1)
    assert np.allclose(whole[lacks], part[lacks], atol=1e-6)
    assert not np.allclose(whole[~lacks], part[~lacks], atol=1e-3)
    steps = linear.interpolate({"left": new["left"][:1]}, {"left": new["left"][1:2]}, steps=4)
    assert len(steps) == 2 or len(steps) == 4


def test_measures_of_subsets_and_crossings(linear):
    data = made(120, seed=5)
    judged = linear.evaluate(data, also=["modalities", "modal_coherence"], k=20)
    found = judged["measured"]
    subsets = found["modalities"]["subsets"]
    assert set(subsets) == {"left", "right", "left+right"}
    told = subsets["left"]["conditional_bound_of_the_rest"]["value"]
    whole, alone = (subsets[name]["bound"]["value"] for name in ("left+right", "left"))
    assert told <= whole - alone + 1  # what the encoder says of the rest is hardly better than the model's own rule
    assert found["crossings"]["error"]["left to right"] < 0.3
    assert "labels of two classes" in judged["not_measured"]["modal_coherence"]


def test_what_cannot_be_crossed_is_said(linear):
    new = made(10)
    with pytest.raises(SettingError, match="The modalities of a row are left, right, but got 'lefft'"):
        linear.cross(new, from_="lefft")
    with pytest.raises(SettingError, match="name what is seen"):
        linear.cross(new)
    with pytest.raises(SettingError, match="Name different ones"):
        linear.cross(new, from_="left", to=["left"])
    new["right"][3] = np.nan
    with pytest.raises(InputError, match=r"row \d+ \(from 0\) has none of it"):
        linear.cross(new, from_="right")
    with pytest.raises(SettingError, match="without thresholds"):
        linear.score(new, contamination=0.1)
    plain = senzai.fit(np.random.default_rng(0).normal(size=(30, 3)), steps=1, n_latent=2, progress=False)
    with pytest.raises(CombinationError, match="rows have several"):
        plain.cross(np.zeros((2, 3)), from_="x")
    with pytest.raises(CombinationError, match="rows have one tensor"):
        senzai.fit(np.zeros((30, 3)), recipe="mopoe", steps=1, progress=False)


@pytest.mark.slow
def test_a_table_with_pictures_and_sentences_from_the_command_line(tmp_path):
    from senzai.apps.cli import app

    rng, rows = np.random.default_rng(0), []
    (tmp_path / "photos").mkdir()
    for i in range(90):
        pixels = np.zeros((8, 8), np.uint8)
        pixels[:, 2:5] = 200 if i % 2 else 0
        pixels[2:5] = 0 if i % 2 else 200
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
        rows.append({"photo": f"photos/{i}.png" if i % 6 else None, "title": "a tall bar" if i % 2 else "a wide bar",
                     "price": round(10 * (i % 2) + rng.normal(), 2)})
    table = tmp_path / "shop.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    run, new = tmp_path / "run", tmp_path / "new.csv"

    def say(*words):
        told = CliRunner().invoke(app, [str(w) for w in words])
        assert told.exit_code == 0, told.output

    say("fit", table, "--out", run, "--set", "sentences=title", "--set", "steps=120", "--set", "n_latent=2",
        "--set", "hidden=32", "--set", "lr=0.01", "--quiet")
    say("sample", run, "-n", "4", "-o", new)
    assert pd.read_csv(new).columns.tolist() == ["photo", "title", "price"]
    assert (tmp_path / pd.read_csv(new).photo[0]).is_file()
    say("cross", run, table, "--from", "title", "--to", "photo", "-o", tmp_path / "told.csv")
    told = pd.read_csv(tmp_path / "told.csv")
    tall = np.asarray(Image.open(tmp_path / told.photo[1]), float)
    assert tall[:, 3].mean() > tall[3].mean()
    say("impute", run, table, "-o", tmp_path / "full.csv")
    assert pd.read_csv(tmp_path / "full.csv").photo.notna().all()
    assert torch.get_default_dtype() == torch.float32
