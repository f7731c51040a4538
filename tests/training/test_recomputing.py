"""Gradient checkpointing: the same numbers with less kept between the way forward and the way back."""

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.nn import AutoencoderKLEncoder, ConvEncoder, MapEncoder, VolumeEncoder
from senzai.nn.conv import ConvBlock
from senzai.nn.recomputing import gradient_checkpointing, sparingly
from senzai.nn.tokens import AttentionLayer

PICTURES = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), np.uint8)


def kept_bytes(run):
    """Return the bytes of different tensors that autograd keeps between forward and backward, and what was computed."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = run()
    return sum(kept.values()), out


NETWORKS = {
    "conv": (lambda: ConvEncoder((3, 16, 16), width=16), torch.randn(4, 3, 16, 16)),
    "maps": (lambda: MapEncoder((3, 16, 16), width=16, dropout=0.3), torch.randn(4, 3, 16, 16)),
    "volumes": (lambda: VolumeEncoder((1, 16, 16, 16), width=8), torch.randn(4, 1, 16, 16, 16)),
    "diffusers": (lambda: AutoencoderKLEncoder((3, 16, 16), blocks=(16, 16), norm_groups=4), torch.rand(2, 3, 16, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_equal_to_the_last_bit_and_less_is_kept(name):
    torch.manual_seed(0)
    make, x = NETWORKS[name]
    net = make()
    for block in net.modules():  # pairs start as nothing, which would hide them
        if isinstance(block, ConvBlock) or type(block).__name__ == "VolumeBlock":
            for p in block.parameters():
                torch.nn.init.normal_(p, 0, 0.3)

    def slopes(*, sparing):
        torch.manual_seed(7)
        net.zero_grad()

        def forward():
            with gradient_checkpointing(sparing):
                out = net(Batch(x))
            return torch.stack([o.square().sum() for o in (out if isinstance(out, list) else [out])]).sum()

        kept, loss = kept_bytes(forward)
        loss.backward()
        return kept, [p.grad.clone() for p in net.parameters() if p.grad is not None]

    whole, expected = slopes(sparing=False)
    some, found = slopes(sparing=True)
    assert len(found) == len(expected) > 0
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert some < 0.75 * whole


def test_attention_is_computed_again_with_its_mask():
    torch.manual_seed(0)
    layer, h = AttentionLayer(8, 2), torch.randn(3, 5, 8)
    mask = (torch.arange(5) < torch.tensor([2, 5, 4])[:, None])[:, None, None, :]

    def slope(*, sparing):
        x = h.clone().requires_grad_()
        with gradient_checkpointing(sparing):
            out, _ = sparingly(layer, x, mask=mask)
        out.square().sum().backward()
        return x.grad

    assert torch.equal(slope(sparing=False), slope(sparing=True))


@pytest.mark.parametrize("recipe", ["vae", "kl-autoencoder", "sharp-vae"])
def test_training_gives_the_same_weights(recipe):
    how = {"recipe": recipe, "steps": 2, "batch_size": 8, "sampler": "none", "progress": False}
    how |= {"width": 8} if recipe == "kl-autoencoder" else {"n_latent": 4}
    plain = senzai.fit(PICTURES, **how)
    sparing = senzai.fit(PICTURES, gradient_checkpointing=True, **how)
    expected = plain.model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in sparing.model.state_dict().items())


def test_it_is_refused_where_it_would_save_nothing():
    with pytest.raises(SettingError, match="networks of blocks"):
        senzai.fit(np.random.default_rng(0).normal(size=(60, 3)), steps=2, gradient_checkpointing=True, progress=False)
    with pytest.raises(SettingError, match="Leave one of the two out"):
        senzai.fit(PICTURES, steps=2, gradient_checkpointing=True, shard_model=True, progress=False)
