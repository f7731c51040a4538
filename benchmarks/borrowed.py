"""A frozen encoder that was trained elsewhere, and 100 labels: does it help to tell pictures of clothes apart.

Two autoencoders (recipe vae, two hidden layers of 256, 32 latents, 2,000 steps) see 20,000 pictures without labels: of
clothes (Fashion-MNIST), and of digits (MNIST). Their encoders are written as ONNX files and read by
``encoder=pretrained``, frozen. With 100 labelled pictures of clothes, ten of each class, a logistic regression is then
fitted to the borrowed features, to the pixels, and to codes of the same autoencoder trained on the 100 pictures alone;
it is judged on 10,000 test pictures. Nothing is chosen by test rows: all settings were fixed beforehand.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import senzai
from senzai.core.batch import Batch
from senzai.nn.pretrained import PretrainedEncoder

from .common import need_data

UNLABELLED, STEPS, TEST = 20_000, 2_000, 10_000


def read(name: str, part: str) -> tuple[Any, Any]:
    """Return pictures ``(N, 28, 28)`` and labels."""
    with gzip.open(need_data(f"{name}/{part}-images-idx3-ubyte.gz")) as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(need_data(f"{name}/{part}-labels-idx1-ubyte.gz")) as file:
        return x, np.frombuffer(file.read(), np.uint8, offset=8)


def fitted(x: Any, seed: int, steps: int) -> Any:
    """Return an autoencoder of pictures."""
    return senzai.fit(
        x, recipe="vae", network="mlp", hidden=[256, 256], n_latent=32, steps=steps, batch_size=min(128, len(x)),
        seed=seed, sampler="none", progress=False, test=0.0,
    )


class Shown(nn.Module):
    """An encoder that takes pictures from -1 to 1, as ``encoder=pretrained`` gives them to a file."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.inner = run.model.surfaces()["encoder"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner((x + 1) / 2 * 255)  # levels, as the run had them
        return found


def written(run: Any, path: Path) -> Path:
    """Write the encoder of a run as an ONNX file of pictures."""
    example, rows = torch.zeros(2, 1, 28, 28), {0: torch.export.Dim("rows")}
    torch.onnx.export(Shown(run).eval(), (example,), str(path), dynamic_shapes=(rows,), dynamo=True, verbose=False)
    return path


def borrowed(path: Path, x: Any) -> Any:
    """Return the features of a frozen network, through the part that a run would have."""
    encoder = PretrainedEncoder((1, 28, 28), str(path))
    rows = torch.tensor(x, dtype=torch.float32).unsqueeze(1)
    encoder.initialise(Batch(rows))
    with torch.no_grad():
        return torch.cat([encoder(Batch(rows[i : i + 500])) for i in range(0, len(rows), 500)]).numpy()


def accuracy(train: Any, y: Any, test: Any, wanted: Any) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return float(judge.fit(train.reshape(len(train), -1), y).score(test.reshape(len(test), -1), wanted))


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return test accuracies, one for each draw of the labelled rows."""
    began, steps = time.process_time(), 5 if quick else STEPS
    x, y = read("fashion_mnist", "train")
    test, wanted = (a[: 200 if quick else TEST] for a in read("fashion_mnist", "t10k"))
    many = 500 if quick else UNLABELLED
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        others = {"clothes": x[:many], "digits": read("mnist", "train")[0][:many]}
        files = {k: written(fitted(v, 0, steps), Path(folder) / f"{k}.onnx") for k, v in others.items()}
        shown = {k: borrowed(path, test) for k, path in files.items()}
        for seed in range(1 if quick else rounds):
            rng = np.random.default_rng(seed)
            rest = np.arange(UNLABELLED, len(x))  # no labelled picture was among the unlabelled
            at = np.concatenate([rng.choice(rest[y[rest] == c], 10, replace=False) for c in range(10)])
            own = fitted(x[at], seed, min(steps, 500))
            codes = [np.asarray(own.encode(v)) for v in (x[at], test)]
            each = {"pixels": (x[at], test), "own encoder, 100 pictures": codes}
            each |= {f"borrowed from {k}": (borrowed(path, x[at]), shown[k]) for k, path in files.items()}
            for name, (a, b) in each.items():
                found.setdefault(name, []).append(accuracy(a, y[at], b, wanted))
            print(seed, {k: v[-1] for k, v in found.items()}, flush=True)
    return {
        "labels": 100, "unlabelled": many, "steps": steps, "test": len(test), "accuracy": found,
        "mean": {k: float(np.mean(v)) for k, v in found.items()}, "processor_seconds": time.process_time() - began,
    }
