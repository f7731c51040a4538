"""The end of a federation: an ordinary run, whose card says who trained it and what crossed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models.generative import Generative
from ..runs.run import Run
from ..runs.training.train import write_run
from ..training import bundle
from ..training.places import reserved
from ..training.samplers import PRIOR, Samplers
from .private import epsilon_of_rows, promise
from .state import State
from .strategies import epsilon

WHY = "Samples come from the trained prior: no sampler was fitted to latents, which did not leave the sites."


def finish(state: State, model: Generative, out: Path, *, overwrite: bool, seconds: float) -> Run:
    """Write the run and return it.

    Args:
        state: After the last round.
        model: With its weights.
        out: Folder of the run.
        overwrite: Replace a run that is there.
        seconds: How long the rounds of this server took.
    """
    spec = state.spec.model_copy(update={"privacy": promise(state)})
    with reserved(out, overwrite=overwrite and out.exists(), main=True) as place:
        place.create(lambda folder: bundle.save_spec(folder, spec))
        run = Run(spec, model.cpu(), folder=place.work)
        run.samplers = Samplers(why=WHY, candidates={})
        run.metrics = {"fit": {**_fit(state, seconds), "out": str(out)}, "federated": facts(state)}
        write_run(run, place)
    run.folder = out
    return run


def _fit(state: State, seconds: float) -> dict[str, Any]:
    steps = state.round * state.settings.local_steps
    losses = [s["loss"] for s in state.history[-1]["sites"] if s["loss"] is not None]
    return {
        "recipe": state.spec.recipe, "kind": state.spec.data_schema["kind"], "steps": steps, "best_step": steps,
        "batch_size": state.spec.training.batch_size, "seconds": seconds, "validation_elbo": None,
        **({"site_loss": sum(losses) / len(losses)} if losses else {}),
        "sampler": {"chosen": PRIOR, "why": WHY, "candidates": {}},
    }


def facts(state: State) -> dict[str, Any]:
    """Return what there is to say of a federation, as plain values."""
    s = state.settings
    missed = {name: sum(any(h["name"] == name and h["why"] for h in line["sites"]) for line in state.history)
              for name in state.rows}
    sent = state.sent + sum(line["sent"] for line in state.history)
    received = state.received + sum(line["received"] for line in state.history)
    shortened = sum(h["shortened"] for line in state.history for h in line["sites"])
    return {
        "sites": len(state.rows), "rows": dict(state.rows), "rounds": state.round, "local_steps": s.local_steps,
        "strategy": s.strategy, "strategy_settings": s.told, "weigh": "sites" if s.noise is not None else s.weigh,
        "secure": s.secure, "quantum": max((line.get("quantum") or 0.0 for line in state.history), default=0.0),
        "bound": s.bound, "shortened": shortened, "own": list(s.own), "site_column": s.site_column,
        "missed": {k: v for k, v in missed.items() if v}, "sent": sent, "received": received,
        "epsilon": epsilon(s, state.round), "delta": s.delta if s.noise is not None else None,
        "epsilon_of_rows": epsilon_of_rows(state),
        "delta_of_rows": None if state.spec.training.private is None else state.spec.training.private.delta,
    }
