"""The folder that diffusers saves an ``AutoencoderKL`` in: config.json and safetensors, no pickle; read and written.

Names and rules are those of diffusers 0.42 (``AutoencoderKL.save_pretrained``); attention weights of folders older than
0.13 are read under their new names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core.errors import CombinationError, InputError
from ..core.files import replacing_folder, write_json
from .autoencoder_kl import AutoencoderKLDecoder, AutoencoderKLEncoder

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
CLASS, VERSION = "AutoencoderKL", "0.42.1"
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
OLD = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
CONFIG_BYTES = 2**20


@dataclass(frozen=True)
class KLFolder:
    """What a folder holds.

    Args:
        config: Its config.json.
        tensors: Its weights, by diffusers' names.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def blocks(self) -> tuple[int, ...]:
        """Channels of each size."""
        return tuple(int(c) for c in self.config["block_out_channels"])

    @property
    def layers(self) -> int:
        """Residual blocks of a size."""
        return int(self.config.get("layers_per_block", 1))

    @property
    def groups(self) -> int:
        """Groups of normalisation."""
        return int(self.config.get("norm_num_groups", 32))

    @property
    def channels(self) -> int:
        """Numbers of a code at each place."""
        return int(self.config.get("latent_channels", 4))

    @property
    def attention(self) -> bool:
        """Whether places of the smallest map look at each other."""
        return bool(self.config.get("mid_block_add_attention", True))


def read_folder(folder: str | Path) -> KLFolder:
    """Read a folder of diffusers.

    Raises:
        InputError: It is none, it is of another class or form, or its weights are not safetensors.
    """
    root = Path(folder)
    config, weights = root / CONFIG, root / WEIGHTS
    if not config.is_file() or not weights.is_file():
        pickled = " Its weights are a pickle, which could run code." if list(root.glob("*.bin")) else ""
        raise InputError(
            f"An autoencoder of diffusers is a folder with {CONFIG} and {WEIGHTS}, but {str(root)!r} is none.{pickled} "
            "Save it with save_pretrained(folder, safe_serialization=True)."
        )
    try:
        if config.stat().st_size > CONFIG_BYTES:
            raise ValueError(f"it is longer than {CONFIG_BYTES:,} bytes")
        known = json.loads(config.read_text(encoding="utf-8"))
        found = KLFolder(known, {})
        _ = (found.blocks, found.layers, found.groups, found.channels)
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise InputError(f"{str(config)!r} must describe an {CLASS}, but does not: {err}. Save it again.") from err
    _need_known(known, root)
    try:
        with safe_open(weights, framework="pt") as file:
            tensors = {_renamed(name): file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as err:
        raise InputError(f"{str(weights)!r} must be whole, but cannot be read: {err}. Save it again.") from err
    return KLFolder(known, tensors)


def _need_known(config: Mapping[str, Any], root: Path) -> None:
    wanted = {
        "_class_name": (CLASS,), "act_fn": ("silu", "swish", None), "use_quant_conv": (True, None),
        "use_post_quant_conv": (True, None),
    }
    other = {name: config.get(name) for name, fine in wanted.items() if config.get(name) not in fine}
    types = {*config.get("down_block_types", [DOWN]), *config.get("up_block_types", [UP])} - {DOWN, UP}
    if other or types:
        what = ", ".join([*(f"{k}={v!r}" for k, v in other.items()), *sorted(map(str, types))])
        raise InputError(
            f"Folders of {CLASS} with {DOWN} and {UP} are read, but {str(root)!r} has {what}. Use diffusers for it."
        )


def _renamed(name: str) -> str:
    for old, new in OLD.items():
        name = name.replace(old, new)
    return name


def networks_of(model: nn.Module) -> tuple[AutoencoderKLEncoder, nn.Module, AutoencoderKLDecoder]:
    """Return encoder, the convolution behind it, and decoder of a model.

    Raises:
        CombinationError: It has other networks.
    """
    posterior, decoder = getattr(model, "posterior", None), getattr(getattr(model, "likelihood", None), "decoder", None)
    encoder, behind = getattr(posterior, "encoder", None), getattr(posterior, "quant_conv", None)
    if not isinstance(encoder, AutoencoderKLEncoder) or not isinstance(decoder, AutoencoderKLDecoder) or behind is None:
        raise CombinationError(
            "A folder of diffusers holds an AutoencoderKL, but this model has other networks. Fit the recipe "
            "autoencoder-kl."
        )
    return encoder, behind, decoder


def places_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model by diffusers' names.

    Raises:
        CombinationError: It has other networks.
    """
    encoder, behind, decoder = networks_of(model)
    found: dict[str, Tensor] = {f"encoder.{k}": v for k, v in encoder.state_dict(keep_vars=True).items()}
    found |= {f"quant_conv.{k}": v for k, v in behind.state_dict(keep_vars=True).items()}
    after = "post_quant_conv."
    own = decoder.state_dict(keep_vars=True).items()
    return found | {(k if k.startswith(after) else f"decoder.{k}"): v for k, v in own}


def load_into(model: nn.Module, given: KLFolder) -> None:
    """Put the weights of a folder into a model.

    Raises:
        CombinationError: Tensors are missing, left over or of other sizes.
    """
    own = places_of(model)
    lost, left = sorted(set(own) - set(given.tensors)), sorted(set(given.tensors) - set(own))
    unlike = [n for n, t in own.items() if n in given.tensors and t.numel() != given.tensors[n].numel()]
    if lost or left or unlike:
        names = ", ".join([*(f"{n} is missing" for n in lost[:2]), *(f"{n} is left over" for n in left[:2]),
                           *(f"{n} has another size" for n in unlike[:2])])
        raise CombinationError(
            f"The weights of a folder fit pictures and recipe, but {names}. Give pictures with as many channels."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given.tensors[name].reshape(tensor.shape))


def write_folder(model: nn.Module, folder: Path, *, scaling: float) -> None:
    """Write a model as diffusers saves it.

    Args:
        model: With the networks of the recipe autoencoder-kl, whose decoder gives places alone.
        folder: A new folder.
        scaling: One over the spread of codes, by which diffusion models multiply them.

    Raises:
        CombinationError: It has other networks, or its decoder gives more than one number for each pixel.
    """
    tensors, (encoder, _, decoder) = places_of(model), networks_of(model)
    raw, channels = decoder.raw_shape, encoder.conv_in.in_channels
    if raw[0] != 1:
        raise CombinationError(
            f"diffusers' decoder gives one number for each pixel, but this one gives {raw[0]}. Fit with "
            "shared=log_scale, as the recipe has it."
        )
    config = {
        "_class_name": CLASS, "_diffusers_version": VERSION, "act_fn": "silu",
        "block_out_channels": list(encoder.blocks), "in_channels": channels,
        "down_block_types": [DOWN] * len(encoder.blocks), "up_block_types": [UP] * len(encoder.blocks),
        "out_channels": channels, "latent_channels": int(tensors["post_quant_conv.weight"].shape[0]),
        "layers_per_block": encoder.layers, "norm_num_groups": encoder.conv_norm_out.num_groups,
        "mid_block_add_attention": any(".attentions." in name for name in tensors), "sample_size": max(raw[2:]),
        "scaling_factor": scaling, "use_quant_conv": True, "use_post_quant_conv": True, "force_upcast": True,
    }
    with replacing_folder(folder) as tmp:
        write_json(tmp / CONFIG, config)
        save_file({k: v.detach().float().cpu().contiguous() for k, v in tensors.items()}, tmp / WEIGHTS,
                  metadata={"format": "pt"})
