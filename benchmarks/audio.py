"""Spoken digits: what a classifier of real recordings hears in reconstructions and samples; a codec beside mu-law.

The recordings of the Free Spoken Digit Dataset (8 kHz, six speakers) are written as wav files, a folder a digit: takes
0 to 4 of each digit and speaker are the test, as its authors say, all others train. Everything judged went through wav
files and back. Nothing was chosen by the test recordings.

``digits``: log-mel pictures, conditioned on the digit. The classifier is a support vector machine on log-mel bands of
the training recordings; it hears test recordings, their reconstructions, and new sounds of each digit.
``codec``: codes of waves, and the log-spectral distance (windows of 32 ms, magnitudes 100 dB below full scale at least)
of test recordings to what comes back, beside that of mu-law of 8 bits at 3 kHz, 24 kbit/s.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import senzai
from senzai.core.waves import Stft, log_spectral_distance, mel_filters, si_sdr, stft_distance

from .common import need_data

RATE, TEST_TAKES, SECONDS = 8000, 5, 0.8
DIGITS = {"recipe": "vae", "n_latent": 32, "width": 16, "sampler": "mixture"}
CODEC = {"recipe": "wave-codec", "form": "wave"}
STEPS = {"digits": 1200, "codec": 500}
MU, SLOW = 255, 3000


def measure_digits(rounds: int = 1, *, quick: bool = False) -> dict[str, Any]:
    """Return the accuracies of each seed."""
    return _with_files(_digits, "digits", 1 if quick else rounds, quick)


def measure_codec(rounds: int = 1, *, quick: bool = False) -> dict[str, Any]:
    """Return bits a second and distances of each seed."""
    return _with_files(_codec, "codec", 1 if quick else rounds, quick)


def _with_files(judge: Callable[..., dict[str, Any]], name: str, rounds: int, quick: bool) -> dict[str, Any]:
    steps = 5 if quick else STEPS[name]
    with tempfile.TemporaryDirectory() as tmp:
        write_files(Path(tmp), few=quick)
        found = []
        for seed in range(rounds):
            began = time.perf_counter()
            found.append({"seed": seed, **judge(Path(tmp), seed, steps), "seconds": time.perf_counter() - began})
            print(found[-1], flush=True)
    return {"steps": steps, "seeds": found, "threads": torch.get_num_threads(),
            "settings": DIGITS if name == "digits" else CODEC, "row_seconds": SECONDS, "test_takes": TEST_TAKES}


def write_files(folder: Path, *, few: bool = False) -> None:
    """Write train and test folders, a folder a digit."""
    import soundfile

    data = dict(np.load(need_data("fsdd/fsdd_int16_8k.npz")))
    for i in range(0, len(data["digit"]), 10 if few else 1):
        part = "test" if data["take"][i] < TEST_TAKES else "train"
        place = folder / part / str(data["digit"][i])
        place.mkdir(parents=True, exist_ok=True)
        samples = data["audio"][data["offsets"][i] : data["offsets"][i + 1]]
        soundfile.write(place / f"{data['speaker'][i]}_{data['take'][i]}.wav", samples, RATE)


def read_files(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return waves of the length of a row, and digits, of a folder in the order of names."""
    import soundfile

    paths = sorted(folder.glob("*/*.wav"))
    waves = np.zeros((len(paths), round(SECONDS * RATE)), np.float32)
    for row, path in zip(waves, paths, strict=True):
        samples = soundfile.read(path, dtype="float32")[0][: len(row)]
        row[: len(samples)] = samples
    return waves, np.array([int(p.parent.name) for p in paths])


# --- digits ---------------------------------------------------------------------------------------------------------
def bands(waves: np.ndarray) -> np.ndarray:
    """Return what the classifier hears: 24 log-mel bands every 25 ms, ``(N, d)``."""
    stft, filters = Stft(400, 200), mel_filters(24, 400, RATE)
    parts = [(filters @ stft.magnitude(x) + 0.01).log() for x in torch.from_numpy(waves).split(256)]
    return torch.cat(parts).flatten(1).numpy()


def _digits(folder: Path, seed: int, steps: int) -> dict[str, Any]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    train, test = (read_files(folder / part) for part in ("train", "test"))
    hears = make_pipeline(StandardScaler(), SVC(C=10.0)).fit(bands(train[0]), train[1])
    began = time.perf_counter()
    run = senzai.fit(folder / "train", seed=seed, steps=steps, seconds=SECONDS, condition="label", test=0.0,
                     validation=0.05, **DIGITS)
    fitted = time.perf_counter() - began
    out = folder / f"digits-{seed}"
    write = run.dataset(folder / "test").kind.write
    write(run.reconstruct(folder / "test"), out / "again", run.schema.but(form="files"))
    for digit in range(10):
        new = run.sample(30, seed=seed, given={"label": str(digit)})
        write(new, out / "new" / str(digit), run.schema.but(form="files"))
    again, new = read_files(out / "again"), read_files(out / "new")
    real = hears.score(bands(test[0]), test[1])
    return {
        "fit_seconds": fitted, "accuracy_of_real": real,
        "accuracy_of_reconstructions": hears.score(bands(again[0]), again[1]),
        "kept": hears.score(bands(again[0]), again[1]) / real,
        "accuracy_of_samples": hears.score(bands(new[0]), new[1]), "samples": len(new[1]), "test": len(test[1]),
    }


# --- codec ----------------------------------------------------------------------------------------------------------
def mu_law(waves: np.ndarray) -> np.ndarray:
    """Return waves after 3 kHz and 8 bits a sample by mu-law: 24 kbit/s."""
    from scipy.signal import resample_poly

    x = np.clip(resample_poly(waves.astype(np.float64), 3, 8, axis=1), -1, 1)
    code = np.rint((np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU) + 1) / 2 * 255)
    y = 2 * code / 255 - 1
    back = np.sign(y) * np.expm1(np.abs(y) * np.log1p(MU)) / MU
    return resample_poly(back, 8, 3, axis=1)[:, : waves.shape[1]].astype(np.float32)


def _codec(folder: Path, seed: int, steps: int) -> dict[str, Any]:
    began = time.perf_counter()
    run = senzai.fit(folder / "train", seed=seed, steps=steps, seconds=SECONDS, test=0.0, validation=0.05, **CODEC)
    fitted = time.perf_counter() - began
    out = folder / f"codec-{seed}"
    run.dataset(folder / "test").kind.write(run.reconstruct(folder / "test"), out, run.schema.but(form="files"))
    x, y = (read_files(folder / "test")[0], read_files(out)[0])
    names = {"codec": y, "mu_law": mu_law(x)}
    (quantiser,) = run.model.quantisers
    codes = run.model.coder.places[0] * quantiser.depth
    return {
        "fit_seconds": fitted, "bits_per_second": codes * math.log2(quantiser.n_codes) / SECONDS,
        "mu_law_bits_per_second": 8 * SLOW, "test": len(x),
        **{name: distances(torch.from_numpy(x), torch.from_numpy(v)) for name, v in names.items()},
    }


def distances(x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Return means over recordings."""
    apart = {
        "log_spectral_distance": log_spectral_distance(x, y, Stft(256, 64)), "stft_distance": stft_distance(x, y),
        "si_sdr": si_sdr(x, y),
    }
    return {name: float(v.nanmean()) for name, v in apart.items()}
