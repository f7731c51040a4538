"""Orthogonal maps that turn rows until most of their length lies in the first few coordinates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.controls import controlled
from ..core.errors import SettingError
from ..core.examples import example
from ..core.spec import part
from .circuits import SMALL_ANGLE, pennylane
from .costs import Costly
from .inputs import Encoder, as_float

MOST_COMPRESSED = 10


class Compressor(Encoder):
    r"""An orthogonal map of rows of :math:`2^n` amplitudes, of which the first :math:`2^k` are kept.

    With :math:`U` the map and :math:`\Pi` the projection, a row becomes :math:`\Pi U x` and comes back as
    :math:`U^\top \Pi U x`. The squared error is what the trash holds, :math:`|x|^2 - |\Pi U x|^2`: of normalised
    states it is one minus the fidelity of the trash qubits with :math:`|0 \cdots 0\rangle`. No such map does
    better than the
    principal components of the rows.

    Args:
        event: Shape of one row: a power of two of real amplitudes.
        n_kept: Qubits that are kept, k.
        layers: Layers of rotations.
    """

    def __init__(self, event: tuple[int, ...], n_kept: int, layers: int) -> None:
        super().__init__()
        at_least(1, layers=layers, n_kept=n_kept)
        self.n_qubits, self.n_kept, self.layers = qubits_of(event), n_kept, layers
        if n_kept >= self.n_qubits:
            raise SettingError(
                f"Fewer qubits are kept than there are, but got n_kept={n_kept} of {self.n_qubits}. "
                f"Set encoder.n_kept={self.n_qubits - 1} or less."
            )
        self.n_features = 2**n_kept

    @abstractmethod
    def turn(self) -> Tensor:
        """Return the transpose of U, ``(2^n, 2^n)``: rows times it are turned."""

    def forward(self, batch: Batch) -> Tensor:
        """Return what is kept of each row, ``(B, 2^k)``."""
        return as_float(batch.tensor) @ self.turn()[:, : self.n_features]

    def back(self, kept: Tensor) -> Tensor:
        """Return rows of what is kept, ``(*lead, 2^k)`` to ``(*lead, 2^n)``: the trash is reset."""
        return kept @ self.turn()[:, : self.n_features].T

    def fidelity(self, batch: Batch) -> Tensor:
        """Return the probability that all trash qubits of a row are found at zero, ``(B,)``, between 0 and 1."""
        whole = as_float(batch.tensor).square().sum(-1)
        found: Tensor = self(batch).square().sum(-1) / whole.clamp_min(torch.finfo(whole.dtype).tiny)
        return found


def qubits_of(event: tuple[int, ...]) -> int:
    """Return how many qubits hold a row.

    Raises:
        SettingError: Its length is no power of two, or too large.

    Example:
        >>> qubits_of((64,))
        6
    """
    n = event[0].bit_length() - 1 if len(event) == 1 else 0
    if len(event) != 1 or n < 2 or 2**n != event[0]:
        raise SettingError(
            f"States are rows of 4, 8, 16, … amplitudes, a power of two, but rows have the shape {tuple(event)}. "
            "Add zeros up to the next power of two."
        )
    if n > MOST_COMPRESSED:
        raise SettingError(
            f"States of at most {MOST_COMPRESSED} qubits can be compressed, because the whole map is kept, but rows of "
            f"{event[0]:,} amplitudes are {n} qubits. Use recipe=autoencoder."
        )
    return n


@controlled("encoder/compressor", lambda arguments: ("encoder/givens", arguments))
@example(recipe="quantum-autoencoder", data="real", settings={"encoder.n_kept": 1}, frame={"event": (4,)})
@part("encoder", "compressor")
@final
class CircuitCompressor(Compressor, Costly):
    """A circuit with real amplitudes: layers of rotations about Y, then controlled signs around a ring.

    Reference:
        Quantum autoencoders for efficient compression of quantum data (Romero et al., 2017).
        https://arxiv.org/abs/1612.02806

    Args:
        event: Shape of one row: a power of two of real amplitudes.
        n_kept: Qubits that are kept; the others are the trash.
        layers: Layers of rotations.
    """

    def __init__(self, event: tuple[int, ...], *, n_kept: int = 1, layers: int = 4) -> None:
        super().__init__(event, n_kept, layers)
        self.angles = nn.Parameter(SMALL_ANGLE * torch.randn(layers, self.n_qubits))
        self.used = {"circuits": 0}
        self._kept: tuple[int, Tensor] | None = None
        self._node = self._made()

    def _made(self) -> Any:
        qml = pennylane()
        n = self.n_qubits

        def circuit(states: Tensor, angles: Tensor) -> Any:
            qml.StatePrep(states, wires=range(n))
            for layer in range(self.layers):
                for wire in range(n):
                    qml.RY(angles[layer, wire], wires=wire)
                for wire in range(n if n > 2 else 1):
                    qml.CZ(wires=(wire, (wire + 1) % n))
            return qml.state()

        return qml.QNode(circuit, qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")

    @property
    def gates(self) -> int:
        """Gates of one circuit, without the preparation of the state."""
        return self.layers * (self.n_qubits + (self.n_qubits if self.n_qubits > 2 else 1))

    def cost(self) -> Mapping[str, int | None]:
        """Return qubits and gates of one circuit, and how many circuits were asked for: one for each basis state."""
        return {"qubits": self.n_qubits, "gates": self.gates, "shots": None, **self.used}

    def turn(self) -> Tensor:
        """Run the circuit on every basis state; without gradient once for given angles."""
        if torch.is_grad_enabled():
            return self._turned()
        if self._kept is None or self._kept[0] != self.angles._version or self._kept[1].device != self.angles.device:
            self._kept = (self.angles._version, self._turned())
        return self._kept[1]

    def _turned(self) -> Tensor:
        self.used["circuits"] += 2**self.n_qubits
        basis = torch.eye(2**self.n_qubits, dtype=torch.float64, device=self.angles.device)
        return torch.real(self._node(basis, self.angles)).to(self.angles.dtype)


@example(
    recipe="quantum-autoencoder",
    data="real",
    settings={"encoder": "givens", "encoder.n_kept": 1},
    frame={"event": (4,)},
)
@part("encoder", "givens")
@final
class GivensCompressor(Compressor):
    """The classical control: as many angles, each turning one pair of coordinates (Givens rotations).

    Pairs are taken from layers of a butterfly: in layer l coordinates at a distance of a power of two are turned
    towards each other, nearest to the kept ones first.

    Args:
        event: Shape of one row.
        n_kept: Qubits that are kept.
        layers: Layers; each has as many angles as there are qubits.
    """

    first: Tensor
    second: Tensor

    def __init__(self, event: tuple[int, ...], *, n_kept: int = 1, layers: int = 4) -> None:
        super().__init__(event, n_kept, layers)
        n, size = self.n_qubits, 2**self.n_qubits
        inner = range(self.n_features)
        pairs = [(i, i + d) for d in range(1, size) for i in inner if self.n_features <= i + d < size]
        chosen = [pairs[k % len(pairs)] for k in range(layers * n)]
        self.register_buffer("first", torch.tensor([i for i, _ in chosen]), persistent=False)
        self.register_buffer("second", torch.tensor([j for _, j in chosen]), persistent=False)
        self.angles = nn.Parameter(SMALL_ANGLE * torch.randn(layers * n))

    def turn(self) -> Tensor:
        """Turn one pair after the other."""
        columns = list(torch.eye(2**self.n_qubits, dtype=self.angles.dtype, device=self.angles.device).unbind(1))
        for angle, i, j in zip(self.angles, self.first.tolist(), self.second.tolist(), strict=True):
            one, other = columns[i], columns[j]
            columns[i], columns[j] = angle.cos() * one + angle.sin() * other, angle.cos() * other - angle.sin() * one
        return torch.stack(columns, 1)
