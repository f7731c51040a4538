"""The autoencoder of latent diffusion against diffusers itself, in both directions, and folders that are not theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.nn.kl_folder import CONFIG, WEIGHTS, read_folder

SIDE, ROWS = 16, 10
PICTURES = np.random.default_rng(0).integers(0, 256, (ROWS, SIDE, SIDE, 3), dtype=np.uint8)
FIT = {"recipe": "autoencoder-kl", "sampler": "none", "progress": False, "validation": 0, "test": 0}


def theirs_of(**changes):
    diffusers = pytest.importorskip("diffusers")
    settings = {
        "in_channels": 3, "out_channels": 3, "down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "block_out_channels": (4, 8), "layers_per_block": 1,
        "norm_num_groups": 2, "sample_size": SIDE, **changes,
    }
    torch.manual_seed(0)
    net = diffusers.AutoencoderKL(**settings).float().eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


@torch.no_grad()
def seen_by(net):
    x = torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 127.5 - 1
    q = net.encode(x).latent_dist
    return q.mean, q.std, net.decode(q.mean).sample


@torch.no_grad()
def seen_here(run):
    q = run.model.infer(run.dataset(PICTURES).batch()).groups[0].q
    raw = run.model.likelihood.raw(q.mean)[:, 0]
    grid = run.model.posterior.grid
    maps = [t.unflatten(1, (grid[0] * grid[1], -1)).transpose(1, 2).unflatten(2, grid) for t in (q.mean, q.stddev)]
    return *maps, raw


@pytest.mark.parametrize("changes", [{}, {"mid_block_add_attention": False, "layers_per_block": 2}])
def test_a_folder_of_diffusers_gives_the_same_numbers_here(tmp_path, changes):
    theirs = theirs_of(**changes)
    theirs.save_pretrained(tmp_path / "theirs")
    run = senzai.fit(PICTURES, weights=str(tmp_path / "theirs"), steps=1, lr=1e-12, **FIT)
    for a, b in zip(seen_here(run), seen_by(theirs), strict=True):
        assert (a - b).abs().max() < 1e-4


def test_a_run_gives_the_same_numbers_in_diffusers(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    run = senzai.fit(PICTURES, blocks=(4, 8), norm_groups=2, layers=1, steps=5, **{"posterior.channels": 2}, **FIT)
    run.export(to="diffusers", path=tmp_path / "ours")
    assert sorted(p.name for p in (tmp_path / "ours").iterdir()) == [CONFIG, WEIGHTS]
    theirs = diffusers.AutoencoderKL.from_pretrained(tmp_path / "ours").eval()
    for a, b in zip(seen_here(run), seen_by(theirs), strict=True):
        assert (a - b).abs().max() < 1e-4
    assert theirs.config.scaling_factor > 0
    assert theirs.config.block_out_channels == [4, 8]


def test_a_saved_run_needs_its_folder_no_more(tmp_path):
    run = senzai.fit(PICTURES, blocks=(4, 8), norm_groups=2, layers=1, steps=2, **{"posterior.channels": 2}, **FIT)
    run.export(to="diffusers", path=tmp_path / "ours")
    other = senzai.fit(PICTURES, weights=str(tmp_path / "ours"), steps=1, lr=1e-12, out=tmp_path / "run", **FIT)
    (tmp_path / "ours" / CONFIG).unlink()
    again = senzai.load(tmp_path / "run")
    assert np.array_equal(again.encode(PICTURES), other.encode(PICTURES))


def test_weights_are_read_under_their_old_names(tmp_path):
    from safetensors.torch import load_file, save_file

    run = senzai.fit(PICTURES, blocks=(4, 8), norm_groups=2, layers=1, steps=1, **{"posterior.channels": 2}, **FIT)
    folder = run.export(to="diffusers", path=tmp_path / "ours")
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = {k: v for k, v in load_file(folder / WEIGHTS).items()}
    for new, was in old.items():
        tensors = {k.replace(new, was): v for k, v in tensors.items()}
    save_file(tensors, folder / WEIGHTS)
    names = " ".join(read_folder(folder).tensors)
    assert "to_q" in names
    assert "query" not in names


def write(folder, **config):
    folder.mkdir()
    known = {"_class_name": "AutoencoderKL", "block_out_channels": [4, 8], "act_fn": "silu", **config}
    (folder / CONFIG).write_text(json.dumps(known))
    (folder / WEIGHTS).write_bytes(b"no tensors")
    return folder


@pytest.mark.parametrize(("config", "said"), [
    ({"_class_name": "AutoencoderTiny"}, "AutoencoderTiny"), ({"act_fn": "relu"}, "relu"),
    ({"down_block_types": ["AttnDownEncoderBlock2D"]}, "AttnDown"), ({"block_out_channels": "x"}, "must describe"),
    ({}, "must be whole"),
])
def test_folders_that_are_not_theirs_are_refused(tmp_path, config, said):
    with pytest.raises(InputError, match=said):
        read_folder(write(tmp_path / "f", **config))


def test_pickles_and_other_networks_are_refused(tmp_path):
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match="could run code"):
        read_folder(tmp_path)
    run = senzai.fit(PICTURES, steps=1, n_latent=2, width=4, sampler="none", progress=False)
    with pytest.raises(CombinationError, match="other networks"):
        run.export(to="diffusers", path=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(SettingError, match="multiples of 4"):
        senzai.fit(PICTURES[:, :15], blocks=(4, 8, 8), norm_groups=2, steps=1, **FIT)
