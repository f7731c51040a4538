"""Posteriors whose draws are moved by Hamiltonian dynamics towards the exact posterior, with momenta as companions."""

from __future__ import annotations

from abc import abstractmethod
from math import log, pi
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.continuous import NormalFamily
from ...distributions.numeric import tame
from ...distributions.ops import draw
from ...distributions.unscored import Unscored
from ...nn.inputs import Encoder
from ...nn.layers import linear_out
from ...nn.precision import network_precision
from ..base import AnyPosterior, Joint, LatentDraws, check_width, diagonal, full_precision
from .gradients import slopes

Tempering: TypeAlias = Literal["none", "fixed", "free"]
REASON = "its draws were moved together with momenta, which cannot be integrated out"
_FASTEST = 10.0  # a learned step size stays below so many times the one it starts from


class MomentumPosterior(AnyPosterior):
    """A diagonal normal from the encoder, then leapfrog steps on log p(x, z), cooled on the way.

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Leapfrog steps; 0 is the diagonal normal itself.
        step_size: Where the step sizes start, one for each dimension; they are learned.
        tempering: How momenta are cooled: not at all, on a quadratic path of which the start is learned, or by a
            learned factor each step.
        limit: Gradients beyond it grow like a logarithm only; the bound holds with any force.
    """

    needs_joint = True

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int, step_size: float, tempering: Tempering, limit: float
    ) -> None:
        super().__init__()
        if n_steps < 0 or not step_size > 0 or not limit > 0 or tempering not in ("none", "fixed", "free"):
            raise SettingError(
                "`n_steps >= 0`, `step_size > 0`, `limit > 0` and tempering of none, fixed, free must hold, but got "
                f"n_steps={n_steps!r}, step_size={step_size!r}, limit={limit!r}, tempering={tempering!r}."
            )
        self.event = (check_width(n_latent),)
        self.encoder, self.n_steps, self.step_size = encoder, n_steps, step_size
        self.tempering: Tempering = tempering
        self.limit = limit
        self.head = linear_out(encoder.n_features, 2 * n_latent)
        self.raw_step = nn.Parameter(torch.full((n_latent,), -log(_FASTEST - 1)))
        n_cooling = {"none": 0, "fixed": min(n_steps, 1), "free": n_steps}[tempering]
        self.raw_cooling = nn.Parameter(torch.full((n_cooling,), 1.0)) if n_cooling else None

    def forward(self, batch: Batch) -> Distribution:
        """Return the diagonal normal that draws start from."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder(batch))
        return NormalFamily()(full_precision(raw).unflatten(-1, (2, *self.event)), self.event)

    def example(self) -> Distribution | None:
        """Return what draws follow: something without a density."""
        return Unscored((1,), self.event, REASON)

    @property
    def steps(self) -> Tensor:
        """Step size of each dimension, ``(n_latent,)``."""
        return _FASTEST * self.step_size * torch.sigmoid(self.raw_step)

    def cooling(self) -> Tensor:
        """Return the factor on the momenta after each step, ``(n_steps,)``, in (0, 1]."""
        if self.raw_cooling is None:
            return self.raw_step.new_ones(self.n_steps)
        factors = torch.sigmoid(self.raw_cooling)
        if self.tempering == "free":
            return factors
        k = torch.arange(self.n_steps + 1, dtype=factors.dtype, device=factors.device)
        hot = (1 - 1 / factors) * (k / self.n_steps).square() + 1 / factors  # 1 / sqrt(beta_k)
        return hot[1:] / hot[:-1]

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> LatentDraws:
        r"""Draw, and move with momenta.

        .. math:: \log p(x) \ge \mathbb E\big[\log p(x, z_K) + \log r(\rho_K \mid z_K) - \log q(z_0 \mid x)
            - \log r(\gamma_0 \mid z_0)\big], \qquad \rho_0 = \gamma_0 / \textstyle\prod_k \alpha_k

        A leapfrog step keeps volumes and cooling by :math:`\alpha_k` shrinks them by :math:`\alpha_k^d`, which is what
        the division at the start had added.
        """
        start = self(batch)
        q = Unscored(tuple(start.batch_shape), self.event, REASON)
        if z is not None:
            return LatentDraws(z, q)
        place = draw(start, (n_samples,), grad=torch.is_grad_enabled())
        zero = torch.zeros_like(start.mean)
        noise = draw(diagonal(zero, torch.ones_like(zero)), (n_samples,), grad=False)
        first = self.momentum(place, noise)
        log_q = start.log_prob(place) + self.log_momentum(place, first)
        cooling = self.cooling()
        z, momentum = self.move(joint, place, first / cooling.prod(), cooling)
        return LatentDraws(z, q, log_q, self.log_momentum(z, momentum))

    def move(self, joint: Joint, z: Tensor, momentum: Tensor, cooling: Tensor) -> tuple[Tensor, Tensor]:
        """Return where latents and momenta are after all steps."""
        if not self.n_steps:
            return z, momentum
        force = self.force(joint, z)
        for factor in cooling.unbind():
            z, momentum, force = self.leap(joint, z, momentum, force)
            momentum = factor * momentum
        return z, momentum

    def force(self, joint: Joint, z: Tensor) -> Tensor:
        """Return the gradient of log p(x, z), tamed."""
        (slope,) = slopes(joint, z)
        return tame(slope, self.limit)

    @abstractmethod
    def momentum(self, z: Tensor, noise: Tensor) -> Tensor:
        """Return momenta at ``z`` made from standard normal numbers."""

    @abstractmethod
    def log_momentum(self, z: Tensor, momentum: Tensor) -> Tensor:
        """Return the log density of momenta at ``z``, ``(K, B)``."""

    @abstractmethod
    def leap(self, joint: Joint, z: Tensor, momentum: Tensor, force: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents, momenta and force after one step, which keeps volumes and can be run backwards."""


@part("posterior", "hamiltonian")
@final
class HamiltonianPosterior(MomentumPosterior):
    r"""The Hamiltonian variational autoencoder's posterior: leapfrog steps on the model's own log joint.

    .. math:: \tilde\rho = \rho + \tfrac\varepsilon2 \nabla \log p(x, z), \quad z' = z + \varepsilon \tilde\rho, \quad
        \rho' = \tilde\rho + \tfrac\varepsilon2 \nabla \log p(x, z')

    The bound is on latents and momenta together. What is reported as the rate is therefore that of the pair, never
    below the rate of the latents alone, and the latents alone have no known density.

    Reference:
        Hamiltonian Variational Auto-Encoder (Caterini, Doucet and Sejdinovic, 2018). https://arxiv.org/abs/1805.11328

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Leapfrog steps; each costs a gradient of the decoder.
        step_size: Where the step sizes start, one for each dimension; they are learned.
        tempering: ``"none"``, ``"fixed"`` (a quadratic path from a learned temperature) or ``"free"``.
        limit: Gradients beyond it grow like a logarithm only.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> posterior = HamiltonianPosterior(MLPEncoder((5,), (8,)), 2)
        >>> found = posterior.propose(Batch(torch.zeros(3, 5)), lambda z: -0.5 * z.square().sum(-1), 7)
        >>> found.z.shape, found.log_q.shape, found.log_r.shape
        (torch.Size([7, 3, 2]), torch.Size([7, 3]), torch.Size([7, 3]))
    """

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 3, step_size: float = 0.05,
        tempering: Tempering = "fixed", limit: float = 1000.0,
    ) -> None:
        super().__init__(
            encoder, n_latent, n_steps=n_steps, step_size=step_size, tempering=tempering, limit=limit
        )

    def momentum(self, z: Tensor, noise: Tensor) -> Tensor:
        """Standard normal."""
        return noise

    def log_momentum(self, z: Tensor, momentum: Tensor) -> Tensor:
        """Standard normal."""
        return -0.5 * (momentum.square().sum(-1) + momentum.shape[-1] * log(2 * pi))

    def leap(self, joint: Joint, z: Tensor, momentum: Tensor, force: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Half a push, a whole move, half a push."""
        half = momentum + 0.5 * self.steps * force
        z = z + self.steps * half
        force = self.force(joint, z)
        return z, half + 0.5 * self.steps * force, force


@part("posterior", "riemannian")
@final
class RiemannianPosterior(MomentumPosterior):
    r"""The Riemannian Hamiltonian posterior: momenta follow a metric of the latent space that is learned.

    .. math:: G(z)^{-1} = \sum_{i=1}^{M} L_i L_i^\top e^{-\|z - c_i\|^2 / T^2} + \lambda I, \qquad
        \rho \mid z \sim \mathcal N(0, G(z)), \qquad
        H = -\log p(x, z) + \tfrac12 \log\det G(z) + \tfrac12 \rho^\top G(z)^{-1} \rho

    integrated by generalised leapfrog steps, whose two implicit equations are solved by ``n_fixed`` fixed-point
    iterations. Volumes are kept as exactly as these equations are solved: with few iterations and large steps the bound
    is an approximation. The centres :math:`c_i` are learned landmarks, not the codes of training rows as in the paper,
    so that what is said of a row depends on that row alone.

    Reference:
        Geometry-Aware Hamiltonian Variational Auto-Encoder (Chadebec, Mantoux and Allassonnière, 2020).
        https://arxiv.org/abs/2010.11518

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Leapfrog steps.
        step_size: Where the step sizes start, one for each dimension; they are learned.
        tempering: ``"none"``, ``"fixed"`` or ``"free"``.
        limit: Gradients of the log joint beyond it grow like a logarithm only.
        n_centres: Number of landmarks, M.
        temperature: Reach of a landmark, T.
        floor: Inverse metric far from all landmarks, lambda.
        n_fixed: Fixed-point iterations.
    """

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 3, step_size: float = 0.05,
        tempering: Tempering = "fixed", limit: float = 1000.0, n_centres: int = 32, temperature: float = 1.0,
        floor: float = 0.1, n_fixed: int = 5,
    ) -> None:
        super().__init__(
            encoder, n_latent, n_steps=n_steps, step_size=step_size, tempering=tempering, limit=limit
        )
        if n_centres < 1 or n_fixed < 1 or not temperature > 0 or not floor > 0:
            raise SettingError(
                "`n_centres >= 1`, `n_fixed >= 1`, `temperature > 0` and `floor > 0` must hold, but got "
                f"n_centres={n_centres!r}, n_fixed={n_fixed!r}, temperature={temperature!r}, floor={floor!r}."
            )
        self.temperature, self.floor, self.n_fixed = temperature, floor, n_fixed
        self.centres = nn.Parameter(torch.randn(n_centres, n_latent))
        self.factors = nn.Parameter(0.5 * torch.eye(n_latent).repeat(n_centres, 1, 1))

    def inverse_metric(self, z: Tensor) -> Tensor:
        """Return the inverse metric, ``(*z.shape, n_latent)``."""
        lower = self.factors.tril()
        far = (z.unsqueeze(-2) - self.centres).square().sum(-1)
        weight = torch.exp(-far / self.temperature**2)
        near = torch.einsum("...m,mij->...ij", weight, lower @ lower.mT)
        return near + self.floor * torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)

    def momentum(self, z: Tensor, noise: Tensor) -> Tensor:
        """Normal with the metric as its covariance."""
        root = lower_root(self.inverse_metric(z))
        solved: Tensor = torch.linalg.solve_triangular(root.mT, noise.unsqueeze(-1), upper=True)
        return solved.squeeze(-1)

    def log_momentum(self, z: Tensor, momentum: Tensor) -> Tensor:
        """Normal with the metric as its covariance."""
        return log_momentum(self.inverse_metric(z), momentum)

    def drift(self, z: Tensor, momentum: Tensor) -> Tensor:
        """Return the gradient in z of the log density of the momenta."""
        (slope,) = slopes(lambda place: self.log_momentum(place, momentum), z)
        return slope

    def leap(self, joint: Joint, z: Tensor, momentum: Tensor, force: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Two implicit half steps and an explicit one."""
        half = momentum
        for _ in range(self.n_fixed):
            half = momentum + 0.5 * self.steps * (force + self.drift(z, half))
        before, place = times(self.inverse_metric(z), half), z
        for _ in range(self.n_fixed):
            place = z + 0.5 * self.steps * (before + times(self.inverse_metric(place), half))
        force = self.force(joint, place)
        return place, half + 0.5 * self.steps * (force + self.drift(place, half)), force


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return matrix times vector, with any leading axes."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def lower_root(matrix: Tensor) -> Tensor:
    """Return the Cholesky factor; of what is not finite something that is not, for the loop to see and explain."""
    root: Tensor = torch.linalg.cholesky_ex(matrix)[0]
    return root


def log_momentum(precision: Tensor, momentum: Tensor) -> Tensor:
    """Log density of a normal with mean zero and this precision.

    Example:
        >>> log_momentum(torch.eye(2), torch.zeros(2))
        tensor(-1.8379)
    """
    root = lower_root(precision)
    half_log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return half_log_det - 0.5 * (times(root.mT, momentum).square().sum(-1) + momentum.shape[-1] * log(2 * pi))
