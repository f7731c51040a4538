"""Regularised autoencoders: a deterministic code and a smooth decoder in place of noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.examples import example
from ..core.random import current_noise, using
from ..core.spec import part
from ..distributions.ops import expected
from ..models.base import LatentModel
from ..models.flat import Flat
from .base import Objective, Terms
from .checks import need_vectors
from .regularised import distortion_and_rate, need_weights, raw, total

WHAT = "A regularised autoencoder"


@part("objective", "rae")
@example(excused={"watch": "A code without noise has no rate: it is no bound."})
@example(
    settings={"objective": "rae", "smoothing": "gradient"},
    excused={"watch": "A code without noise has no rate: it is no bound."},
)
@final
@dataclass(frozen=True, kw_only=True)
class RAE(Objective):
    r"""Distortion at the posterior's point, a penalty on the size of the code, and one on the decoder.

    .. math:: L(x) = -\log p(x | \bar z) + \frac{\beta}{2} \|\bar z\|^2 + \lambda R, \qquad \bar z = \mu(x)

    with R the squared norm of the decoder's weights (``"l2"``), or the squared Frobenius norm of the Jacobian
    :math:`\partial \mathbb{E}[x | z] / \partial z` at the code (``"gradient"``), estimated without bias as
    :math:`\|J^\top v\|^2` with one normal v per row. Spectral normalisation is a setting of the decoder
    (``spectral=true``). No noise enters the code: this is no bound, and sampling needs a density fitted to the codes
    afterwards.

    Reference:
        From Variational to Deterministic Autoencoders (Ghosh et al., 2020). https://arxiv.org/abs/1903.12436

    Args:
        code_weight: Weight of the code's size, the formula's beta.
        decoder_weight: Weight of the decoder's penalty, the formula's lambda.
        smoothing: ``"l2"``, ``"gradient"`` or ``"none"``.
    """

    is_bound: ClassVar[bool] = False
    code_weight: float = 0.1
    decoder_weight: float = 0.01
    smoothing: Literal["l2", "gradient", "none"] = "l2"

    def __post_init__(self) -> None:
        need_weights(code_weight=self.code_weight, decoder_weight=self.decoder_weight)
        if self.smoothing not in ("l2", "gradient", "none"):
            raise SettingError(f"`smoothing` is l2, gradient or none, but got {self.smoothing!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse codes without a size."""
        need_vectors(model, WHAT)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        flat = need_vectors(model, WHAT)
        with using(replace(current_noise(), point=True)):
            seen = model.infer(batch)
        z = seen.groups[0].z
        found = distortion_and_rate(seen)
        parts = {
            "distortion": found["distortion"],
            "code_size": 0.5 * self.code_weight * z[0].square().sum(-1),
            "decoder": self.decoder_weight * self._penalty(flat, batch, z[0]),
            **seen.extras,
        }
        return Terms(total(parts), parts, raw(found))

    def _penalty(self, model: Flat, batch: Batch, z: Tensor) -> Tensor:
        if self.smoothing == "gradient":
            return squared_jacobian(model, z, batch.c)
        weights = [p.square().sum() for p in model.likelihood.parameters() if p.ndim > 1]
        size = torch.stack(weights).sum() if weights and self.smoothing == "l2" else z.new_zeros(())
        return size.expand(len(z))


def squared_jacobian(model: Flat, z: Tensor, c: Tensor | None = None) -> Tensor:
    """Estimate the squared Frobenius norm of the derivative of E[x | z] with respect to z, ``(B,)``, without bias."""
    with torch.enable_grad():  # validation runs without gradients
        at = z if z.requires_grad else z.detach().requires_grad_()
        mean = expected(model.likelihood(at, c))
        v = current_noise().normal(tuple(mean.shape), row_dim=0, dtype=mean.dtype, device=mean.device)
        (back,) = torch.autograd.grad((mean * v).sum(), at, create_graph=True)
    return back.square().flatten(1).sum(-1)
