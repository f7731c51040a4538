"""Every way a picture can be stored, against its pixels worked out here: how it was held, mode, depth, palette."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from senzai.core.errors import InputError
from senzai.data import open_data
from senzai.data.images import pictures

RNG = np.random.default_rng(7)
H, W = 5, 7
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (H, W), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (H, W)).astype(np.uint16)
BITS = GREY > 128
PALETTE = np.array([[10, 200, 30], [250, 0, 0], [0, 5, 255], [90, 90, 91]], dtype=np.uint8)
NUMBERS = RNG.integers(0, 4, (H, W)).astype(np.uint8)


def upright(stored, orientation):
    """What the EXIF standard says: which side of the scene the first row and the first column are."""
    rows, columns = stored.shape[:2]
    last_row, last_column = rows - 1, columns - 1
    goes = {  # the place in the scene of the stored pixel (r, c)
        1: lambda r, c: (r, c),  # first row is the top, first column the left
        2: lambda r, c: (r, last_column - c),  # top, right
        3: lambda r, c: (last_row - r, last_column - c),  # bottom, right
        4: lambda r, c: (last_row - r, c),  # bottom, left
        5: lambda r, c: (c, r),  # left, top
        6: lambda r, c: (c, last_row - r),  # right, top
        7: lambda r, c: (last_column - c, last_row - r),  # right, bottom
        8: lambda r, c: (last_column - c, r),  # left, bottom
    }[orientation]
    seen = np.empty(((columns, rows) if orientation >= 5 else (rows, columns)) + stored.shape[2:], stored.dtype)
    for r in range(rows):
        for c in range(columns):
            seen[goes(r, c)] = stored[r, c]
    return seen


def on_white(colour, alpha):
    share = alpha[..., None] / 255 if colour.ndim == 3 else alpha / 255
    return colour * share + 255 * (1 - share)


def palette(numbers, colours):
    picture = Image.frombytes("P", (W, H), numbers.tobytes())
    picture.putpalette(colours.reshape(-1).tolist())
    return picture


def cmyk():
    return Image.frombytes("CMYK", (W, H), np.dstack([COLOUR, ALPHA]).tobytes())


# name: picture, how it is saved, options, what its pixels are before it is turned
KINDS = {
    "L": (Image.fromarray(GREY), {}, {}, GREY),
    "1": (Image.fromarray(BITS), {}, {}, BITS * np.uint8(255)),
    "RGB": (Image.fromarray(COLOUR), {}, {}, COLOUR),
    "RGBA": (Image.fromarray(np.dstack([COLOUR, ALPHA])), {}, {"transparency": "keep"}, np.dstack([COLOUR, ALPHA])),
    "RGBA on white": (Image.fromarray(np.dstack([COLOUR, ALPHA])), {}, {}, on_white(COLOUR, ALPHA)),
    "RGBA dropped": (Image.fromarray(np.dstack([COLOUR, ALPHA])), {}, {"transparency": "drop"}, COLOUR),
    "LA": (
        Image.fromarray(np.dstack([GREY, ALPHA])), {}, {"transparency": "keep"}, np.dstack([GREY, GREY, GREY, ALPHA]),
    ),
    "LA on white": (Image.fromarray(np.dstack([GREY, ALPHA])), {}, {}, on_white(GREY, ALPHA)),
    "RGB with a transparent colour": (
        Image.fromarray(PALETTE[NUMBERS]), {"transparency": tuple(PALETTE[2].tolist())}, {},
        np.where((NUMBERS == 2)[..., None], 255, PALETTE[NUMBERS]),
    ),
    "palette": (palette(NUMBERS, PALETTE), {}, {}, PALETTE[NUMBERS]),
    "grey palette": (palette(NUMBERS, np.repeat([[200], [7], [90], [31]], 3, 1).astype(np.uint8)), {}, {},
                     np.array([200, 7, 90, 31], np.uint8)[NUMBERS]),
    "transparent palette": (
        palette(NUMBERS, PALETTE), {"transparency": 1}, {}, np.where((NUMBERS == 1)[..., None], 255, PALETTE[NUMBERS]),
    ),
    "transparent palette kept": (
        palette(NUMBERS, PALETTE), {"transparency": bytes([255, 0, 9])}, {"transparency": "keep"},
        np.dstack([PALETTE[NUMBERS], np.array([255, 0, 9, 255], np.uint8)[NUMBERS]]),
    ),
    "16 bits": (Image.fromarray(DEEP), {}, {}, DEEP),
    "16 bits to 8": (Image.fromarray(DEEP), {}, {"mode": "L"}, np.rint(DEEP / 257)),
    "16 bits, transparent": (
        Image.fromarray(DEEP), {"transparency": int(DEEP[1, 2])}, {},
        np.where(DEEP[1, 2] == DEEP, 255, np.rint(DEEP / 257)),
    ),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", KINDS)
def test_every_picture_is_upright_whatever_it_is_made_of(tmp_path, name, orientation):
    picture, how, options, stored = KINDS[name]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif, **how)
    seen = upright(stored, orientation)
    for memory in (True, False):
        data = open_data(tmp_path, options={**options, "in_memory": memory})
        back = data.decode(data.batch().x)[0]
        assert back.shape == seen.shape
        assert back.dtype == ("uint16" if name == "16 bits" else "uint8")
        assert np.abs(back.astype(float) - seen).max() <= (1 if "on white" in name else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["RGB.webp", "RGB.jpg", "L.jpg", "CMYK.jpg"])
def test_other_files_are_upright_too(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = {"RGB": Image.fromarray(COLOUR), "L": Image.fromarray(GREY), "CMYK": cmyk()}[name.partition(".")[0]]
    picture.save(tmp_path / name, exif=exif, **({"lossless": True} if "webp" in name else {"quality": 100}))
    with Image.open(tmp_path / name) as stored:
        pixels = np.asarray(stored).astype(float)
    if "CMYK" in name:  # ink on paper: what is neither covered by its colour nor by black
        pixels = (255 - pixels[..., :3]) * (255 - pixels[..., 3:]) / 255
    data = open_data(tmp_path)
    assert np.abs(data.decode(data.batch().x)[0] - upright(pixels, orientation)).max() <= ("CMYK" in name)


def test_a_rotation_written_as_xmp_counts_too(tmp_path):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    about = PngImagePlugin.PngInfo()
    about.add_itxt("XML:com.adobe.xmp", xmp)
    Image.fromarray(GREY).save(tmp_path / "a.png", pnginfo=about)
    data = open_data(tmp_path)
    assert np.array_equal(data.decode(data.batch().x)[0], upright(GREY, 8))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    data = open_data(tmp_path)
    assert np.array_equal(data.decode(data.batch().x)[0], GREY)


# --- depth ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("top", "levels"), [(4095, 4096), (1023, 1024), (65535, 65536), (200, 256), (9, 10)])
def test_deep_greys_have_the_levels_they_use_and_come_back_exactly(tmp_path, top, levels, lazy):
    stack = RNG.integers(0, top + 1, (6, H, W)).astype(np.uint16)
    stack[3, 1, 1] = top
    (tmp_path / "in").mkdir()
    for i, one in enumerate(stack):
        Image.fromarray(one).save(tmp_path / "in" / f"{i}.png")
    files = open_data(tmp_path / "in", options={"in_memory": not lazy})
    array = open_data(stack, kind="images")
    for data in (files, array):
        assert (data.schema.values, data.schema.n_levels, data.schema.dtype) == ("levels", levels, "uint16")
        assert np.array_equal(data.decode(data.batch().x), stack)
        out = tmp_path / data.schema.form
        data.kind.write(data.decode(data.batch().x), out, data.schema)
        again = open_data(out, schema=data.schema)
        assert np.array_equal(again.decode(again.batch().x), stack)
    assert torch.equal(files.batch().x, array.batch().x)
    if top > 255:
        with Image.open(tmp_path / "folder" / "000003.png") as picture:
            assert np.array_equal(np.asarray(picture), stack[3])
        assert any("16 bits, which are kept" in r for r in files.schema.reasons)


def test_deep_greys_beyond_the_models_are_refused(tmp_path):
    Image.fromarray(np.full((H, W), 4095, np.uint16)).save(tmp_path / "a.png")
    schema = open_data(tmp_path).schema
    Image.fromarray(np.full((H, W), 4096, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="from 0 to 4095, but got 4096"):
        open_data(tmp_path, schema=schema)


def test_depths_that_differ_become_eight_bits(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "b.png")
    data = open_data(tmp_path)
    assert np.array_equal(data.decode(data.batch().x), np.stack([GREY, GREY]))
    assert any("1 images have 16 bits, which are scaled to 8" in r for r in data.schema.reasons)


def test_a_deep_picture_that_is_made_smaller_keeps_its_range(tmp_path):
    edge = np.zeros((8, 8), np.uint16)
    edge[:, 3:] = 4095
    Image.fromarray(edge).save(tmp_path / "a.png")
    data = open_data(tmp_path, options={"size": 5})
    back = data.decode(data.batch().x)[0]
    assert (back.shape, back.min(), back.max(), data.schema.n_levels) == ((5, 5), 0, 4095, 4096)
    assert len(np.unique(back)) > 2


def test_sixteen_bits_a_colour_are_said_to_be_cut(tmp_path):
    pixels = RNG.integers(0, 65536, (H, W, 3)).astype(">u2")

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    data = open_data(tmp_path)
    assert np.array_equal(data.decode(data.batch().x)[0], pixels >> 8)
    assert any("16 bits a colour, of which the upper 8 are read" in r for r in data.schema.reasons)


@pytest.mark.parametrize("pixels", [RNG.random((H, W)).astype(np.float32), DEEP.astype(np.int32)])
def test_values_of_32_bits_are_refused_whatever_files_are_called(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"16 bits, but .*a\.png' has 32"):
        open_data(tmp_path)


# --- folders --------------------------------------------------------------------------------------------------------
def test_class_folders_behind_links_are_read(tmp_path):
    for name, value in (("cats", 0), ("dogs", 255)):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.full((H, W), value, np.uint8)).save(tmp_path / "elsewhere" / name / f"{i}.png")
    root = tmp_path / "root"
    root.mkdir()
    for name in ("cats", "dogs"):
        (root / name).symlink_to(tmp_path / "elsewhere" / name, target_is_directory=True)
    data = open_data(root)
    assert data.schema.label.classes == ("cats", "dogs")
    assert data.batch().y.tolist() == [0, 0, 1, 1]
    assert data.decode(data.batch().x)[:, 0, 0].tolist() == [0, 0, 255, 255]
    file = tmp_path / "one.png"
    file.symlink_to(tmp_path / "elsewhere" / "dogs" / "0.png")
    assert len(open_data(file)) == 1


def test_loops_of_links_end_and_are_said(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(GREY).save(tmp_path / name / "1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    data = open_data(tmp_path)
    assert len(data) == 2
    assert any("left out (2): a/up, b/again" in r for r in data.schema.reasons)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    Image.fromarray(GREY).save(tmp_path / "1.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"folder must be readable, but .*closed' is not: Permission denied"):
        open_data(tmp_path)


def test_a_file_of_another_format_is_not_handed_to_its_program(tmp_path):
    """Pillow would start Ghostscript for this one, whatever the file is called."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\nshowpage\n")
    with pytest.raises(InputError, match=r"a\.png' is not: cannot identify"):
        open_data(tmp_path)
    assert "EPS" not in pictures.FORMATS
