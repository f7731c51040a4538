"""Codes instead of a latent distribution: coder × quantisers × likelihood × a prior over codes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.random import current_noise
from ..core.spec import part
from ..distributions.ops import draw
from ..distributions.spaces import Space
from ..distributions.within import within
from ..parts.base import AnyLikelihood
from ..parts.priors.codes import CodePrior
from ..parts.quantisers.codebooks import Total
from ..parts.quantisers.coders import Coder
from ..parts.quantisers.vector import CodeSpace, Quantisation, Quantiser
from .base import Books, Group, Inference, LatentModel, Latents

INITIAL_ROWS = 512


@part("model", "quantised")
@final
class Quantised(LatentModel):
    r"""A row becomes whole numbers :math:`k(x)`, the numbers become vectors, the vectors a distribution over rows.

    .. math:: \log p(x) \ge \log p(x | k(x)) + \log p(k(x))

    The posterior is a point, so that log q = 0: the right-hand side is a bound because :math:`p(x)` sums over all
    codes and this is one of them. It cannot be tightened by more draws. The prior over codes learns beside the rest,
    from codes that it cannot change.

    Latents are the codes themselves, one group for each level of places: ``codes``, or ``codes_0`` (the coarsest),
    ``codes_1`` … They are ``(K, B, places * depth)`` whole numbers, the K draws all alike.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017). https://arxiv.org/abs/1711.00937

    Args:
        coder: From rows to vectors.
        quantisers: From vectors to codes, one for each level of the coder.
        likelihood: From all vectors of a row, flat, to p(x | k).
        prior: p(k), over the codes of all levels, the coarsest first.

    Raises:
        CombinationError: The parts do not fit one another.

    Example:
        >>> from senzai.distributions import BernoulliFamily
        >>> from senzai.nn import MLPDecoder, MLPEncoder
        >>> from senzai.parts import Likelihood, SetCoder, UniformCodes, VQ
        >>> model = Quantised(
        ...     SetCoder(MLPEncoder((5,), (8,)), 2, n_places=3), (VQ(2, n_codes=4),),
        ...     Likelihood(MLPDecoder(6, (1, 5), (8,)), BernoulliFamily(), (5,)), UniformCodes(4, 3),
        ... )
        >>> seen = model.infer(Batch(torch.ones(7, 5)))
        >>> seen.groups[0].z.shape, seen.groups[0].rate()[0, 0]  # three codes of two bits
        (torch.Size([1, 7, 3]), tensor(4.1589))
    """

    def __init__(
        self, coder: Coder, quantisers: tuple[Quantiser, ...], likelihood: AnyLikelihood, prior: CodePrior
    ) -> None:
        super().__init__()
        _check(coder, tuple(quantisers), prior)
        self.coder, self.quantisers, self.likelihood, self.prior = coder, nn.ModuleList(quantisers), likelihood, prior
        self.lengths = [n * q.depth for n, q in zip(coder.places, quantisers, strict=True)]
        self.names = ["codes"] if len(self.lengths) == 1 else [f"codes_{i}" for i in range(len(self.lengths))]

    def _levels(self) -> list[Quantiser]:
        return [q for q in self.quantisers if isinstance(q, Quantiser)]

    # --- from rows to codes -----------------------------------------------------------------------------------------
    def quantise(self, batch: Batch, *, learn: bool = False) -> tuple[Tensor, list[Quantisation]]:
        """Return the flat vectors of each row, ``(B, size)``, and what each level was quantised to."""
        found: list[Quantisation] = []
        levels = self._levels()

        def put(level: int, vectors: Tensor) -> Tensor:
            found.append(levels[level](vectors, learn=learn))
            return found[-1].values

        values = self.coder(batch, put)
        return torch.cat([v.flatten(1) for v in values], 1), found

    @torch.no_grad()
    def codes(self, batch: Batch) -> Tensor:
        """Return the codes of each row, all levels side by side, ``(B, length)``; nothing learns from it."""
        return torch.cat([q.codes for q in self.quantise(batch)[1]], 1)

    def points(self, batch: Batch) -> Latents:
        """Return the codes of each level; nothing is decoded for them."""
        return tuple(q.codes for q in self.quantise(batch)[1])

    def embed(self, codes: Latents) -> Tensor:
        """Return the flat vectors of codes, ``(*lead, size)``."""
        found = [q.embed(k).flatten(-2) for q, k in zip(self._levels(), codes, strict=True)]
        return torch.cat(found, -1)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Encode, quantise, decode and score; see :meth:`LatentModel.infer`."""
        extras: dict[str, Tensor] = {}
        if z is None:
            learn = self.training and torch.is_grad_enabled()
            flat, found = self.quantise(batch if seen is None else seen, learn=learn)
            extras = _sums(found)
            vectors = flat.expand(n_samples, *flat.shape)
            once: Latents = tuple(q.codes.unsqueeze(0) for q in found)
        else:
            vectors, once = self.embed(z), z
        p = within(self.likelihood(vectors, batch.c), batch)
        self.likelihood.observe(p, batch.x)
        terms = self.prior(batch.c).terms(torch.cat(once, -1)).split(self.lengths, -1)
        groups = tuple(
            Group(name, k.expand(len(vectors), *k.shape[1:]), None, None,
                  log_p=t.sum(-1).expand(len(vectors), -1), log_q=t.new_zeros(vectors.shape[:2]))
            for name, k, t in zip(self.names, once, terms, strict=True)
        )
        return Inference(groups, p, batch.x, extras=extras)

    # --- from codes to rows -----------------------------------------------------------------------------------------
    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) for codes.

        Raises:
            SettingError: A code is no whole number from 0 to ``n_codes - 1``.
        """
        n = self._levels()[0].n_codes
        traced = torch.compiler.is_compiling()  # what is traced looks at no numbers
        if not traced and any(bool(((k < 0) | (k >= n) | (k != k.long())).any()) for k in z):
            raise SettingError(f"Codes are whole numbers from 0 to {n - 1}, but got others. Give such numbers.")
        p: Distribution = self.likelihood(self.embed(z), c)
        return p

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw codes, ``(n, places * depth)`` per level, with the prior's logits divided by the temperature."""
        p = self.prior(c, temperature=current_noise().spread)
        codes = draw(p, () if p.batch_shape else (n,), grad=False).long()
        return tuple(codes.split(self.lengths, -1))

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Lists of codes, which know what lies between two of them."""
        return tuple(CodeSpace(q) for q in self._levels())

    # --- what is learned --------------------------------------------------------------------------------------------
    def initialise(self, batch: Batch) -> None:
        """Let networks see the data, then start each quantiser from the vectors of some rows."""
        super().initialise(batch)
        rows = torch.linspace(0, len(batch) - 1, min(len(batch), INITIAL_ROWS)).long()
        some, levels = batch.take(rows.unique()), self._levels()

        def put(level: int, vectors: Tensor) -> Tensor:
            levels[level].begin(vectors)
            values: Tensor = levels[level](vectors).values
            return values

        with torch.no_grad():
            self.coder(some, put)

    def after_step(self, total: Total) -> None:
        """Move the codebooks by what the rows of the step were."""
        for quantiser in self._levels():
            quantiser.settle(total)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of coder and quantisers."""
        return [*self.coder.parameters(), *self.quantisers.parameters()]

    # --- what is said about it --------------------------------------------------------------------------------------
    @property
    def deterministic(self) -> bool:
        """A row has one code: draws are all alike."""
        return True

    @property
    def mixes_rows(self) -> bool:
        """Whether the likelihood or a quantiser takes something from the whole batch."""
        return self.likelihood.mixes_rows or any(q.mixes_rows for q in self._levels())

    def books(self, z: Latents) -> Books:
        """Return the codes of each list of codes, and how long it is."""
        found: Books = {}
        for name, k, q in zip(self.names, z, self._levels(), strict=True):
            for i, column in enumerate(k.unflatten(-1, (-1, q.depth)).unbind(-1)):
                found[name if q.depth == 1 else f"{name}.{i}"] = (column, q.n_codes)
        return found

    def watch(self) -> dict[str, Tensor]:
        """Return the perplexity of the running counts and the share of codes in use, means over lists of codes."""
        usages = [u for q in self._levels() for u in q.usages()]
        return {
            "perplexity": torch.stack([u.perplexity for u in usages]).mean(),
            "codes_used": torch.stack([u.used for u in usages]).mean(),
        }


def _sums(found: list[Quantisation]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for q in found for name in q.extras)
    return {name: torch.stack([q.extras[name] for q in found if name in q.extras]).sum(0) for name in names}


def _check(coder: Coder, quantisers: tuple[Quantiser, ...], prior: CodePrior) -> None:
    if len(quantisers) != len(coder.places) or any(q.width != coder.code_dim for q in quantisers):
        raise CombinationError(
            f"A coder of {len(coder.places)} levels of vectors of width {coder.code_dim} needs as many quantisers of "
            f"that width, but got widths {[q.width for q in quantisers]}. Build one for each level."
        )
    length = sum(n * q.depth for n, q in zip(coder.places, quantisers, strict=True))
    if prior.n_entries != length or any(q.n_codes != prior.n_values for q in quantisers):
        raise CombinationError(
            f"The prior must be over {length} codes with the values of every quantiser "
            f"({sorted({q.n_codes for q in quantisers})}), but got one over {prior.n_entries} codes with "
            f"{prior.n_values} values. Build it for them."
        )
