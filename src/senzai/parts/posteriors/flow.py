"""Posteriors transformed by flows whose parameters come from the encoder, row by row."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from ...core.arguments import at_least
from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.continuous import NormalFamily
from ...distributions.flow import Flow, Step
from ...distributions.flow_steps import Affine, Planar, Radial, Sylvester
from ...distributions.full_normal import lower_triangle
from ...nn.inputs import Encoder
from ...nn.layers import linear_out
from ...nn.precision import network_precision
from ..base import AnyPosterior, check_width, diagonal, full_precision
from ..flow_steps import GatedAutoregressive, GatedStep, ZukoStep, spline_coupling

_SMALL = 0.1  # flows start near the identity


class FlowPosterior(AnyPosterior):
    """An encoder with two heads: one for a diagonal normal, one for the parameters of the flow.

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_bends: How many numbers per row the second head gives.
    """

    def __init__(self, encoder: Encoder, n_latent: int, n_bends: int) -> None:
        super().__init__()
        self.event = (check_width(n_latent),)
        self.encoder = encoder
        self.head = linear_out(encoder.n_features, 2 * n_latent)
        self.bends = linear_out(encoder.n_features, n_bends)
        with torch.no_grad():
            self.bends.weight.mul_(_SMALL)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)``, computed in single precision at least."""
        with network_precision(self.head.weight.device):
            features = self.encoder(batch)
            base, bends = self.head(features), self.bends(features)
        return self._bent(full_precision(base), full_precision(bends))

    def _bent(self, base: Tensor, bends: Tensor) -> Flow:
        return self.flow(NormalFamily()(base.unflatten(-1, (2, *self.event)), self.event), bends)

    def example(self) -> Distribution | None:
        """Return the flow of a row for which both heads give zero."""
        return self._bent(*(torch.zeros_like(head.bias).unsqueeze(0) for head in (self.head, self.bends)))

    @abstractmethod
    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Return the transformed distribution.

        Args:
            start: Diagonal normal, batch shape ``(B,)``.
            bends: What the second head gives, ``(B, n_bends)``.
        """


def check_steps(n_steps: int) -> int:
    """Return the number of steps if there are any."""
    if n_steps < 1:
        raise SettingError(f"`n_steps >= 1` must hold, but got n_steps={n_steps!r}. Without steps: posterior=normal.")
    return n_steps


@part("posterior", "planar")
@final
class PlanarPosterior(FlowPosterior):
    """A diagonal normal pushed along one direction after another, all of them given by the encoder.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015). https://arxiv.org/abs/1505.05770

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Number of pushes.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> q = PlanarPosterior(MLPEncoder((5,), (8,)), 2, n_steps=3)(Batch(torch.zeros(3, 5)))
        >>> q.batch_shape, q.event_shape, q.log_prob(torch.zeros(7, 3, 2)).shape
        (torch.Size([3]), torch.Size([2]), torch.Size([7, 3]))
    """

    def __init__(self, encoder: Encoder, n_latent: int, *, n_steps: int = 8) -> None:
        self.n_steps = check_steps(n_steps)
        super().__init__(encoder, n_latent, n_steps * (2 * n_latent + 1))

    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Push."""
        (d,) = self.event
        steps = [Planar(*raw.split([d, d, 1], -1)) for raw in bends.unflatten(-1, (self.n_steps, 2 * d + 1)).unbind(-2)]
        return Flow(start, steps)


@part("posterior", "radial")
@final
class RadialPosterior(FlowPosterior):
    """A diagonal normal pushed away from, or towards, one centre after another, all of them given by the encoder.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015). https://arxiv.org/abs/1505.05770

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Number of pushes.
    """

    def __init__(self, encoder: Encoder, n_latent: int, *, n_steps: int = 8) -> None:
        self.n_steps = check_steps(n_steps)
        super().__init__(encoder, n_latent, n_steps * (n_latent + 2))

    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Push."""
        (d,) = self.event
        raws = bends.unflatten(-1, (self.n_steps, d + 2)).unbind(-2)
        return Flow(start, [Radial(*raw.split([d, 1, 1], -1)) for raw in raws])


@part("posterior", "sylvester")
@final
class SylvesterPosterior(FlowPosterior):
    """A diagonal normal pushed along several orthogonal directions at once, step after step.

    Reference:
        Sylvester Normalizing Flows for Variational Inference (van den Berg et al., 2018).
        https://arxiv.org/abs/1803.05649

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Number of steps.
        directions: Where the orthonormal directions come from: ``"orthogonal"`` (``width`` of them, by QR of a matrix
            that the encoder gives), ``"householder"`` (all ``n_latent``, by ``width`` reflections that it gives), or
            ``"triangular"`` (the axes, in turns forwards and backwards).
        width: Number of directions, or of reflections; at most ``n_latent``.
    """

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 4,
        directions: Literal["orthogonal", "householder", "triangular"] = "orthogonal", width: int = 8,
    ) -> None:
        self.n_steps, self.directions = check_steps(n_steps), directions
        if width < 1 or directions not in ("orthogonal", "householder", "triangular"):
            raise SettingError(
                "`width >= 1` and directions of orthogonal, householder, triangular must hold, "
                f"but got width={width!r}, directions={directions!r}."
            )
        d = check_width(n_latent)
        self.width = min(width, d)
        self.m = self.width if directions == "orthogonal" else d
        n_q = 0 if directions == "triangular" else d * self.width
        self.sizes = [n_q, self.m, self.m, *[self.m * (self.m - 1) // 2] * 2, self.m]
        super().__init__(encoder, n_latent, n_steps * sum(self.sizes))

    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Push."""
        raws = bends.unflatten(-1, (self.n_steps, sum(self.sizes))).unbind(-2)
        return Flow(start, [self._step(i, *raw.split(self.sizes, -1)) for i, raw in enumerate(raws)])

    def _step(self, i: int, q: Tensor, a: Tensor, b: Tensor, off_a: Tensor, off_b: Tensor, shift: Tensor) -> Step:
        r, r_tilde = (
            lower_triangle(0.999 * torch.tanh(diagonal), below).mT for diagonal, below in ((a, off_a), (b, off_b))
        )
        return Sylvester(self._orthonormal(i, q), r, r_tilde, shift)

    def _orthonormal(self, i: int, raw: Tensor) -> Tensor:
        (d,) = self.event
        eye = torch.eye(d, dtype=self.head.weight.dtype, device=self.head.weight.device)
        if self.directions == "triangular":
            return eye if i % 2 == 0 else eye.flip(1)
        columns = raw.unflatten(-1, (d, self.width)) + eye[:, : self.width]
        if self.directions == "orthogonal":
            q: Tensor = torch.linalg.qr(columns)[0]
            return q
        unit = columns / torch.linalg.vector_norm(columns, dim=-2, keepdim=True)
        q = eye
        for v in unit.unbind(-1):
            q = q - 2 * (q @ v.unsqueeze(-1)) * v.unsqueeze(-2)
        return q


@part("posterior", "iaf")
@final
class IAFPosterior(FlowPosterior):
    """Inverse autoregressive flow: every entry moved by what came before it, with a context from the encoder.

    One pass of a masked network per step draws and scores; the density of other values takes ``n_latent`` passes per
    step. The order of the entries is reversed between steps.

    Reference:
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016).
        https://arxiv.org/abs/1606.04934

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Number of steps.
        n_context: Width of the context.
        hidden: Widths of the hidden layers of the masked networks.
    """

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 4, n_context: int = 32,
        hidden: tuple[int, ...] = (128,),
    ) -> None:
        at_least(1, n_context=n_context)
        super().__init__(encoder, n_latent, n_context)
        nets = [GatedAutoregressive(n_latent, n_context, tuple(hidden)) for _ in range(check_steps(n_steps))]
        self.nets = nn.ModuleList(nets)

    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Move entry by entry."""
        return Flow(start, [GatedStep(net, bends, backwards=i % 2 == 1) for i, net in enumerate(self.nets)])


@part("posterior", "nsf")
@final
class SplinePosterior(FlowPosterior):
    """Neural spline flow: standard noise through monotone rational-quadratic splines, then a row's mean and scale.

    The splines are couplings (each half moved by the other), fast in both directions; noise beyond 5 stays as it is.

    Reference:
        Neural Spline Flows (Durkan et al., 2019). https://arxiv.org/abs/1906.04032

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Number of couplings.
        n_context: Width of the context.
        hidden: Widths of the hidden layers of the couplings.
        n_bins: Number of bins of a spline.
    """

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 4, n_context: int = 32,
        hidden: tuple[int, ...] = (128,), n_bins: int = 8,
    ) -> None:
        at_least(1, n_context=n_context)
        super().__init__(encoder, n_latent, n_context)
        if n_bins < 2:
            raise SettingError(f"`n_bins >= 2` must hold, but got n_bins={n_bins!r}.")
        self.splines = nn.ModuleList(
            [spline_coupling(n_latent, n_context, tuple(hidden), n_bins, i) for i in range(check_steps(n_steps))]
        )

    def flow(self, start: Distribution, bends: Tensor) -> Flow:
        """Bend, then stretch and shift."""
        assert isinstance(start, Independent)  # what `forward` makes
        assert isinstance(start.base_dist, Normal)
        loc, scale = start.base_dist.loc, start.base_dist.scale
        splines = [ZukoStep(spline(bends)) for spline in self.splines]
        return Flow(diagonal(torch.zeros_like(loc), torch.ones_like(scale)), [*splines, Affine(loc, scale)])
