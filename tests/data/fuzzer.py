"""Opens damaged files, one after the other, and says what became of each; run by ``test_fuzz.py`` as a process.

``python fuzzer.py FOLDER FIRST LAST`` makes the file of every number from FIRST to before LAST, opens it, and prints
one JSON document a line. The number decides the format, the damage and its place, so that one number is one file for
ever. A file may take so much processor time and memory; a process that takes more ends, and the caller sees at which.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import signal
import sqlite3
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from senzai.core.errors import UserError
from senzai.data import open_data

SECONDS = 30.0
"""Processor time for one file."""
MEMORY = 1 << 31
"""Bytes beyond what the process has when it begins."""
ROWS = 40
RNG = np.random.default_rng(0)


# --- one whole file of each format ---------------------------------------------------------------------------------
def frame() -> pd.DataFrame:
    day = pd.Timestamp("2024-02-27") + pd.to_timedelta(np.arange(ROWS), unit="D")
    return pd.DataFrame({
        "age": RNG.integers(18, 90, ROWS), "income": RNG.lognormal(8, 1, ROWS).round(2),
        "city": RNG.choice(["Rom", "Köln", "東京"], ROWS), "member": RNG.random(ROWS) < 0.5, "since": day,
        "score": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(size=ROWS)),
    })


def text(encoding: str = "utf-8", mark: str = ",") -> bytes:
    return frame().to_csv(index=False, sep=mark).replace("東京", "Oslo").encode(encoding)


def through(write: Callable[[Path], object], suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"x{suffix}")
        write(path)
        return path.read_bytes()


def arrow(kind: str) -> bytes:
    import pyarrow as pa
    from pyarrow import feather

    if kind == "stream":
        table, sink = pa.Table.from_pandas(frame()), io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()
    return through(lambda p: feather.write_feather(frame(), p, compression=kind), ".feather")


def sqlite() -> bytes:
    def write(path: Path) -> None:
        link = sqlite3.connect(path)
        frame().astype({"since": str}).to_sql("people", link, index=False)
        link.close()

    return through(write, ".sqlite")


def array(x: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, x)
    return out.getvalue()


def archive(save: Callable[..., object] = np.savez, **arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def idx(x: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


def picture(mode: str, form: str, **more: object) -> bytes:
    pixels = RNG.integers(0, 256, (12, 9, 4), dtype=np.uint8)
    grey = pixels[..., 0].astype(np.uint16) * 16 if mode == "I;16" else pixels[..., 0]
    whole = {"I;16": grey, "L": grey, "P": grey, "LA": pixels[..., :2], "RGB": pixels[..., :3], "CMYK": pixels}
    made = Image.fromarray(whole.get(mode, pixels), mode="CMYK" if mode == "CMYK" else None)
    made = made.convert(mode) if mode in ("P", "1") else made
    out = io.BytesIO()
    made.save(out, form, **more)
    return out.getvalue()


def turned(n: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = n
    return exif


IMAGES = RNG.integers(0, 256, (ROWS, 6, 5), dtype=np.uint8)
LABELS = RNG.integers(0, 3, ROWS, dtype=np.uint8)
NAMES = np.array(["a", "bé", "c"])[LABELS]
MAKE: dict[str, Callable[[], bytes]] = {
    "a.csv": text, "utf16.csv": lambda: text("utf-16"), "latin.csv": lambda: text("cp1252"),
    "a.tsv": lambda: text(mark="\t"), "semi.data": lambda: text(mark=";"),
    "a.csv.gz": lambda: gzip.compress(text(), mtime=0),
    "a.parquet": lambda: through(lambda p: frame().to_parquet(p), ".parquet"),
    "plain.parquet": lambda: through(lambda p: frame().to_parquet(p, compression=None), ".parquet"),
    "a.feather": lambda: arrow("uncompressed"), "lz4.feather": lambda: arrow("lz4"),
    "zstd.feather": lambda: arrow("zstd"), "stream.arrow": lambda: arrow("stream"),
    "a.jsonl": lambda: frame().astype({"since": str}).to_json(orient="records", lines=True).encode(),
    "a.xlsx": lambda: through(lambda p: frame().to_excel(p, index=False), ".xlsx"), "a.sqlite": sqlite,
    "a.npy": lambda: array(RNG.normal(size=(ROWS, 3))), "images.npy": lambda: array(IMAGES),
    "a.npz": lambda: archive(x=IMAGES, y=NAMES),
    "deflated.npz": lambda: archive(np.savez_compressed, x=IMAGES, y=LABELS),
    "sequences.npz": lambda: archive(x=RNG.normal(size=(ROWS, 5, 2)), lengths=RNG.integers(1, 6, ROWS)),
    "train-images-idx3-ubyte": lambda: idx(IMAGES), "train-images-idx3-ubyte.gz": lambda: gzip.compress(idx(IMAGES)),
    "train-labels-idx1-ubyte": lambda: idx(LABELS), "train-labels-idx1-ubyte.gz": lambda: gzip.compress(idx(LABELS)),
    "l.png": lambda: picture("L", "PNG", exif=turned(6)), "rgba.png": lambda: picture("RGBA", "PNG"),
    "p.png": lambda: picture("P", "PNG", transparency=3), "deep.png": lambda: picture("I;16", "PNG"),
    "bits.png": lambda: picture("1", "PNG"), "la.png": lambda: picture("LA", "PNG"),
    "a.jpg": lambda: picture("RGB", "JPEG", exif=turned(5)), "cmyk.jpg": lambda: picture("CMYK", "JPEG"),
    "a.webp": lambda: picture("RGB", "WEBP"), "rgba.webp": lambda: picture("RGBA", "WEBP", lossless=True),
    "a.bmp": lambda: picture("RGB", "BMP"), "p.bmp": lambda: picture("P", "BMP"),
    "folder/cat/1.png": lambda: picture("RGB", "PNG"), "folder/cat/2.jpg": lambda: picture("L", "JPEG"),
}
KEPT: dict[str, bytes] = {}


def whole(name: str) -> bytes:
    if name not in KEPT:
        KEPT[name] = MAKE[name]()
    return KEPT[name]


# --- damage ---------------------------------------------------------------------------------------------------------
NUMBERS = (b"99999999999999999999", b"-1", b"0", b"nan", b"1e999", b"2147483648", b"(", b"'", b"\xff\xfe", b"\0")


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Change a file in one to three places, half of them near its start, where its header is."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        data = dice.choice((flipped, flipped, cut, inserted, spliced, zeroed, exchanged))(bytearray(data), dice)
    return bytes(data)


def place(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(max(1, min(len(data), dice.choice((64, 512, len(data), len(data))))))


def flipped(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice((1, 1, 2, 8, 32)) if data else 0):
        data[place(data, dice)] ^= dice.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
    return data


def cut(data: bytearray, dice: random.Random) -> bytearray:
    return data[: dice.randrange(len(data) + 1)]


def inserted(data: bytearray, dice: random.Random) -> bytearray:
    at = place(data, dice)
    data[at:at] = dice.randbytes(dice.choice((1, 4, 64)))
    return data


def spliced(data: bytearray, dice: random.Random) -> bytearray:
    start, at, n = place(data, dice), place(data, dice), dice.choice((1, 8, 100))
    data[at : at + n] = data[start : start + n]
    return data


def zeroed(data: bytearray, dice: random.Random) -> bytearray:
    at, n = place(data, dice), dice.choice((1, 4, 16, 200))
    data[at : at + n] = bytes(len(data[at : at + n]))
    return data


def exchanged(data: bytearray, dice: random.Random) -> bytearray:
    """Write another number over the digits of one, as in the header of an array or the cells of a table."""
    digits = [i for i, b in enumerate(data[: 1 << 12]) if 48 <= b < 58]
    if digits:
        at = dice.choice(digits)
        data[at : at + 1] = dice.choice(NUMBERS)
    return data


def inside(data: bytes, dice: random.Random) -> bytes:
    """Damage what a container holds and pack it again, so that no checksum gives it away."""
    if data[:2] == b"\x1f\x8b":
        return gzip.compress(damaged(gzip.decompress(data), dice))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        hit = dice.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, damaged(old.read(name), dice) if name == hit else old.read(name))
    return out.getvalue()


# --- one file -------------------------------------------------------------------------------------------------------
def make(number: int, folder: Path) -> Path:
    """Write the damaged file of a number; return what is to be opened."""
    dice = random.Random(number)
    name = list(MAKE)[number % len(MAKE)]
    data = whole(name)
    container = data[:2] in (b"PK", b"\x1f\x8b")
    data = inside(data, dice) if container and dice.random() < 0.6 else damaged(data, dice)
    path = folder / f"{number}" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    if "labels" in name:
        images = path.with_name(name.replace("labels-idx1", "images-idx3"))
        images.write_bytes(whole(images.name))
        return images
    if name.startswith("folder"):
        other = folder / f"{number}" / "folder" / "dog" / "1.png"
        other.parent.mkdir()
        other.write_bytes(whole("folder/cat/1.png"))
        return folder / f"{number}" / "folder"
    return path


def judge(number: int, folder: Path) -> tuple[str, str]:
    """Open a file and take rows of it; say whether it was data, refused by an error of ours, or neither."""
    path = make(number, folder)
    kind = "array" if number % 5 == 4 and path.suffix in (".csv", ".tsv") else None
    try:
        data = open_data(path, kind=kind)
        data.decode(data.batch(np.arange(min(len(data), 8))).x)
        return "data", ""
    except UserError as err:
        return "refused", str(err)[:300]
    except BaseException:
        return "traceback", traceback.format_exc(limit=-4)


def say(**about: object) -> None:
    sys.stdout.write(json.dumps(about) + "\n")
    sys.stdout.flush()


def main() -> None:
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    for name in MAKE:  # import everything that reading needs, before memory is counted
        (target := folder / "whole" / name).parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(whole(name))
        try:
            open_data(target)
        except UserError as err:
            say(whole=name, why=str(err))
    used = int(next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmSize")).split()[1])
    resource.setrlimit(resource.RLIMIT_AS, (1024 * used + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, last):
        say(begins=number, name=list(MAKE)[number % len(MAKE)])
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # ends the process
        what, why = judge(number, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        say(ends=number, what=what, why=why)


if __name__ == "__main__":
    main()
