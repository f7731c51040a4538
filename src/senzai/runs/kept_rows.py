"""What of a run holds rows that it was trained on, and so must go where only weights may be handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models.generative import keepers_of_rows
from ..training.places import SAMPLERS

if TYPE_CHECKING:
    from ..training.trained import Trained

REFERENCE = "reference.safetensors"


def kept_rows(run: Trained) -> dict[str, str]:
    """Return what holds training rows, or values copied out of them, by where it is; empty if nothing does.

    Weights remember something of their data in any case; this is about rows that were copied on purpose.

    Args:
        run: A trained run.

    Example:
        >>> from senzai.runs import fit
        >>> fitted = fit("digits", recipe="vamp-vae", steps=2, n_latent=2, network="mlp", hidden=(8,))
        >>> sorted(kept_rows(fitted))
        ['spec.json', 'weights.safetensors: prior']
    """
    if run.spec.privacy is not None:  # its parts began as rows made up from the schema, and its schema is public
        return {}
    found = {
        f"weights.safetensors: {name}": "It began as training rows, or holds them."
        for name in keepers_of_rows(run.model)
    }
    for name, prior in run.samplers.fitted.items():
        if any(True for _ in keepers_of_rows(prior)):
            found[f"{SAMPLERS}: {name}"] = "A sampler that holds training rows."
    if run.reference is not None or (run.folder is not None and (run.folder / REFERENCE).is_file()):
        found[REFERENCE] = "Training and held-out rows that scores compare with."
    if run.schema.columns or run.schema.label is not None:
        found["spec.json"] = "Names of classes, levels of columns and their ranges are values of the data."
    return found
