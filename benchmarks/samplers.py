"""What samples are drawn from, and what it does to them: digits, weak and learned decoder noise, prior and fitted ones.

Fréchet distance in the features of an in-domain classifier: the last hidden layer of a small network that tells the
digits apart, trained on the training rows. It is no FID (no Inception network is involved) and compares only with
numbers of this script. The floor is the distance of training rows from the test rows.

    python -m benchmarks.samplers [--seeds 3] [--steps 3000]
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy.linalg import sqrtm
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import senzai
from senzai.runs.training.after_fit import after_fit

OUT = Path(__file__).parent / "results" / "samplers.json"
SAMPLERS = ("mixture", "flow", "flow_matching", "two_stage", "aggregate")
SETTINGS = {"n_latent": 16, "test": 0.3, "validation": 0.1, "sampler": "none", "batch_size": 64, "network": "mlp"}
STAGES = {
    "Bernoulli noise (the usual cross-entropy)": {"recipe": "vae", "likelihood": "bernoulli"},
    "learned noise (sigma-vae)": {"recipe": "sigma-vae"},
}


def features(classifier: MLPClassifier, x: np.ndarray) -> np.ndarray:
    """Last hidden layer of scikit-learn's network."""
    h = x.reshape(len(x), -1)
    for weight, bias in zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True):
        h = np.maximum(h @ weight + bias, 0)
    return h


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of normals with the moments of two sets of features."""
    first, second = np.cov(a.T), np.cov(b.T)
    cross = sqrtm(first @ second).real
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * cross))


def run(seed: int, steps: int) -> dict[str, Any]:
    """One seed: every stage, drawn from everything."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 8, 8)  # pictures: one noise scale for all pixels, in their own units
    found: dict[str, Any] = {}
    for name, stage in STAGES.items():
        settings = {**SETTINGS, **{k: v for k, v in stage.items() if k != "recipe"}, "steps": steps, "seed": seed}
        began = perf_counter()
        model = senzai.fit(x, recipe=stage["recipe"], settings=settings)
        seconds = perf_counter() - began
        rows = {part: model.part(x, part) for part in ("train", "test")}
        classifier = MLPClassifier((128, 64), max_iter=200, random_state=seed)
        classifier.fit(x[rows["train"]].reshape(-1, 64), y[rows["train"]])
        test = features(classifier, x[rows["test"]])
        n = len(rows["train"])

        def distance(samples: np.ndarray, c: MLPClassifier = classifier, t: np.ndarray = test) -> float:
            return frechet(features(c, np.clip(np.asarray(samples, dtype=np.float32), 0, 1)), t)

        again = model.reconstruct(x[rows["train"]])
        found[name] = {
            "seconds": seconds,
            "classifier_accuracy": float(classifier.score(x[rows["test"]].reshape(-1, 64), y[rows["test"]])),
            "floor_train_against_test": distance(x[rows["train"]]),
            "reconstructions": distance(again),
            "mean_squared_error": float(np.square(again - x[rows["train"]]).mean()),
            "from": {"prior": {"frechet": distance(model.sample(n, seed=seed, noise=False))}},
        }
        dataset = model.dataset(x)
        for sampler in SAMPLERS:
            began = perf_counter()
            chosen = model.spec.training.model_copy(update={"sampler": sampler})
            model.samplers = after_fit(model.model, dataset, chosen, steps)
            found[name]["from"][sampler] = {
                "frechet": distance(model.sample(n, seed=seed, noise=False)),
                "seconds": perf_counter() - began,
                **model.samplers.candidates[sampler],
            }
        chosen = model.spec.training.model_copy(update={"sampler": "auto"})
        found[name]["auto_chose"] = after_fit(model.model, dataset, chosen, steps).chosen
    return found


def summary(runs: list[dict[str, Any]]) -> str:
    """A table of means over seeds."""
    lines = []
    for name in STAGES:
        stages = [r[name] for r in runs]
        lines.append(
            f"{name}: floor {mean(stages, 'floor_train_against_test')}, "
            f"reconstructions {mean(stages, 'reconstructions')}, auto chose {[s['auto_chose'] for s in stages]}"
        )
        lines += [f"  {s:14} {mean([v['from'][s] for v in stages], 'frechet')}" for s in ("prior", *SAMPLERS)]
    return "\n".join(lines)


def mean(values: list[dict[str, Any]], key: str) -> str:
    """Mean and the range over seeds."""
    numbers = [v[key] for v in values]
    return f"{np.mean(numbers):.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = [run(seed, given.steps) for seed in range(given.seeds)]
    facts = {
        "what": "Fréchet distance in features of an in-domain classifier, scikit-learn's digits, against test rows",
        "steps": given.steps, "seeds": given.seeds, "settings": {**SETTINGS, "samples": "means of p(x | z)"},
        "torch": torch.__version__, "python": platform.python_version(), "threads": torch.get_num_threads(),
        "runs": runs,
    }
    OUT.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(summary(runs))


if __name__ == "__main__":
    main()
