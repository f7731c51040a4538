"""Sound: transforms against independent computations, files to rows and back, and what is refused."""

import struct

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError, SettingError
from senzai.core.waves import (
    Stft,
    griffin_lim,
    log_spectral_distance,
    mel_filters,
    most_mels,
    si_sdr,
    stft_distance,
    unmel,
)
from senzai.data import KINDS, detect_kind, open_data
from senzai.data.audio import Sound

sf = pytest.importorskip("soundfile")

RATE = 8000
WHOLE = {"validation": 0, "test": 0}


def sine(hertz, seconds=0.5, rate=RATE, size=0.5):
    return (size * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds=0.5, rate=RATE, seed=0, channels=1):
    x = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    return np.rint(x.clip(-1, 1) * 32767).astype(np.int16)


def back(dataset):
    return dataset.decode(dataset.batch().x)


@pytest.fixture
def folder(tmp_path):
    """Two classes of four recordings each, 0.2 to 0.5 s."""
    for name in ("high", "low"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            sf.write(tmp_path / "set" / name / f"{i}.wav", noise(0.2 + 0.1 * i, seed=i), RATE)
    return tmp_path / "set"


# --- transforms -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("size", "hop", "length"), [(256, 64, 1000), (512, 128, 333), (64, 32, 4001), (16, 4, 5)])
def test_the_transform_comes_back_to_a_millionth(size, hop, length):
    x = torch.randn(3, length, dtype=torch.float64)
    stft = Stft(size, hop)
    assert (stft.inverse(stft.forward(x), length) - x).abs().max() < 1e-6
    single = x.float()
    assert (stft.inverse(stft.forward(single), length) - single).abs().max() < 1e-5


def test_frames_are_windowed_fourier_sums():
    x, size, hop = torch.randn(300, dtype=torch.float64), 64, 16
    frames = Stft(size, hop).forward(x)
    padded = np.concatenate([np.zeros(size // 2), x.numpy(), np.zeros(size)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for m in (0, 3, frames.shape[1] - 1):
        wanted = np.fft.rfft(window * padded[m * hop : m * hop + size])
        np.testing.assert_allclose(frames[:, m].numpy(), wanted, atol=1e-10)
    np.testing.assert_allclose(Stft(size, hop).magnitude(x).numpy(), frames.abs().numpy(), atol=1e-9)


@pytest.mark.parametrize(("n", "size", "rate"), [(20, 512, 8000), (40, 1024, 22050)])
def test_mel_bands_are_interpolated_triangles(n, size, rate):
    mels = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), n + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    at = np.fft.rfftfreq(size, 1 / rate)
    wanted = [np.interp(at, corners[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(n)]
    np.testing.assert_allclose(mel_filters(n, size, rate).numpy(), wanted, atol=1e-6)
    assert (mel_filters(most_mels(size, rate), size, rate).amax(1) > 0).all()


def test_bands_are_reached_by_magnitudes_that_are_not_negative():
    filters = mel_filters(30, 512, RATE)
    bands = filters @ torch.rand(257, 6)
    found = unmel(bands, filters, steps=300)
    assert (found >= 0).all()
    assert (filters @ found - bands).norm() < 0.02 * bands.norm()


def test_phases_are_found_for_the_magnitudes_of_a_sound():
    x, stft = torch.from_numpy(sine(440) + sine(1000, size=0.2)), Stft(512, 128)
    wanted = stft.magnitude(x)
    made = griffin_lim(wanted, stft, len(x))
    at_random = griffin_lim(wanted, stft, len(x), steps=0)
    far, near = ((stft.magnitude(v) - wanted).norm() / wanted.norm() for v in (at_random, made))
    assert near < 0.1 < far
    both = griffin_lim(torch.stack([wanted * 0.5, wanted]), stft, len(x))
    torch.testing.assert_close(both[1], made, atol=1e-4, rtol=0)


def test_the_ratio_of_signal_to_distortion_is_that_of_noise_that_was_added():
    x, e = torch.from_numpy(sine(400, 1.0)).double(), torch.from_numpy(sine(700, 1.0)).double()  # orthogonal
    for wanted in (0.0, 10.0, 30.0):
        y = x + e * 10 ** (-wanted / 20)
        assert float(si_sdr(x, y)) == pytest.approx(wanted, abs=1e-6)
        assert float(si_sdr(x, 3 * y + 0.2)) == pytest.approx(wanted, abs=1e-6)
    assert torch.isnan(si_sdr(torch.zeros(100), x[:100].float()))


def test_distances_of_spectra_of_a_louder_sound_are_its_level():
    x, stft = torch.from_numpy(noise(1.0)[:, 0] / 32768).double(), Stft(256, 64)
    assert float(log_spectral_distance(x, 0.1 * x, stft, floor=1e-9)) == pytest.approx(20, abs=1e-6)
    assert float(log_spectral_distance(x, x, stft)) == 0
    wanted = 0.5 + np.log(2)  # spectral convergence, and the difference of logarithms
    assert float(stft_distance(x, 0.5 * x)) == pytest.approx(wanted, abs=1e-3)
    assert float(stft_distance(x, x)) == 0


# --- files to rows and back -----------------------------------------------------------------------------------------
def test_samples_of_files_come_back_exactly(folder, tmp_path):
    data = open_data(folder, options={"form": "wave", **WHOLE})
    assert data.schema.label.classes == ("high", "low")
    data.kind.write(back(data), tmp_path / "out", data.schema)
    for path in folder.rglob("*.wav"):
        given, made = (sf.read(p, dtype="int16") for p in (path, tmp_path / "out" / path.relative_to(folder)))
        assert given[1] == made[1] == RATE
        np.testing.assert_array_equal(given[0], made[0])


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read_and_written(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    KINDS["audio"].write([Sound(sine(440)[:, None], RATE)], path, open_schema())
    data = open_data(path, options={"form": "wave", **WHOLE})
    made = back(data)[0].samples[:, 0]
    assert float(si_sdr(torch.from_numpy(sine(440)), torch.from_numpy(made[:4000]))) > 20


def open_schema(**options):
    x = np.stack([sine(440), sine(600)])
    return open_data(x, options={"rate": RATE, **WHOLE, **options}).schema


@pytest.mark.parametrize(("dtype", "channels"), [("float32", 1), ("float64", 2), ("int16", 1)])
def test_arrays_come_back_in_their_layout_and_dtype(dtype, channels):
    x = np.stack([noise(0.5, seed=i, channels=channels) for i in range(3)])
    x = x if dtype == "int16" else (x / 32768).astype(dtype)
    x = x[..., 0] if channels == 1 else x
    made = back(open_data(x, options={"rate": RATE, "form": "wave", **WHOLE}))
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, x)


def test_long_recordings_are_sliced_and_joined_again(tmp_path):
    given = noise(1.1)
    sf.write(tmp_path / "a.wav", given, RATE)
    data = open_data(tmp_path / "a.wav", options={"form": "wave", "seconds": 0.25, "test": 0.2, "validation": 0.2})
    assert len(data) == 5
    (whole,) = back(data)
    np.testing.assert_array_equal(np.rint(whole.samples * 32768).astype(np.int16), given)
    parts = data.split_indices()
    assert max(parts["train"]) < min(parts["validation"]) < min(parts["test"])  # one recording: by time


def test_slices_of_a_recording_stay_in_one_part(tmp_path):
    for i in range(6):
        sf.write(tmp_path / f"{i}.wav", noise(0.5, seed=i), RATE)
    data = open_data(tmp_path, options={"seconds": 0.2, "test": 0.3, "validation": 0.2})
    parts = {name: set(data.source.owner[rows]) for name, rows in data.split_indices().items()}
    assert len(set.union(*parts.values())) == sum(map(len, parts.values())) == 6


@pytest.mark.parametrize("rate", [16000, 11025, 44100])
def test_rates_are_unified_by_what_most_have_and_come_back(tmp_path, rate):
    for name, r in (("a", RATE), ("b", RATE), ("c", rate)):
        sf.write(tmp_path / f"{name}.wav", sine(440, 0.6, r), r)
    data = open_data(tmp_path, options={"form": "wave", "seconds": 0.25, **WHOLE})
    assert any(f"1 at {rate:,} Hz" in reason for reason in data.schema.reasons)
    waves = data.batch().tensor[data.source.owner == 2, 0].flatten()[:4800]
    assert float(si_sdr(torch.from_numpy(sine(440, 0.6)), waves)) > 25
    third = back(data)[2]
    assert third.rate == rate
    assert len(third.samples) == round(0.6 * rate)
    assert float(si_sdr(torch.from_numpy(sine(440, 0.6, rate)), torch.from_numpy(third.samples[:, 0]))) > 25


def test_a_slice_is_what_the_resampled_whole_has_there(tmp_path):
    from scipy.signal import resample_poly

    x = noise(1.0, 11025)[:, 0] / 32768
    sf.write(tmp_path / "a.wav", noise(1.0, 11025), 11025)
    data = open_data(tmp_path / "a.wav", options={"form": "wave", "seconds": 0.2, "rate": RATE, **WHOLE})
    whole = resample_poly(x, 320, 441)
    made = data.batch().tensor[:, 0].flatten().numpy()[: len(whole)]
    np.testing.assert_allclose(made, whole, atol=1e-6)


def test_channels_are_unified_by_a_stated_rule(tmp_path):
    stereo = noise(channels=2)
    sf.write(tmp_path / "a.wav", stereo, RATE)
    sf.write(tmp_path / "b.wav", stereo[:, :1], RATE)
    data = open_data(tmp_path, options={"form": "wave", **WHOLE})
    assert data.schema.event_shape[0] == 1
    assert any("one is the mean" in r for r in data.schema.reasons)
    np.testing.assert_allclose(data.batch().tensor[0, 0].numpy(), stereo.mean(1) / 32768, atol=1e-6)
    both = open_data(tmp_path, options={"form": "wave", "n_channels": 2, **WHOLE}).batch().tensor
    assert torch.equal(both[1, 0], both[1, 1])
    np.testing.assert_array_equal(both[0].numpy().T, (stereo / 32768).astype(np.float32))


def test_silence_is_named_and_kept(tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE)
    sf.write(tmp_path / "quiet.wav", np.zeros(4000, np.int16), RATE)
    data = open_data(tmp_path, options=WHOLE)
    assert len(data) == 2
    assert any("1 of 2 rows are silent" in r and "quiet.wav" in r for r in data.schema.reasons)


def test_pictures_become_sound_with_the_same_bands():
    x = np.stack([sine(440) + sine(880, size=0.1), sine(300)])
    data = open_data(x, options={"rate": RATE, **WHOLE})
    assert data.schema.event_shape == (1, 64, 32)
    assert data.schema.values == "real"
    again = open_data(back(data), schema=data.schema)
    loud = data.batch().tensor > 1
    assert (again.batch().tensor - data.batch().tensor)[loud].abs().mean() < 0.15


def test_what_is_beyond_full_scale_is_kept_in_wav_and_said_elsewhere(tmp_path):
    loud = Sound(2 * sine(440)[:, None] / 0.5, RATE)
    KINDS["audio"].write([loud], tmp_path / "a.wav", open_schema())
    assert np.abs(sf.read(tmp_path / "a.wav")[0]).max() == pytest.approx(2, abs=1e-3)
    with pytest.warns(UserWarning, match="cut"):
        KINDS["audio"].write([loud], tmp_path / "a.flac", open_schema())


def test_rows_go_through_json(folder):
    data = open_data(folder, options={"form": "wave", **WHOLE})
    texts = data.kind.to_json(data.decode(data.batch([0, 1]).x), data.schema)
    again = open_data(data.kind.from_json(texts, data.schema), schema=data.schema)
    assert torch.equal(again.batch().x, data.batch([0, 1]).x)


def test_sources_are_recognised(folder):
    files = sorted(folder.rglob("*.wav"))
    assert {detect_kind(s) for s in (folder, files[0], files, [str(f) for f in files])} == {"audio"}
    assert detect_kind(np.zeros((4, 100)), {"rate": RATE}) == "audio"
    labelled = open_data((files, [i % 2 for i in range(8)]), options=WHOLE)
    assert labelled.schema.label.classes == (0, 1)


# --- what is refused ------------------------------------------------------------------------------------------------
def bad(case, folder):
    path = folder / "bad.wav"
    if case == "empty":
        sf.write(path, np.zeros(0), RATE)
    elif case == "slow":
        sf.write(path, np.zeros(10), 1)
    elif case == "text":
        path.write_text("this is no sound")
    elif case == "nan":
        sf.write(path, np.array([0, np.nan, 0]), RATE, subtype="FLOAT")
    elif case == "gigabytes":
        sf.write(path, noise(), RATE)
        content = bytearray(path.read_bytes())
        content[40:44] = struct.pack("<I", 3_000_000_000)
        path.write_bytes(content)
    elif case == "cut mp3":
        path = folder / "bad.mp3"
        sf.write(path, sine(440, 3.0), RATE)
        path.write_bytes(path.read_bytes()[:4000])
    elif case == "cut flac":
        path = folder / "bad.flac"
        sf.write(path, noise(2.0), RATE)
        path.write_bytes(path.read_bytes()[:4000])
    return path


@pytest.mark.parametrize(("case", "words"), [
    ("empty", "must have samples"), ("slow", "samples a second"), ("text", "must be readable"), ("nan", "NaN"),
    ("gigabytes", "3.0 GB"), ("cut mp3", "whole|readable"), ("cut flac", "whole|readable"),
])
def test_bad_files_are_told_in_one_sentence_with_the_way_out(tmp_path, case, words):
    path = bad(case, tmp_path)
    sf.write(tmp_path / "good.wav", noise(), RATE)
    with pytest.raises(InputError, match=words) as refused:
        open_data(tmp_path, options=WHOLE)
    assert path.name in str(refused.value)


def test_bad_files_are_skipped_where_that_is_asked(tmp_path):
    sf.write(tmp_path / "good.wav", noise(), RATE)
    bad("text", tmp_path)
    data = open_data(tmp_path, options={"skip_bad": True, **WHOLE})
    assert len(data) == 1
    assert any("bad.wav" in r for r in data.schema.reasons)


@pytest.mark.parametrize(("x", "options", "words"), [
    (np.zeros((3, 100)), {}, "rate"), (np.full((3, 100), np.nan), {"rate": RATE}, "NaN|missing"),
    (np.zeros((3, 100), np.int64), {"rate": RATE}, "int16"), (np.zeros((3, 100, 50)), {"rate": RATE}, "channels"),
])
def test_bad_arrays_are_refused(x, options, words):
    with pytest.raises((InputError, SettingError), match=words):
        open_data(x, kind="audio", options=options)
