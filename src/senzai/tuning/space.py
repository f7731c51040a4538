"""What is searched: a range for each setting, proposed from what a recipe asks for, or given by the user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..core.errors import SettingError
from ..core.local_random import locally_seeded
from ..core.spec import to_spec
from ..data import Dataset
from ..recipes import build
from ..recipes.about import parts_of
from ..recipes.settings import objective_settings
from ..runs.fit import frame_of
from ..training.settings import TrainSettings

Space = Mapping[str, "Dimension"]
FACTOR = 4.0
"""How many times smaller or larger than its default a setting may become."""
WIDTHS, DEPTHS = (64, 128, 256, 512), (1, 2, 3)
FILTERS = (16, 32, 64)
MOST_DROPOUT, MOST_FREE_BITS = 0.4, 0.5
MOST_LATENTS = 128
OF_PARTS = ("n_components", "n_transforms", "n_bins", "temperature", "gamma", "delta", "concentration")
"""Settings of single parts that are searched: how rich they are, and how sharp."""
LEFT = ("critic_lr", "bandwidth", "start", "until")
"""Numbers of objectives that say how it is trained, not what is minimised."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What one setting may be.

    Args:
        kind: ``float`` or ``int`` within bounds, or one of some ``choice``.
        low: Least value.
        high: Largest value.
        log: Whether factors matter, not differences.
        choices: Values to choose from.
        default: What the setting is by itself, for the first trial; ``None`` where that is not known.
    """

    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None

    def __post_init__(self) -> None:
        if self.kind == "choice" and not self.choices:
            raise SettingError("A setting with choices needs at least one of them. Give some.")
        if self.kind != "choice" and not self.low <= self.high:
            raise SettingError(f"A range goes up, but got {self.low:g} to {self.high:g}. Exchange the two.")
        if self.log and self.low <= 0:
            raise SettingError(f"A logarithmic range begins above zero, but got {self.low:g}. Raise it, or drop log.")

    def ask(self, trial: Any, name: str) -> Any:
        """Let Optuna choose a value."""
        if self.kind == "choice":
            return json.loads(trial.suggest_categorical(name, [json.dumps(c) for c in self.choices]))
        if self.kind == "int":
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def first(self) -> Any:
        """Return the default as Optuna keeps it, or ``None`` where it is not in range."""
        if self.default is None:
            return None
        if self.kind == "choice":
            return json.dumps(self.default) if self.default in self.choices else None
        return self.default if self.low <= self.default <= self.high else None

    def document(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "choices": list(self.choices)}

    @classmethod
    def of(cls, given: Any) -> Dimension:
        """Return what a user wrote: ``(low, high)``, ``(low, high, "log")``, or a list of choices.

        Raises:
            SettingError: It is none of these.

        Example:
            >>> Dimension.of((1e-4, 1e-2, "log")).log, Dimension.of((2, 32)).kind, Dimension.of([8, 16]).choices
            (True, 'int', (8, 16))
        """
        if isinstance(given, Dimension):
            return given
        if isinstance(given, list):
            return cls(kind="choice", choices=tuple(given))
        if not isinstance(given, tuple) or len(given) not in (2, 3) or given[2:] not in ((), ("log",)):
            raise SettingError(
                f'A setting to search is (low, high), (low, high, "log") or a list of choices, but got {given!r}.'
            )
        low, high = given[:2]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high)):
            raise SettingError(f"The ends of a range are numbers, but got {given!r}. Give choices as a list.")
        whole = isinstance(low, int) and isinstance(high, int)
        return cls(kind="int" if whole else "float", low=low, high=high, log=len(given) == 3)


def user_space(given: Mapping[str, Any]) -> dict[str, Dimension]:
    """Return what a user wants searched.

    Raises:
        SettingError: A range is none.
    """
    return {name: Dimension.of(value) for name, value in given.items()}


def propose_space(
    dataset: Dataset, recipe: str | None = None, settings: Mapping[str, Any] | None = None
) -> dict[str, Dimension]:
    """Return ranges for what a recipe asks for on these data, around its defaults; what is set is not searched.

    Args:
        dataset: The data.
        recipe: Name of the recipe; by default the one that the data propose.
        settings: Settings that stay as they are.

    Raises:
        UnknownNameError: There is no such recipe.
        SettingError: A setting is unknown.

    Example:
        >>> from senzai.data import open_data
        >>> space = propose_space(open_data("digits"), settings={"lr": 0.001})
        >>> space["n_latent"].low, space["n_latent"].log, "lr" in space
        (2, True, False)
    """
    fixed = dict(settings or {})
    own = {k: v for k, v in fixed.items() if k not in TrainSettings.model_fields and not k.startswith("optimiser.")}
    proposal = dataset.propose()
    first = dataset.batch(dataset.split_indices()["train"][:64])
    frame = frame_of(dataset, first, own)
    with locally_seeded(0):
        model, objective = build(recipe or proposal.recipe, frame)
    asked = {**frame.settings.asked, **_objective(objective), **_parts(to_spec(model)), **_dropout(to_spec(model))}
    wanted = TrainSettings.parse({k: v for k, v in fixed.items() if k not in own}).proposed(proposal.training)
    lr = wanted.resolved(wanted.chosen_batch_size(len(dataset.split_indices()["train"]))).lr
    found = {"lr": _around("lr", lr), **{name: _proposed(name, value, dataset) for name, value in asked.items()}}
    return {k: v for k, v in found.items() if v is not None and k not in fixed}


def _objective(objective: Any) -> dict[str, Any]:
    """Return the weights of an objective: its numbers above zero, whole numbers apart."""
    args = to_spec(objective)["args"]
    known = {k: v for k, v in args.items() if k in objective_settings() and k not in LEFT}
    return {k: v for k, v in known.items() if isinstance(v, float) and (v > 0 or k == "free_bits")}


def _parts(tree: Any) -> dict[str, Any]:
    """Return the numbers of prior, posterior and likelihood that are searched, with their slot and a dot."""
    args = tree.get("args", {}) if isinstance(tree, dict) else {}
    found = {}
    for slot in ("prior", "posterior", "likelihood"):
        part = args.get(slot)
        for name, value in (part.get("args", {}) if isinstance(part, dict) else {}).items():
            if name in OF_PARTS and isinstance(value, int | float) and value > 0:
                found[f"{slot}.{name}"] = value
    return found


def _dropout(tree: Any) -> dict[str, Any]:
    """Return the dropout of the networks, where one of them has such a thing."""
    found = [node["args"]["dropout"] for node in parts_of(tree) if "dropout" in node.get("args", {})]
    return {"dropout": found[0]} if found else {}


def _proposed(name: str, value: Any, dataset: Dataset) -> Dimension | None:
    """Return the range of one setting, or ``None`` where it is not searched."""
    if name == "n_latent" and isinstance(value, int):
        high = max(2, min(MOST_LATENTS, int(FACTOR * value), max(2, dataset.schema.size)))
        return Dimension(kind="int", low=2, high=high, log=True, default=min(value, high))
    if name == "hidden" and isinstance(value, Sequence) and value:
        return _choices([[w] * d for d in DEPTHS for w in WIDTHS], list(value))
    if name == "width" and isinstance(value, int):
        return _choices(list(FILTERS), value)
    if name == "dropout":
        return Dimension(kind="float", high=MOST_DROPOUT, default=float(value or 0.0))
    if name == "free_bits":
        return Dimension(kind="float", high=MOST_FREE_BITS, default=float(value or 0.0))
    weight = name in objective_settings() and isinstance(value, float) and name not in LEFT
    return _around(name, value) if weight or name.rpartition(".")[2] in OF_PARTS else None


def _choices(values: list[Any], default: Any) -> Dimension:
    known = [*values, *([] if default in values else [default])]
    return Dimension(kind="choice", choices=tuple(known), default=default)


def _around(name: str, default: Any) -> Dimension | None:
    """Return a range of factors around a default; a share stays one."""
    if not isinstance(default, int | float) or isinstance(default, bool) or default <= 0:
        return None
    factor = 2 * FACTOR if name == "lr" else FACTOR
    low, high = default / factor, default * factor
    if isinstance(default, int):
        return Dimension(kind="int", low=max(1, int(low)), high=int(high), log=True, default=default)
    if name != "lr" and default < 1:
        high = min(high, 1.0)
    return Dimension(kind="float", low=low, high=high, log=True, default=default)
