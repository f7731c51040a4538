"""Info: what a run is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...models.causal import told
from .registry import fitting, verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("info", group="Look", takes="nothing", answers="document", steered=False)
def info(run: Trained) -> dict[str, Any]:
    """Say what a run is: recipe, data, settings, training, the numbers measured so far, and which verbs fit it."""
    spec = run.spec
    return {
        "recipe": spec.recipe, "settings": spec.settings, "source": spec.source, "data": spec.data_schema,
        "training": spec.training.model_dump(mode="json"),
        "n_parameters": sum(p.numel() for p in run.model.parameters()), **told(run.model), "metrics": run.metrics,
        "senzai": spec.senzai, "libraries": spec.libraries, "plugins": spec.plugins,
        "privacy": None if spec.privacy is None else spec.privacy.model_dump(mode="json"),
        "verbs": fitting(run.schema, run.model),
    }
