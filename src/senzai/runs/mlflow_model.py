"""A run as a model of MLflow: what ``mlflow.pyfunc`` loads and serves, made of the run's files, without a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import OutputError, SettingError
from ..core.files import user_path
from ..core.plugins import version_of
from ..core.warning_filters import ignore_warnings
from ..training.listeners.mlflow import files_allowed, package
from .verbs.registry import every_verb

if TYPE_CHECKING:
    from .run import Run

TAKES = ("rows", "number")
"""What a verb may take to be asked through MLflow: a frame, or how many rows."""


class MLflowModel:
    """What MLflow asks: ``predict(rows, params={"verb": "score"})``.

    Args:
        run: The run.
        verb: What is done where nobody says it.
    """

    def __init__(self, run: Run, verb: str) -> None:
        self.run, self.verb = run, verb

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Do a verb with rows; a verb that takes a number makes as many as there are rows.

        Raises:
            SettingError: The verb takes neither rows nor a number.
            CombinationError: It does not fit the run.
        """
        name = str((params or {}).get("verb") or self.verb)
        takes = askable(name)
        return self.run.do(name, len(model_input) if takes == "number" else model_input)


def askable(name: str) -> str:
    """Return what a verb takes, where MLflow can ask it.

    Raises:
        SettingError: It cannot.
    """
    known = {found.name: found.takes for found in every_verb().values() if found.takes in TAKES}
    if name not in known:
        raise SettingError(f"MLflow asks a verb that takes rows: {', '.join(sorted(known))}, but got {name!r}.")
    return known[name]


def save_model(run: Run, path: str | Path, *, verb: str = "encode") -> Path:
    """Write a run as a model of MLflow into a new folder (extra ``mlflow``).

    ``mlflow.pyfunc.load_model(path).predict(frame)`` then does the verb; another one with ``params={"verb": "score"}``.

    Args:
        run: A run.
        path: A new folder.
        verb: What the model does by default.

    Raises:
        OutputError: The folder exists.
        SettingError: MLflow cannot ask the verb.
        CombinationError: The verb does not fit the run.
    """
    from ..sharing.packing import prepared
    from .verbs.pack import folder_of

    target = user_path(path, output=True)
    if target.exists():
        raise OutputError(f"A model of MLflow needs a folder that does not exist yet, but {str(target)!r} does.")
    askable(verb)
    every_verb()[verb].need(run.schema, run.model)
    package()
    with ignore_warnings():
        import mlflow.pyfunc as pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import ParamSchema, ParamSpec

        asked = ModelSignature(params=ParamSchema([ParamSpec("verb", "string", verb)]))
        with folder_of(run, "run") as folder, prepared(folder, rows=True) as ready, files_allowed():
            pyfunc.save_model(
                path=str(target), loader_module=__name__, data_path=str(ready), signature=asked,
                pip_requirements=[f"senzai=={version_of('senzai')}"], model_config={"verb": verb},
            )
    return target


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> MLflowModel:
    """Return the model in a folder; MLflow calls this by its name."""
    from .run import load

    return MLflowModel(load(path), str((model_config or {}).get("verb") or "encode"))
