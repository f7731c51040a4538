"""An encoder that is a network from the user's disk: frozen, or tuned with low rank."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.extras import need
from ..core.random import forked
from ..core.spec import part
from ..core.warning_filters import ignore_warnings
from .foreign import Foreign, foreign, network_of, unchanged
from .inputs import DataInitialised, Encoder, as_float

MEAN, STD = 0.5, 0.5
"""What pixels are shifted and scaled by, where the folder does not say."""


@functools.cache
def tiny_folder() -> str:
    """Return a folder with a tiny vision transformer of random weights, for exams and trials."""
    auto = need("transformers", extra="pretrained", to="make a tiny network")
    folder = tempfile.mkdtemp(prefix="senzai-tiny-")
    config = auto.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
        num_channels=1,
    )
    with forked(0):
        auto.ViTModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


@example(
    data="pictures",
    settings={"encoder": "pretrained"},
    make=lambda frame: PretrainedEncoder(tuple(frame.event), tiny_folder()),
)
@part("encoder", "pretrained")
@final
class PretrainedEncoder(Encoder, DataInitialised):
    """Features of a network from a folder of transformers, or of an ONNX file; pictures in, one vector out.

    Values are brought to 0 to 1 by the range of the training rows, one channel is repeated to as many as the network
    takes, and pictures of another size are resized (bilinear, with antialiasing) to the network's. What was not
    observed gets the middle of the range: a network that was trained on whole pictures takes no mask. Then the mean and
    spread of the folder's ``preprocessor_config.json`` are taken. The features are the mean over places of the last
    layer. The network itself is not saved with a run: its place and hash are, and a run is refused where it is
    another one. Nothing is ever downloaded.

    Reference:
        LoRA: Low-Rank Adaptation of Large Language Models (Hu et al., 2022). https://arxiv.org/abs/2106.09685

    Args:
        event: Shape of one picture, ``(channels, height, width)``.
        path: Folder with config.json and safetensors, or an ONNX file.
        sha256: Hash of the network that a run was made with; by default that of what is there.
        tune: ``"frozen"``, or ``"low_rank"`` for adapters in every linear layer.
        rank: Of the adapters.
        resize: Whether pictures of another size are resized; else they are refused.
        cache: Folder for features by content, for frozen networks.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        path: str,
        *,
        sha256: str = "",
        tune: Literal["frozen", "low_rank"] = "frozen",
        rank: int = 4,
        resize: bool = True,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        if len(event) != 3:
            raise SettingError(
                f"encoder=pretrained takes pictures, but rows have the shape {tuple(event)}. For sentences, encode "
                "them with senzai.nn.foreign.sentence_vectors and fit recipe=embedding-vae."
            )
        if tune not in ("frozen", "low_rank"):
            raise SettingError(f"`tune` is frozen or low_rank, but got {tune!r}.")
        at_least(1, rank=rank)
        self.event, self.found, self.tune = tuple(event), unchanged(path, sha256), tune
        self.sha256 = sha256 or self.found.sha256
        self.cache = None if cache is None else Path(cache)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))
        self.adapters = nn.ParameterList()
        self._outside = [self._network(rank)]  # in a list: its weights are no part of the run
        self.size, self.channels = self._takes(resize)
        self.n_features = self._features(torch.zeros(1, *event)).shape[-1]

    def _network(self, rank: int) -> Any:
        if self.found.form == "onnx":
            if self.tune != "frozen":
                raise SettingError("An ONNX file cannot be tuned. Set encoder.tune=frozen, or give a folder.")
            runtime = need("onnxruntime", extra="export", to="run an ONNX file")
            return runtime.InferenceSession(str(self.found.path), providers=["CPUExecutionProvider"])
        net = network_of(self.found)
        if self.tune == "low_rank":
            peft = need("peft", extra="pretrained", to="tune a network with low rank")
            wanted = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear")
            with ignore_warnings(FutureWarning):
                net = peft.get_peft_model(net, wanted)
            self.adapters.extend(p for p in net.parameters() if p.requires_grad)
        return net

    def _takes(self, resize: bool) -> tuple[tuple[int, int], int]:
        """Return the size and channels of the pictures that the network takes."""
        if self.found.form == "onnx":
            shape = self._outside[0].get_inputs()[0].shape
            given = [d if isinstance(d, int) else own for d, own in zip(shape[1:], self.event, strict=False)]
            channels, size = given[0], (given[1], given[2])
        else:
            side = self.found.config.get("image_size")
            if side is None:
                raise SettingError(
                    f"encoder=pretrained takes networks of pictures, but {str(self.found.path)!r} is "
                    f"{self.found.config.get('model_type')!r} without an image_size. For sentences, encode them with "
                    "senzai.nn.foreign.sentence_vectors and fit recipe=embedding-vae."
                )
            size = (side, side) if isinstance(side, int) else tuple(side)
            channels = int(self.found.config.get("num_channels", 3))
        if size != self.event[1:] and not resize:
            raise SettingError(
                f"The network takes pictures of {size[0]} x {size[1]}, but rows are {self.event[1]} x {self.event[2]} "
                "and encoder.resize=false. Set size=..., or leave encoder.resize out."
            )
        if self.event[0] not in (1, channels):
            raise SettingError(
                f"The network takes {channels} channels, but rows have {self.event[0]}. Give pictures with {channels}, "
                "or with one."
            )
        return size, channels

    def initialise(self, batch: Batch) -> None:
        """Take the range of the observed values of training rows."""
        x, seen = as_float(batch.tensor), batch.observed
        x = x if seen is None else x[seen]
        if x.numel():
            self.low.copy_(x.min())
            self.high.copy_(x.max())

    def pixels(self, x: Tensor) -> Tensor:
        """Return pictures as the network takes them, ``(B, channels, height, width)``."""
        x = (as_float(x) - self.low) / (self.high - self.low).clamp_min(1e-6)
        return as_taken(x, self.found, self.size, self.channels)

    def _features(self, x: Tensor) -> Tensor:
        if self.found.form == "onnx":
            session = self._outside[0]
            (out, *_) = session.run(None, {session.get_inputs()[0].name: self.pixels(x).detach().cpu().numpy()})
            last = torch.from_numpy(np.asarray(out, np.float32)).to(x.device)
        else:
            net = self._outside[0].to(x.device)
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune == "low_rank"):
                last = net(pixel_values=self.pixels(x)).last_hidden_state
        if last.ndim == 4:  # maps of a convolutional network
            last = last.flatten(2).transpose(1, 2)
        return last.mean(1) if last.ndim == 3 else last.flatten(1)

    def forward(self, batch: Batch) -> Tensor:
        """Return features, ``(B, n_features)``."""
        x, seen = batch.tensor, batch.observed
        if seen is not None:
            x = as_float(x)
            x = torch.where(seen, x, ((self.low + self.high) / 2).to(x.dtype))
        if self.cache is None or self.tune != "frozen":
            return self._features(x)
        return self._cached(x, self.cache)

    def _cached(self, x: Tensor, folder: Path) -> Tensor:
        """Return features, those that were asked for before from disk: by network, range and content of a row."""
        about = f"{self.sha256}/{float(self.low)!r}/{float(self.high)!r}/{tuple(x.shape[1:])}/{x.dtype}".encode()
        rows = x.detach().cpu().contiguous().numpy()
        files = [folder / self.sha256[:16] / f"{hashlib.sha256(about + r.tobytes()).hexdigest()}.npy" for r in rows]
        new = [i for i, file in enumerate(files) if not file.is_file()]
        if new:
            files[0].parent.mkdir(parents=True, exist_ok=True)
            for i, one in zip(new, self._features(x[new]).cpu().numpy(), strict=True):
                np.save(files[i], one, allow_pickle=False)
        found = np.stack([np.load(file, allow_pickle=False) for file in files])
        return torch.from_numpy(found).to(x.device)


def as_taken(x: Tensor, found: Foreign, size: tuple[int, int], channels: int) -> Tensor:
    """Return pictures with values from 0 to 1 as a network takes them: its channels, size, mean and spread."""
    x = x.expand(-1, channels, -1, -1)
    if tuple(x.shape[2:]) != size:
        x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    mean, std = processor(found)
    return (x - x.new_tensor(mean).view(-1, 1, 1)) / x.new_tensor(std).view(-1, 1, 1)


def processor(found: Foreign) -> tuple[list[float], list[float]]:
    """Return the mean and spread of each channel that a folder asks for."""
    file = found.path / "preprocessor_config.json"
    known = json.loads(file.read_text(encoding="utf-8")) if found.form == "transformers" and file.is_file() else {}
    return list(known.get("image_mean", [MEAN])), list(known.get("image_std", [STD]))


def hash_at(path: Any) -> str:
    """Return the hash of the network at a path; nothing where none is named."""
    return foreign(path).sha256 if isinstance(path, str) else ""
