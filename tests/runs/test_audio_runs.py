"""Runs on sound: every verb from files to files, the codec as it arrives, and what is judged."""

import json

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, ShapeError
from senzai.parts import CodeStream

sf = pytest.importorskip("soundfile")

RATE, SMALL = 8000, {"steps": 4, "width": 4, "validation": 0.2, "test": 0.2, "sampler": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of twenty beeps of a quarter second, one of them at another rate."""
    place = tmp_path_factory.mktemp("beeps")
    rng = np.random.default_rng(0)
    for name, hertz in (("high", 900.0), ("low", 300.0)):
        (place / name).mkdir()
        for i in range(20):
            rate = 16000 if (name, i) == ("low", 7) else RATE
            t = np.arange(rate // 4 - 200) / rate
            x = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * t) + 0.001 * rng.standard_normal(len(t))
            sf.write(place / name / f"{i:02d}.wav", x, rate)
    return place


@pytest.fixture(scope="module")
def pictured(folder, tmp_path_factory):
    return senzai.fit(folder, out=tmp_path_factory.mktemp("runs") / "mel", condition="label", n_latent=3, window=128,
                      **SMALL)


@pytest.fixture(scope="module")
def coded(folder, tmp_path_factory):
    settings = {"quantiser.n_codes": 16, "quantiser.depth": 3}
    return senzai.fit(folder, out=tmp_path_factory.mktemp("runs") / "wave", form="wave", **SMALL, **settings)


def test_new_sounds_of_a_class_are_written_at_the_rate_of_the_data(pictured, tmp_path):
    new = pictured.sample(3, seed=1, given={"label": "low"})
    assert [(s.rate, len(s.samples)) for s in new] == [(RATE, 1960)] * 3 or {s.rate for s in new} == {RATE}
    pictured.kind.write(new, tmp_path / "new", pictured.schema)
    assert {sf.info(p).samplerate for p in (tmp_path / "new").iterdir()} == {RATE}
    again = pictured.sample(3, seed=1, given={"label": "low"})
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(new, again, strict=True))


@pytest.mark.parametrize("run", ["pictured", "coded"])
def test_reconstructions_have_the_length_and_the_rate_of_their_files(run, folder, request):
    made = request.getfixturevalue(run).reconstruct(folder)
    for sound in made:
        about = sf.info(folder / sound.name)
        assert (sound.rate, len(sound.samples)) == (about.samplerate, about.frames)


def test_two_files_are_morphed(pictured, folder, tmp_path):
    a, b = folder / "low" / "00.wav", folder / "high" / "00.wav"
    ways = pictured.interpolate(a, b, steps=4)
    sounds = ways if isinstance(ways, list) else list(ways)
    assert sounds
    assert len(pictured.encode(a)[0]) == 3
    assert np.isfinite(pictured.score(folder)).all()
    assert pictured.traverse(a, dim=1) is not None


def test_codes_of_a_stream_are_those_of_the_whole(coded):
    coder, (quantiser,) = coded.model.coder, coded.model.quantisers
    x = torch.randn(1, 3 * coder.stages.context + 123)
    with torch.no_grad():
        whole = quantiser(coder.vectors(x[None])).codes.unflatten(1, (-1, quantiser.depth))[0]
    for sizes in ([80], [1, 79, 200], [997], [5000]):
        stream, found, start = CodeStream(coder, quantiser), [], 0
        while start < x.shape[1]:
            n = sizes[len(found) % len(sizes)]
            found.append(stream.push(x[:, start : start + n]))
            start += n
        torch.testing.assert_close(torch.cat([*found, stream.finish()]), whole)
        assert stream._kept.shape[1] <= coder.stages.context + coder.stages.total
    with pytest.raises(ShapeError, match="stream"):
        stream.push(torch.zeros(2, 10))


def test_a_frame_sees_nothing_after_it_and_no_more_than_its_context(coded):
    stages = coded.model.coder.stages.double()
    x = torch.randn(1, 1, 4 * stages.context, dtype=torch.float64, requires_grad=True)
    frame = 3 * stages.context // stages.total
    (seen,) = torch.autograd.grad(stages(x)[..., frame].sum(), x)
    stages.float()
    at = seen[0, 0].nonzero().flatten()
    assert int(at.max()) < (frame + 1) * stages.total
    assert int(at.min()) >= frame * stages.total - stages.context


def test_codes_are_told_by_their_bits_a_second(coded, folder):
    found = coded.evaluate(folder, k=2, only=("code_rate", "reconstructions"))["measured"]
    frames = -(-coded.schema.event_shape[1] // 80)
    seconds = coded.schema.event_shape[1] / RATE
    assert found["code_rate"]["bits_per_second"] == pytest.approx(frames * 3 * 4 / seconds)
    assert set(found["reconstructions"]) >= {"stft_distance", "log_spectral_distance", "si_sdr"}


def test_new_sounds_are_compared_with_known_ones(pictured, folder):
    found = pictured.evaluate(folder, k=2, only=("new_rows", "reconstructions"))["measured"]
    assert {"frechet_mel_moments", "frechet_mel_moments_of_real_halves", "silent"} <= set(found["new_rows"])
    assert "si_sdr" not in found["reconstructions"]


def test_the_report_plays_originals_reconstructions_and_samples(pictured):
    page = pictured.report().read_text()
    assert page.count("<audio controls") >= 6 + 12
    assert "data:audio/wav;base64," in page
    assert len(page) < 12_000_000


def test_rows_are_the_same_when_they_are_read_piece_by_piece(folder, monkeypatch):
    from senzai.data import open_data
    from senzai.data.audio import kind

    held = open_data(folder).batch().tensor
    monkeypatch.setattr(kind, "IN_MEMORY_BYTES", 0)
    streamed = open_data(folder)
    assert not streamed.rows.in_memory
    assert torch.equal(streamed.batch().tensor, held)
    assert streamed.decode(streamed.batch().x)[27].rate == 16000


def test_a_codec_is_refused_where_rows_are_no_waves(folder):
    with pytest.raises(CombinationError, match="form=wave"):
        senzai.fit(folder, recipe="wave-codec", **SMALL)


def test_the_command_line_goes_from_wav_to_wav(pictured, folder, tmp_path):
    from typer.testing import CliRunner

    from senzai.apps.cli import app

    def call(*words):
        found = CliRunner().invoke(app, [str(w) for w in words])
        assert found.exit_code == 0, found.output
        return found

    run = pictured.folder
    call("sample", run, "-n", 2, "--given", "label=high", "-o", tmp_path / "new")
    call("interpolate", run, folder / "low" / "00.wav", folder / "high" / "00.wav", "-o", tmp_path / "morph.wav")
    assert sf.info(tmp_path / "morph.wav").samplerate == RATE
    assert json.loads(call("info", run, "--json").stdout)
