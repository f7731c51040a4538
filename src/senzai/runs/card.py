"""The model card of a run, ``README.md`` in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.files import write_text
from ..data import Schema
from ..recipes import RECIPES
from ..training.bundle import Spec
from ..training.privacy import Privacy


def privacy_words(privacy: Privacy | None) -> str:
    """Return the section about the privacy of a run; nothing for ordinary runs."""
    if privacy is None:
        return ""
    lines = "\n".join(f"- {what}: **{how}**. {why}" for what, how, why in privacy.lines())
    return f"""## Privacy
{privacy.sentence()}

{lines}

"""


SAID = ("out", "recipe", "kind")
"""What the card says elsewhere, or what is nobody's business: the place on the disk where the run was trained."""


def write_card(folder: Path, title: str, spec: Spec, schema: Schema, metrics: dict[str, Any]) -> None:
    """Write the card of a run."""
    write_text(folder / "README.md", card(title, spec, schema, metrics))


def card(
    title: str, spec: Spec, schema: Schema, metrics: dict[str, Any], *, place: str = "path/to/this/folder"
) -> str:
    """Return the card as Markdown: what it is, what it was trained on, how good it is, how to use it.

    Args:
        title: What the run is called.
        spec: What was trained.
        schema: What the data are.
        metrics: What was measured.
        place: Where the run is loaded from.
    """
    recipe = RECIPES[spec.recipe]
    fit = dict(metrics.get("fit", {}))
    sampling = fit.pop("sampler", {}).get("why", "Samples come from the trained prior.")
    reasons = "\n".join(f"- {r}" for r in schema.reasons) or "- none recorded"
    settings = "\n".join(f"- `{k}` = `{v}`" for k, v in spec.settings.items()) or "- all defaults"
    took = {k.replace("_", " "): v for k, v in fit.items() if k not in SAID and v is not None}
    measured = "\n".join(f"- {k}: {v:.6g}" if isinstance(v, float) else f"- {k}: {v}" for k, v in took.items())
    together = "".join(f"- {k}: {v}\n" for k, v in _together(metrics.get("federated", {})).items())
    sites = f"\n## Sites\nIt was trained federated: rows stayed at their sites.\n\n{together}" if together else ""
    evaluated = metrics.get("evaluate", {})
    names = ("n", "elbo", "log_likelihood", "log_likelihood_se", "k", "bits_per_dim")
    numbers = [k for k in names if evaluated.get(k) is not None]  # one row has no standard error
    held_out = "\n".join(f"- {k}: {evaluated[k]:.6g}" for k in numbers) or "- not evaluated yet: `senzai evaluate`"
    return f"""# {title}

A generative model trained with [senzai](https://pypi.org/project/senzai) {spec.senzai}.

**Recipe** `{recipe.name}`: {recipe.title}. {recipe.paper}

## Data
{schema.n_rows} rows of kind `{schema.kind}`, each of shape {schema.shape_words}.
Fingerprint `{schema.fingerprint}`.

{reasons}

## Settings
{settings}

## Training
{measured}
{sites}
{privacy_words(spec.privacy)}## Held-out rows
{held_out}

## Sampling
{sampling}

## Use
```python
import senzai

run = senzai.load("{place}")
new = run.sample(10, seed=0)
```
`senzai info {place}` lists what else the run can do.
The folder holds JSON and safetensors only; loading it runs no code from it.
"""


def _together(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what there is to say of a run that several sites trained."""
    plain = {k.replace("_", " "): v for k, v in facts.items() if v not in (None, [], {}, False, 0.0) and k != "rows"}
    crossed = {"sent": "bytes sent to sites", "received": "bytes received from sites"}
    return {crossed.get(k, k): v for k, v in plain.items()}
