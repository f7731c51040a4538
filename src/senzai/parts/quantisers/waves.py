"""A coder of waves: a vector for each frame of samples, as it arrives."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ...core.batch import Batch
from ...core.errors import ShapeError
from ...core.examples import example
from ...core.spec import part
from ...nn.layers import initialise_weights
from ...nn.precision import network_precision
from ...nn.waves import WaveStages, check_waves, need_waves
from ..base import full_precision
from .coders import Coder, Quantise, need_places
from .vector import Quantiser


@example(recipe="wave-codec", data="waves")
@part("coder", "waves")
@final
class WaveCoder(Coder):
    """Convolutions that look back only: one vector for each frame of samples.

    Reference:
        SoundStream: An End-to-End Neural Audio Codec (Zeghidour et al., 2021). https://arxiv.org/abs/2107.03312

    Args:
        event: ``(channels, samples)``.
        code_dim: Width of a vector.
        strides: Samples that become one, stage by stage; their product is a frame.
        width: Channels of the first stage.
        activation: One of ``senzai.nn.ACTIVATIONS``.

    Example:
        >>> coder = WaveCoder((1, 400), 2, width=4)
        >>> [q.shape for q in coder(Batch(torch.zeros(7, 1, 400)), lambda level, vectors: vectors)]
        [torch.Size([7, 5, 2])]
    """

    def __init__(
        self, event: tuple[int, ...], code_dim: int, *, strides: tuple[int, ...] = (4, 4, 5), width: int = 16,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        check_waves(event, tuple(strides), activation)
        self.event, self.code_dim = tuple(event), need_places("code_dim", code_dim)
        self.stages = WaveStages(event[0], tuple(strides), width=width, activation=activation)
        self.head = nn.Conv1d(self.stages.n_out, code_dim, 1)
        self.places = (-(-event[1] // self.stages.total),)
        initialise_weights(self, activation)

    def vectors(self, x: Tensor) -> Tensor:
        """Return vectors ``(B, frames, code_dim)`` of waves ``(B, channels, T)`` of any length."""
        with network_precision(x.device):
            found: Tensor = self.head(self.stages(x))
        return full_precision(found).transpose(1, 2)

    def forward(self, batch: Batch, quantise: Quantise) -> list[Tensor]:
        """Return the quantised vectors of the one level."""
        return [quantise(0, self.vectors(need_waves(batch, self.event)))]


@final
class CodeStream:
    """Codes of a wave that arrives piece by piece: those that the whole wave has.

    A frame is coded once all its samples are there; nothing after it is waited for. Of what came before,
    ``coder.stages.context`` samples are kept, which is all that a frame can see.

    Args:
        coder: A coder of waves.
        quantiser: Its quantiser.

    Example:
        >>> from senzai.parts import ResidualVQ
        >>> coder, lists = WaveCoder((1, 400), 2, width=4), ResidualVQ(2, depth=2, n_codes=4)
        >>> stream = CodeStream(coder, lists)
        >>> [stream.push(torch.zeros(1, 100)).shape for _ in range(2)], stream.finish().shape
        ([torch.Size([1, 2]), torch.Size([1, 2])], torch.Size([1, 2]))
    """

    def __init__(self, coder: WaveCoder, quantiser: Quantiser) -> None:
        self.coder, self.quantiser = coder, quantiser
        self._kept = torch.zeros(coder.event[0], 0)
        self._coded = 0  # frames of what is kept that were given out

    @torch.no_grad()
    def push(self, samples: Tensor) -> Tensor:
        """Return the codes of frames that are complete now, ``(frames, depth)``; ``samples`` are ``(channels, n)``.

        Raises:
            ShapeError: They have another number of channels.
        """
        if samples.ndim != 2 or len(samples) != self.coder.event[0]:
            raise ShapeError(
                f"Samples of a stream are ({self.coder.event[0]}, n), but got {tuple(samples.shape)}. Arrange them so."
            )
        self._kept = torch.cat([self._kept, samples.to(self._kept.dtype)], 1)
        return self._codes(self._kept.shape[1] // self.coder.stages.total)

    @torch.no_grad()
    def finish(self) -> Tensor:
        """Return the codes of the last, incomplete frame, which ends in silence; there is none if nothing is left."""
        return self._codes(-(-self._kept.shape[1] // self.coder.stages.total))

    def _codes(self, frames: int) -> Tensor:
        total, depth = self.coder.stages.total, self.quantiser.depth
        if frames <= self._coded:
            return torch.zeros(0, depth, dtype=torch.long)
        new = self.coder.vectors(self._kept[None, :, : frames * total])[:, self._coded :]
        codes: Tensor = self.quantiser(new).codes.unflatten(1, (-1, depth))[0]
        spare = max(0, frames - self.coder.stages.context // total)
        self._kept, self._coded = self._kept[:, spare * total :], frames - spare
        return codes
