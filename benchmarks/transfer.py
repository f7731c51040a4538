"""Movie-review sentences brought to the other polarity: does a classifier believe it, and what of them stays.

10,662 sentences (5,331 of either polarity): a tenth validates, a tenth is the test, drawn with a fixed seed. The
classifier is scikit-learn's logistic regression over tf-idf of words and pairs of words, fitted on the real training
sentences; its accuracy on real test sentences is printed beside. Content words are words of two letters at least that
are not in scikit-learn's English stop words; one stays if it is in the new sentence. How much of a sentence is kept,
and the guidance, were chosen on validation sentences among those in ``TRIED``. The baseline takes, for each test
sentence, the training sentence of the other polarity with the nearest tf-idf.
"""

from __future__ import annotations

import csv
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import senzai

from .common import need_data

STEPS = 700
WIDTH = {"n_latent": 32, "steps": STEPS, "lr": 3e-3, "sampler": "none", "progress": False, "split_seed": 0}
TRIED = [(keep, guidance) for keep in (0.7, 0.8) for guidance in (0.0, 2.0, 5.0)]
CONTENT = 0.45
WORD = re.compile(r"[a-z][a-z'’-]+")


def sentences(n: int | None) -> pd.DataFrame:
    """Return sentences with their polarity, in a fixed random order."""
    with need_data("movie_reviews/sentences.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    frame = pd.DataFrame(rows, columns=["polarity", "sentence"]).sample(frac=1, random_state=0)
    return frame.head(n).reset_index(drop=True) if n else frame.reset_index(drop=True)


def content(text: str, stop: frozenset[str]) -> set[str]:
    return {w for w in WORD.findall(text.lower()) if w not in stop}


def scores(real: list[str], made: list[str], wanted: list[str], classifier: Any) -> dict[str, float]:
    """Return which share fools the classifier, and which share of content words stays."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS as STOP

    there = [content(t, frozenset(STOP)) for t in real]
    kept = [len(a & content(m, frozenset(STOP))) / len(a) for a, m in zip(there, made, strict=True) if a]
    return {
        "fooled": float(np.mean(classifier.predict(made) == np.array(wanted))), "content_kept": float(np.mean(kept)),
    }


def other(classes: pd.Series) -> list[str]:
    return ["pos" if c == "neg" else "neg" for c in classes]


def transferred(run: Any, frame: pd.DataFrame, **how: Any) -> list[str]:
    """Return every sentence as one of the other polarity."""
    made = pd.Series("", index=frame.index)
    for to in ("pos", "neg"):
        part = frame[frame.polarity != to]
        made[part.index] = list(run.transfer(part, to=to, **how)["sentence"])
    return list(made)


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return medians over seeds."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame = sentences(400 if quick else None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentences.csv"
        frame.to_csv(path, index=False)
        runs = []
        for seed in range(1 if quick else rounds):
            began = time.process_time()
            how = {**WIDTH, "steps": 5} if quick else WIDTH
            both = {
                way: senzai.fit(str(path), kind="text", column="sentence", label="polarity", seed=seed, **how, **more)
                for way, more in (("condition", {"condition": "label"}), ("direction", {}))
            }
            runs.append((time.process_time() - began, both))
        parts = {name: frame.iloc[runs[0][1]["condition"].part(str(path), name)] for name in
                 ("train", "validation", "test")}
        classifier = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=500))
        classifier.fit(parts["train"].sentence, parts["train"].polarity)
        found = [one(seconds, both, parts, classifier) for seconds, both in runs]
    test = parts["test"]
    names = [n for n, v in found[0].items() if isinstance(v, dict) and "fooled" in v]
    return {
        "sentences": len(frame), "test": len(test), "seeds": len(found),
        "processor_seconds_to_fit_both": statistics.median(f["seconds"] for f in found),
        "classifier_on_real_sentences": float(classifier.score(test.sentence, test.polarity)),
        "unchanged": scores(list(test.sentence), list(test.sentence), other(test.polarity), classifier),
        "nearest_sentence": nearest(parts, classifier),
        "chosen": [f["chosen"] for f in found],
        "ways": {n: {k: statistics.median(f[n][k] for f in found) for k in found[0][n]} for n in names},
        "examples": found[0]["examples"],
    }


def one(seconds: float, both: Any, parts: Any, classifier: Any) -> dict[str, Any]:
    """Return what each way does with the test sentences."""
    validation, test = parts["validation"], parts["test"]
    tried = {}
    for keep, guidance in TRIED:
        made = transferred(both["condition"], validation, keep=keep, guidance=guidance)
        tried[keep, guidance] = scores(list(validation.sentence), made, other(validation.polarity), classifier)
    good = {k: v["fooled"] for k, v in tried.items() if v["content_kept"] >= CONTENT + 0.05} or {
        k: v["content_kept"] for k, v in tried.items()}
    keep, guidance = max(good, key=good.__getitem__)
    ways: dict[str, list[str]] = {
        "condition, decoded anew": transferred(both["condition"], test),
        "condition, kept in part": transferred(both["condition"], test, keep=keep, guidance=guidance),
        "direction, decoded anew": transferred(both["direction"], test, way="direction", by=2.0),
        "direction, kept in part": transferred(
            both["direction"], test, way="direction", by=2.0, keep=keep, guidance=guidance
        ),
    }
    wanted, real = other(test.polarity), list(test.sentence)
    examples = {name: list(zip(real[:4], made[:4], strict=True)) for name, made in ways.items()}
    return {
        "seconds": seconds, "chosen": {"keep": keep, "guidance": guidance}, "examples": examples,
        **{name: scores(real, made, wanted, classifier) for name, made in ways.items()},
    }


def nearest(parts: Any, classifier: Any) -> dict[str, float]:
    """Take the nearest training sentence of the other polarity."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    train, test = parts["train"], parts["test"]
    words = TfidfVectorizer().fit(train.sentence)
    a, b = words.transform(test.sentence), words.transform(train.sentence)
    alike = (a @ b.T).toarray()
    alike[test.polarity.to_numpy()[:, None] == train.polarity.to_numpy()[None]] = -1
    made = list(train.sentence.iloc[alike.argmax(1)])
    return scores(list(test.sentence), made, other(test.polarity), classifier)
