"""How a run looks in a notebook: what it is, how good it is, and what can be done with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..recipes import RECIPES
from ..training.live import history_curves
from .verbs.registry import every_verb

if TYPE_CHECKING:
    from ..training.trained import Trained

STYLE = (
    "font-family:system-ui,sans-serif;border:1px solid rgba(128,128,128,.35);border-radius:8px;padding:.9em 1.1em;"
    "max-width:62em;line-height:1.45"
)
SOFT = "opacity:.75;font-size:.9em"


def as_html(run: Trained) -> str:
    """Return a run as HTML, in the colours of the page around it; everything that comes from data is escaped."""
    spec, recipe = run.spec, RECIPES.get(run.spec.recipe)
    title = recipe.title if recipe is not None else "a recipe that is not known here"
    size = sum(p.numel() for p in run.model.parameters())
    where = "in memory" if run.folder is None else str(run.folder)
    lines = [
        f'<div style="{STYLE}"><div style="font-size:1.1em"><b>{escape(spec.recipe)}</b>: {escape(title)}</div>',
        f'<div style="{SOFT}">{run.schema.n_rows:,} rows of the kind {escape(run.schema.kind)} from '
        f"{escape(spec.source)}, each of shape {escape(run.schema.shape_words)} · {size:,} parameters · "
        f"{escape(where)}</div>",
        _numbers(run.metrics), history_curves(run.history), _verbs(run), "</div>",
    ]
    return "".join(lines)


def _numbers(metrics: dict[str, Any]) -> str:
    found = [(n, v, w) for n, v, w in (*_judged(metrics.get("evaluate", {})), *_trained(metrics.get("fit", {})))]
    cells = "".join(
        f'<div style="margin:.2em 1.8em .4em 0"><div style="{SOFT}">{escape(name)}</div>'
        f'<div style="font-size:1.25em">{escape(value)}</div><div style="{SOFT}">{escape(words)}</div></div>'
        for name, value, words in found
    )
    return f'<div style="display:flex;flex-wrap:wrap;margin:.7em 0 .3em">{cells}</div>'


def _judged(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    if found.get("log_likelihood") is None:
        return []
    error = found.get("log_likelihood_se")
    plus = "" if error is None else f" ± {error:.2g}"
    rows = f"{found.get('n', 0):,} {found.get('split', 'test')} rows"
    told = [("log p(x)", f"{found['log_likelihood']:.5g}{plus}", f"nats a row, {rows}")]
    if found.get("bits_per_dim") is not None:
        told.append(("bits per dimension", f"{found['bits_per_dim']:.4g}", "lower is better"))
    if found.get("active_units") is not None:
        told.append(("active latents", str(found["active_units"]), f"of {found.get('n_latent')}"))
    return told


def _trained(fit: dict[str, Any]) -> list[tuple[str, str, str]]:
    best = [(k.removeprefix("validation_"), v) for k, v in fit.items() if k.startswith("validation_") and v is not None]
    told = [(f"validation {n.replace('elbo', 'ELBO').replace('_', ' ')}", f"{v:.5g}", "nats a row") for n, v in best]
    if "steps" in fit:
        told.append(("trained", f"{fit['steps']:,} steps", f"{fit.get('seconds', 0):.1f} s"))
    return told


def _verbs(run: Trained) -> str:
    """Return which verbs fit, and of the others why they do not."""
    known = {name: (verb.summary, verb.unfit(run.schema, run.model)) for name, verb in every_verb().items()}
    fit = " ".join(
        f'<code title="{escape(summary, quote=True)}" style="margin-right:.5em">{escape(name)}</code>'
        for name, (summary, why) in known.items() if why is None
    )
    others = "".join(
        f"<li><code>{escape(name)}</code>: {escape(why)}</li>" for name, (_, why) in known.items() if why is not None
    )
    more = f'<details style="{SOFT}"><summary>Verbs that do not fit</summary><ul>{others}</ul></details>'
    rest = more if others else ""
    return f'<div style="margin-top:.6em"><span style="{SOFT}">Verbs</span> {fit}</div>{rest}'
