"""How well the drawn dSprites agree with the published ones, pixel by pixel: python -m benchmarks.dsprites"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from senzai.data.dsprites import render


def agreement(path: Path) -> dict[str, dict[str, float]]:
    """Intersection over union, differing pixels per image, and share of identical images, by shape."""
    with np.load(path, allow_pickle=False) as file:
        real = np.unpackbits(file["imgs_packed"], axis=1)[:, :4096].reshape(-1, 64, 64)
        factors = file["latents_classes"].astype(int)
    drawn = render(factors)
    both, either = (real & drawn).sum((1, 2)), (real | drawn).sum((1, 2))
    different = (real ^ drawn).sum((1, 2))
    found = {}
    for name, rows in (*((n, factors[:, 0] == i) for i, n in enumerate(("square", "ellipse", "heart"))), ("all", ...)):
        found[name] = {
            "n": int(np.size(both[rows])), "iou": float((both[rows] / either[rows]).mean()),
            "iou_least": float((both[rows] / either[rows]).min()),
            "different_pixels": float(different[rows].mean()), "identical": float((different[rows] == 0).mean()),
        }
    return found


def main() -> None:
    path = Path(os.environ["SENZAI_DATA"]) / "dsprites_subset" / "dsprites_20k.npz"
    found = agreement(path)
    target = Path(__file__).with_name("results") / "dsprites.json"
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(target.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
