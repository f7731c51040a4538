"""Several modalities: six views of handwritten digits, and pictures of emoji beside their names.

``views``: the 2,000 digits of UCI multiple features, six sets of features each (216 profile correlations, 76 Fourier
coefficients, 64 Karhunen-Loeve coefficients, 6 morphological, 240 pixel averages, 47 Zernike moments), 80 % to train.
One classifier, a logistic regression, is fitted to the training rows' codes from all views; it is then asked about
codes of test rows from one view alone. Beside it stands a logistic regression on the code of a plain autoencoder that
was trained on that view alone. Coherence is the share of rows whose view t, predicted from view s alone, a logistic
regression on the real view t gives the row's digit, mean over all pairs.

``emoji``: pictures of 32 x 32 and Unicode names. Of held-out emoji every name is asked for its picture among all
held-out ones, and the other way round, by the distance of codes and by how much likelier both are together than apart
under their posteriors; chance is 10 over their number.
"""

from __future__ import annotations

import statistics
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import torch

import senzai
from senzai.core.batch import Batch
from senzai.models import verbs
from senzai.models.modes import judging
from senzai.objectives.modalities import only_with

from .common import need_data

VIEWS = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
MODELS: dict[str, dict[str, Any]] = {
    "mvtcae": {"recipe": "mvtcae", "lr": 3e-3}, "mmvae": {"recipe": "mmvae", "lr": 3e-3},
    "mvae": {"recipe": "mvae", "lr": 3e-3},
}
STEPS, LATENT, HIDDEN = 600, 20, [128]
EMOJI_STEPS = 3000


def measure(row: str, rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return what one row of results says."""
    torch.set_num_threads(1)
    return {"views": views, "emoji": emoji}[row](rounds, quick=quick)


# --- six views --------------------------------------------------------------------------------------------------------
def read_views() -> tuple[dict[str, Any], Any]:
    """Return the views, standardised, and the digits."""
    import pandas as pd

    found, y = {}, None
    for name in VIEWS:
        frame = pd.read_csv(need_data(f"uci_multifeature/mfeat-{name}.csv"))
        y = frame.iloc[:, -1].to_numpy()
        x = frame.iloc[:, :-1].to_numpy(np.float64)
        found[name] = (x - x.mean(0)) / x.std(0)
    return found, y


def classifier() -> Any:
    """Return the classifier that judges codes and views."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def codes(run: Any, batch: Batch, names: list[str]) -> Any:
    """Return the codes of rows that have some views at most."""
    return torch.cat(verbs.encode(run.model, only_with(batch, names)), 1).numpy()


def gaussians(run: Any, batch: Batch, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return means and variances of the posteriors of rows that have one view: of the one expert that has weight."""
    with judging(run.model), torch.no_grad():
        (group,) = run.model.infer(only_with(batch, [name]), 1).groups
    experts = group.q.component_distribution.base_dist
    at = group.q.mixture_distribution.probs.argmax(-1)[:, None, None].expand(-1, 1, experts.loc.shape[-1])
    return experts.loc.gather(1, at)[:, 0].double(), experts.scale.gather(1, at)[:, 0].double() ** 2


def together(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    r"""Return :math:`\log \int q_a(z) q_b(z) / p(z)\,dz` of all pairs, under a standard normal prior: ``(N, M)``."""
    (ma, va), (mb, vb) = (a[0][:, None], a[1][:, None]), (b[0][None], b[1][None])
    precision = (1 / va + 1 / vb - 1).clamp_min(1e-3)
    whole = (ma / va + mb / vb) ** 2 / precision - ma**2 / va - mb**2 / vb - (precision * va * vb).log()
    return 0.5 * whole.sum(-1)


def own_codes(x: dict[str, Any], y: Any, train: Any, test: Any, seed: int, *, steps: int) -> dict[str, float]:
    """Return how a classifier does on the code of a plain autoencoder of each view alone."""
    found = {}
    for name, view in x.items():
        run = senzai.fit(
            view[train], n_latent=min(LATENT, VIEWS[name]), hidden=HIDDEN, steps=steps, seed=seed, test=0.0,
            sampler="none", progress=False,
        )
        z = run.encode(view)
        found[name] = float(classifier().fit(z[train], y[train]).score(z[test], y[test]))
    return found


def one_of_views(
    how: dict[str, Any], x: dict[str, Any], y: Any, split: Any, seed: int, *, steps: int
) -> dict[str, Any]:
    """Train once on all views, and return what is measured."""
    train, test = split
    began = time.process_time()
    run = senzai.fit(
        {k: v[train] for k, v in x.items()}, kind="multimodal", n_latent=LATENT, hidden=HIDDEN, steps=steps, seed=seed,
        test=0.0, sampler="none", progress=False, **how,
    )
    seconds = time.process_time() - began
    whole = run.dataset(x).batch()
    known, judged = whole.take(torch.from_numpy(train)), whole.take(torch.from_numpy(test))
    names = list(x)
    judge = classifier().fit(codes(run, known, names), y[train])
    alone = {v: float(judge.score(codes(run, judged, [v]), y[test])) for v in names}
    coherent = {}
    for t in names:
        named = classifier().fit(x[t][train], y[train])
        for s in (s for s in names if s != t):
            made = verbs.reconstruct(run.model, only_with(judged, [s]))
            coherent[f"{s} to {t}"] = float((named.predict(made[t].numpy()) == y[test]).mean())
    return {
        "processor_seconds": seconds, "all_views": float(judge.score(codes(run, judged, names), y[test])),
        "one_view": alone, "coherence": statistics.mean(coherent.values()), "coherence_by_pair": coherent,
    }


def views(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return accuracies and coherence by model, each seed's."""
    x, y = read_views()
    order = np.random.default_rng(0).permutation(len(y))
    split = np.sort(order[: 1600]), np.sort(order[1600:])
    steps = 5 if quick else STEPS
    found: dict[str, Any] = {"steps": steps, "latents": LATENT, "own_code": [], "models": {}}
    for seed in range(1 if quick else rounds):
        found["own_code"].append(own_codes(x, y, *split, seed, steps=steps))
        print("own codes", found["own_code"][-1], flush=True)
    for name, how in MODELS.items():
        found["models"][name] = [
            one_of_views(how, x, y, split, seed, steps=steps) for seed in range(1 if quick else rounds)
        ]
        last = found["models"][name][-1]
        print(name, {k: last[k] for k in ("all_views", "one_view", "coherence", "processor_seconds")}, flush=True)
    return found


# --- emoji ------------------------------------------------------------------------------------------------------------
def emoji_table() -> dict[str, list[Any]]:
    """Return pictures of emoji with one code point, and their names in small letters."""
    folder = need_data("noto_emoji/128")
    found: dict[str, list[Any]] = {"picture": [], "name": []}
    for path in sorted(Path(folder).glob("emoji_u*.png")):
        points = path.stem.removeprefix("emoji_u").split("_")
        name = unicodedata.name(chr(int(points[0], 16)), "") if len(points) == 1 else ""
        if name:
            found["picture"].append(path)
            found["name"].append(name.lower())
    return found


def among_ten(gap: Any) -> float:
    """Return how often a row's own partner is among the ten with the least gap, ``(N, N)``."""
    return float((gap.argsort(1)[:, :10] == np.arange(len(gap))[:, None]).any(1).mean())


def emoji(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return how often the right picture is among the ten nearest to a name, and the other way round."""
    table = emoji_table()
    n = len(table["name"])
    order = np.random.default_rng(0).permutation(n)
    train, test = order[: n * 8 // 10], order[n * 8 // 10 :]
    train = train[:60] if quick else train

    def some(index: Any) -> dict[str, list[Any]]:
        return {name: [values[i] for i in index] for name, values in table.items()}

    results = []
    for seed in range(1 if quick else rounds):
        run = senzai.fit(
            some(train), kind="multimodal", modalities={"picture": "images", "name": "text"}, seed=seed, test=0.0,
            each={"picture.size": "32", "name.least": 1}, n_latent=32, steps=5 if quick else EMOJI_STEPS,
            recipe="mopoe", sampler="none", progress=False,
        )
        batch = run.dataset(some(test)).batch()
        z = {name: codes(run, batch, [name]) for name in table}
        q = {name: gaussians(run, batch, name) for name in table}
        found = {}
        for a, b in (("name", "picture"), ("picture", "name")):
            gap = ((z[a][:, None] - z[b][None]) ** 2).sum(-1)
            found[f"{a}_to_{b}_top10"] = among_ten(gap)
            found[f"{a}_to_{b}_top10_together"] = among_ten(-together(q[a], q[b]).numpy())
        results.append(found)
        print(found, flush=True)
    return {"steps": EMOJI_STEPS, "held_out": len(test), "chance": 10 / len(test), "seeds": results}
