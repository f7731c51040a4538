"""Further reconstruction terms for images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import Inference, LatentModel
from ..nn.foreign import unchanged
from ..nn.inputs import Standardise
from ..nn.perceptual import perceptual_net
from ..nn.similarity import ms_ssim, spectral_distance
from .checks import need_images
from .regularised import Regularised, need_weights
from .row_critics import need_means, real_rows, reconstruction

WHAT = "A similarity of images"


@part("objective", "image_terms")
@final
@dataclass(frozen=True, kw_only=True)
class ImageTerms(Regularised):
    r"""The bound plus how unlike reconstruction and image look: structure over several scales, and spectra.

    .. math:: L = \text{distortion} + \beta \cdot \text{rate} + \lambda_1 (1 - \mathrm{MS\text{-}SSIM}(x, \tilde x))
        + \lambda_2 S(x, \tilde x) + \lambda_3 d(x, \tilde x), \qquad \tilde x = \mathbb{E}[x | z]

    All terms compare with the mean of p(x | z) and are no log densities: with any the sum is no bound any more.
    Distortion and rate are watched as they are. The third is the distance of features of a frozen network from disk,
    :func:`senzai.nn.perceptual.perceptual_distance`.

    Reference:
        Learning to Generate Images with Perceptual Similarity Metrics (Snell et al., 2017).
        https://arxiv.org/abs/1511.06409
        Deep Feature Consistent Variational Autoencoder (Hou et al., 2017). https://arxiv.org/abs/1610.00291

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        ssim_weight: Weight of the structural term, which lies between 0 and 1.
        spectrum_weight: Weight of the distance of spectra, in units of the data's range.
        data_range: Largest minus smallest value of the data; by default as the encoder found it.
        perceptual: Folder of transformers with a network of pictures (config.json and safetensors).
        perceptual_weight: Weight of the distance of its features, which lies between 0 and 4.
        perceptual_sha256: Hash of that network; by default that of what is there.
        data_low: Smallest value of the data, for that network.
    """

    is_bound: ClassVar[bool] = False
    ssim_weight: float = 100.0
    spectrum_weight: float = 0.0
    data_range: float | None = None
    perceptual: str | None = None
    perceptual_weight: float = 100.0
    perceptual_sha256: str = ""
    data_low: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(
            ssim_weight=self.ssim_weight, spectrum_weight=self.spectrum_weight, perceptual_weight=self.perceptual_weight
        )
        if self.data_range is not None and not self.data_range > 0:
            raise SettingError(f"`data_range > 0` must hold, but got data_range={self.data_range!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse data that are no images, or whose range nobody knows."""
        channels, _, _ = need_images(model, WHAT)
        need_means(model)
        self._range(model)
        if self.perceptual is not None:
            unchanged(self.perceptual, self.perceptual_sha256)
            perceptual_net(self.perceptual, self.perceptual_sha256).need(channels)

    def _range(self, model: LatentModel) -> Tensor | float:
        if self.data_range is not None:
            return self.data_range
        for module in model.modules():
            if isinstance(module, Standardise) and module.scaling == "range":
                return module.scale.mean()
        raise CombinationError(
            f"{WHAT} needs the range of the data, but the encoder does not know it. Set data_range, for example 1."
        )

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the weighted terms."""
        fake, width = reconstruction(seen), self._range(model)
        real = real_rows(batch, fake)
        found = {"ms_ssim": self.ssim_weight * (1 - ms_ssim(real, fake, width))}
        if self.spectrum_weight > 0:
            found["spectrum"] = self.spectrum_weight * spectral_distance(real / width, fake / width)
        if self.perceptual is not None:
            net = perceptual_net(self.perceptual, self.perceptual_sha256)
            from_zero = [(x - self.data_low) / width for x in (real, fake)]
            found["perceptual"] = self.perceptual_weight * net.distance(*from_zero)
        return found
