"""A checkpoint is one safetensors file with everything a run needs to go on; it is replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..core.errors import BundleError
from ..core.files import replacing
from .loop import Progress, Training
from .weights import Snapshot

FORMAT = "senzai-checkpoint-1"


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors atomically; tensors that share memory are written apart."""
    plain = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
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
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as err:
        raise BundleError(
            f"{str(path)!r} must be a complete safetensors file, but it is damaged ({err}). "
            "Restore it from a copy, or train again."
        ) from err


def _join(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{k}": v for k, v in tensors.items()}


def _part(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(f"{prefix}/"): v for k, v in tensors.items() if k.startswith(f"{prefix}/")}


def save_checkpoint(training: Training, path: Path) -> None:
    """Write the state of a run."""
    now = training.snapshot()
    tensors = _join("model", now.model) | _join("best", training.best or {}) | _join("average", now.average or {})
    for i, optimiser in enumerate(now.optimisers):
        tensors |= _join(f"optimiser{i}", optimiser)
    facts = {"format": FORMAT, "progress": json.dumps(training.facts()), "average_steps": str(now.average_steps)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, tensors, facts)


def load_checkpoint(training: Training, path: Path) -> None:
    """Put a saved state into a run made with the same settings.

    Raises:
        BundleError: The file is damaged or belongs to another model.
    """
    tensors, facts = load_tensors(path)
    if facts.get("format") != FORMAT:
        raise BundleError(f"{str(path)!r} must be a checkpoint of this version of senzai, but has {facts.get('format')!r}.")
    device = training.device
    tensors = {k: v.to(device) if not k.startswith("optimiser") else v for k, v in tensors.items()}
    progress = Progress(**json.loads(facts["progress"]))
    count = len(training.steppers)
    state = Snapshot(
        progress.step,
        _part("model", tensors),
        tuple(_part(f"optimiser{i}", tensors) for i in range(count)),
        _part("average", tensors) or None,
        int(facts["average_steps"]),
    )
    try:
        training.resume(state, _part("best", tensors) or None, progress)
    except (RuntimeError, ValueError, KeyError) as err:
        raise BundleError(
            f"The checkpoint {str(path)!r} must belong to the model in spec.json, but it does not fit: {err}"
        ) from err


def peek(path: Path) -> Progress:
    """Return where a checkpoint stands, without its tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return Progress(**json.loads((file.metadata() or {})["progress"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as err:
        raise BundleError(f"{str(path)!r} must be a checkpoint, but it cannot be read ({err}).") from err


