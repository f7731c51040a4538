"""How alike two images are: structural similarity over several scales, and distance of their spectra."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5


def ms_ssim(x: Tensor, y: Tensor, data_range: Tensor | float = 1.0) -> Tensor:
    r"""Return the multi-scale structural similarity of images ``(B, C, H, W)``, one number per row, 1 if equal.

    .. math:: \mathrm{MS\text{-}SSIM} = l_S^{w_S} \prod_{s=1}^S c_s^{w_s}

    with luminance l at the coarsest of S scales and contrast-structure c at each, means over pixels and channels of a
    Gaussian window's statistics. Small images get a smaller window (their smaller side, made odd, if below 11), and as
    many of the five scales as leave a window's width; the weights of those are scaled to add up to one.

    Reference:
        Multi-scale structural similarity for image quality assessment (Wang et al., 2003).
        https://doi.org/10.1109/ACSSC.2003.1292216

    Args:
        x: Images.
        y: Images to compare them with.
        data_range: Largest minus smallest value.

    Example:
        >>> float(ms_ssim(torch.eye(8).expand(2, 1, 8, 8), torch.eye(8).expand(2, 1, 8, 8)).mean())
        1.0
    """
    window = gaussian(min(WINDOW, odd(min(x.shape[-2:]))), x)
    n_scales = min(len(WEIGHTS), halvings(min(x.shape[-2:]), least=len(window)))
    weights = torch.tensor(WEIGHTS[:n_scales], dtype=x.dtype, device=x.device)
    weights = weights / weights.sum()
    found = torch.ones_like(x[:, 0, 0, 0])
    for s in range(n_scales):
        luminance, contrast = _statistics(x, y, window, data_range)
        last = s == n_scales - 1
        value = (luminance * contrast if last else contrast).flatten(1).mean(-1)
        found = found * value.clamp_min(1e-6) ** weights[s]
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return found


def odd(n: int) -> int:
    """Return the largest odd number up to ``n``."""
    return n - (n + 1) % 2


def gaussian(width: int, like: Tensor) -> Tensor:
    """Return a normal window of one dimension that adds up to one."""
    at = torch.arange(width, dtype=like.dtype, device=like.device) - (width - 1) / 2
    window = torch.exp(-0.5 * (at / SIGMA).square())
    return window / window.sum()


def _blur(x: Tensor, window: Tensor) -> Tensor:
    channels = x.shape[1]
    down = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, down, groups=channels), across, groups=channels)


def _statistics(x: Tensor, y: Tensor, window: Tensor, data_range: Tensor | float) -> tuple[Tensor, Tensor]:
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = _blur(x, window), _blur(y, window)
    vx, vy = _blur(x * x, window) - mx * mx, _blur(y * y, window) - my * my
    cov = _blur(x * y, window) - mx * my
    return (2 * mx * my + c1) / (mx * mx + my * my + c1), (2 * cov + c2) / (vx + vy + c2)


def spectral_distance(x: Tensor, y: Tensor) -> Tensor:
    r"""Return the distance of the amplitude spectra of images ``(B, C, H, W)``, one number per row.

    .. math:: \frac1S \sum_{s=1}^S 4^{s-1} \sum_{c, u, v} \big| |\hat x^{(s)}_{cuv}| - |\hat y^{(s)}_{cuv}| \big|

    over S scales, each the mean of 2 x 2 pixels of the last until fewer than four remain on a side, with an orthonormal
    Fourier transform. It sees which frequencies there are and not where, so that missing texture costs something even
    where its exact place cannot be known. A scale counts as many pixels as the image has.

    Example:
        >>> x = torch.eye(8).view(1, 1, 8, 8)
        >>> bool(spectral_distance(x, x.roll(2, -1)) < 1e-4)
        True
    """
    n = halvings(min(x.shape[-2:]), least=4)
    total = torch.zeros_like(x[:, 0, 0, 0])
    for s in range(n):
        a, b = (torch.fft.fft2(v, norm="ortho").abs() for v in (x, y))
        total = total + 4**s * (a - b).abs().flatten(1).sum(-1)
        if s < n - 1:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total / n


def halvings(side: int, *, least: int) -> int:
    """Return how many scales, each half the last, keep at least ``least`` pixels on a side; one at any rate.

    Example:
        >>> halvings(28, least=4), halvings(28, least=11), halvings(3, least=4)
        (3, 2, 1)
    """
    n = 1
    while side // 2**n >= least:
        n += 1
    return n
