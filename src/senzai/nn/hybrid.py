"""An encoder with a quantum circuit in it, and the classical layer that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.controls import Control, controlled
from ..core.examples import example
from ..core.spec import part
from .circuits import Circuit, Start
from .inputs import Encoder, Scaling
from .mlp import MLPEncoder


class _Narrow(Encoder):
    """Hidden layers, as many numbers as there are qubits, and what becomes of them."""

    def __init__(
        self,
        event: tuple[int, ...],
        hidden: tuple[int, ...],
        n_qubits: int,
        *,
        masked: bool = False,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_qubits=n_qubits)
        self.before = MLPEncoder(event, hidden, masked=masked, scaling=scaling)
        self.narrow = nn.Linear(self.before.n_features, n_qubits)
        self.n_features = n_qubits

    def angles_of(self, batch: Batch) -> Tensor:
        """Return one angle for each qubit, between minus and plus a quarter turn, ``(B, n)``."""
        angles: Tensor = torch.pi / 2 * torch.tanh(self.narrow(self.before(batch)))
        return angles


def _classical(arguments: Mapping[str, Any]) -> Control:
    n = arguments["n_qubits"]
    units = max(1, round((3 * n * arguments["layers"] - n) / (2 * n + 1)))
    shared = {k: v for k, v in arguments.items() if k not in ("layers", "start", "noise")}
    return "encoder/narrow", {**shared, "n_units": units}


@controlled("encoder/hybrid", _classical)
@example(settings={"encoder": "hybrid", "encoder.n_qubits": 2, "encoder.layers": 1})
@part("encoder", "hybrid")
@final
class HybridEncoder(_Narrow):
    """Hidden layers, then a circuit: one angle for each qubit goes in, the mean of each qubit's Z comes out.

    Reference:
        Transfer learning in hybrid classical-quantum neural networks (Mari et al., 2020).
        https://arxiv.org/abs/1912.08278

    Args:
        event: Shape of one row of data.
        hidden: Widths of the hidden layers before it.
        n_qubits: Number of qubits, which is that of features.
        layers: Layers of the circuit.
        start: ``"small"`` angles, or ``"uniform"`` ones.
        noise: Probability of a depolarising error of each qubit after each layer.
        masked: Whether rows come with a mask.
        scaling: How inputs are scaled.
    """

    signs: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        hidden: tuple[int, ...] = (64,),
        *,
        n_qubits: int = 4,
        layers: int = 2,
        start: Start = "small",
        noise: float = 0.0,
        masked: bool = False,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__(event, hidden, n_qubits, masked=masked, scaling=scaling)
        self.circuit = Circuit(n_qubits, layers, start=start, noise=noise)
        places = torch.arange(n_qubits - 1, -1, -1)
        self.register_buffer("signs", 1.0 - 2 * (torch.arange(2**n_qubits)[:, None] >> places & 1), persistent=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean of Z of each qubit, ``(B, n_qubits)``."""
        probs = self.circuit.probs(self.angles_of(batch))
        return probs.reshape(-1, len(self.signs)) @ self.signs


@example(settings={"encoder": "narrow", "encoder.n_qubits": 2, "encoder.n_units": 2})
@part("encoder", "narrow")
@final
class NarrowEncoder(_Narrow):
    """The classical control of ``hybrid``: a small hidden layer in the place of the circuit.

    Args:
        event: Shape of one row of data.
        hidden: Widths of the hidden layers before it.
        n_qubits: Numbers that go in and come out.
        n_units: Units of the layer between them.
        masked: Whether rows come with a mask.
        scaling: How inputs are scaled.
    """

    def __init__(
        self,
        event: tuple[int, ...],
        hidden: tuple[int, ...] = (64,),
        *,
        n_qubits: int = 4,
        n_units: int = 2,
        masked: bool = False,
        scaling: Scaling | None = None,
    ) -> None:
        at_least(1, n_units=n_units)
        super().__init__(event, hidden, n_qubits, masked=masked, scaling=scaling)
        self.layer = nn.Sequential(nn.Linear(n_qubits, n_units), nn.Tanh(), nn.Linear(n_units, n_qubits))

    def forward(self, batch: Batch) -> Tensor:
        """Return features, ``(B, n_qubits)``."""
        features: Tensor = self.layer(self.angles_of(batch))
        return features
