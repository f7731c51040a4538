"""Posteriors of several modalities: an expert for each, as a product, as a mixture, or as a mixture of products."""

from __future__ import annotations

from abc import abstractmethod
from itertools import combinations
from math import log
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal

from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.examples import example
from ...core.spec import part
from ...distributions.ops import draw
from ...nn.inputs import DataInitialised
from ...nn.modalities import initialise_of
from ..base import AnyPosterior, Joint, LatentDraws, diagonal, latent_draws

Combine = Literal["product", "mixture", "mixture_of_products"]
MOST = 8
"""Modalities of a mixture of products: 255 combinations."""


class ModalPosterior(DataInitialised, AnyPosterior):
    """Base of posteriors that know what each modality says by itself.

    Args:
        experts: A posterior with a diagonal normal for each modality, by its name.

    Raises:
        SettingError: There is none.
        CombinationError: One is no diagonal normal, or they are of different widths.
    """

    shows_inside = True

    def __init__(self, experts: dict[str, AnyPosterior]) -> None:
        super().__init__()
        if not experts:
            raise SettingError("Several modalities have an expert each, but got none. Give them by name.")
        wrong = [name for name, expert in experts.items() if not is_diagonal(expert.example())]
        if wrong:
            raise CombinationError(
                f"Experts are multiplied as diagonal normals, but that of {', '.join(wrong)} is another. "
                "Take the family normal."
            )
        if len({tuple(expert.event) for expert in experts.values()}) > 1:
            said = ", ".join(f"{name} {expert.event[0]}" for name, expert in experts.items())
            raise CombinationError(f"Experts are about the same latents, but have the widths {said}. Give one width.")
        self.experts = nn.ModuleDict(experts)
        self.width: int = next(iter(experts.values())).event[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(self.experts)

    def initialise(self, batch: Batch) -> None:
        """Let each expert look at the rows that have its modality."""
        for name, expert in self.experts.items():
            initialise_of(expert, batch, name)

    def asked(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return location and scale of each expert, ``(M, B, width)``, and which rows have it, ``(M, B)``."""
        rows, locs, scales, seen = batch.present or {}, [], [], []
        for name, expert in self.experts.items():
            own, there = batch.part(name), rows.get(name)
            if there is not None:  # what stands there otherwise is nothing, NaN included
                blank = there.view(-1, *[1] * (own.tensor.ndim - 1))
                own = own.with_x(torch.where(blank, own.tensor, torch.zeros_like(own.tensor)), own.mask)
            q: Independent[Normal] = expert(own)
            locs.append(q.base_dist.loc)
            scales.append(q.base_dist.scale)
            seen.append(torch.ones(len(batch), dtype=torch.bool, device=batch.device) if there is None else there)
        return torch.stack(locs), torch.stack(scales), torch.stack(seen)

    @abstractmethod
    def singles(self, batch: Batch) -> dict[str, Distribution]:
        """Return q(z | x_m) of each modality alone; of rows that lack it, the prior."""


def is_diagonal(q: Distribution | None) -> bool:
    """Whether a distribution is a normal with independent entries over one axis."""
    return isinstance(q, Independent) and isinstance(q.base_dist, Normal) and q.reinterpreted_batch_ndims == 1


@example(data="pair", settings={"posterior": "experts", "posterior.combine": "mixture_of_products"})
@example(data="pair", settings={"posterior": "experts", "posterior.combine": "mixture"})
@example(data="pair", settings={"posterior": "experts"})
@part("posterior", "experts")
@final
class Experts(ModalPosterior):
    r"""What modalities say of the latents, each by a diagonal normal of its own, joined over subsets of them.

    .. math:: q(z | x) = \frac{1}{|\mathcal S|} \sum_{S \in \mathcal S} q_S(z | x), \qquad
        q_S(z | x) \propto p(z)^{[prior]} \prod_{m \in S} q_m(z | x_m)

    ``product``: one subset, all modalities that a row has (MVAE). ``mixture``: each alone (MMVAE).
    ``mixture_of_products``: every subset (MoPoE). What a row lacks has no part in it: subsets with it weigh nothing,
    and the product is over the others. A row with nothing at all has the standard normal prior. In a product the prior
    is one more expert, so that a subset of few experts stays near it.

    With ``private`` > 0 the last latents belong to single modalities, that many to each: an expert speaks of those
    shared and of its own, and those of modalities outside a subset follow the prior (MMVAE+).

    All components of a mixture are drawn from, each with its weight; in training, with ``every=False``, one at random
    for each draw, which is unbiased and costs as little as one component.

    References:
        Multimodal Generative Models for Scalable Weakly-Supervised Learning (Wu and Goodman, 2018): the product.
        https://arxiv.org/abs/1802.05335
        Variational Mixture-of-Experts Autoencoders (Shi et al., 2019): the mixture. https://arxiv.org/abs/1911.03393
        Generalized Multimodal ELBO (Sutter, Daunhawer and Vogt, 2021): mixtures of products.
        https://arxiv.org/abs/2105.02470
        MMVAE+ (Palumbo, Daunhawer and Vogt, 2023): private latents. https://openreview.net/forum?id=sdQGxouELX

    Args:
        experts: A posterior for each modality by name.
        combine: ``product``, ``mixture`` or ``mixture_of_products``.
        prior_expert: Whether the prior is one more expert; by default where a subset has several.
        private: Latents of each modality alone.
        every: Draw from every component in training, too.

    Raises:
        SettingError: ``combine`` is none of these, or there are too many modalities for all subsets.
    """

    members: Tensor

    def __init__(
        self, experts: dict[str, AnyPosterior], *, combine: Combine = "product", prior_expert: bool | None = None,
        private: int = 0, every: bool = False,
    ) -> None:
        super().__init__(experts)
        self.register_buffer("members", subsets_of(len(experts), combine), persistent=False)
        if not 0 <= private < self.width:
            raise SettingError(f"`0 <= private < {self.width}`, the width of an expert, must hold, got {private!r}.")
        several = int(self.members.sum(1).max()) > 1
        self.prior_expert, self.private, self.every = several if prior_expert is None else prior_expert, private, every
        self.shared = self.width - private
        self.event = (self.shared + len(experts) * private,)

    def example(self) -> Distribution:
        """Return the product, or the mixture, of standard normals."""
        zero = next(self.parameters()).new_zeros(len(self.members), 1, *self.event)
        return self._joined(zero, torch.ones_like(zero), zero.new_zeros(len(self.members), 1))

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``."""
        return self._joined(*self.components(batch))

    def components(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return location and scale of each component, ``(C, B, n_latent)``, and its log weight, ``(C, B)``."""
        loc, scale, seen = self.asked(batch)
        used, weight = self._used(seen, loc.dtype)
        return (*self._product(loc, scale, used), weight)

    def _used(self, seen: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return which experts are in each component, ``(C, M, B)``, and the log weight of each, ``(C, B)``."""
        used = self.members.unsqueeze(2) & seen
        if len(self.members) == 1:
            return used, torch.zeros_like(used[:, 0], dtype=dtype)
        whole = (used == self.members.unsqueeze(2)).all(1)
        nothing = ~seen.any(0)
        whole = torch.cat([whole[:1] | nothing, whole[1:] & ~nothing])
        return used, torch.where(whole, -whole.sum(0).to(dtype).log(), -torch.inf)

    def _product(self, loc: Tensor, scale: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and scale of the product of the experts that are used; of none, those of the prior."""
        inside = used.unsqueeze(-1)
        precision = torch.where(inside, scale.reciprocal().square(), 0.0)
        drawn = torch.where(inside, precision * loc, 0.0)
        first = slice(None, self.shared)
        total, pulled = precision[..., first].sum(1), drawn[..., first].sum(1)
        total = total + (1.0 if self.prior_expert else (~used.any(1)).unsqueeze(-1).to(total.dtype))
        parts_loc, parts_scale = [pulled / total], [total.rsqrt()]
        for m in range(len(self.experts) if self.private else 0):
            own = inside[:, m]
            parts_loc.append(torch.where(own, loc[m, :, self.shared :], 0.0))
            parts_scale.append(torch.where(own, scale[m, :, self.shared :], 1.0))
        return torch.cat(parts_loc, -1), torch.cat(parts_scale, -1)

    @staticmethod
    def _joined(loc: Tensor, scale: Tensor, weight: Tensor) -> Distribution:
        if len(loc) == 1:
            return diagonal(loc[0], scale[0])
        parts = diagonal(loc.transpose(0, 1), scale.transpose(0, 1))
        return MixtureSameFamily(Categorical(logits=weight.T, validate_args=False), parts, validate_args=False)

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> LatentDraws:
        """Draw from the components, or score given latents; see :meth:`AnyPosterior.propose`."""
        loc, scale, weight = self.components(batch)
        q = self._joined(loc, scale, weight)
        if z is not None or len(loc) == 1:
            return latent_draws(q, n_samples, z)
        if self.training and not self.every:
            return LatentDraws(self._one_each(loc, scale, weight, n_samples), q)
        beside = diagonal(loc.transpose(0, 1), scale.transpose(0, 1))
        whole = Independent(beside.base_dist, 2, validate_args=False)  # type: ignore[attr-defined]  # an Independent
        value = draw(whole, (n_samples,), grad=torch.is_grad_enabled()).transpose(1, 2).flatten(0, 1)
        log_mix = (weight - log(n_samples)).repeat(n_samples, 1)
        return LatentDraws(value, q, log_mix=log_mix, point=self._point(loc, weight))

    @staticmethod
    def _one_each(loc: Tensor, scale: Tensor, weight: Tensor, n_samples: int) -> Tensor:
        """Return draws from a component at random for each row and draw, ``(K, B, n_latent)``."""
        chosen = draw(Categorical(logits=weight.T, validate_args=False), (n_samples,), grad=False)
        index = chosen.unsqueeze(-1).expand(-1, -1, loc.shape[-1])
        return draw(diagonal(loc.gather(0, index), scale.gather(0, index)), (), grad=torch.is_grad_enabled(), lead=1)

    def _point(self, loc: Tensor, weight: Tensor) -> Tensor:
        """Return the mean location of the largest components of each row; of a private latent, that of its own."""
        size = torch.where(weight > -torch.inf, self.members.sum(1).unsqueeze(1), -1)
        largest = (size == size.max(0).values).unsqueeze(-1)
        mean = torch.where(largest, loc, 0.0).sum(0) / largest.sum(0)
        for m in range(len(self.experts) if self.private else 0):
            own = slice(self.shared + m * self.private, self.shared + (m + 1) * self.private)
            with_it = largest & self.members[:, m].view(-1, 1, 1)
            mean[:, own] = torch.where(with_it, loc[..., own], 0.0).sum(0) / with_it.sum(0).clamp(min=1)
        return mean

    def singles(self, batch: Batch) -> dict[str, Distribution]:
        """Return the product of the prior, where it is an expert, with each expert alone."""
        loc, scale, seen = self.asked(batch)
        alone = torch.eye(len(self.experts), dtype=torch.bool, device=seen.device).unsqueeze(2) & seen
        loc, scale = self._product(loc, scale, alone)
        return {name: diagonal(loc[m], scale[m]) for m, name in enumerate(self.experts)}


def subsets_of(n: int, combine: str) -> Tensor:
    """Return which of ``n`` modalities are in each component, ``(C, n)``.

    Example:
        >>> subsets_of(2, "mixture_of_products").int().tolist()
        [[1, 0], [0, 1], [1, 1]]
    """
    if combine == "product":
        return torch.ones(1, n, dtype=torch.bool)
    if combine == "mixture":
        return torch.eye(n, dtype=torch.bool)
    if combine != "mixture_of_products":
        raise SettingError(
            f"Experts are joined as a product, a mixture or a mixture_of_products, but got {combine!r}. Choose one."
        )
    if n > MOST:
        raise SettingError(
            f"A mixture of products goes through all subsets of up to {MOST} modalities, but got {n}. Use the recipe "
            "mvtcae, or combine=product."
        )
    every = [s for k in range(1, n + 1) for s in combinations(range(n), k)]
    return torch.tensor([[m in s for m in range(n)] for s in every])


@example(data="pair", settings={"posterior": "joint_experts", "objective": "modalities", "to_experts": 0.1})
@part("posterior", "joint_experts")
@final
class JointExperts(ModalPosterior):
    r"""An encoder that sees all modalities together, and an expert for each where a row does not have all (JMVAE).

    A row with every modality has the joint posterior; one that lacks some has the product of the prior and of the
    experts of those that it has.

    Reference:
        Joint Multimodal Learning with Deep Generative Models (Suzuki, Nakayama and Matsuo, 2016).
        https://arxiv.org/abs/1611.01891

    Args:
        experts: A posterior for each modality by name.
        joint: Posterior from all modalities.

    Raises:
        CombinationError: The joint posterior is no diagonal normal over the same latents.
    """

    def __init__(self, experts: dict[str, AnyPosterior], joint: AnyPosterior) -> None:
        super().__init__(experts)
        if not is_diagonal(joint.example()) or tuple(joint.event) != (self.width,):
            raise CombinationError(
                f"The joint posterior is a diagonal normal over {self.width} latents, as the experts are, but got "
                f"another over {joint.event}. Take the family normal."
            )
        self.joint, self.event = joint, (self.width,)

    def initialise(self, batch: Batch) -> None:
        """Let the experts and the joint encoder look."""
        from ...nn.inputs import initialise_all

        super().initialise(batch)
        initialise_all(batch, self.joint)

    def example(self) -> Distribution | None:
        """Return what the joint posterior makes of zeros."""
        return self.joint.example()

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``."""
        q: Independent[Normal] = self.joint(batch)
        if not batch.present:
            return q
        loc, scale, seen = self.asked(batch)
        precision = torch.where(seen.unsqueeze(-1), scale.reciprocal().square(), 0.0)
        total = 1 + precision.sum(0)
        whole = seen.all(0).unsqueeze(1)
        return diagonal(
            torch.where(whole, q.base_dist.loc, (precision * loc).sum(0) / total),
            torch.where(whole, q.base_dist.scale, total.rsqrt()),
        )

    def singles(self, batch: Batch) -> dict[str, Distribution]:
        """Return each expert joined with the prior."""
        loc, scale, seen = self.asked(batch)
        precision = torch.where(seen.unsqueeze(-1), scale.reciprocal().square(), 0.0)
        total = 1 + precision
        return {n: diagonal(precision[m] * loc[m] / total[m], total[m].rsqrt()) for m, n in enumerate(self.experts)}
