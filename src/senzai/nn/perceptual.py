"""How unlike two pictures look to a network from the user's disk: differences of its features, layer by layer."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from ..core.errors import SettingError
from .foreign import Foreign, network_of, unchanged
from .pretrained import as_taken

EPS = 1e-10


def perceptual_distance(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    r"""Return how far features of pictures lie apart, ``(B,)``, from 0 to 4.

    .. math:: d(x, y) = \frac1L \sum_l \frac{1}{H_l W_l} \sum_{hw}
        \Big\| \frac{f_l(x)_{hw}}{\|f_l(x)_{hw}\|} - \frac{f_l(y)_{hw}}{\|f_l(y)_{hw}\|} \Big\|^2

    the distance of the paper with equal weights of channels, as no weights are learned here.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018).
        https://arxiv.org/abs/1801.03924

    Args:
        ours: Features of each layer, ``(B, places, channels)``.
        theirs: Those of the other pictures.

    Example:
        >>> a, b = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 0.5]]])
        >>> perceptual_distance([a], [b]), perceptual_distance([a], [2 * a])
        (tensor([2.]), tensor([0.]))
    """
    each = [(_unit(a) - _unit(b)).square().sum(-1).mean(-1) for a, b in zip(ours, theirs, strict=True)]
    return torch.stack(each).mean(0)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(-1, keepdim=True) + EPS).sqrt()


class PerceptualNet:
    """A frozen network of pictures from a folder of transformers, for its features; its weights stay on disk.

    Args:
        path: The folder, with config.json and safetensors.
        sha256: Hash of the network that a run was made with; empty for what is there.

    Raises:
        InputError: No such network is there, or it is another one.
        SettingError: It takes no pictures, or cannot pass gradients on.
    """

    def __init__(self, path: str, sha256: str = "") -> None:
        self.found: Foreign = unchanged(path, sha256)
        if self.found.form != "transformers":
            raise SettingError("Gradients cannot pass through an ONNX file. Give a folder of transformers.")
        side = self.found.config.get("image_size")
        if side is None:
            raise SettingError(
                f"`perceptual` is a network of pictures, but {path!r} ({self.found.config.get('model_type')!r}) has no "
                "image_size. Give a vision network."
            )
        self.size = (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
        self.channels = int(self.found.config.get("num_channels", 3))
        self.net: Any = network_of(self.found)

    def need(self, channels: int) -> None:
        """Refuse pictures with other channels than the network takes.

        Raises:
            SettingError: They have.
        """
        if channels not in (1, self.channels):
            raise SettingError(
                f"The network {str(self.found.path)!r} takes {self.channels} channels, but pictures have {channels}. "
                f"Give pictures with {self.channels}, or with one."
            )

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the features of every layer, ``(B, places, channels)``.

        Args:
            x: Pictures ``(B, channels, height, width)`` with values from 0 to 1.
        """
        net = self.net.to(x.device)
        seen = net(pixel_values=as_taken(x, self.found, self.size, self.channels), output_hidden_states=True)
        return [h.flatten(2).transpose(1, 2) if h.ndim == 4 else h for h in seen.hidden_states]

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return how unlike ``y`` looks to ``x``, ``(B,)``; gradients reach ``y`` alone."""
        with torch.no_grad():
            wanted = self.features(x.float())
        return perceptual_distance(wanted, self.features(y.float()))


@functools.lru_cache(maxsize=2)
def perceptual_net(path: str, sha256: str) -> PerceptualNet:
    """Return the network of a folder, read once."""
    return PerceptualNet(path, sha256)
