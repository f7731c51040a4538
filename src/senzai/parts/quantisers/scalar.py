"""Quantisers without a codebook: every number is rounded to a few levels (FSQ), or to its sign (LFQ)."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.spec import part
from .codebooks import Total, Usage
from .vector import Quantisation, Quantiser, commitment_of, need_weight, straight_through


class OnGrid(Quantiser):
    """A quantiser whose codes are the points of a fixed grid; only their use is remembered."""

    usage: Usage

    def usages(self) -> Iterable[Usage]:
        """Yield the use of the grid."""
        yield self.usage

    def begin(self, vectors: Tensor) -> None:
        """Count how often each point is used."""
        self.usage.begin(self(vectors).codes)

    def settle(self, total: Total) -> None:
        """Let the counts follow."""
        self.usage.settle(total)


@part("quantiser", "fsq")
@final
class FSQ(OnGrid):
    r"""Finite scalar quantisation: each of a few numbers is bounded and rounded to one of its levels.

    .. math:: f(x) = \frac{(L - 1)(1 + \epsilon)}{2} \tanh(x + s) - o, \quad
        q = \frac{\mathrm{round}(f(x))}{\lfloor L / 2 \rfloor}

    with :math:`o = 1/2` for an even number of levels and 0 for an odd one, and :math:`s` such that 0 stays 0. There is
    no codebook to learn or to collapse and no further loss; the product of the levels is the number of codes.

    Reference:
        Finite Scalar Quantization: VQ-VAE Made Simple (Mentzer et al., 2023). https://arxiv.org/abs/2309.15505

    Args:
        levels: Number of levels of each number, two at least.
        decay: Decay of the running counts of use.

    Example:
        >>> fsq = FSQ((3, 5))
        >>> fsq.n_codes, fsq.embed(torch.tensor([0, 14])).tolist()
        (15, [[-1.0, -1.0], [1.0, 1.0]])
    """

    sizes: Tensor
    basis: Tensor

    def __init__(self, levels: tuple[int, ...] = (8, 5, 5, 5), *, decay: float = 0.99) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise SettingError(f"Every number needs at least two levels, but got levels={levels!r}. For example 8,5,5.")
        self.width, self.n_codes = len(levels), prod(levels)
        self.register_buffer("sizes", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor([prod(levels[:i]) for i in range(len(levels))]), persistent=False)
        self.usage = Usage(self.n_codes, decay=decay)

    def bound(self, x: Tensor) -> Tensor:
        """Return numbers that round to the levels, ``-floor(L / 2) …``; smooth, and 0 at 0."""
        half = (self.sizes - 1).to(x.dtype) * (1 + 1e-3) / 2
        offset = 0.5 * (self.sizes % 2 == 0).to(x.dtype)
        return torch.tanh(x + torch.atanh(offset / half)) * half - offset

    def forward(self, vectors: Tensor, *, learn: bool = False) -> Quantisation:
        """Round every number to its level."""
        bounded = self.bound(vectors)
        whole = bounded.detach().round()
        codes = ((whole.long() + self.sizes // 2) * self.basis).sum(-1)
        if learn:
            self.usage.observe(codes)
        return Quantisation(straight_through(bounded, whole) / (self.sizes // 2), codes)

    def nearest(self, values: Tensor) -> Tensor:
        """Return the nearest points of the grid to points that are bounded already."""
        half = self.sizes // 2
        digits = (values * half + half).round().long().clamp_min(0)
        return (torch.minimum(digits, self.sizes - 1) * self.basis).sum(-1)

    def embed(self, codes: Tensor) -> Tensor:
        """Return the points of the grid."""
        digits = codes.long().unsqueeze(-1) // self.basis % self.sizes
        half = self.sizes // 2
        return (digits - half).to(self.usage.counts.dtype) / half


@part("quantiser", "lfq")
@final
class LFQ(OnGrid):
    r"""Lookup-free quantisation: each of a few numbers becomes its sign, so that a code is a word of bits.

    .. math:: L(x) = \beta \| x - q \|^2 + w \sum_{n, j} h(p_{nj}) - w\, d \, N \sum_j h(\bar p_j), \quad
        p_{nj} = \sigma(4 x_{nj} / \tau)

    with the entropy :math:`h` of a bit: every bit is sure of itself (first sum), and over the rows of a batch each
    bit is used both ways (second). The latter *mixes rows*; ``diversity=0`` leaves it out. It is taken bit by bit,
    which is an upper bound of the entropy of whole codes and needs no list of them.

    Reference:
        Language Model Beats Diffusion: Tokenizer is Key to Visual Generation (Yu et al., 2023).
        https://arxiv.org/abs/2310.05737
        Image and Video Tokenization with Binary Spherical Quantization (Zhao et al., 2024), for the bitwise entropy.
        https://arxiv.org/abs/2406.07548

    Args:
        n_bits: Number of bits of a code.
        commitment: Weight of the commitment term.
        entropy: Weight of both entropies, w.
        diversity: Weight of the entropy over the batch relative to the other, d.
        temperature: Temperature of the probabilities.
        decay: Decay of the running counts of use.

    Example:
        >>> lfq = LFQ(3)
        >>> lfq.n_codes, lfq.embed(torch.tensor([5])).tolist()
        (8, [[1.0, -1.0, 1.0]])
    """

    basis: Tensor

    def __init__(
        self, n_bits: int = 8, *, commitment: float = 0.25, entropy: float = 0.1, diversity: float = 1.0,
        temperature: float = 1.0, decay: float = 0.99,
    ) -> None:
        super().__init__()
        if not 1 <= n_bits <= 20 or not temperature > 0:
            raise SettingError(
                "`1 <= n_bits <= 20` and `temperature > 0` must hold, but got "
                f"n_bits={n_bits!r}, temperature={temperature!r}. A code is one of 2 ** n_bits."
            )
        self.width, self.n_codes, self.temperature = n_bits, 2**n_bits, temperature
        self.commitment, self.entropy = need_weight("commitment", commitment), need_weight("entropy", entropy)
        self.diversity = need_weight("diversity", diversity)
        self.register_buffer("basis", 2 ** torch.arange(n_bits), persistent=False)
        self.usage = Usage(self.n_codes, decay=decay)

    def forward(self, vectors: Tensor, *, learn: bool = False) -> Quantisation:
        """Take the sign of every number; zero counts as negative."""
        bits = vectors.detach() > 0
        codes = (bits * self.basis).sum(-1)
        if learn:
            self.usage.observe(codes)
        q = torch.where(bits, 1.0, -1.0).to(vectors.dtype)
        extras = {"commitment": self.commitment * commitment_of(vectors, q)}
        if self.entropy:
            extras["entropy"] = self.entropy * self.entropies(4 * vectors / self.temperature)
        return Quantisation(straight_through(vectors, q), codes, extras)

    def entropies(self, logits: Tensor) -> Tensor:
        """Entropy of the bits of each row, less that of the bits of the batch, ``(B,)``."""
        sure = bit_entropy(logits).flatten(1).sum(-1)
        if not self.diversity:
            return sure
        p = torch.sigmoid(logits).mean((0, 1))
        both_ways = bit_entropy(torch.logit(p, eps=1e-6)).sum()
        return sure - self.diversity * logits.shape[1] * both_ways

    def embed(self, codes: Tensor) -> Tensor:
        """Return words of ones and minus ones."""
        bits = codes.long().unsqueeze(-1) // self.basis % 2
        return (2 * bits - 1).to(self.usage.counts.dtype)

    @property
    def mixes_rows(self) -> bool:
        """Whether the entropy over the batch counts."""
        return self.entropy > 0 and self.diversity > 0


def bit_entropy(logits: Tensor) -> Tensor:
    """Entropy of a bit with these log odds, in nats.

    Example:
        >>> bit_entropy(torch.tensor([0.0, 50.0]))
        tensor([0.6931, 0.0000])
    """
    return F.softplus(logits) - logits * torch.sigmoid(logits)
