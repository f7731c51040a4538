"""Very deep hierarchies: many groups of latents on one residual top-down path."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.spec import part
from ..distributions.continuous import NormalFamily
from ..distributions.ops import draw
from ..distributions.within import within
from ..nn.deep import DeepBlocks
from ..nn.precision import network_precision
from ..parts.base import AnyLikelihood, full_precision
from .base import Group, Inference, LatentModel

Latents = tuple[Tensor, ...]
Choose = Callable[[int, Distribution, Tensor], Tensor]
FAMILY = NormalFamily()


@part("model", "very_deep")
@final
class VeryDeep(LatentModel):
    r"""A top-down path that each group reads and adds to; :math:`h_i` is the sum of what the groups above have added.

    .. math:: p(x, z) = \prod_i p(z_i | h_i)\; p(x | h_{N+1}), \quad q(z | x) = \prod_i q(z_i | h_i, a_i(x)), \quad
        h_{i+1} = f_i(h_i, z_i)

    Given the draws above, both densities of a group are diagonal normals, and its rate is closed conditional on them.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021).
        https://arxiv.org/abs/2011.10650

    Args:
        blocks: The ways up and down.
        likelihood: p(x | h), from the features that leave the lowest block, flat.
    """

    def __init__(self, blocks: DeepBlocks, likelihood: AnyLikelihood) -> None:
        super().__init__()
        self.blocks, self.likelihood = blocks, likelihood

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, top first: z1 is the lowest."""
        n = len(self.blocks.blocks)
        return tuple(f"z{n - i}" for i in range(n))

    def _normal(self, raw: Tensor, event: tuple[int, ...], lead: torch.Size) -> Distribution:
        return FAMILY(full_precision(raw).unflatten(0, lead), event)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Go up once, then down with ``n_samples`` draws; see :meth:`LatentModel.infer`."""
        shown, groups = batch if seen is None else seen, list[Group]()
        with network_precision(batch.device):
            acts = self.blocks.up(shown)

        def choose(i: int, p: Distribution, h: Tensor) -> Tensor:
            event, block = self.blocks.events[i], self.blocks.blocks[i]
            lead = h.shape[: h.ndim - len(event)]
            a = acts[self.blocks.levels[i]].expand(*lead, *h.shape[len(lead) :])
            with network_precision(batch.device):
                raw = block.posterior(h.flatten(0, len(lead) - 1), a.flatten(0, len(lead) - 1))
            q, grad = self._normal(raw, event, lead), torch.is_grad_enabled()
            shape = (n_samples,) if len(lead) == 1 else ()
            value = draw(q, shape, grad=grad, lead=len(lead) - 1) if z is None else z[i]
            groups.append(Group(self.names[i], value, q, p))
            return value

        p = within(self._down(batch.rows, batch.c, choose), batch)
        self.likelihood.observe(p, batch.x)
        return Inference(tuple(groups), p, batch.x)

    def _down(self, rows: int, c: Tensor | None, choose: Choose) -> Distribution:
        """Go down from the start, each latent as ``choose(block, prior, h)`` says, and return p(x | z)."""
        device = self.blocks.starts[0].device
        h = self.blocks.start(rows, c)
        for i, event in enumerate(self.blocks.events):
            block, lead = self.blocks.blocks[i], h.shape[: h.ndim - len(event)]
            with network_precision(device):
                here = self.blocks.enter(h.flatten(0, len(lead) - 1), i)
                raw, after = block.prior(here)
            z = choose(i, self._normal(raw, event, lead), here.unflatten(0, lead))
            wide = z.shape[: z.ndim - len(event)]
            after = after.unflatten(0, lead).expand(*wide, *after.shape[1:])
            with network_precision(device):
                h = block.down(after.flatten(0, len(wide) - 1), z.flatten(0, len(wide) - 1))
            h = h.unflatten(0, wide)
        features = h.flatten(h.ndim - len(self.blocks.feature_shape))
        p: Distribution = self.likelihood(features, c)
        return p

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | z)."""
        return self._down(z[0].shape[-len(self.blocks.events[0]) - 1], c, lambda i, p, h: z[i])

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw every group, top first, ``(n, *event)`` each."""
        found: list[Tensor] = []

        def choose(i: int, p: Distribution, h: Tensor) -> Tensor:
            found.append(draw(p, grad=False))
            return found[-1]

        self._down(n, c, choose)
        return tuple(found)

    @property
    def mixes_rows(self) -> bool:
        """Whether the likelihood estimates its scale from the whole batch."""
        return self.likelihood.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the way up and of the posteriors."""
        nets = [block.q_net for block in self.blocks.blocks]
        ups = [self.blocks.stem, self.blocks.ups, *nets]
        return [p for net in ups for p in net.parameters()]
