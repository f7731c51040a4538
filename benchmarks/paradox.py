"""The likelihood paradox, Fashion-MNIST against MNIST: python -m benchmarks.paradox"""

from __future__ import annotations

import json
import os
from pathlib import Path

import senzai

SETTINGS = {"network": "mlp", "epochs": 3}


def main() -> None:
    data = Path(os.environ["SENZAI_DATA"])
    run = senzai.fit(data / "fashion_mnist", progress=False, **SETTINGS)
    other = data / "mnist" / "t10k-images-idx3-ubyte.gz"
    found = run.evaluate(data / "fashion_mnist", only=["paradox"], against=other)["measured"]["paradox"]
    text = json.dumps({"settings": SETTINGS, "auroc": found}, indent=2)
    Path(__file__).with_name("results").joinpath("paradox.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
