"""The likelihood of pictures beside their length in a lossless code."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.data import KINDS
from senzai.data.images.coding import lengths
from senzai.evaluation.scores import CODED, MEMBERS, Reference, make_reference, score
from senzai.evaluation.units import coder_of


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return 8 * np.log(2) * len(file.getvalue())


def textured(n, seed, smooth=False):
    """Pictures of dots of one spread; smooth ones are means of neighbours, about the same middle."""
    noise = np.random.default_rng(seed).normal(size=(n, 21, 21))
    found = noise[:, 1:, 1:] + noise[:, :-1, :-1]
    if smooth:
        found = (found + np.roll(found, 1, 1) + np.roll(found, 1, 2) + np.roll(found, 2, 1)) / 4
    return np.clip(128 + 25 * found, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def run():
    return senzai.fit(textured(300, 0), steps=60, kind="images", n_latent=2, sampler="none", test=0, progress=False)


@pytest.mark.parametrize(("channels", "top"), [(1, 255.0), (3, 255.0), (4, 1.0), (2, 1.0)])
def test_lengths_are_those_of_the_files(channels, top):
    x = np.random.default_rng(0).integers(256, size=(3, channels, 9, 7)).astype(np.uint8)
    stored = x.transpose(0, 2, 3, 1)
    if channels in (3, 4):
        want = [png(one) for one in stored]
    else:
        want = [sum(png(one[..., c]) for c in range(channels)) for one in stored]
    np.testing.assert_allclose(lengths(x * (top / 255), top=top), want)


def test_the_score_is_the_likelihood_against_the_length(run):
    data = textured(20, 1)
    found = run.score(data, method=CODED, seed=3, reference=textured(300, 0)) - run.score(data, method="nll", seed=3)
    np.testing.assert_allclose(found, [-png(one) for one in data], rtol=1e-4)


def test_what_is_smoother_than_all_that_was_learned_does_not_pass_for_normal(run):
    normal, smooth = textured(150, 2), textured(150, 3, smooth=True)
    strange = np.repeat([0, 1], 150)
    both = np.concatenate([normal, smooth])
    area = {m: roc_auc_score(strange, run.score(both, method=m, reference=textured(300, 0)))
            for m in ("nll", CODED, "auto")}
    assert area["nll"] < 0.1  # smooth pictures are the likelier ones
    assert area[CODED] > 0.95
    assert area["auto"] > 0.9


def test_shares_add_up_and_a_kept_reference_says_the_same(run):
    batch = run.dataset(textured(30, 4)).batch()
    coder = coder_of(run.schema)
    reference = make_reference(run.model, batch, batch, coder=coder, k=4)
    assert reference.members == (*MEMBERS, CODED)
    found = score(run.model, batch, CODED, reference=reference, k=4)
    torch.testing.assert_close(found.shares.sum(1), found.values, rtol=1e-4, atol=1e-2)
    again = Reference.of(reference.tensors(), coder)
    whole = [score(run.model, batch, "auto", reference=r, k=4).values for r in (reference, again)]
    assert torch.equal(*whole)
    one = score(run.model, batch.take(slice(3, 4)), "auto", reference=reference, k=4).values
    torch.testing.assert_close(whole[0][3:4], one, rtol=1e-4, atol=1e-4)


def test_a_reference_of_earlier_runs_has_five_members_as_before(run):
    batch = run.dataset(textured(30, 4)).batch()
    reference = make_reference(run.model, batch, batch, k=4)
    earlier = Reference.of(reference.tensors(), coder_of(run.schema))
    assert earlier.members == MEMBERS
    want = score(run.model, batch, "auto", reference=reference, k=4).values
    assert torch.equal(score(run.model, batch, "auto", reference=earlier, k=4).values, want)


def test_what_stands_in_a_hole_is_not_coded(run):
    x = run.dataset(textured(2, 5)).batch().tensor
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[..., :6, :] = False
    coder = coder_of(run.schema)
    reference = replace(make_reference(run.model, Batch(x), Batch(x), k=2), coder=coder)
    both = [score(run.model, Batch(torch.where(mask, x, torch.full_like(x, v)), mask=mask), CODED, reference=reference,
                  k=2).values for v in (0, 200)]
    assert torch.equal(*both)


def test_rows_without_a_code_are_refused_and_have_five_members():
    table = senzai.fit(np.random.default_rng(0).normal(size=(80, 3)), steps=3, sampler="none", progress=False)
    assert KINDS[table.schema.kind].coder(table.schema) is None
    with pytest.raises(SettingError, match="for pictures; choose another"):
        table.score(np.zeros((2, 3)), method=CODED)
    with pytest.raises(SettingError, match="complexity"):
        table.score(np.zeros((2, 3)), method="complexety")
