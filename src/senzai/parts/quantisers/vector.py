"""Quantisers: vectors to whole numbers and back, with a gradient that passes through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.spaces import Space, need_inside
from .codebooks import Codebook, Total, Usage


@dataclass(frozen=True)
class Quantisation:
    """What a quantiser makes of vectors.

    Args:
        values: Quantised vectors, ``(B, N, width)``, through which gradients pass.
        codes: Their numbers, ``(B, N * depth)``, whole; the codes of one vector side by side.
        extras: Weighted terms of the loss, ``(B,)`` each.
    """

    values: Tensor
    codes: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


class Quantiser(nn.Module, ABC):
    """From vectors ``(B, N, width)`` to whole numbers below ``n_codes``, ``depth`` of them for each vector."""

    n_codes: int
    width: int
    depth: int = 1

    @abstractmethod
    def forward(self, vectors: Tensor, *, learn: bool = False) -> Quantisation:
        """Quantise.

        Args:
            vectors: ``(B, N, width)``.
            learn: Whether these are the rows of a training step, from which running quantities follow.
        """

    @abstractmethod
    def embed(self, codes: Tensor) -> Tensor:
        """Return the vectors of codes, ``(*lead, N * depth)`` to ``(*lead, N, width)``."""

    @abstractmethod
    def usages(self) -> Iterable[Usage]:
        """Yield the use of each list of codes, ``depth`` of them."""

    @abstractmethod
    def begin(self, vectors: Tensor) -> None:
        """Start from vectors ``(B, N, width)`` of the data."""

    @abstractmethod
    def settle(self, total: Total) -> None:
        """End a training step, with sums over all processes."""

    def nearest(self, values: Tensor) -> Tensor:
        """Return the codes nearest to points among the quantised vectors, ``(B, N, width)``."""
        found: Tensor = self(values).codes
        return found

    @property
    def mixes_rows(self) -> bool:
        """Whether the loss of a row depends on the others of its batch."""
        return False


@final
@dataclass(frozen=True)
class CodeSpace(Space):
    """The codes of a quantiser, ``(*lead, N * depth)``: near where their vectors are.

    Example:
        >>> from senzai.parts import FSQ
        >>> space = CodeSpace(FSQ((5,)))
        >>> space.between(torch.tensor([[0]]), torch.tensor([[4]]), 0.5), space.steps(3)
        (tensor([[2]]), (0.0, 1.0, 2.0))
    """

    quantiser: Quantiser
    name: ClassVar[str] = "codes"
    words: ClassVar[str] = "a list of codes"

    def between(self, a: Tensor, b: Tensor, weight: float) -> Tensor:
        """Return the nearest codes to the straight line between the vectors."""
        if weight in (0.0, 1.0):
            return b if weight else a
        x, y = self.quantiser.embed(a), self.quantiser.embed(b)
        return self.quantiser.nearest(torch.lerp(x, y, weight))

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """Return the first codes."""
        return tuple(float(k) for k in range(min(n, self.quantiser.n_codes)))

    def check_temperature(self, factor: float) -> None:
        """A temperature is for the prior's logits."""

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Return ``z`` with one place set to other codes.

        Raises:
            SettingError: There is no such code.
        """
        need_inside(value, 0, self.quantiser.n_codes - 1, self.words)
        return super().with_coordinate(z, dim, value)


# --- gradients ------------------------------------------------------------------------------------------------------
def straight_through(x: Tensor, q: Tensor) -> Tensor:
    """Return ``q`` with the gradient of ``x``.

    Reference:
        Estimating or Propagating Gradients Through Stochastic Neurons (Bengio et al., 2013).
        https://arxiv.org/abs/1308.3432
    """
    return x + (q - x).detach()


def rotated(x: Tensor, q: Tensor) -> Tensor:
    r"""Return ``q`` as ``x`` rotated and stretched onto it, with the gradient of that linear map.

    .. math:: q = \frac{\|q\|}{\|x\|} R x, \qquad R = I - 2 r r^\top + 2 \hat q \hat x^\top, \quad
        r = \frac{\hat x + \hat q}{\|\hat x + \hat q\|}

    with :math:`R` and the ratio of lengths held fixed. Where the two point in opposite directions, or one is zero, no
    such rotation is told apart and the gradient is passed straight through.

    Reference:
        Restructuring Vector Quantization with the Rotation Trick (Fifty et al., 2024). https://arxiv.org/abs/2410.06424

    Args:
        x: Vectors, ``(*lead, width)``.
        q: What they were quantised to, same shape.
    """
    e, q = x.detach(), q.detach()
    length, target = e.norm(dim=-1, keepdim=True), q.norm(dim=-1, keepdim=True)
    tiny = torch.finfo(x.dtype).eps
    a, b = e / length.clamp_min(tiny), q / target.clamp_min(tiny)
    half = (a + b).norm(dim=-1, keepdim=True)
    r = (a + b) / half.clamp_min(tiny)
    turned = x - 2 * (x * r).sum(-1, keepdim=True) * r + 2 * (x * a).sum(-1, keepdim=True) * b
    clear = (length > tiny) & (target > tiny) & (half > tiny**0.5)
    moved = torch.where(clear, target / length.clamp_min(tiny) * turned, x)
    return straight_through(moved, q)


GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"straight_through": straight_through, "rotation": rotated}
Gradient = Literal["straight_through", "rotation"]


def commitment_of(x: Tensor, q: Tensor) -> Tensor:
    """Squared distance of each row's vectors to where they were put, ``(B,)``; moves the vectors only."""
    return (x - q.detach()).square().flatten(1).sum(-1)


# --- vector quantisation --------------------------------------------------------------------------------------------
@part("quantiser", "vq")
@final
class VQ(Quantiser):
    r"""Each vector becomes the nearest of ``n_codes`` vectors.

    .. math:: L_\text{commitment}(x) = \beta \sum_n \| x_n - \mathrm{sg}[e_{k(n)}] \|^2

    summed over a row's own vectors: a row's loss knows nothing of the size of its batch. Without ``ema`` the same
    distance, unweighted, pulls the code vectors.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017). https://arxiv.org/abs/1711.00937

    Args:
        code_dim: Width of a vector.
        n_codes: Number of code vectors.
        commitment: Weight of the commitment term.
        gradient: How gradients pass: ``"straight_through"`` or ``"rotation"``.
        ema: Code vectors are running means; else they are learned by gradients.
        decay: Decay of the running means and counts.
        epsilon: Pseudo-count of each code in the running means.
        revive: Least use of a code as a share of the mean one, below which it starts anew; 0 switches that off.

    Example:
        >>> q = VQ(2, n_codes=4)(torch.randn(3, 5, 2))
        >>> q.values.shape, q.codes.shape, q.extras["commitment"].shape
        (torch.Size([3, 5, 2]), torch.Size([3, 5]), torch.Size([3]))
    """

    def __init__(
        self, code_dim: int, *, n_codes: int = 512, commitment: float = 0.25, gradient: Gradient = "straight_through",
        ema: bool = True, decay: float = 0.99, epsilon: float = 1e-5, revive: float = 0.01,
    ) -> None:
        super().__init__()
        self.n_codes, self.width, self.commitment = n_codes, code_dim, need_weight("commitment", commitment)
        self.passing = GRADIENTS[gradient]
        self.book = Codebook(n_codes, code_dim, ema=ema, decay=decay, epsilon=epsilon, revive=revive)

    def forward(self, vectors: Tensor, *, learn: bool = False) -> Quantisation:
        """Put every vector on its nearest code vector."""
        codes = self.book.nearest(vectors)
        q = self.book.look_up(codes)
        if learn:
            self.book.observe(vectors.detach(), codes)
        extras = {"commitment": self.commitment * commitment_of(vectors, q)}
        if not self.book.ema:
            extras["codebook"] = commitment_of(q, vectors)
        return Quantisation(self.passing(vectors, q), codes, extras)

    def embed(self, codes: Tensor) -> Tensor:
        """Return code vectors."""
        return self.book.look_up(codes.long())

    def usages(self) -> Iterable[Usage]:
        """Yield the use of the codebook."""
        yield self.book.usage

    def begin(self, vectors: Tensor) -> None:
        """Start as centres of the data."""
        self.book.begin(vectors)

    def settle(self, total: Total) -> None:
        """Move the codebook."""
        self.book.settle(total)


@part("quantiser", "residual_vq")
@final
class ResidualVQ(Quantiser):
    r"""Several codebooks in turn, each for what those before it left over; a vector is the sum of its codes.

    .. math:: r_1 = x, \quad k_i = \arg\min_k \| r_i - e^i_k \|, \quad r_{i+1} = r_i - e^i_{k_i}, \quad
        q = \sum_i e^i_{k_i}

    The gradient passes once, from the sum to the vector.

    Reference:
        SoundStream: An End-to-End Neural Audio Codec (Zeghidour et al., 2021). https://arxiv.org/abs/2107.03312

    Args:
        code_dim: Width of a vector.
        depth: Number of codebooks.
        n_codes: Number of code vectors of each.
        commitment: Weight of the commitment term of each codebook.
        gradient: As in :class:`VQ`.
        ema: As in :class:`VQ`.
        decay: As in :class:`VQ`.
        epsilon: As in :class:`VQ`.
        revive: As in :class:`VQ`.

    Example:
        >>> ResidualVQ(2, depth=3, n_codes=4)(torch.randn(3, 5, 2)).codes.shape
        torch.Size([3, 15])
    """

    def __init__(
        self, code_dim: int, *, depth: int = 4, n_codes: int = 128, commitment: float = 0.25,
        gradient: Gradient = "straight_through", ema: bool = True, decay: float = 0.99, epsilon: float = 1e-5,
        revive: float = 0.01,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise SettingError(f"`depth >= 1` must hold, but got depth={depth!r}. One is plain vector quantisation.")
        self.n_codes, self.width, self.depth = n_codes, code_dim, depth
        self.commitment, self.passing = need_weight("commitment", commitment), GRADIENTS[gradient]
        self.books = nn.ModuleList(
            Codebook(n_codes, code_dim, ema=ema, decay=decay, epsilon=epsilon, revive=revive) for _ in range(depth)
        )

    def forward(self, vectors: Tensor, *, learn: bool = False) -> Quantisation:
        """Put every vector on a sum of code vectors."""
        rest, total, codes = vectors, torch.zeros_like(vectors), []
        loss = {"commitment": vectors.new_zeros(len(vectors))}
        for book in self.books:
            assert isinstance(book, Codebook)  # a list of modules does not know of what
            k = book.nearest(rest)
            q = book.look_up(k)
            if learn:
                book.observe(rest.detach(), k)
            loss["commitment"] = loss["commitment"] + self.commitment * commitment_of(rest, q)
            if not book.ema:
                loss["codebook"] = loss.get("codebook", 0.0) + commitment_of(q, rest)
            rest, total = rest - q.detach(), total + q
            codes.append(k)
        return Quantisation(self.passing(vectors, total), torch.stack(codes, -1).flatten(1), loss)

    def embed(self, codes: Tensor) -> Tensor:
        """Return sums of code vectors."""
        apart = codes.long().unflatten(-1, (-1, self.depth))
        found = [b.look_up(apart[..., i]) for i, b in enumerate(self.books) if isinstance(b, Codebook)]
        return torch.stack(found).sum(0)

    def usages(self) -> Iterable[Usage]:
        """Yield the use of each codebook."""
        for book in self.books:
            assert isinstance(book, Codebook)
            yield book.usage

    def begin(self, vectors: Tensor) -> None:
        """Start each codebook as centres of what is left."""
        rest = vectors
        for book in self.books:
            assert isinstance(book, Codebook)
            book.begin(rest)
            rest = rest - book.look_up(book.nearest(rest)).detach()

    def settle(self, total: Total) -> None:
        """Move the codebooks."""
        for book in self.books:
            assert isinstance(book, Codebook)
            book.settle(total)


def need_weight(name: str, value: float) -> float:
    """Return a weight that is not negative."""
    if not value >= 0:
        raise SettingError(f"`{name} >= 0` must hold, but got {name}={value!r}. Use 0 to switch it off.")
    return value
