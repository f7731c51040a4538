"""Samplers of a finished run: priors fitted to its latents, chosen on held-out rows and saved with the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from ..core.batch import Batch
from ..core.errors import BundleError, CombinationError, SenzaiError, UnknownNameError
from ..core.random import Noise, derive, using
from ..core.registry import suggestion
from ..core.renamed import old_method
from ..core.spec import from_spec, to_spec
from ..models.base import LatentModel, latent_model
from ..models.generative import Generative
from ..models.modes import judging
from ..models.verbs import encode
from ..parts import Prior, StandardNormal
from .checkpoint import load_state, load_tensors, save_tensors
from .densities import PosteriorDraws, affordable_flow_steps, fitted, rows_of_log_prob
from .places import SAMPLERS as FILE

FORMAT = "senzai-samplers-1"
PRIOR = "prior"
CANDIDATES = ("mixture", "flow")
LEAST_ROWS, LEAST_HELD_OUT, LEAST_STEPS = 100, 20, 200
FLOW_ROWS = 500
"""Training rows from which on a flow is tried; a mixture of few components needs fewer."""
SHARE = 0.3
"""Part of the work of training that fitting a flow may take."""
MOST_ROWS = 5_000
FIELD, MOST_FIELD_STEPS = "spatial_flow_matching", 4_000
"""The sampler that is fitted for as many steps as its model was trained, within bounds."""
DRAWS = 4
"""Draws per held-out row that a density is judged by."""

AModel = TypeVar("AModel", bound=Generative)


@dataclass(frozen=True)
class Samplers:
    """Priors to sample from, by name, and which of them to take.

    Args:
        fitted: Those that were fitted after training.
        chosen: Name of one of them, or ``prior``: the one the model was trained with.
        why: One sentence.
        candidates: Mean log density of held-out codes under each, in nats, its gain over the prior and the standard
            error of the gain over rows.
    """

    fitted: Mapping[str, Prior] = field(default_factory=dict)
    chosen: str = PRIOR
    why: str = "No sampler was fitted."
    candidates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that :meth:`apply_to` takes, besides ``auto``."""
        return (PRIOR, *self.fitted)

    def resolve(self, name: str) -> str:
        """Return the name of a sampler; ``auto`` is the chosen one.

        Raises:
            UnknownNameError: There is none of this name.
        """
        if name == "auto":
            return self.chosen
        if name not in self.names:
            known = ("auto", *self.names)
            raise UnknownNameError(
                f"This run has no sampler {name!r}.{suggestion(name, list(known))} It has {', '.join(known)}; others "
                "are fitted in training: --set sampler=NAME."
            )
        return name

    def apply_to(self, model: AModel, name: str = "auto") -> AModel:
        """Return the model with its prior replaced by the sampler of this name."""
        chosen = self.resolve(name)
        return model if chosen == PRIOR else cast(AModel, latent_model(model).with_prior(self.fitted[chosen]))

    under = old_method("under", "apply_to")

    def facts(self) -> dict[str, Any]:
        """Return what was chosen and why, as plain values."""
        return {"chosen": self.chosen, "why": self.why, "candidates": {k: dict(v) for k, v in self.candidates.items()}}


# --- codes ----------------------------------------------------------------------------------------------------------
def codes_of(model: Generative, batch: Batch, *, seed: int) -> PosteriorDraws:
    """Return draws from the posteriors of rows.

    Raises:
        CombinationError: The latents are no vectors of real numbers with a prior of their own.
    """
    model = latent_model(model)
    z = encode(model, batch, seed=seed)[0]
    if z.ndim != 2 or not z.is_floating_point():
        raise CombinationError(f"a sampler is fitted to latents that are vectors, but these have shape {z.shape[1:]}")
    check_support(model, batch)
    model.with_prior(StandardNormal(z.shape[1]))
    return PosteriorDraws(z, batch.c, (model, batch))


def check_support(model: LatentModel, batch: Batch) -> None:
    """Refuse latents that are no real vectors: on a sphere, or classes.

    Raises:
        CombinationError: They are not.
    """
    with judging(model), using(Noise.seeded(0, device=batch.device)):
        q = model.infer(batch.take(slice(0, 1))).groups[0].q
    if q is not None and not is_real(q):
        raise CombinationError(f"a sampler is fitted to real vectors, but {type(q).__name__} has another support")


def is_real(q: Distribution) -> bool:
    """Whether a distribution is over all real vectors."""
    try:
        support: Any = q.support
    except NotImplementedError:
        return True
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support is None or isinstance(support, type(constraints.real))


# --- choosing -------------------------------------------------------------------------------------------------------
def fit_samplers(
    model: Generative, train: Batch, validation: Batch | None, *, sampler: str = "auto", seed: int = 0,
    steps: int = LEAST_STEPS, work: float = inf,
) -> Samplers:
    """Fit priors to the latents of training rows, and choose by the latents of validation rows.

    A fitted prior is chosen where held-out codes are likelier under it than under the trained prior by more than two
    standard errors; the likeliest of them. A sampler that was asked for by name is taken whatever its likelihood.

    Args:
        model: The trained model, in evaluation mode.
        train: Training rows.
        validation: Validation rows.
        sampler: ``auto``, ``none``, or one name.
        seed: Seed of everything random.
        steps: Steps that the model was trained for; after very few it is not worth while.
        work: Nominal seconds that training took (:func:`training_work`), to which a flow is held in proportion.

    Returns:
        The fitted priors, the choice and its reason.
    """
    if not isinstance(model, LatentModel):
        return Samplers(why="Samples come from the model itself: it has no latents that a prior could be fitted to.")
    if sampler == "none":
        return Samplers(why="Samples come from the trained prior: sampler=none.")
    if sampler == "auto" and (reason := _not_worth_while(train, validation, steps)):
        return Samplers(why=f"Samples come from the trained prior: {reason}.")
    try:
        codes = codes_of(model, train, seed=derive(seed, "codes"))
    except CombinationError as err:
        return Samplers(why=f"Samples come from the trained prior: {_first_part(err)}.")
    held = None if validation is None or not len(validation) else _held_out(model, validation, seed)
    found, failed = {}, []
    for name in CANDIDATES if sampler == "auto" else (sampler,):
        how: dict[str, int] = {}
        if name == "flow" and sampler == "auto":
            how["steps"] = affordable_flow_steps(codes.z.shape[1], SHARE * work) if len(codes) >= FLOW_ROWS else 0
            if not how["steps"]:
                failed.append(_no_flow(codes))
                continue
        if name == FIELD:
            how["steps"] = min(max(steps, LEAST_STEPS), MOST_FIELD_STEPS)
        try:
            found[name] = fitted(name, codes, seed, **how)
        except SenzaiError as err:
            failed.append(f"{name} could not be fitted: {_first_part(err)}")
    return _choose(model, found, held, failed, forced=None if sampler == "auto" else sampler)


def _no_flow(codes: PosteriorDraws) -> str:
    if len(codes) < FLOW_ROWS:
        return f"a flow is tried from {FLOW_ROWS} training rows on"
    return f"a flow over {codes.z.shape[1]} latents was not tried: it would take too long beside this training"


def training_work(model: Generative, rows: int, steps: int) -> float:
    """Return the nominal seconds of training: a step of ``rows`` rows costs its calls and six products a parameter."""
    return steps * (2e-3 + 2e-10 * rows * sum(p.numel() for p in model.parameters()))


def _not_worth_while(train: Batch, validation: Batch | None, steps: int) -> str:
    held = 0 if validation is None else len(validation)
    if len(train) < LEAST_ROWS or held < LEAST_HELD_OUT:
        return (
            f"others are fitted from {LEAST_ROWS} training and {LEAST_HELD_OUT} validation rows on, and there are "
            f"{len(train)} and {held}"
        )
    return f"others are fitted after {LEAST_STEPS} steps of training" if steps < LEAST_STEPS else ""


def _held_out(model: LatentModel, validation: Batch, seed: int) -> list[PosteriorDraws]:
    return [codes_of(model, validation, seed=derive(seed, "held-out codes", i)) for i in range(DRAWS)]


def log_densities(prior: Prior, held: list[PosteriorDraws]) -> Tensor:
    """Mean log density of each row's codes, ``(N,)``, float64."""
    with torch.no_grad():
        return torch.stack([rows_of_log_prob(prior, codes, seed=i).double() for i, codes in enumerate(held)]).mean(0)


def _choose(
    model: LatentModel, found: dict[str, Prior], held: list[PosteriorDraws] | None, failed: list[str], *,
    forced: str | None
) -> Samplers:
    trained = model.top_prior
    scores: dict[str, Tensor] = {}
    if held is not None:
        known = {} if trained is None else {PRIOR: trained}
        every = {**known, **found}
        scores = {name: log_densities(prior, held) for name, prior in every.items() if not prior.dear}
    candidates = {name: _facts(values, scores.get(PRIOR)) for name, values in scores.items()}
    if forced is not None:
        if forced in found:
            why = f"Samples come from the {forced}: it was asked for, sampler={forced}."
            return Samplers(found, forced, why, candidates)
        return Samplers(found, PRIOR, f"Samples come from the trained prior: {'; '.join(failed)}.", candidates)
    chosen, why = decide(candidates)
    return Samplers(found, chosen, "; ".join([why, *failed]) + ".", candidates)


def _facts(values: Tensor, prior: Tensor | None) -> dict[str, float]:
    facts = {"log_density": float(values.mean())}
    if prior is not None:
        gain = values - prior
        facts |= {"gain": float(gain.mean()), "gain_se": float(gain.std() / len(gain) ** 0.5)}
    return facts


def decide(candidates: Mapping[str, Mapping[str, float]]) -> tuple[str, str]:
    """Return the name of the best candidate and the reason in words.

    Example:
        >>> decide({"prior": {"gain": 0.0, "gain_se": 0.0}, "flow": {"gain": 0.3, "gain_se": 0.2}})[0]
        'prior'
        >>> decide({"prior": {"gain": 0.0, "gain_se": 0.0}, "flow": {"gain": 0.5, "gain_se": 0.2}})[0]
        'flow'
    """
    better = {n: f for n, f in candidates.items() if n != PRIOR and f.get("gain", 0.0) > 2 * f.get("gain_se", 0.0)}
    told = ", ".join(
        f"{n} {f['gain']:+.2f} ± {f['gain_se']:.2f}" for n, f in candidates.items() if n != PRIOR and "gain" in f
    )
    nats = f"log density of held-out latents against the prior's, in nats: {told}" if told else "nothing was compared"
    if not better:
        return PRIOR, f"Samples come from the trained prior: nothing fitted was clearly better ({nats})"
    best = max(better, key=lambda n: better[n]["gain"])
    return best, f"Samples come from the {best} fitted to the latents ({nats})"


def _first_part(err: Exception) -> str:
    return str(err).split(". ")[0].rstrip(".")


# --- on disk --------------------------------------------------------------------------------------------------------
def digest(model: Generative) -> str:
    """Return a fingerprint of the weights of a model, so that samplers of other weights are known as such."""
    seen = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.startswith("aux."):
            seen.update(name.encode())
            seen.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()


def save_samplers(folder: Path, samplers: Samplers, model: Generative) -> None:
    """Write the fitted samplers as one file, at once; where there are none, there is no file."""
    path = folder / FILE
    if not samplers.fitted:
        path.unlink(missing_ok=True)
        return
    tensors = {f"{n}.{k}": v for n, prior in samplers.fitted.items() for k, v in prior.state_dict().items()}
    facts = {
        "specs": {name: to_spec(prior) for name, prior in samplers.fitted.items()}, "weights": digest(model),
        "format": FORMAT, **samplers.facts(),
    }
    save_tensors(path, tensors, {"facts": json.dumps(facts)})  # one entry: several come in no fixed order


def load_samplers(folder: Path, model: Generative) -> Samplers:
    """Return the samplers of a run folder.

    Raises:
        BundleError: The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return Samplers()
    tensors, metadata = load_tensors(path)
    try:
        facts = json.loads(metadata["facts"])
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']!r}, this version reads {FORMAT!r}")
        if facts["weights"] != digest(model):
            return Samplers(why=f"{FILE} was fitted to other weights than these. Finish it: senzai resume {folder}")
        fitted = {name: _made(name, spec, tensors) for name, spec in facts["specs"].items()}
        return Samplers(fitted, facts["chosen"], facts["why"], facts["candidates"])
    except (KeyError, ValueError, TypeError, RuntimeError, SenzaiError) as err:
        raise BundleError(
            f"{str(path)!r} must hold the samplers of this run, but it cannot be read ({err}). Delete it to sample "
            "from the trained prior, or restore it from a copy."
        ) from err


def _made(name: str, spec: Any, tensors: dict[str, Tensor]) -> Prior:
    prior = from_spec(spec)
    if not isinstance(prior, Prior):
        raise TypeError(f"{name} is a {type(prior).__name__}")
    load_state(prior, {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")})
    return prior.eval()
