"""The pictures of the documentation: small models on built-in data, trained here and drawn with Pillow or as SVG.

``python -m scripts.site.gallery FOLDER [PICTURE ...]``. Seeds are fixed and the first results are taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import senzai
from senzai.core.files import replacing
from senzai.data.dsprites import random_factors, render

SIZE = 8
GAP = 1
COLOURS = ("#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#6b6b6b")

PICTURES: dict[str, Callable[[], bytes]] = {}


def picture(name: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Register what draws a picture under the name of its file."""
    def keep(draw: Callable[[], bytes]) -> Callable[[], bytes]:
        PICTURES[name] = draw
        return draw

    return keep


def grid(rows: NDArray[Any], *, zoom: int = 5, top: float = 16.0) -> bytes:
    """Return a PNG of pictures ``(rows, columns, height, width)`` with levels from 0 to ``top``, black on white."""
    n, m, h, w = rows.shape
    page = np.full((n * (h + GAP) + GAP, m * (w + GAP) + GAP), 255, np.uint8)
    for i in range(n):
        for j in range(m):
            y, x = GAP + i * (h + GAP), GAP + j * (w + GAP)
            page[y : y + h, x : x + w] = 255 - np.clip(rows[i, j] / top * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(page).resize((page.shape[1] * zoom, page.shape[0] * zoom), Image.Resampling.NEAREST)
    return _png(image)


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.quantize(32).save(out, "PNG", optimize=True)
    return out.getvalue()


def chart(points: NDArray[Any], colours: list[str], *, labels: tuple[str, str], line: bool = False,
          names: list[str] | None = None, legend: dict[str, str] | None = None) -> bytes:
    """Return an SVG with points ``(n, 2)``, their colours, names beside them and a legend."""
    low, high = points.min(0), points.max(0)
    low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)
    xy = (points - low) / (high - low) * [520, -380] + [60, 400]
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 450" font-family="sans-serif" font-size="13">',
           '<rect width="640" height="450" fill="#fff"/><path d="M60 20V400H580" fill="none" stroke="#888"/>',
           f'<text x="320" y="438" text-anchor="middle">{labels[0]}</text>',
           f'<text x="18" y="210" text-anchor="middle" transform="rotate(-90 18 210)">{labels[1]}</text>']
    for axis in (0, 1):
        for value in np.linspace(low[axis], high[axis], 6)[1:-1]:
            at = (value - low[axis]) / (high[axis] - low[axis])
            place = (f'x="{60 + at * 520:.0f}" y="416" text-anchor="middle"' if axis == 0
                     else f'x="54" y="{404 - at * 380:.0f}" text-anchor="end"')
            out.append(f'<text {place} fill="#666" font-size="11">{value:.3g}</text>')
    if line:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        out.append(f'<polyline points="{path}" fill="none" stroke="#4e79a7" stroke-width="2"/>')
    out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if line else 2.2}" fill="{c}" fill-opacity=".8"/>'
            for (x, y), c in zip(xy, colours, strict=True)]
    beside = zip(xy, names or [], strict=False)
    out += [f'<text x="{x + 9:.1f}" y="{y - 7:.1f}">{name}</text>' for (x, y), name in beside]
    for i, (name, colour) in enumerate((legend or {}).items()):
        out.append(f'<circle cx="600" cy="{40 + 20 * i}" r="5" fill="{colour}"/>'
                   f'<text x="611" y="{45 + 20 * i}">{name}</text>')
    return ("\n".join(out) + "\n</svg>\n").encode()


@cache
def digits() -> Any:
    """Return a trained model of the digits, with a mixture fitted to its codes."""
    return senzai.fit("digits", recipe="sigma-vae", n_latent=16, steps=2500, sampler="mixture")


@cache
def test_rows() -> NDArray[Any]:
    """Return digits that the model was not trained on."""
    from sklearn.datasets import load_digits

    run = digits()
    return load_digits().images[run.dataset("digits").split_indices()["test"]]


@picture("samples.png")
def samples() -> bytes:
    """Draws of the prior, an empty column, draws of the mixture."""
    side, run = 8, digits()
    left, right = (run.sample(side * side, seed=0, sampler=s).reshape(side, side, SIZE, SIZE)
                   for s in ("prior", "mixture"))
    return grid(np.concatenate([left, np.zeros((side, 1, SIZE, SIZE)), right], axis=1))


@picture("reconstructions.png")
def reconstructions() -> bytes:
    """Test rows and what comes back, alternating."""
    rows = test_rows()[:32]
    again = digits().reconstruct(rows)
    lines = [part for i in (0, 16) for part in (rows[i : i + 16], again[i : i + 16])]
    return grid(np.stack(lines))


@picture("interpolation.png")
def interpolation() -> bytes:
    """Paths between pairs of test rows."""
    rows, run = test_rows(), digits()
    return grid(np.stack([run.interpolate(rows[i : i + 1], rows[i + 1 : i + 2], steps=12) for i in range(0, 12, 2)]))


@picture("conditional.png")
def conditional() -> bytes:
    """Ten draws for each label."""
    run = senzai.fit("digits", recipe="cvae", condition="label", n_latent=8, steps=1500, sampler="none")
    drawn = run.sample(100, given={"label": [i for i in range(10) for _ in range(10)]}, seed=0)
    return grid(drawn.reshape(10, 10, SIZE, SIZE))


@picture("latents.svg")
def latents() -> bytes:
    """Two latent dimensions, coloured by class."""
    from sklearn.datasets import load_digits

    run = senzai.fit("digits", n_latent=2, steps=2500, sampler="none")
    classes = load_digits().target
    return chart(run.encode("digits"), [COLOURS[c] for c in classes], labels=("first latent", "second latent"),
                 legend={str(i): c for i, c in enumerate(COLOURS)})


@picture("traversals.png")
def traversals() -> bytes:
    """One image of dSprites with each of its most active dimensions moved."""
    images = render(random_factors(3000, seed=0))[:, ::2, ::2]
    run = senzai.fit(images, recipe="beta-tc-vae", network="mlp", n_latent=8, steps=1500, beta=6.0, sampler="none")
    order = np.argsort(-run.encode(images).var(0))[:5]
    values = tuple(np.linspace(-2.5, 2.5, 9).tolist())
    rows = [run.traverse(images[:1], dim=int(d), values=values) for d in order]
    return grid(np.stack(rows).astype(float), zoom=2, top=1.0)


@picture("rate-distortion.svg")
def rate_distortion() -> bytes:
    """Distortion against rate for several weights of the rate."""
    run = senzai.fit("digits", n_latent=8, steps=1500, sampler="none")
    found = run.rate_distortion("digits", betas=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0), steps=500)
    points = np.array([[p.rate.value, p.distortion.value] for p in found])
    names = [f"beta = {p.beta:g}" for p in found]
    return chart(points, ["#4e79a7"] * len(points), labels=("rate, nats", "distortion, nats"), line=True, names=names)


def main(folder: str, names: list[str]) -> None:
    """Draw the pictures, all of them where none are named."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        made = PICTURES[name]()
        with replacing(place / name) as path:
            path.write_bytes(made)
        print(f"{place / name}: {len(made) / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
