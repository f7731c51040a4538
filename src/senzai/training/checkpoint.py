"""A checkpoint is one safetensors file with everything a run needs to go on; it is replaced as a whole."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core.errors import BundleError
from ..core.files import replacing
from .loop import Progress, Training
from .shares import is_divided, shares, whole
from .weights import Snapshot, join, to, under

FORMAT = "senzai-checkpoint-1"


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors atomically; tensors that share memory are written apart."""
    alone = ((k, whole(v) if is_divided(v) else v.detach().to("cpu", copy=True)) for k, v in tensors.items())
    plain = {k: v.contiguous() for k, v in alone}
    with replacing(path) as tmp:
        try:
            save_file(plain, tmp, metadata=metadata)
        except SafetensorError as err:
            raise OSError(str(err)) from err


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata.

    Raises:
        BundleError: The file is missing or damaged.
    """
    if not path.is_file():
        raise BundleError(f"A run has the file {path.name}, but there is none in {str(path.parent)!r}.")
    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as err:
        raise BundleError(
            f"{str(path)!r} must be a complete safetensors file, but it is damaged ({err}). "
            "Restore it from a copy, or train again."
        ) from err


def load_state(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put saved tensors into a module; one that was saved in double precision computes in it again."""
    own = module.state_dict()
    if any(v.dtype == torch.float64 and own[k].dtype == torch.float32 for k, v in tensors.items() if k in own):
        module.double()
    module.load_state_dict(tensors)


def save_checkpoint(training: Training, path: Path | None) -> None:
    """Write the state of a run: progress, best weights, the last good state and the sums of the meter.

    It has whole tensors, however many processes train. Where they divide the model, each has to call this, and all but
    the first, which writes, without a path.
    """
    now, good = training.state(), training.good
    now_facts, now_tensors = now.flat()
    good_facts, good_tensors = good.flat() if good.step != now.step else (None, {})
    meter_facts, meter_tensors = training.meter.state()
    tensors = (
        join("now", now_tensors) | join("good", good_tensors) | join("best", training.best or {})
        | join("meter", meter_tensors)
    )
    if path is None:
        for t in tensors.values():
            whole(t)
        return
    facts = {"progress": training.facts(), "now": now_facts, "good": good_facts, "meter": meter_facts}
    with suppress(FileNotFoundError):  # where the run's folder is gone, it is not made again: the next line says so
        path.parent.mkdir(exist_ok=True)
    save_tensors(path, tensors, {"format": FORMAT, **{k: json.dumps(v) for k, v in facts.items()}})


def load_checkpoint(training: Training, path: Path) -> None:
    """Put a saved state into a run made with the same settings.

    Raises:
        BundleError: The file is damaged or belongs to another model.
    """
    tensors, facts = load_tensors(path)
    if facts.get("format") != FORMAT:
        raise BundleError(
            f"{str(path)!r} must be a checkpoint of this version of senzai ({FORMAT}), but is {facts.get('format')!r}."
        )
    device, model, optimisers = training.device, training.model, [s.optimiser for s in training.steppers]
    try:
        known = {k: json.loads(facts[k]) for k in ("progress", "now", "good", "meter")}
        now = Snapshot.from_flat(known["now"], under("now", tensors), model=model, optimisers=optimisers)
        good = now
        if known["good"] is not None:
            good = Snapshot.from_flat(known["good"], under("good", tensors), model=model, optimisers=optimisers)
        best = to(shares(under("best", tensors), model.state_dict()), device) or None
        training.resume(
            now, progress_of(known["progress"]), good=good, best=best,
            meter=(known["meter"], to(under("meter", tensors), device)),
        )
    except (RuntimeError, ValueError, KeyError, TypeError) as err:
        raise BundleError(
            f"The checkpoint {str(path)!r} must belong to the model in spec.json, but it does not fit: {err}"
        ) from err


def progress_of(facts: dict[str, Any]) -> Progress:
    """Return the progress of a run; ``best_elbo`` of earlier versions is the headline of the objective."""
    known = dict(facts)
    if "best_elbo" in known:
        known["best_headline"] = known.pop("best_elbo")
    return Progress(**known)


def peek(path: Path) -> Progress:
    """Return the progress in a checkpoint, without its tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return progress_of(json.loads((file.metadata() or {})["progress"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as err:
        raise BundleError(f"{str(path)!r} must be a checkpoint, but it cannot be read ({err}).") from err
