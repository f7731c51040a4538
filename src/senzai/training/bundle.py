"""A run as a folder: ``spec.json``, ``weights.safetensors``, history and measurements. No pickle, no code."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..core.errors import BundleError, SenzaiError
from ..core.files import write_json
from ..core.local_random import locally_seeded
from ..core.plugins import version_of
from ..core.spec import from_spec, to_spec
from ..models.generative import Generative
from ..objectives.base import Objective
from .checkpoint import load_state, load_tensors, save_tensors
from .lock import waited_for
from .places import CHECKPOINT as CHECKPOINT
from .places import HISTORY as HISTORY
from .places import METRICS as METRICS
from .places import SPEC, need_run
from .places import WEIGHTS as WEIGHTS
from .privacy import Privacy
from .required import need_packages as need_packages
from .required import packages_of
from .settings import TrainSettings

FORMAT = 1
LIBRARIES = ("torch", "numpy", "scikit-learn", "safetensors")
METRICS_LOCK = ".senzai-metrics-lock"
"""Apart from the lock of training: a run is evaluated while another is trained to replace it."""


class Spec(BaseModel):
    """Everything about a run that is not a tensor.

    Args:
        format: Version of this layout.
        senzai: Version that wrote it.
        recipe: Name the user gave.
        settings: What the user set, as given.
        training: Complete training settings.
        data_schema: What the data are.
        source: Where the data came from, for people.
        model: Expanded tree of parts with their constructor arguments.
        objective: The same for the objective.
        libraries: Versions it was made with.
        plugins: Packages of other people that it is made of, with their versions.
        privacy: What a private run guarantees, and its ledger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    senzai: str
    recipe: str
    settings: dict[str, Any]
    training: TrainSettings
    data_schema: dict[str, Any]
    source: str
    model: dict[str, Any]
    objective: dict[str, Any]
    libraries: dict[str, str]
    plugins: dict[str, str] = {}
    privacy: Privacy | None = None

    def make_model(self) -> Generative:
        """Return the model, with fresh weights."""
        model: Generative = _expect(from_spec(self.model), Generative)
        return model

    def make_objective(self) -> Objective:
        """Return the objective."""
        objective: Objective = _expect(from_spec(self.objective), Objective)
        return objective


def _expect(made: Any, kind: type[Any]) -> Any:
    if not isinstance(made, kind):
        raise BundleError(f"{SPEC} must describe a {kind.__name__}, but it describes a {type(made).__name__}.")
    return made


def new_spec(
    *, recipe: str, settings: dict[str, Any], training: TrainSettings, data_schema: dict[str, Any], source: str,
    model: Generative, objective: Objective, privacy: Privacy | None = None,
) -> Spec:
    """Return the spec of a new run."""
    trees = to_spec(model), to_spec(objective)
    return Spec(
        senzai=_version("senzai"), recipe=recipe, settings=settings, training=training, data_schema=data_schema,
        source=source, model=trees[0], objective=trees[1],
        libraries={"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
        plugins=packages_of(recipe, str(data_schema["kind"]), *trees), privacy=privacy,
    )


def _version(package: str) -> str:
    return version_of(package) or "unknown"


def save_spec(path: Path, spec: Spec) -> None:
    """Write the spec of a run into its folder."""
    write_json(path / SPEC, spec.model_dump(mode="json"))


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the numbers measured for a run so far; none if there is no such file.

    Raises:
        BundleError: The file is damaged.
    """
    file = path / METRICS
    if not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as err:
        raise BundleError(
            f"{str(file)!r} must be JSON, but it is damaged ({err}). Delete it and evaluate again."
        ) from err
    return found


def change_metrics(
    path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Change the numbers measured for a run in its folder, and return them; who measures at the same time waits.

    Args:
        path: Folder of the run.
        change: Makes the new numbers of those that are there now, which others may have added since.
        known: Numbers that are kept where the folder does not have them.

    Raises:
        OutputError: The folder cannot be written.
        BundleError: The file is damaged.
    """
    with waited_for(path, METRICS_LOCK):
        found = change({**known, **read_metrics(path)})
        write_json(path / METRICS, found)
    return found


def read_spec(path: Path) -> Spec:
    """Return the spec of a run folder.

    Raises:
        BundleError: It is no run folder, it is damaged, or a newer version wrote it.
    """
    need_run(path)
    file = path / SPEC
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as err:
        raise BundleError(f"{str(file)!r} must be JSON, but it is damaged ({err}). Restore it from a copy.") from err
    found = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise BundleError(
            f"{str(path)!r} was written by senzai {raw.get('senzai')} in format {found}, this version reads {FORMAT}. "
            "Update senzai."
        )
    try:
        return Spec.model_validate(raw)
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors()[:3])
        raise BundleError(f"{str(file)!r} must be the spec of a senzai run, but it is not ({faults}).") from None


def save_weights(path: Path, model: Generative, *, step: int | None = None) -> None:
    """Write the weights of a finished run, without what only its training needed, and after how many steps it ended."""
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("aux.")}
    save_tensors(path / WEIGHTS, own, {"format": "senzai-weights-1"} | ({} if step is None else {"step": str(step)}))


def has_weights_of(path: Path, step: int) -> bool:
    """Whether a run folder has the weights that training gave after ``step`` steps, not those of a shorter run."""
    if not (path / WEIGHTS).is_file():
        return False
    return load_tensors(path / WEIGHTS)[1].get("step", str(step)) == str(step)


def load_model(path: Path, spec: Spec) -> Generative:
    """Return the trained model of a run folder, in evaluation mode.

    Raises:
        BundleError: The run is unfinished, or weights and spec do not belong together.
        MissingExtraError: A package that the model is made of is not there.
    """
    need_packages(spec.plugins)
    if not (path / WEIGHTS).is_file() and (path / CHECKPOINT).is_file():
        raise BundleError(f"{str(path)!r} was not trained to its end. Finish it with: senzai resume {path}")
    tensors, _ = load_tensors(path / WEIGHTS)
    try:
        with locally_seeded(0):  # its weights are read, not drawn
            model = spec.make_model()
        load_state(model, tensors)
    except BundleError:
        raise
    except SenzaiError as err:
        raise BundleError(f"{str(path / SPEC)!r} describes a model that cannot be made: {err}") from err
    except (RuntimeError, TypeError, KeyError, ValueError) as err:
        raise BundleError(
            f"The weights in {str(path)!r} must belong to its {SPEC}, but they do not fit: {err}"
        ) from err
    return model.eval()
