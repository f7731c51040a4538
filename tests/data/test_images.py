"""Pictures of every mode, from files and from arrays, and back."""

import gzip
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from senzai.core.errors import InputError, OutputError, ShapeError
from senzai.data import open_data

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)
ALPHA = np.dstack([COLOUR, RNG.integers(0, 256, (9, 12), dtype=np.uint8)])


def folder(path, **pictures):
    for name, picture in pictures.items():
        file = path / f"{name.replace('__', '/')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        picture.save(file)
    return path


def pixels(data, i=0):
    return data.decode(data.batch([i]).x)[0]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("picture", "event"), [(GREY, (1, 9, 12)), (COLOUR, (3, 9, 12))])
def test_files_come_back_pixel_for_pixel(tmp_path, picture, event, lazy):
    source = folder(tmp_path / "in", a=picture, b=picture[::-1].copy(), c=255 - picture)
    data = open_data(source, options={"in_memory": not lazy})
    assert data.rows.in_memory is not lazy
    assert data.schema.event_shape == event
    assert (data.schema.values, data.schema.n_levels, data.schema.form) == ("levels", 256, "folder")
    assert data.batch().tensor.dtype == torch.uint8
    assert np.array_equal(pixels(data, 2), 255 - picture)
    data.kind.write(data.decode(data.batch().x), tmp_path / "out", data.schema)
    again = open_data(tmp_path / "out")
    assert torch.equal(again.batch().x, data.batch().x)
    assert torch.equal(open_data(tmp_path / "out", schema=data.schema).batch().x, data.batch().x)


def test_in_memory_and_lazy_agree_on_everything(tmp_path):
    source = folder(tmp_path, u__a=GREY, u__b=COLOUR[:8], v__c=ALPHA)
    whole, lazy = (open_data(source, options={"in_memory": m}) for m in (True, False))
    index = [2, 0, 2]
    assert torch.equal(whole.batch(index).x, lazy.batch(index).x)
    assert torch.equal(whole.batch(index).y, lazy.batch(index).y)
    assert whole.rows.nbytes == lazy.rows.nbytes
    assert whole.schema.label == lazy.schema.label


def test_black_and_white(tmp_path):
    bits = Image.fromarray(np.where(GREY > 128, 255, 0).astype(np.uint8)).convert("1")
    for memory in (True, False):
        data = open_data(folder(tmp_path, a=bits, b=bits, c=bits), options={"in_memory": memory})
        assert (data.schema.values, data.schema.event_shape) == ("binary", (1, 9, 12))
        assert set(np.unique(data.batch().x)) == {0, 1}
        assert np.array_equal(pixels(data), np.asarray(bits) * np.uint8(255))


def test_palettes_become_grey_or_colour(tmp_path):
    grey = Image.fromarray(GREY).convert("P")
    colour = Image.fromarray(COLOUR).quantize(8)
    assert open_data(folder(tmp_path / "g", a=grey, b=grey)).schema.event_shape == (1, 9, 12)
    assert np.array_equal(pixels(open_data(tmp_path / "g")), GREY)
    data = open_data(folder(tmp_path / "c", a=colour, b=colour))
    assert data.schema.event_shape == (3, 9, 12)
    assert np.array_equal(pixels(data), np.asarray(colour.convert("RGB")))


def test_transparency(tmp_path):
    source = folder(tmp_path, a=ALPHA, b=ALPHA)
    weight = ALPHA[..., 3:].astype(float) / 255
    white = open_data(source)
    assert np.abs(pixels(white) - (COLOUR * weight + 255 * (1 - weight))).max() <= 1
    assert any("laid on white" in r for r in white.schema.reasons)
    assert np.array_equal(pixels(open_data(source, options={"transparency": "drop"})), COLOUR)
    kept = open_data(source, options={"transparency": "keep"})
    assert kept.schema.event_shape == (4, 9, 12)
    assert np.array_equal(pixels(kept), ALPHA)


@pytest.mark.parametrize("patch", [{}, {"patch": 9}])
def test_what_pictures_lose_in_a_grey_model_is_said(tmp_path, patch):
    square = {"a": GREY[:, :9], "b": GREY[:, 3:]}
    model = open_data(folder(tmp_path / "grey", **square), options=patch).schema

    def said(path):
        told = open_data(path, schema=model).schema.reasons
        return [note for note in told if note not in model.reasons and " tiles " not in note]

    assert said(folder(tmp_path / "more", **square)) == []
    found = said(folder(tmp_path / "other", a=ALPHA[:, :9], b=COLOUR[:, :9], c=GREY[:, :9]))
    assert found == [
        "1 images are transparent; the transparency is laid on white (option transparency=...).",
        "2 of 3 images have colours, which become greys.",
    ]
    deep = said(folder(tmp_path / "deep", a=GREY[:, :9].astype(np.uint16) * 257, b=GREY[:, :9]))
    assert deep == ["1 images have 16 bits, which are scaled to 8 bits."]
    coloured = open_data(folder(tmp_path / "rgb", a=COLOUR[:, :9], b=COLOUR[:, 3:]), options=patch).schema
    kept = open_data(tmp_path / "rgb", schema=coloured).schema.reasons
    assert kept == coloured.reasons


def test_a_transparent_palette_lies_on_white(tmp_path):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30, 200, 0, 0])
    (tmp_path / "d").mkdir()
    picture.save(tmp_path / "d" / "a.png", transparency=0)
    data = open_data(tmp_path / "d")
    assert (pixels(data) == 255).all()


def test_sixteen_bits_are_scaled_to_eight_where_grey_bytes_are_asked_for(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    data = open_data(folder(tmp_path, a=deep, b=deep + 100), options={"mode": "L"})
    assert data.schema.event_shape == (1, 9, 12)
    assert np.array_equal(pixels(data), GREY)
    assert any("2 images have 16 bits" in r for r in data.schema.reasons)


def test_cmyk_becomes_rgb(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    assert open_data(tmp_path).schema.event_shape == (3, 9, 12)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".PNG"])
def test_other_formats(tmp_path, suffix):
    Image.fromarray(COLOUR).save(tmp_path / f"a{suffix}")
    data = open_data(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert np.array_equal(pixels(data), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_camera_rotation_is_applied(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / f"a{suffix}", exif=exif)
    data = open_data(tmp_path)
    assert data.schema.event_shape == (3, 12, 9)
    if suffix == ".png":
        assert np.array_equal(pixels(data), np.rot90(COLOUR, -1))


def test_grey_and_colour_together_are_colour(tmp_path):
    data = open_data(folder(tmp_path, a=GREY, b=COLOUR))
    assert data.schema.event_shape == (3, 9, 12)
    assert np.array_equal(pixels(data, 0), np.dstack([GREY] * 3))
    assert any("1 of 2 images have colours" in r for r in data.schema.reasons)
    assert open_data(tmp_path, options={"mode": "L"}).schema.event_shape == (1, 9, 12)


def test_different_sizes_become_the_median_square(tmp_path):
    source = folder(tmp_path, a=GREY, b=GREY[:6], c=np.zeros((200, 300), np.uint8))
    data = open_data(source)
    assert data.schema.event_shape == (1, 9, 9)
    assert any("3 different sizes" in r and "9 x 9" in r for r in data.schema.reasons)
    assert open_data(source, schema=data.schema).schema.event_shape == (1, 9, 9)
    folder(tmp_path / "big", a=np.zeros((200, 300), np.uint8), b=np.zeros((300, 300), np.uint8))
    assert open_data(tmp_path / "big").schema.event_shape == (1, 64, 64)


@pytest.mark.parametrize(("size", "event"), [(4, (1, 4, 4)), ("4x6", (1, 4, 6)), ((5, 3), (1, 5, 3))])
def test_the_user_sets_the_size(tmp_path, size, event):
    assert open_data(folder(tmp_path, a=GREY, b=GREY), options={"size": size}).schema.event_shape == event


def test_a_model_refuses_another_size_unless_it_may_resize(tmp_path):
    schema = open_data(folder(tmp_path / "a", a=GREY, b=GREY)).schema
    other = folder(tmp_path / "b", a=np.zeros((20, 20), np.uint8))
    with pytest.raises(ShapeError, match=r"9 high and 12 wide.*a.png.*size='9x12'"):
        open_data(other, schema=schema)
    assert open_data(other, schema=schema, options={"size": "9x12"}).schema.event_shape == (1, 9, 12)


def test_a_model_takes_colours_as_it_was_fitted(tmp_path):
    schema = open_data(folder(tmp_path / "a", a=GREY, b=GREY)).schema
    assert open_data(folder(tmp_path / "b", a=COLOUR), schema=schema).batch().tensor.shape == (1, 1, 9, 12)


def test_arrays_and_files_serve_the_same_model(tmp_path):
    folder(tmp_path, a=COLOUR, b=255 - COLOUR, c=COLOUR[::-1].copy())
    files = open_data(tmp_path)
    stack = np.stack([COLOUR, 255 - COLOUR, COLOUR[::-1]])
    array = open_data(stack, schema=files.schema)
    assert torch.equal(array.batch().x, files.batch().x)
    assert np.array_equal(array.decode(array.batch().x), stack)
    for fitted in (stack, stack / 255, stack.transpose(0, 3, 1, 2).copy()):
        data = open_data(tmp_path, schema=open_data(fitted).schema)
        assert torch.equal(data.batch().x, files.batch().x)
        assert np.array_equal(pixels(data), COLOUR)


def test_class_folders_are_labels(tmp_path):
    data = open_data(folder(tmp_path, cat__a=GREY, cat__b=GREY, dog__deep__c=GREY))
    assert (data.schema.label.name, data.schema.label.classes) == ("folder", ("cat", "dog"))
    assert data.batch().y.tolist() == [0, 0, 1]
    folder(tmp_path, root=GREY)
    assert open_data(tmp_path).schema.label is None


def test_folders_of_parts_are_no_labels(tmp_path):
    data = open_data(folder(tmp_path, train__a=GREY, test__b=GREY))
    assert data.schema.label is None
    assert any("test, train are read together" in r for r in data.schema.reasons)


def test_files_are_sorted_and_hidden_ones_left(tmp_path):
    folder(tmp_path, b=255 - GREY, a=GREY)
    (tmp_path / "._a.png").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("hello")
    data = open_data(tmp_path)
    assert len(data) == 2
    assert np.array_equal(pixels(data, 0), GREY)
    before = data.schema.fingerprint
    folder(tmp_path, b=GREY)
    assert open_data(tmp_path).schema.fingerprint != before


@pytest.mark.parametrize("lazy", [False, True])
def test_damaged_files_are_named_or_skipped(tmp_path, lazy):
    source = folder(tmp_path, a=COLOUR, b=COLOUR, c=COLOUR)
    whole = (source / "b.png").read_bytes()
    (source / "b.png").write_bytes(whole[: len(whole) // 2])
    (source / "d.png").write_bytes(b"not an image")
    options = {"in_memory": not lazy}
    with pytest.raises(InputError, match=r"[bd]\.png.*--skip-bad"):
        open_data(source, options=options)
    data = open_data(source, options={**options, "skip_bad": True})
    assert len(data.batch()) == 2
    assert sum("skipped" in r for r in data.schema.reasons) == 2
    with pytest.raises(InputError, match="none of 1 files is"):
        open_data(source / "d.png", options={"skip_bad": True})


def test_a_damaged_file_found_late_is_named(tmp_path):
    source = folder(tmp_path, a=COLOUR, b=COLOUR)
    data = open_data(source, options={"in_memory": False})
    (source / "b.png").write_bytes((source / "b.png").read_bytes()[:120])
    assert len(data.batch([0])) == 1
    with pytest.raises(InputError, match=r"b\.png"):
        data.batch([0, 1])


@pytest.mark.parametrize("limit", [60, 20])
def test_decompression_bombs(tmp_path, monkeypatch, limit):
    source = folder(tmp_path, a=GREY, b=GREY[:4, :4])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=rf"{limit} pixels.*a\.png.*bomb.*skip"):
        open_data(source)
    assert len(open_data(source, options={"skip_bad": True})) == 1
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("shape", "event", "layout"),
    [
        ((5, 9, 12), (1, 9, 12), "NHW"), ((5, 9, 12, 3), (3, 9, 12), "NHWC"), ((5, 3, 9, 12), (3, 9, 12), "NCHW"),
        ((5, 9, 12, 1), (1, 9, 12), "NHWC"), ((5, 1, 9, 12), (1, 9, 12), "NCHW"), ((5, 3, 9, 4), (4, 3, 9), "NHWC"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_layouts_of_arrays(shape, event, layout, dtype):
    x = RNG.integers(0, 256, shape).astype(dtype)
    data = open_data(x, kind="images")
    assert (data.schema.event_shape, data.schema.details.layout) == (event, layout)
    assert data.batch().tensor.shape == (5, *event)
    back = data.decode(data.batch().x)
    assert back.dtype == x.dtype
    assert np.array_equal(back, x)
    doubtful = any("Two axes could be" in r for r in data.schema.reasons)
    assert doubtful == (shape == (5, 3, 9, 4))


def test_tensors_have_channels_first_in_doubt():
    x = torch.randint(0, 256, (5, 3, 9, 4), dtype=torch.uint8)
    data = open_data(x)
    assert data.schema.event_shape == (3, 9, 4)
    assert torch.equal(data.decode(data.batch().x), x)
    assert open_data(x, options={"layout": "NHWC"}).schema.event_shape == (4, 3, 9)


@pytest.mark.parametrize(
    ("x", "values", "levels"),
    [
        (RNG.integers(0, 17, (5, 8, 8)), "levels", 17),
        (RNG.integers(0, 2, (5, 8, 8)).astype(bool), "binary", 2),
        (RNG.integers(0, 256, (5, 8, 8)).astype(np.float32) / np.float32(255), "levels", 256),
        (RNG.integers(0, 60000, (5, 8, 8)).astype(np.uint16), "levels", 65536),
        (RNG.random((5, 8, 8)), "unit", None),
        (RNG.random((5, 8, 8)) * 2 - 1, "real", None),
        (np.zeros((5, 8, 8), np.uint8), "levels", 256),
    ],
)
def test_values_of_image_arrays(x, values, levels):
    data = open_data(x)
    assert (data.schema.kind, data.schema.values, data.schema.n_levels) == ("images", values, levels)
    back = data.decode(data.batch().x)
    assert back.dtype == x.dtype
    np.testing.assert_allclose(back, x, rtol=1e-7)
    if values != "unit" and values != "real":
        assert np.array_equal(back, x)


def test_rescaled_pixels_are_pointed_out():
    for low, told in ((-1, True), (-1.5, False)):
        pixels_from = RNG.random((5, 8, 8)) * (1 - low) + low
        assert any("look rescaled" in r for r in open_data(pixels_from).schema.reasons) is told


def test_arrays_that_are_no_images():
    assert open_data(RNG.normal(size=(5, 24, 28))).schema.kind == "array"
    with pytest.raises(InputError, match=r"1, 3 or 4 channels.*layout"):
        open_data(RNG.normal(size=(5, 7, 8, 9)), kind="images")
    with pytest.raises(InputError, match="layout NHW has 3 axes"):
        open_data(RNG.normal(size=(5, 7, 8, 3)), options={"layout": "NHW"})


def write_idx(path, array):
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(head + array.tobytes())


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_files_and_folders(tmp_path, end):
    x, y = RNG.integers(0, 256, (6, 9, 8), dtype=np.uint8), np.array([3, 1, 3, 1, 0, 0], np.uint8)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{end}", x if part == "train" else x[:2])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{end}", y if part == "train" else y[:2])
    data = open_data(tmp_path)
    assert np.array_equal(data.decode(data.batch().x), x)
    assert data.batch().y.tolist() == [2, 1, 2, 1, 0, 0]
    test = open_data(tmp_path / f"t10k-images-idx3-ubyte{end}", schema=data.schema)
    assert test.batch().y.tolist() == [2, 1]
    assert isinstance(test.decode(test.batch().x), np.ndarray)


def test_damaged_idx_files(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    write_idx(path, np.zeros((40, 9, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match=r"damaged.*Download"):
        open_data(path)
    plain = tmp_path / "t10k-images-idx3-ubyte"
    write_idx(plain, np.zeros((4, 9, 8), np.uint8))
    plain.write_bytes(plain.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"announces 288 bytes.*279.*damaged"):
        open_data(plain)
    plain.write_bytes(b"PK\3\4 something else")
    with pytest.raises(InputError, match="starts with 00 00"):
        open_data(plain)


@pytest.mark.parametrize(
    "x", [RNG.integers(0, 17, (3, 8, 8), dtype=np.uint8), RNG.random((3, 3, 8, 8)), COLOUR[None] / 255]
)
def test_pictures_are_written_from_black_to_white(tmp_path, x):
    data = open_data(x)
    data.kind.write(data.decode(data.batch().x), tmp_path / "out", data.schema)
    back = open_data(tmp_path / "out")
    top = 16 if x.max() > 1 else 1
    shown = back.batch().tensor.numpy() / 255
    model = np.moveaxis(x, -1, 1) if x.shape[-1] == 3 else x.reshape(back.batch().tensor.shape)
    np.testing.assert_allclose(shown, model / top, atol=0.5 / 255 + 1e-6)


def test_pictures_are_written_whole_or_not_at_all(tmp_path):
    data = open_data("digits")
    x = data.decode(data.batch([0, 1]).x)
    data.kind.write(x, tmp_path / "o.npz", data.schema)
    assert np.array_equal(np.load(tmp_path / "o.npz")["x"], x)
    folder(tmp_path / "full", a=GREY)
    with pytest.raises(OutputError):
        data.kind.write(x, tmp_path / "full", data.schema)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["a.png"]
    real = open_data(RNG.normal(size=(3, 8, 8)))
    with pytest.raises(InputError, match=r"real have none.*npz"):
        real.kind.write(real.decode(real.batch().x), tmp_path / "no", real.schema)
