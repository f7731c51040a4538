"""A prior that is a quantum circuit: the probabilities of what is measured at its end."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from ...core.controls import controlled
from ...core.examples import example
from ...core.spec import part
from ...nn.circuits import Circuit, Start
from .bits import BitPrior, matched_rbm


@controlled("prior/born", lambda a: matched_rbm(a, 3 * a["n_latent"] * a["layers"]))
@example(settings={"prior": "born", "posterior": "bit_codes", "n_latent": 2, "prior.layers": 2})
@part("prior", "born")
@final
class BornPrior(BitPrior):
    r"""The Born machine: :math:`p(z) = |\langle z | U(\theta) | {+} \cdots {+} \rangle|^2`, exact up to 14 qubits.

    The rate to it is exact, a sum over all vectors of bits. With ``shots`` probabilities are estimates from so many
    measurements, half a count added to each outcome, so that what was never seen is not impossible.

    Reference:
        Differentiable Learning of Quantum Circuit Born Machine (Liu and Wang, 2018). https://arxiv.org/abs/1804.04168

    Args:
        n_latent: Number of qubits, 14 at most.
        layers: Layers of the circuit; none gives the uniform prior.
        start: ``"small"`` angles, or ``"uniform"`` ones.
        shots: Measurements for each estimate; ``None`` for exact probabilities.
        noise: Probability of a depolarising error of each qubit after each layer.
        device: Name of PennyLane's device.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        layers: int = 3,
        start: Start = "small",
        shots: int | None = None,
        noise: float = 0.0,
        device: str | None = None,
    ) -> None:
        super().__init__(n_latent)
        self.circuit = Circuit(n_latent, layers, start=start, shots=shots, noise=noise, device=device)
        self._kept: tuple[int, Tensor] | None = None

    def log_weights(self) -> Tensor:
        """Return log probabilities; without gradient they are measured once for given angles."""
        angles = self.circuit.angles
        if torch.is_grad_enabled() and self.training:
            self._kept = None
            return self._measured()
        with torch.no_grad():
            if self._kept is None or self._kept[0] != angles._version or self._kept[1].device != angles.device:
                self._kept = (angles._version, self._measured())
            return self._kept[1]

    def _measured(self) -> Tensor:
        probs, shots = self.circuit.probs(), self.circuit.shots
        if shots is not None:
            probs = (probs * shots + 0.5) / (shots + 0.5 * len(probs))
        return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
