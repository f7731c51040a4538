"""Recipes with latents on a grid, what is sampled from their codes, and edits along attributes."""

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.data import open_data
from senzai.data.faces import NAMES, factors_of, labels_of, render
from senzai.models.base import latent_model
from senzai.parts import FlowMatchingPrior, MapPosterior, MovedPrior
from senzai.runs.verbs.edit import direction
from senzai.training.densities import PosteriorDraws, spatial_flow_matching


@pytest.fixture(scope="module")
def faces():
    factors = factors_of(range(160))
    return render(factors, 16), labels_of(factors)["expression"]


@pytest.fixture(scope="module")
def run(faces):
    settings = {"steps": 4, "width": 8, "posterior.channels": 2, "condition": "label", "attention": True}
    return senzai.fit(faces, recipe="latent-image", settings=settings)


def test_a_code_is_a_map_four_times_smaller_a_side(run, faces):
    assert isinstance(run.model.posterior, MapPosterior)
    assert run.model.posterior.grid == (4, 4)
    assert np.asarray(run.encode(faces)).shape == (160, 4 * 4 * 2)
    assert np.asarray(run.reconstruct(faces)).shape == faces[0].shape
    assert not any(isinstance(m, torch.nn.Linear) for m in run.model.posterior.modules())


@pytest.mark.parametrize(("factor", "grid"), [(2, (8, 8)), (8, (2, 2))])
def test_the_factor_is_how_much_smaller(faces, factor, grid):
    run = senzai.fit(faces[0], recipe="kl-autoencoder", settings={"steps": 1, "width": 4, "factor": factor})
    assert run.model.posterior.grid == grid
    assert run.samplers.chosen == "prior"


def test_codes_are_sampled_from_a_field_over_maps_that_is_kept_with_the_run(run, tmp_path):
    assert run.samplers.chosen == "spatial_flow_matching"
    prior = run.samplers.fitted["spatial_flow_matching"]
    assert isinstance(prior, MovedPrior)
    assert isinstance(prior.inner, FlowMatchingPrior)
    assert prior.inner.field.grid == (4, 4)
    assert prior.dear
    run.save(tmp_path / "run")
    again = senzai.load(tmp_path / "run")
    given = {"label": "smiling"}
    assert (again.sample(3, seed=4, given=given) == run.sample(3, seed=4, given=given)).all()


def test_the_scale_of_the_codes_is_stored_and_used(run, faces):
    prior = run.samplers.fitted["spatial_flow_matching"]
    codes = np.asarray(run.encode(faces))[run.part(faces, "train")]
    assert abs(prior.loc.numpy() - codes.mean(0)).max() < 1.0
    assert (prior.scale > 0).all()
    flat = MovedPrior(prior.n_latent, prior.inner)
    one, other = (latent_model(run.model).with_prior(p) for p in (prior, flat))
    c = torch.eye(3)
    torch.manual_seed(0)
    z = one.sample_prior(3, c)[0]
    torch.manual_seed(0)
    torch.testing.assert_close(z, prior.loc + prior.scale * other.sample_prior(3, c)[0])


def test_guidance_changes_draws_and_one_is_the_field_as_it_learned(run):
    def drawn(weight):
        return run.sample(4, seed=1, given={"label": "smiling"}, guidance=weight).astype(float)

    assert np.abs(drawn(8.0) - drawn(1.0)).max() > 0
    assert (drawn(2.0) == run.sample(4, seed=1, given={"label": "smiling"}).astype(float)).all(), "as it was trained"
    with pytest.raises(SettingError, match="guidance >= 0"):
        drawn(-1.0)


def test_what_cannot_be_guided_says_so(faces):
    plain = senzai.fit(faces[0], recipe="vae", settings={"steps": 1, "network": "mlp", "hidden": (8,)})
    with pytest.raises(CombinationError, match="Guidance needs a prior"):
        plain.sample(2, guidance=2.0)


def test_a_field_over_maps_needs_maps(faces):
    with pytest.raises(CombinationError, match="latents on a grid"):
        spatial_flow_matching(PosteriorDraws(torch.randn(50, 4)), 0)
    table = np.random.default_rng(0).normal(size=(60, 4))
    with pytest.raises(CombinationError, match="need images"):
        senzai.fit(table, recipe="kl-autoencoder", settings={"steps": 1})
    with pytest.raises(SettingError, match="`factor` is one of 2, 4, 8, 16"):
        senzai.fit(faces[0], recipe="kl-autoencoder", settings={"steps": 1, "factor": 3})


def test_pictures_are_trained_with_few_rows_a_step_unless_the_user_says_otherwise(faces):
    proposed = open_data(faces[0]).propose().training
    assert proposed["batch_size"] == 32
    quick = {"steps": 1, "width": 4}
    assert senzai.fit(faces[0], settings=quick).spec.training.schedule == "one_cycle"
    mine = senzai.fit(faces[0], settings={**quick, "batch_size": 8, "lr": 1e-3}).spec.training
    assert (mine.batch_size, mine.lr) == (8, 1e-3)


def test_a_recipe_asks_for_training_and_the_user_has_the_last_word(faces):
    settings = {"steps": 1, "width": 4, "sampler": "none"}
    assert senzai.fit(faces[0], recipe="latent-image", settings=settings).samplers.chosen == "prior"


def test_a_sheet_of_small_pictures_in_colour_shows_them_larger(tmp_path, faces):
    from PIL import Image

    run = senzai.fit(faces[0], settings={"steps": 1, "width": 4, "sampler": "none"})
    run.kind.write(faces[0][:4], tmp_path / "sheet.png", run.schema)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 2 * 16
        seen = {tuple(c) for c in np.asarray(sheet).reshape(-1, 3).tolist()}
    assert {tuple(c) for c in faces[0][0].reshape(-1, 3).tolist()} <= seen


# --- edits ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def digits():
    return senzai.fit("digits", settings={"steps": 60, "n_latent": 4, "hidden": (32,), "sampler": "none"})


def test_an_edit_by_nothing_is_the_reconstruction(digits):
    rows = open_data("digits").take(range(5))
    assert (digits.edit(rows, towards=3, by=0.0) == digits.reconstruct(rows)).all()


def test_the_way_to_a_class_is_between_the_mean_codes_of_training_rows(digits):
    data = open_data("digits")
    y, train = data.rows.targets.y.numpy(), digits.part("digits", "train")
    z = np.asarray(digits.encode("digits"))
    have = z[train[y[train] == 3]].mean(0)
    others, eights = z[train[y[train] != 3]].mean(0), z[train[y[train] == 8]].mean(0)
    np.testing.assert_allclose(direction(digits, towards=3)[0].numpy(), have - others, atol=1e-5)
    np.testing.assert_allclose(direction(digits, towards="3", away=8)[0].numpy(), have - eights, atol=1e-5)


def test_groups_of_rows_make_a_way_too_and_by_scales_it(digits):
    x = open_data("digits").decode(open_data("digits").batch().x)
    like, unlike = x[:40], x[40:100]
    step = direction(digits, like=like, unlike=unlike)[0].numpy()
    z = np.asarray(digits.encode(x))
    np.testing.assert_allclose(step, z[:40].mean(0) - z[40:100].mean(0), atol=1e-5)
    back = direction(digits, like=unlike, unlike=like)[0].numpy()
    np.testing.assert_allclose(back, -step, atol=1e-6)
    model = latent_model(digits.model)
    with torch.no_grad():
        moved = torch.tensor(z[:3] - 1.5 * step, dtype=torch.float32)
        p = model.generate((moved,)).mean
    wanted = digits.edit(x[:3], like=like, unlike=unlike, by=-1.5)
    assert np.abs(np.asarray(wanted, float) - p.numpy().reshape(wanted.shape)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("how", "error", "what"),
    [({}, SettingError, "none of them"), ({"towards": 3, "like": [[0]]}, SettingError, "towards and like"),
     ({"like": [[0]]}, SettingError, "both like"), ({"towards": 12}, SettingError, "Unknown class"),
     ({"towards": 3, "by": float("nan")}, SettingError, "`by` is a number")],
)
def test_an_edit_that_says_too_little_or_too_much_is_refused(digits, how, error, what):
    with pytest.raises(error, match=what):
        digits.edit("digits", **how)


def test_an_edit_towards_a_class_needs_labels_and_one_of_codes_real_ones(digits):
    rows = np.random.default_rng(0).normal(size=(60, 5))
    plain = senzai.fit(rows, settings={"steps": 1, "hidden": (8,)})
    with pytest.raises(CombinationError, match="without any"):
        plain.edit(rows, towards=1)
    labelled = senzai.fit((rows, np.arange(60) % 2), settings={"steps": 1, "hidden": (8,)})
    with pytest.raises(InputError, match="not here"):
        labelled.edit(rows, towards=1)
    assert np.asarray(labelled.edit(rows[:2], like=rows[:9], unlike=rows[9:])).shape == (2, 5)
    round_ = senzai.fit(rows, recipe="spherical-vae", settings={"steps": 1, "hidden": (8,)})
    with pytest.raises(CombinationError, match="real latents"):
        round_.edit(rows, like=rows, unlike=rows)


def test_an_edit_towards_the_light_lights_faces_that_nobody_has_seen():
    """Groups that differ in nothing else: the same faces lit from left and right. Edited faces are lit alike."""

    def lit(numbers, to):
        factors = factors_of(numbers)
        factors[:, NAMES.index("light")] = to
        return render(factors, 16)

    def gap(x):
        return (x[:, :, 12:].astype(float).mean((1, 2, 3)) - x[:, :, :4].astype(float).mean((1, 2, 3))).mean()

    settings = {"steps": 120, "network": "mlp", "hidden": (64,), "beta": 0.1, "sampler": "none", "batch_size": 32}
    run = senzai.fit(render(factors_of(range(300)), 16), settings=settings)
    like, unlike = lit(range(300, 340), 1.0), lit(range(300, 340), -1.0)
    before = lit(range(400, 430), -1.0)
    moved = [gap(run.edit(before, like=like, unlike=unlike, by=by)) for by in (-1.0, 0.0, 1.0, 2.0)]
    assert moved[1] == gap(run.reconstruct(before))
    assert moved[0] < moved[1] - 2 < moved[2] - 4 < moved[3] - 6, moved
