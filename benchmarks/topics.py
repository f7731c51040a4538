"""Topics of 20 Newsgroups: perplexity bound, coherence and diversity, beside scikit-learn's LDA and NMF.

The counts that came with NVDM (11,268 training and 7,505 test documents, 2,000 words); 50 topics. A tenth of the
training documents validates; nothing was chosen on test documents. Coherence is the mean NPMI of pairs of a topic's ten
words over the test documents (a window is a whole document), and diversity the share of different words among them.
Words are ordered in two ways, for every method alike: by their share in the topic, and by relevance with 0.6. The
perplexity that NVDM is known for at 50 topics, 836 (852 with 200), is recalled and not measured here.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import numpy as np
import torch

import senzai
from senzai.core.batch import Batch
from senzai.data import open_data
from senzai.data.sparse import entries
from senzai.evaluation.likelihood import log_likelihood
from senzai.evaluation.topics import diversity, npmi, perplexities, topic_weights, topic_words

from .common import need_data

TOPICS, DRAWS = 50, 50
RECALLED = {"NVDM, 50 topics": 836, "NVDM, 200 topics": 852}
STEPS = 1800
MODELS: dict[str, dict[str, Any]] = {
    "prodlda": {"recipe": "prodlda"},
    "dirichlet-topics": {"recipe": "dirichlet-topics"},
    "dirichlet-topics, no norm": {"recipe": "dirichlet-topics", "decoder.norm": False},
}


def judged(weights: Any, train: Any, test: Any) -> dict[str, float]:
    """Return coherence and diversity of topics, their words ordered in two ways."""
    found = {}
    for name, relevance in (("share", 1.0), ("relevance", 0.6)):
        words = topic_words(weights, train, relevance=relevance)
        found[f"npmi_by_{name}"] = float(npmi(words, test).mean())
        found[f"npmi_on_train_by_{name}"] = float(npmi(words, train).mean())
        found[f"diversity_by_{name}"] = diversity(words)
    return found


def one(how: dict[str, Any], paths: Any, corpora: Any, seed: int, *, steps: int, rows: int) -> dict[str, float]:
    """Train once, and return what is measured."""
    (train_path, test_path, words), (train, test) = paths, corpora
    began = time.process_time()
    run = senzai.fit(
        str(train_path), vocabulary=str(words), n_latent=TOPICS, steps=steps, lr=5e-3, test=0.0, seed=seed,
        split_seed=0, sampler="none", progress=False, **how,
    )
    seconds = time.process_time() - began
    batch = run.dataset(str(test_path)).batch()
    batch = Batch(batch.x[:rows])
    x = batch.tensor
    bound = log_likelihood(run.model, batch, k=DRAWS, seed=0)
    found = perplexities(bound.per_row.cpu(), x)
    elbo = perplexities(log_likelihood(run.model, batch, k=1, seed=0).per_row.cpu(), x)
    return {
        "processor_seconds": seconds,
        **{f"{name}_{DRAWS}_draws": figure.value for name, figure in found.items()},
        **{f"{name}_1_draw": figure.value for name, figure in elbo.items()},
        **judged(topic_weights(run.model), train, test),
    }


def simple(name: str, train: Any, test: Any, seed: int, *, quick: bool) -> dict[str, float]:
    """Fit a method of scikit-learn with its defaults, as in its example of topics."""
    from sklearn.decomposition import NMF, LatentDirichletAllocation
    from sklearn.feature_extraction.text import TfidfTransformer

    made = {
        "LDA, online": lambda: LatentDirichletAllocation(TOPICS, learning_method="online", random_state=seed),
        "LDA, batch": lambda: LatentDirichletAllocation(TOPICS, random_state=seed),
        "NMF": lambda: NMF(TOPICS, random_state=seed, init="nndsvda"),
    }[name]()
    x = train.scipy()
    began = time.process_time()
    x = TfidfTransformer().fit_transform(x) if name == "NMF" else x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(x[:200] if quick else x)
    seconds = time.process_time() - began
    share = made.components_ + 1e-9
    found = judged(np.log(share / share.sum(1, keepdims=True)), train, test)
    if name != "NMF":
        found["perplexity_bound_of_scikit_learn"] = float(made.perplexity(test.scipy()))
    return {"processor_seconds": seconds, **found}


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return medians over seeds, by method."""
    paths = [need_data(f"20news_nvdm/{name}") for name in ("train.feat", "test.feat", "vocab.new")]
    torch.set_num_threads(1)
    data = [open_data(p, options={"vocabulary": str(paths[2]), "validation": 0, "test": 0}) for p in paths[:2]]
    corpora = [entries(d.rows, np.arange(len(d))) for d in data]
    seeds = range(1 if quick else rounds)
    found: dict[str, Any] = {}
    for name in ("LDA, online", "LDA, batch", "NMF"):
        found[name] = told([simple(name, *corpora, seed, quick=quick) for seed in seeds])
        print(name, found[name]["median"], flush=True)
    steps, rows = (5, 50) if quick else (STEPS, len(data[1]))
    for name, how in MODELS.items():
        found[name] = told([one(how, paths, corpora, seed, steps=steps, rows=rows) for seed in seeds])
        print(name, found[name]["median"], flush=True)
    return {"seeds": len(seeds), "topics": TOPICS, "steps": steps, "recalled_perplexity": RECALLED, "methods": found}


def told(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return the median, the lowest and the highest of each figure."""
    how = {"median": statistics.median, "lowest": min, "highest": max}
    return {word: {name: f([r[name] for r in runs]) for name in runs[0]} for word, f in how.items()}
