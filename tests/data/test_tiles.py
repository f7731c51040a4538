"""Pictures of any size as tiles, and whole pictures blended from them."""

import numpy as np
import pytest
from PIL import Image

import senzai
from senzai.core.errors import InputError, SettingError
from senzai.data import open_data
from senzai.data.images.tiles import Whole

RNG = np.random.default_rng(5)
SIZES = [(40, 56), (16, 16), (33, 20), (9, 70)]  # one is lower than a tile


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, (height, width) in enumerate(SIZES):
        Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"p{i}.png")
    return folder


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_tiles_cover_everything_and_come_back_as_they_were(photos):
    dataset = open_data(photos, options={"patch": 16})
    whole = dataset.decode(dataset.batch().x)
    assert isinstance(whole, Whole)
    assert whole.names == ["p0", "p1", "p2", "p3"]
    for i, made in enumerate(whole):
        np.testing.assert_array_equal(made, pixels(photos / f"p{i}.png"))


def test_a_tile_is_what_lies_there(photos):
    dataset = open_data(photos, options={"patch": "16x8", "overlap": 0.5})
    cut = dataset.source
    x = np.rint(dataset.batch().tensor.numpy() * 255) if dataset.batch().tensor.max() <= 1 else dataset.batch().tensor
    assert dataset.schema.event_shape == (3, 16, 8)
    assert cut.stride == (8, 4)
    for row, (i, top, left) in enumerate(cut.places.tolist()):
        there = pixels(photos / f"p{i}.png")[top : top + 16, left : left + 8].transpose(2, 0, 1)
        np.testing.assert_array_equal(np.asarray(x[row])[:, : there.shape[1], : there.shape[2]], there)


def test_tiles_of_a_picture_are_in_one_part(photos):
    dataset = open_data(photos, options={"patch": 8, "test": 0.25, "validation": 0.25})
    of = dataset.source.places[:, 0]
    parts = [set(of[index].tolist()) for index in dataset.split_indices().values()]
    assert dataset.schema.split.by == "groups"
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(SIZES)


def test_pictures_are_decoded_again_where_memory_is_short(photos, monkeypatch):
    monkeypatch.setattr("senzai.data.images.tiles.IN_MEMORY_BYTES", 1)
    cut = open_data(photos, options={"patch": 16}).source
    order = RNG.permutation(len(cut))
    again = cut.fetch(order)
    assert len(cut.held) == 1
    np.testing.assert_array_equal(again[np.argsort(order)], cut.fetch(np.arange(len(cut))))


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return senzai.fit(
        photos, patch=16, out=tmp_path_factory.mktemp("run") / "run", steps=3, n_latent=2, network="mlp", hidden=(8,),
        progress=False, test=0.0, validation=0.25,
    )


def test_a_run_of_tiles_takes_pictures_of_any_size(run, photos, tmp_path):
    whole = run.reconstruct(photos)
    assert [w.shape for w in whole] == [(*size, 3) for size in SIZES]
    run.dataset(photos).kind.write(whole, tmp_path / "out", run.schema)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["p0.png", "p1.png", "p2.png", "p3.png"]
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "p2.png"), whole[2])
    one = run.reconstruct(photos / "p0.png")
    np.testing.assert_array_equal(one[0], whole[0])
    run.dataset(photos).kind.write(one, tmp_path / "one.png", run.schema)
    np.testing.assert_array_equal(pixels(tmp_path / "one.png"), one[0])
    with pytest.raises(InputError, match="4 of different sizes"):
        run.dataset(photos).kind.write(whole, tmp_path / "four.png", run.schema)


def test_a_run_of_whole_pictures_takes_larger_ones_as_tiles(photos, tmp_path):
    for i in range(20):
        Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    plain = senzai.fit(tmp_path, steps=2, n_latent=2, network="mlp", hidden=(8,), progress=False)
    data = plain.dataset(photos, options={"patch": 16})
    assert [w.shape for w in plain.reconstruct(data)] == [(*size, 3) for size in SIZES]
    with pytest.raises(SettingError, match="patch=16x16"):
        plain.dataset(photos, options={"patch": 8})


def test_seams_are_blended(photos):
    """What two tiles say of one place is weighed by how far it is from their edges: no step of more than a share."""
    cut = open_data(photos / "p0.png", options={"patch": 16, "overlap": 0.5}).source
    tiles = np.broadcast_to((cut.places[:, 2] * 4.0)[:, None, None], (len(cut), 16, 16))  # a level of its own for each
    made = cut.whole(tiles)[0]
    steps = np.abs(np.diff(made, axis=1))
    assert steps.max() < 32 / 4  # neighbouring levels are 32 apart: without blending the step is 32
    assert (np.diff(made, axis=1) > -1e-4).all()
