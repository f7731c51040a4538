"""The aggregate posterior matched to the prior by maximum mean discrepancy: InfoVAE, MMD-VAE, WAE-MMD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.random import current_noise, using
from ..core.spec import part
from ..distributions.ops import draw
from ..models.base import Inference, LatentModel
from .checks import check_real, need_vectors
from .regularised import Regularised, need_weights

WHAT = "The maximum mean discrepancy"
Kernel = Literal["rbf", "imq", "multi_rbf", "multi_imq"]
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@part("objective", "mmd")
@final
@dataclass(frozen=True, kw_only=True)
class MMD(Regularised):
    r"""The bound with a weighted rate plus the squared discrepancy between codes and draws from the prior.

    .. math:: L = \mathbb{E}_q[-\log p(x|z)] + \beta \, \mathrm{KL}(q(z|x) \| p(z))
        + \lambda \, \mathrm{MMD}^2(q(z), p(z))

    InfoVAE with the paper's :math:`\alpha, \lambda'` is :math:`\beta = 1 - \alpha` and
    :math:`\lambda = \alpha + \lambda' - 1`; the MMD-VAE and the WAE are :math:`\beta = 0`. The discrepancy is the
    unbiased estimate over the rows of the batch
    (see :func:`squared_mmd`), so rows mix, and single values may be negative.

    Reference:
        InfoVAE (Zhao et al., 2019). https://arxiv.org/abs/1706.02262
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018). https://arxiv.org/abs/1711.01558

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        mmd_weight: Weight of the discrepancy.
        kernel: ``"rbf"``, ``"imq"`` (inverse multiquadratic), or their means over seven widths, ``"multi_rbf"`` and
            ``"multi_imq"``.
        bandwidth: Width of the kernel, in units of a standard normal code's typical distance.
    """

    is_bound: ClassVar[bool] = False
    beta: float = 0.0
    mmd_weight: float = 100.0
    kernel: Kernel = "multi_imq"
    bandwidth: float = 1.0

    def __post_init__(self) -> None:
        need_weights(beta=self.beta, mmd_weight=self.mmd_weight)
        if self.kernel not in get_args(Kernel):
            raise SettingError(f"`kernel` is one of {', '.join(get_args(Kernel))}, but got {self.kernel!r}.")
        if not self.bandwidth > 0:
            raise SettingError(f"`bandwidth > 0` must hold, but got bandwidth={self.bandwidth!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse codes between which distances mean nothing."""
        need_vectors(model, WHAT)

    def mixes_rows(self, model: LatentModel) -> bool:
        """Codes are compared with those of other rows."""
        return True

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return each row's share of the discrepancy."""
        (group,) = seen.groups
        if group.q is None or group.p is None:
            raise CombinationError(f"{WHAT} needs a posterior and a prior, but the model lacks one. Use the elbo.")
        check_real(group.q, WHAT)
        z, other = group.z[0], prior_draws(group.p, len(batch))
        return {"mmd": self.mmd_weight * squared_mmd(z, other, kernel_of(self.kernel, self.bandwidth))}


def prior_draws(p: Distribution, n: int) -> Tensor:
    """Return one draw per row from the prior, ``(n, d)``, with a gradient where the prior allows one."""
    if p.batch_shape:
        return draw(p, (), grad=p.has_rsample)
    try:
        rows = p.expand(torch.Size((n,)))
    except NotImplementedError:  # then each piece of a batch draws for itself
        with using(replace(current_noise(), offset=0, total=None)):
            return draw(p, (n,), grad=p.has_rsample)
    return draw(rows, (), grad=rows.has_rsample)


def kernel_of(name: str, bandwidth: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    r"""Return a kernel ``(n, d), (m, d) -> (n, m)`` with value 1 at distance 0.

    .. math:: k_{rbf} = e^{-\|a - b\|^2 / c}, \quad k_{imq} = \frac{c}{c + \|a - b\|^2}, \qquad c = 2 d \, s^2

    with bandwidth s; the ``multi_`` kernels are means over ``SCALES`` of widths.

    Example:
        >>> kernel_of("rbf")(torch.zeros(1, 2), torch.ones(1, 2))
        tensor([[0.6065]])
    """
    shape = name.removeprefix("multi_")
    scales = SCALES if name != shape else (1.0,)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1)
        widths = [2 * a.shape[-1] * (bandwidth * s) ** 2 for s in scales]
        values = [torch.exp(-square / c) if shape == "rbf" else c / (c + square) for c in widths]
        return torch.stack(values).mean(0)

    return kernel


def squared_mmd(a: Tensor, b: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    r"""Return each row's share ``(n,)`` of the unbiased squared discrepancy between two samples of n.

    .. math:: \mathrm{MMD}^2 = \frac{1}{n (n - 1)} \sum_{i \ne j} k(a_i, a_j) + k(b_i, b_j)
        - \frac{2}{n^2} \sum_{i, j} k(a_i, b_j)

    Its mean over rows is the estimate. With a single row the first sum is empty and counts as zero.

    Reference:
        A Kernel Two-Sample Test (Gretton et al., 2012). https://jmlr.org/papers/v13/gretton12a.html
    """
    n, across = len(a), kernel(a, b)
    within = sum(_off_diagonal_mean(kernel(s, s), n) for s in (a, b))
    return within - across.mean(1) - across.mean(0)


def _off_diagonal_mean(k: Tensor, n: int) -> Tensor:
    return (k.sum(1) - k.diagonal()) / max(n - 1, 1)
