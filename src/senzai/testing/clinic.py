"""A clinic: models made sick on purpose, one illness each, and healthy ones, to prove diagnoses on.

Data are made or come with scikit-learn; models are as small as they can be while the illness still shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.diagnosis import Diagnosis

if TYPE_CHECKING:
    from ..runs import Run

Rows = np.ndarray[Any, Any]

USUAL: Mapping[str, Any] = {
    "kind": "array", "network": "mlp", "hidden": (32,), "steps": 400, "lr": 5e-3, "batch_size": 64, "log_every": 10,
    "n_latent": 2, "sampler": "none", "clip": 10.0, "validate_every": 50,
}


@dataclass(frozen=True)
class Patient:
    """A model to be fitted and diagnosed.

    Args:
        name: What it is.
        data: Makes its rows.
        settings: Settings of ``fit`` that differ from :data:`USUAL`; ``None`` leaves one out.
        illness: Name of the check that must come first; empty for a healthy model.
        recipe: Recipe of the model.
        options: Options of ``diagnose``.
        after: Changes the run after it was fitted.
    """

    name: str
    data: Callable[[], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    illness: str = ""
    recipe: str = "vae"
    options: Mapping[str, Any] = field(default_factory=dict)
    after: Callable[[Run], None] | None = None

    def admit(self) -> tuple[Run, Any]:
        """Fit the model; return the run and its rows."""
        from ..runs import fit

        rows = self.data()
        settings = {k: v for k, v in {**USUAL, **self.settings}.items() if v is not None}
        run = fit(rows, recipe=self.recipe, progress=False, **settings)
        if self.after is not None:
            self.after(run)
        return run, rows

    def examined(self) -> tuple[Run, Any, Diagnosis]:
        """Fit the model and diagnose it."""
        run, rows = self.admit()
        return run, rows, run.diagnose(rows, **self.options)


# --- data -----------------------------------------------------------------------------------------------------------
def factors(n: int = 1200, width: int = 8, latents: int = 2, noise: float = 0.3, seed: int = 0) -> Rows:
    """Normal rows that a few normal factors make, through a bend, with independent noise."""
    rng = np.random.default_rng(seed)
    z, w = rng.normal(size=(n, latents)), rng.normal(size=(latents, width))
    return (np.tanh(z @ w) * 1.5 + noise * rng.normal(size=(n, width))).astype(np.float32)


def linear(n: int = 1200, width: int = 8, latents: int = 2, noise: float = 0.5, seed: int = 1) -> Rows:
    """Rows of factor analysis."""
    rng = np.random.default_rng(seed)
    z, w = rng.normal(size=(n, latents)), rng.normal(size=(latents, width))
    return (z @ w + noise * rng.normal(size=(n, width))).astype(np.float32)


def bits(n: int = 1200, width: int = 12, seed: int = 2) -> Rows:
    """Bits that two factors make likely."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-2.5 * rng.normal(size=(n, 2)) @ rng.normal(size=(2, width))))
    return (rng.random((n, width)) < p).astype(np.uint8)


def shares(n: int = 1200, width: int = 8, seed: int = 3) -> Rows:
    """Shares that are mostly near 0 or 1."""
    rng = np.random.default_rng(seed)
    a = np.exp(0.8 * rng.normal(size=(n, 2)) @ rng.normal(size=(2, width)))
    return rng.beta(0.4 * a, 0.4).clip(1e-3, 1 - 1e-3).astype(np.float32)


def heavy(n: int = 1500, width: int = 8, seed: int = 4) -> Rows:
    """Factors with noise of Student's t with two degrees of freedom."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 2)) @ rng.normal(size=(2, width))
    return (signal + 0.4 * rng.standard_t(2.0, size=(n, width))).astype(np.float32)


def counts(n: int = 1200, width: int = 8, seed: int = 5) -> Rows:
    """Counts whose rates two factors make."""
    rng = np.random.default_rng(seed)
    return rng.poisson(np.exp(0.7 * rng.normal(size=(n, 2)) @ rng.normal(size=(2, width)) + 1)).astype(np.int64)


def ring(n: int = 1500, width: int = 6, seed: int = 6) -> Rows:
    """Eight groups on a ring, seen through a linear map."""
    rng = np.random.default_rng(seed)
    angle = rng.integers(0, 8, n) * np.pi / 4
    z = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.normal(size=(n, 2))
    return (z @ rng.normal(size=(2, width)) + 0.1 * rng.normal(size=(n, width))).astype(np.float32)


def digits(bits_of: bool = True) -> Rows:
    """Small digits as bits, 8 x 8."""
    from sklearn.datasets import load_digits

    x: Rows = load_digits().images
    return (x > 7).astype(np.uint8) if bits_of else (x / 16).astype(np.float32)


def measurements(name: str) -> Rows:
    """A table of measurements that comes with scikit-learn, each column in its own deviations."""
    import sklearn.datasets

    x: Rows = getattr(sklearn.datasets, f"load_{name}")().data
    return np.asarray((x - x.mean(0)) / x.std(0), np.float32)


def doubled() -> Rows:
    """Rows of which each is there twice."""
    x = linear(700)
    return np.concatenate([x, x])[np.random.default_rng(0).permutation(1400)]


def one_large_column() -> Rows:
    """Counts of which one column is three hundred times larger, and varies more than a Poisson can."""
    x = counts(1200)
    x[:, 3] = 300 * x[:, 3] + np.random.default_rng(9).integers(0, 300, len(x))
    return x


def narrowed(run: Run) -> None:
    """Let samples come from the middle of the prior only."""
    from ..parts.priors.normal import LearnedNormal
    from ..training.samplers import Samplers

    prior = LearnedNormal(USUAL["n_latent"])
    prior.log_scale.data.fill_(-3.0)
    run.samplers = Samplers({"narrow": prior}, "narrow", "It was made narrow on purpose.")


# --- patients -------------------------------------------------------------------------------------------------------
SICK: tuple[Patient, ...] = (
    Patient("weight of 60", factors, {"beta": 60.0}, "posterior_collapse"),
    Patient("warmed up to a weight of 40", factors,
            {"beta": 40.0, "warmup": "linear", "warmup.steps": 200}, "rate_vanishes"),
    Patient("warm-up to the end", factors, {"warmup": "share", "warmup.share": 1.0}, "warmup_unfinished"),
    Patient("weight of 3", factors, {"beta": 3.0}, "over_regularised"),
    Patient("weight of 0.05", factors, {"beta": 0.05}, "under_regularised"),
    Patient("bits under a normal", bits, {"likelihood": "normal"}, "likelihood_binary"),
    Patient("counts under a normal", counts, {"likelihood": "normal"}, "likelihood_counts"),
    Patient("shares under a normal", shares, {"likelihood": "normal"}, "likelihood_bounded"),
    Patient("heavy tails under a normal", heavy, {"likelihood": "normal"}, "likelihood_tails"),
    Patient("scale of 3", factors, {"likelihood": "normal_fixed", "likelihood.scale": 3.0}, "likelihood_too_wide"),
    Patient("scale of 0.03", factors, {"likelihood": "normal_fixed", "likelihood.scale": 0.03},
            "likelihood_too_narrow"),
    Patient("pictures through three units", digits, {"kind": "images", "hidden": (3,), "n_latent": 8, "steps": 500},
            "blur"),
    Patient("no prior", ring, {}, "holes", recipe="rae"),
    Patient("an encoder that does not learn", factors, {"encoder_lr": 1e-7}, "amortisation_gap"),
    Patient("thirty latents for two factors", factors, {"n_latent": 30}, "unused_latents"),
    Patient("one latent for six factors", lambda: linear(latents=6, width=12, noise=0.2),
            {"n_latent": 1, "shared": ("scale",)}, "too_few_latents"),
    Patient("a large network without validation rows", lambda: linear(200, noise=1.0),
            {"validation": 0.0, "test": 0.5, "hidden": (128,), "n_latent": 6, "steps": 1500}, "overfitting"),
    Patient("fifty rows", lambda: linear(90, width=10),
            {"validation": 0.0, "test": 0.45, "hidden": (128,), "steps": 600}, "too_little_data"),
    Patient("learning rate of 3", factors, {"lr": 3.0, "clip": 1e6, "schedule": "one_cycle"}, "spikes"),
    Patient("a large code book that never starts anew", factors,
            {"n_latent": None, "quantiser.n_codes": 256, "quantiser.revive": 0.0, "quantiser.ema": False, "lr": 0.03,
             "steps": 150}, "dead_codes", recipe="vq-vae"),
    Patient("samples from the middle", factors, {}, "low_diversity", after=narrowed),
    Patient("each row twice", doubled, {}, "leak"),
    Patient("a column of large counts under Poisson", one_large_column, {"likelihood": "poisson"}, "column_dominates"),
    Patient("total correlation without factors", linear, {}, "disentanglement_unproven", recipe="beta-tc-vae"),
)

HEALTHY: tuple[Patient, ...] = (
    Patient("bent factors", factors),
    Patient("factor analysis", linear),
    Patient("bits", bits),
    Patient("counts", counts),
    Patient("shares", shares, {"likelihood": "beta"}),
    Patient("heavy tails", heavy, {"likelihood": "student_t"}),
    Patient("digits as bits", digits, {"kind": "images", "n_latent": 8, "hidden": (128,), "steps": 500}),
    Patient("wine", lambda: measurements("wine"), {"likelihood": "normal", "shared": ("scale",), "hidden": (8,),
                                                    "steps": 200}),
    Patient("breast cancer", lambda: measurements("breast_cancer"),
            {"n_latent": 5, "hidden": (16,), "shared": ("scale",), "steps": 500}),
)
