"""What is measured of sound: how near reconstructions are, and how far new sounds are from known ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from senzai.core.later import Tensor, torch
from senzai.core.waves import Stft, log_spectral_distance, mel_filters, most_mels, si_sdr, stft_distance

from ..rows import Array
from .sounds import Sound

SHORT = 0.032
"""Seconds of the window of the log-spectral distance and of the features."""


def transform_of(rate: int) -> Stft:
    """Return the transform of about 32 ms that distances are taken with."""
    size = 2 ** round(np.log2(SHORT * rate))
    return Stft(size, size // 4)


def of_pairs(rows: Sequence[Sound], made: Sequence[Sound]) -> Mapping[str, Array]:
    """Return distances of each reconstruction to its sound, channels averaged, at the sound's own rate.

    ``stft_distance`` is over several resolutions, ``log_spectral_distance`` in dB over windows of 32 ms, ``si_sdr`` in
    dB (higher is better; it follows phases, which pictures do not have). Of a silent sound ``si_sdr`` is NaN.
    """
    found: dict[str, list[float]] = {"stft_distance": [], "log_spectral_distance": [], "si_sdr": []}
    for row, other in zip(rows, made, strict=True):
        n = min(len(row.samples), len(other.samples))
        x, y = (torch.from_numpy(np.asarray(s.samples[:n], np.float32)).mean(1) for s in (row, other))
        stft = transform_of(row.rate)
        found["stft_distance"].append(float(stft_distance(x, y)))
        found["log_spectral_distance"].append(float(log_spectral_distance(x, y, stft)))
        found["si_sdr"].append(float(si_sdr(x, y)))
    return {name: np.asarray(values) for name, values in found.items()}


def mel_features(waves: Array, rate: int) -> Array:
    """Return the features ``mel-moments``: mean and standard deviation over time of each log-mel band, ``(N, 2n)``.

    They say which frequencies a sound has and how much they move, and nothing of their order in time.
    """
    stft = transform_of(rate)
    filters = mel_filters(most_mels(stft.size, rate, 40), stft.size, rate)
    found = []
    for part in torch.from_numpy(np.asarray(waves, np.float32)).split(64):
        logs: Tensor = (filters @ stft.magnitude(part) + 1e-4 * stft.size / 4).log()
        found.append(torch.cat([logs.mean(-1), logs.std(-1, correction=0)], -1))
    return torch.cat(found).double().numpy()


def frechet(a: Array, b: Array) -> float:
    r"""Return the Fréchet distance of two sets of features ``(N, d)``, as normals.

    .. math:: \| \mu_a - \mu_b \|^2 + \mathrm{tr}\bigl(S_a + S_b - 2 (S_a S_b)^{1/2}\bigr)
    """
    means = float(np.square(a.mean(0) - b.mean(0)).sum())
    left, right = (np.atleast_2d(np.cov(v.T)) for v in (a, b))
    values, vectors = np.linalg.eigh(left)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ right @ root).clip(0)
    return means + float(np.trace(left) + np.trace(right) - 2 * np.sqrt(middle).sum())


def of_sets(made: Array, known: Array, rate: int) -> Mapping[str, float]:
    """Return the Fréchet distance in mel-moments, beside that of the halves of the known sounds, and what is silent."""
    half = len(known) // 2
    features = mel_features(known, rate)
    found = {"frechet_mel_moments": frechet(mel_features(made, rate), features)}
    if half > 1:
        found["frechet_mel_moments_of_real_halves"] = frechet(features[:half], features[half:])
    peaks = np.abs(made).max(1)
    return found | {"silent": float((peaks < 1e-3).mean()), "beyond_full_scale": float((peaks > 1).mean())}
