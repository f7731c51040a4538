"""Parametrised quantum circuits through PennyLane: simulated exactly, by shots, with noise, or on a named device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from ..core.arguments import at_least
from ..core.errors import SettingError
from ..core.extras import need
from .costs import Costly

Start: TypeAlias = Literal["small", "uniform"]
MOST_QUBITS, MOST_NOISY = 14, 7
SMALL_ANGLE = 0.1


def pennylane() -> Any:
    """Return PennyLane, or say which extra installs it."""
    return need("pennylane", extra="quantum", to="simulate a quantum circuit")


def check_qubits(n: int, noise: float = 0.0) -> int:
    """Return a number of qubits whose state fits.

    Raises:
        SettingError: It does not.

    Example:
        >>> check_qubits(30)
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: A circuit needs at most 14 qubits, because all 2^n amplitudes are kept, but \
got 30 qubits: 1,073,741,824 amplitudes for each state, 17.2 GB. Take fewer qubits, or a classical part.
    """
    at_least(1, n_qubits=n)
    if not 0 <= noise <= 1:
        raise SettingError(f"`noise` is the probability of an error in a gate, 0 to 1, but got {noise!r}.")
    if n > MOST_QUBITS:
        raise SettingError(
            f"A circuit needs at most {MOST_QUBITS} qubits, because all 2^n amplitudes are kept, but got {n} qubits: "
            f"{2**n:,} amplitudes for each state, {2**n * 16 / 1e9:.1f} GB. Take fewer qubits, or a classical part."
        )
    if noise and n > MOST_NOISY:
        raise SettingError(
            f"A circuit with noise needs at most {MOST_NOISY} qubits, because its state is a matrix of 4^n numbers, "
            f"but got {n} qubits. Take fewer, or noise=0."
        )
    return n


@final
class Circuit(nn.Module, Costly):
    r"""Layers of rotations and rings of controlled gates on qubits that all stand at one half.

    Every qubit starts at :math:`H|0\rangle`, so that without layers every outcome is alike. A layer turns each qubit by
    three angles and then flips each by another one, at a distance that changes from layer to layer
    (``StronglyEntanglingLayers``). With ``noise`` every qubit is depolarised after each layer: with that probability
    one of the three Pauli errors happens.

    Reference:
        Circuit-centric quantum classifiers (Schuld et al., 2018). https://arxiv.org/abs/1804.00633
        Training deep quantum neural networks (barren plateaus: McClean et al., 2018). https://arxiv.org/abs/1803.11173

    Args:
        n_qubits: Number of qubits, 1 to 14; with noise to 7.
        layers: Number of layers.
        start: ``"small"`` angles of spread 0.1, with which gradients do not vanish, or ``"uniform"`` ones on the
            circle.
        shots: Measurements for each estimate; ``None`` for exact probabilities. With shots the gradient is that of
            the parameter-shift rule: two circuits for each angle.
        noise: Probability of an error of each qubit after each layer.
        device: Name of PennyLane's device; by default ``default.qubit``, with noise ``default.mixed``.
        seed: Of the simulated shots.
    """

    def __init__(
        self,
        n_qubits: int,
        layers: int = 3,
        *,
        start: Start = "small",
        shots: int | None = None,
        noise: float = 0.0,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        at_least(0, layers=layers)
        self.n_qubits, self.layers, self.shots, self.noise = check_qubits(n_qubits, noise), layers, shots, noise
        if shots is not None:
            at_least(1, shots=shots)
        self.device_name = device or ("default.mixed" if noise else "default.qubit")
        self.seed, self.start = seed, start
        self.angles = nn.Parameter(fresh_angles((layers, n_qubits, 3), start))
        self.used = {"circuits": 0}
        self._node = self._made()

    def _made(self) -> Any:
        """Return the circuit as a function of angles; the device is made once, here."""
        qml = pennylane()
        wires = range(self.n_qubits)
        simulated = self.device_name.startswith("default.")
        own = {"seed": self.seed} if simulated else {}
        device = _device(qml, self.device_name, self.n_qubits, **own)
        self._by_shifts = not simulated or self.shots is not None
        by = "parameter-shift" if self._by_shifts else "backprop"

        def circuit(angles: Tensor, inputs: Tensor | None = None) -> Any:
            for wire in wires:
                qml.Hadamard(wire)
            for wire in () if inputs is None else wires:
                assert inputs is not None
                qml.RY(inputs[..., wire], wires=wire)
            for layer in range(self.layers):
                entangling_layer(qml, angles[layer], layer)
                for wire in wires if self.noise else ():
                    qml.DepolarizingChannel(self.noise, wires=wire)
            return qml.probs(wires=wires)

        return qml.QNode(circuit, device, interface="torch", diff_method=by, shots=self.shots)

    @property
    def gates(self) -> int:
        """Gates of one circuit: Hadamards, rotations and controlled flips."""
        ring = self.n_qubits if self.n_qubits > 1 else 0
        return self.n_qubits + self.layers * (self.n_qubits + ring)

    def gradient_power(self, draws: int = 12, *, seed: int = 0) -> float | None:
        """Return the mean square of the derivatives of a local cost by the angles, over fresh starts of this circuit.

        The cost is the probability that the first qubit is found at one. Where the number shrinks exponentially with
        the qubits, training stands on a barren plateau: its inverse is about how many shots one derivative takes to be
        told from zero. ``None`` where derivatives are made of shots, or there are no angles.
        """
        if self._by_shifts or not self.layers:
            return None
        generator = torch.Generator().manual_seed(seed)
        found = []
        for _ in range(draws):
            angles = fresh_angles(tuple(self.angles.shape), self.start, generator).to(self.angles).requires_grad_()
            with torch.enable_grad():
                cost = self._node(angles)[2 ** (self.n_qubits - 1) :].sum()
                (slope,) = torch.autograd.grad(cost, angles)
            found.append(float(slope.square().mean()))
        return sum(found) / draws

    def cost(self) -> Mapping[str, int | None]:
        """Return qubits, gates and shots of one circuit, and how many circuits were asked for."""
        return {"qubits": self.n_qubits, "gates": self.gates, "shots": self.shots, **self.used}

    def probs(self, inputs: Tensor | None = None) -> Tensor:
        """Return the probability of every outcome, ``(2^n,)``; with shots its estimate.

        Args:
            inputs: One more angle about Y for each qubit before the first layer, ``(B, n)``: then ``(B, 2^n)``.
        """
        differs = self._by_shifts and torch.is_grad_enabled() and self.angles.requires_grad
        self.used["circuits"] += 1 + (2 * self.angles.numel() if differs else 0)
        found: Tensor = self._node(self.angles) if inputs is None else self._node(self.angles, inputs)
        return found.to(self.angles.dtype)


def _device(qml: Any, name: str, n: int, **own: Any) -> Any:
    """Return a device of PennyLane or of one of its plug-ins.

    Raises:
        SettingError: There is none of that name, or it wants more than a name.
    """
    try:
        return qml.device(name, wires=n, **own)
    except (qml.exceptions.DeviceError, qml.exceptions.QuantumFunctionError, TypeError, ValueError) as err:
        raise SettingError(
            f"`device` is the name of a device of PennyLane or of an installed plug-in of it, but got {name!r}: {err} "
            "Leave it out to simulate."
        ) from err


def entangling_layer(qml: Any, angles: Tensor, layer: int) -> None:
    """Turn every qubit by its three angles, ``(n, 3)``, then flip each if another is one, some places before it."""
    n = len(angles)
    for wire in range(n):
        qml.Rot(*angles[wire].unbind(-1), wires=wire)
    apart = 1 + layer % max(1, n - 1)
    for wire in range(n if n > 1 else 0):
        qml.CNOT(wires=(wire, (wire + apart) % n))


def fresh_angles(shape: tuple[int, ...], start: str, generator: torch.Generator | None = None) -> Tensor:
    """Return angles to start from.

    Raises:
        SettingError: The word is none of the two.
    """
    if start not in ("small", "uniform"):
        raise SettingError(f"`start` is small or uniform, but got {start!r}. Small angles keep gradients alive.")
    if start == "small":
        return SMALL_ANGLE * torch.randn(shape, generator=generator)
    return 2 * torch.pi * torch.rand(shape, generator=generator)
