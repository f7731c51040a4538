"""Priors over vectors of few bits whose probabilities are all known: a table, a network, Boltzmann machines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.arguments import at_least
from ...core.controls import Control, controlled
from ...core.examples import example
from ...core.spec import part
from ...distributions.bit_table import BitTable, all_bits, check_bits
from ...distributions.codes import Bits
from ...distributions.spaces import Space
from ...nn.masked import MaskedLinear, degrees
from ..base import Prior, check_width

MOST_DIAGONALISED = 10


class BitPrior(Prior):
    """A prior over bits that gives the log weight of every vector: the rate to it is exact.

    Args:
        n_latent: Number of bits, 14 at most.
    """

    lives_on = "bits"
    exact = True
    every: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.n_latent = check_bits(check_width(n_latent), what=f"The prior {type(self).__name__}")
        self.register_buffer("every", all_bits(n_latent, torch.zeros(())), persistent=False)

    @property
    def space(self) -> Space:
        """Bits."""
        return Bits()

    @abstractmethod
    def log_weights(self) -> Tensor:
        """Return the log weight of every vector, ``(2^n,)``, up to a constant."""

    def forward(self, c: Tensor | None = None) -> BitTable:
        """Return p(z)."""
        return BitTable(self.log_weights())


@example(settings={"prior": "bit_table", "posterior": "bit_codes", "n_latent": 3})
@part("prior", "bit_table")
@final
class BitTablePrior(BitPrior):
    """A probability for each vector of bits: the most that any prior over them can say, with 2^n - 1 numbers.

    Args:
        n_latent: Number of bits.
    """

    def __init__(self, n_latent: int) -> None:
        super().__init__(n_latent)
        self.logits = nn.Parameter(torch.zeros(2**n_latent))

    def log_weights(self) -> Tensor:
        """Return the table."""
        return self.logits


@example(settings={"prior": "bit_made", "posterior": "bit_codes", "n_latent": 3, "prior.n_hidden": 4})
@part("prior", "bit_made")
@final
class BitMADEPrior(BitPrior):
    r"""One bit given those before it, by one masked network: :math:`p(z) = \prod_i p(z_i \mid z_{<i})`.

    Reference:
        MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015). https://arxiv.org/abs/1502.03509

    Args:
        n_latent: Number of bits.
        n_hidden: Units of the hidden layer.
    """

    def __init__(self, n_latent: int, *, n_hidden: int = 16) -> None:
        super().__init__(n_latent)
        at_least(1, n_hidden=n_hidden)
        inputs, inner = torch.arange(n_latent), degrees(n_hidden, n_latent)
        self.inner = MaskedLinear(n_latent, n_hidden, inner.unsqueeze(1) >= inputs)
        self.out = MaskedLinear(n_hidden, n_latent, inputs.unsqueeze(1) > inner)

    def log_weights(self) -> Tensor:
        """Return log probabilities, added up along the chain."""
        raw = self.out(torch.tanh(self.inner(2 * self.every - 1)))
        found: Tensor = (self.every * raw + F.logsigmoid(-raw)).sum(-1)
        return found


@example(settings={"prior": "rbm", "posterior": "bit_codes", "n_latent": 3, "prior.n_hidden": 4})
@part("prior", "rbm")
@final
class RBMPrior(BitPrior):
    r"""A restricted Boltzmann machine, its partition function summed over all vectors of bits.

    .. math:: p(v) \propto \exp\Bigl(b^\top v + \sum_j \log(1 + e^{c_j + w_j^\top v})\Bigr)

    Reference:
        Discrete Variational Autoencoders (Rolfe, 2017). https://arxiv.org/abs/1609.02200

    Args:
        n_latent: Number of bits.
        n_hidden: Hidden units.
    """

    def __init__(self, n_latent: int, *, n_hidden: int = 8) -> None:
        super().__init__(n_latent)
        at_least(1, n_hidden=n_hidden)
        self.visible = nn.Parameter(torch.zeros(n_latent))
        self.hidden = nn.Parameter(torch.zeros(n_hidden))
        self.weight = nn.Parameter(0.1 * torch.randn(n_hidden, n_latent))

    def log_weights(self) -> Tensor:
        """Return minus the free energies."""
        return self.every @ self.visible + F.softplus(self.every @ self.weight.T + self.hidden).sum(-1)


def matched_rbm(arguments: Mapping[str, Any], n_parameters: int) -> Control:
    """Return the restricted Boltzmann machine over as many bits with about as many parameters."""
    n = arguments["n_latent"]
    return "prior/rbm", {"n_latent": n, "n_hidden": max(1, round((n_parameters - n) / (n + 1)))}


def _control_of_thermal(arguments: Mapping[str, Any]) -> Control | None:
    n = arguments["n_latent"]
    return matched_rbm(arguments, 2 * n + n * (n - 1) // 2) if arguments["transverse"] else None


@controlled("prior/quantum_boltzmann", _control_of_thermal)
@example(settings={"prior": "quantum_boltzmann", "posterior": "bit_codes", "n_latent": 3})
@part("prior", "quantum_boltzmann")
@final
class QuantumBoltzmannPrior(BitPrior):
    r"""A Boltzmann machine in a transverse field: outcomes of measuring the thermal state of a few qubits.

    .. math:: p(v) = \langle v | e^{-H} | v \rangle / \mathrm{tr}\, e^{-H},
        \quad H = -\sum_i b_i Z_i - \sum_{i < j} w_{ij} Z_i Z_j - \sum_i \Gamma_i X_i

    The exponential of the whole matrix is taken, so that ten qubits are the most. Without a field it is a classical
    Boltzmann machine with all pairs connected.

    Reference:
        Quantum Boltzmann Machine (Amin et al., 2018). https://arxiv.org/abs/1601.02036

    Args:
        n_latent: Number of qubits, all measured; 10 at most.
        transverse: Whether there is a field across; without it the machine is classical.
        field: The field at the start.
    """

    signs: Tensor
    pairs: Tensor

    def __init__(self, n_latent: int, *, transverse: bool = True, field: float = 0.5) -> None:
        super().__init__(n_latent)
        if transverse:
            check_bits(n_latent, MOST_DIAGONALISED, what="A quantum Boltzmann machine")
        self.transverse = transverse
        signs = 1 - 2 * self.every
        first, second = torch.triu_indices(n_latent, n_latent, 1)
        self.register_buffer("signs", signs, persistent=False)
        self.register_buffer("pairs", signs[:, first] * signs[:, second], persistent=False)
        self.bias = nn.Parameter(torch.zeros(n_latent))
        self.couplings = nn.Parameter(0.1 * torch.randn(len(first)))
        self.fields = nn.Parameter(torch.full((n_latent,), field), requires_grad=transverse)

    def log_weights(self) -> Tensor:
        """Return the logs of the diagonal of exp(-H)."""
        diagonal = self.signs @ self.bias + self.pairs @ self.couplings
        if not self.transverse:
            return diagonal
        raised = torch.diag(diagonal.double()) + self._across()
        level = torch.linalg.matrix_norm(raised.detach(), ord=1)  # no eigenvalue is above it: nothing overflows
        whole = torch.linalg.matrix_exp(
            raised - level * torch.eye(len(raised), dtype=raised.dtype, device=raised.device)
        )
        found: Tensor = whole.diagonal().clamp_min(torch.finfo(whole.dtype).tiny).log()
        return found.to(diagonal.dtype)

    def _across(self) -> Tensor:
        """Return the part of -H that flips one qubit, ``(2^n, 2^n)``."""
        places = torch.arange(len(self.every), device=self.every.device)
        out = torch.zeros(len(places), len(places), dtype=torch.float64, device=places.device)
        for i, field in enumerate(self.fields.double()):
            flipped = places ^ (1 << (self.n_latent - 1 - i))
            out = out.index_put((places, flipped), field.expand(len(places)), accumulate=True)
        return out
