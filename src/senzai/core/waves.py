"""Sound as frames of frequencies and back: the short-time Fourier transform, mel bands, phases from magnitudes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import SettingError
from .later import Tensor, torch

SIZES = (64, 128, 256, 512, 1024, 2048)
"""Windows of the distances over several resolutions, in samples."""
FLOOR = 1e-5
"""Magnitude below which nothing is told apart: 100 dB below a sine at full scale."""


@dataclass(frozen=True, slots=True)
class Stft:
    r"""The short-time Fourier transform with a Hann window, centred; what lies beyond either end counts as silence.

    .. math:: X_{k, m} = \sum_n w_n\, x_{m h + n - N/2}\, e^{-2 \pi i k n / N}, \qquad m = 0 \dots \lfloor T / h \rfloor

    The inverse adds windows up and divides by the sum of their squares, so that it is exact.

    Reference:
        Signal estimation from modified short-time Fourier transform (Griffin and Lim, 1984).
        https://doi.org/10.1109/TASSP.1984.1164317

    Args:
        size: Samples of a window, N.
        hop: Samples from one frame to the next, h; at most half a window.

    Raises:
        SettingError: They are out of range.

    Example:
        >>> x = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
        >>> stft = Stft(256, 64)
        >>> stft.forward(x).shape, bool((stft.inverse(stft.forward(x), 1000) - x).abs().max() < 1e-5)
        (torch.Size([2, 129, 16]), True)
    """

    size: int
    hop: int

    def __post_init__(self) -> None:
        if self.size < 4 or not 1 <= self.hop <= self.size // 2:
            raise SettingError(
                f"A window has 4 samples at least, and hops at most half of them, but got size={self.size!r} and "
                f"hop={self.hop!r}. A quarter of the window is usual."
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return frames ``(*lead, size // 2 + 1, 1 + T // hop)``, complex, of waves ``(*lead, T)``."""
        flat = x.reshape(-1, x.shape[-1])
        window = torch.hann_window(self.size, dtype=x.dtype, device=x.device)
        found = torch.stft(
            flat, self.size, self.hop, window=window, center=True, pad_mode="constant", return_complex=True
        )
        return found.reshape(*x.shape[:-1], *found.shape[-2:])

    def magnitude(self, x: Tensor) -> Tensor:
        """Return the absolute values of the frames, with a gradient that is 0 at silence."""
        frames = self.forward(x)
        return (frames.real.square() + frames.imag.square()).clamp_min(1e-20).sqrt()

    def inverse(self, frames: Tensor, length: int) -> Tensor:
        """Return waves ``(*lead, length)`` of frames."""
        flat = frames.reshape(-1, *frames.shape[-2:])
        window = torch.hann_window(self.size, dtype=frames.real.dtype, device=frames.device)
        found = torch.istft(flat, self.size, self.hop, window=window, center=True, length=length)
        return found.reshape(*frames.shape[:-2], length)


def mel(hertz: float) -> float:
    """Return a frequency on the mel scale, 2595 log10(1 + f / 700).

    Example:
        >>> round(mel(1000.0))
        1000
    """
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def hertz(mels: float) -> float:
    """Return the frequency of a place on the mel scale, in Hz.

    Example:
        >>> round(hertz(mel(440.0)), 6)
        440.0
    """
    return float(700.0 * (10.0 ** (mels / 2595.0) - 1.0))


def mel_filters(n_mels: int, size: int, rate: float) -> Tensor:
    """Return triangles ``(n_mels, size // 2 + 1)`` over the frequencies of a transform, each 1 at its middle.

    Their corners are evenly spaced on the mel scale from 0 to half the rate; each begins in the middle of the one
    before it and ends in the middle of the next.

    Reference:
        Comparison of parametric representations for monosyllabic word recognition (Davis and Mermelstein, 1980).
        https://doi.org/10.1109/TASSP.1980.1163420

    Args:
        n_mels: Number of bands.
        size: Samples of a window.
        rate: Samples a second.
    """
    top = mel(rate / 2)
    corners = torch.tensor([hertz(top * i / (n_mels + 1)) for i in range(n_mels + 2)], dtype=torch.float64)
    at = torch.arange(size // 2 + 1, dtype=torch.float64) * rate / size
    low, middle, high = (corners[i : i + n_mels].unsqueeze(1) for i in range(3))
    up, down = (at - low) / (middle - low), (high - at) / (high - middle)
    return torch.minimum(up, down).clamp_min(0).to(torch.float32)


def most_mels(size: int, rate: float, most: int = 80) -> int:
    """Return the largest number of bands, at most ``most``, of which none is empty.

    Example:
        >>> most_mels(512, 8000), most_mels(1024, 22050)
        (80, 80)
    """
    usable = (n for n in range(most, 0, -1) if bool((mel_filters(n, size, rate).amax(1) > 0).all()))
    return next(usable, 1)


def unmel(bands: Tensor, filters: Tensor, steps: int = 100) -> Tensor:
    """Return magnitudes ``(*lead, F, M)`` that are nowhere negative and whose bands are near ``(*lead, n_mels, M)``.

    Least squares by multiplicative steps, each of which brings the bands nearer.

    Reference:
        Algorithms for non-negative matrix factorization (Lee and Seung, 2000).

    Args:
        bands: What is to be reached, not negative.
        filters: See :func:`mel_filters`.
        steps: Steps.
    """
    wanted = filters.T @ bands
    share = filters / filters.sum(1, keepdim=True)
    found = share.T @ bands + 1e-9
    square = filters.T @ filters
    for _ in range(steps):
        found = found * wanted / (square @ found).clamp_min(1e-12)
    return found


def griffin_lim(magnitude: Tensor, stft: Stft, length: int, *, steps: int = 60, momentum: float = 0.99) -> Tensor:
    """Return waves ``(*lead, length)`` whose frames have nearly these magnitudes ``(*lead, F, M)``.

    Phases begin with the same random numbers for every row, so that a row follows from its magnitudes alone.

    Reference:
        A fast Griffin-Lim algorithm (Perraudin et al., 2013). https://doi.org/10.1109/WASPAA.2013.6701851

    Args:
        magnitude: Magnitudes of all frames.
        stft: The transform.
        length: Samples.
        steps: Steps; none leaves the phases at random.
        momentum: How far a step goes on in its direction; 0 is the algorithm of 1984.
    """
    generator = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.rand(magnitude.shape[-2:], generator=generator)
    phase = torch.polar(torch.ones_like(angle), angle).to(magnitude.device).expand(magnitude.shape)
    before = torch.zeros_like(phase)
    for _ in range(steps):
        rebuilt = stft.forward(stft.inverse(magnitude * phase, length))
        onward = rebuilt - (momentum / (1 + momentum)) * before
        phase, before = onward / onward.abs().clamp_min(1e-12), rebuilt
    return stft.inverse(magnitude * phase, length)


# --- distances ------------------------------------------------------------------------------------------------------
def resolutions(length: int, sizes: Sequence[int] = SIZES) -> tuple[Stft, ...]:
    """Return transforms of several windows, those that are not longer than a row; hops are a quarter of a window.

    Example:
        >>> [stft.size for stft in resolutions(600)]
        [64, 128, 256, 512]
    """
    fitting = [size for size in sizes if size <= length] or [max(4, length // 4 * 4)]
    return tuple(Stft(size, max(1, size // 4)) for size in fitting)


def stft_distance(x: Tensor, y: Tensor, sizes: Sequence[int] = SIZES) -> Tensor:
    r"""Return the distance of spectra of several resolutions between waves ``(*lead, T)``, ``(*lead,)``.

    .. math:: \frac1S \sum_s \frac{\| |X_s| - |Y_s| \|_F}{\| |X_s| \|_F}
        + \overline{\bigl| \log |X_s| - \log |Y_s| \bigr|}

    the mean over windows of spectral convergence and of the difference of logarithms, nats; magnitudes below
    :data:`FLOOR` of a full-scale sine count as that.

    Reference:
        Parallel WaveGAN (Yamamoto et al., 2020). https://arxiv.org/abs/1910.11480

    Args:
        x: Waves to be near to.
        y: Other waves.
        sizes: Windows, in samples; those longer than a row are left out.
    """
    parts = []
    for stft in resolutions(x.shape[-1], sizes):
        a, b = stft.magnitude(x), stft.magnitude(y)
        low = FLOOR * stft.size / 4
        apart = (a - b).square().flatten(-2).sum(-1).sqrt()
        whole = a.square().flatten(-2).sum(-1).sqrt().clamp_min(low)
        logs = (a.clamp_min(low).log() - b.clamp_min(low).log()).abs().flatten(-2).mean(-1)
        parts.append(apart / whole + logs)
    return torch.stack(parts).mean(0)


def log_spectral_distance(x: Tensor, y: Tensor, stft: Stft, floor: float = FLOOR) -> Tensor:
    r"""Return the log-spectral distance between waves ``(*lead, T)``, in dB, ``(*lead,)``.

    .. math:: \frac1M \sum_m \sqrt{\frac1F \sum_k \Bigl(20 \log_{10} \frac{|X_{k,m}|}{|Y_{k,m}|}\Bigr)^2}

    Args:
        x: Waves.
        y: Other waves.
        stft: The transform.
        floor: Magnitudes below this share of a full-scale sine count as that.
    """
    low = floor * stft.size / 4
    a, b = (20 * stft.magnitude(v).clamp_min(low).log10() for v in (x, y))
    return (a - b).square().mean(-2).sqrt().mean(-1)


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    r"""Return the scale-invariant ratio of signal to distortion, in dB, ``(*lead,)``: higher is better.

    .. math:: 10 \log_{10} \frac{\| \alpha x \|^2}{\| \alpha x - \hat x \|^2}, \qquad
        \alpha = \frac{\langle \hat x, x \rangle}{\| x \|^2}

    both without their means. Of a silent reference it is not defined: NaN. It sees phases: sound whose phases were
    made anew has a low one however it sounds.

    Reference:
        SDR - half-baked or well done? (Le Roux et al., 2019). https://arxiv.org/abs/1811.02508

    Args:
        reference: Waves ``(*lead, T)``.
        estimate: What was made of them.
    """
    x, y = (v - v.mean(-1, keepdim=True) for v in (reference, estimate))
    energy = x.square().sum(-1, keepdim=True)
    target = (x * y).sum(-1, keepdim=True) / energy.clamp_min(torch.finfo(x.dtype).tiny) * x
    rest = (target - y).square().sum(-1)
    ratio = 10 * (target.square().sum(-1) / rest.clamp_min(1e-30)).clamp_min(1e-30).log10()
    return torch.where(energy[..., 0] > 1e-12 * x.shape[-1], ratio, torch.full_like(ratio, math.nan))
