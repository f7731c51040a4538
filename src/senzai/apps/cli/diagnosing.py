"""How a diagnosis, a cure and a comparison are printed."""

from __future__ import annotations

from .output import Document, plain, table


def diagnosed(found: Document) -> list[str]:
    """Return a diagnosis as lines: findings, the root cause first, then what was not judged."""
    from .describing import number

    lines = [] if found["findings"] else [f"[bold]Nothing found[/] by {len(found['well'])} checks."]
    for i, f in enumerate(found["findings"], 1):
        settings = " ".join(f"--set {k}={typed(v)}" for k, v in f["remedy"]["settings"].items() if v is not None)
        lines += [
            f"[bold]{i}. {plain(f['name'].replace('_', ' '))}[/] ({f['grade']}{'' if f['sure'] else ', not sure'})",
            f"   {plain(f['sentence'])}",
            f"   [dim]{plain(f['quantity'])}: {number(f['value'], 3)}, wrong {f['wrong']} {number(f['threshold'], 3)} "
            f"({plain(f['source'])})[/]",
            f"   {plain(f['remedy']['words'])} {plain(settings)}".rstrip(),
        ]
    return [*lines, *(f"[dim]  not judged: {plain(n)}. {plain(why)}[/]" for n, why in found["not_judged"].items())]


def typed(value: object) -> str:
    """Return a setting as it is typed.

    Example:
        >>> typed([64, 64]), typed(0.1)
        ('64,64', '0.1')
    """
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def side_by_side(found: Document) -> list[str]:
    """Return a cure as lines: the quantity and the likelihood, before and after."""
    from .describing import number

    def told(value: float | None) -> str:
        return "not measured" if value is None else number(value, 4)

    quantity = found["quantity"]
    facts: dict[str, object] = {
        found["finding"]["quantity"]: f"{told(quantity['before'])} -> {told(quantity['after'])}",
    }
    if (both := found["comparison"]) is not None:
        values = [both["runs"][n][both["judged_by"]] for n in ("before", "after")]
        texts = [f"{number(v['value'], 6)} ± {number(v['se'], 2)}" for v in values]
        by = "log p(x), held-out rows" if both["judged_by"] == "log_likelihood" else "distance of samples"
        facts[by] = " -> ".join(texts)
    kept = f"The second run is better: {found['cured']}" if found["kept"] == "after" else "The first run is better."
    settings = ", ".join(f"{k}={typed(v)}" for k, v in found["finding"]["remedy"]["settings"].items())
    return [f"[bold]With {plain(settings)}[/]", table(facts), plain(kept)]


def compared(found: Document) -> list[str]:
    """Return a comparison as lines, the best run first."""
    from .describing import number

    facts: dict[str, object] = {}
    by_samples = found["judged_by"] == "samples"
    below_or_beyond = "beyond" if by_samples else "below"
    for name, one in sorted(found["runs"].items(), key=lambda item: item[1]["below_best"]["value"]):
        judged, below = one[found["judged_by"]], one["below_best"]
        text = f"{number(judged['value'], 6)} ± {number(judged['se'], 2)}"
        if name != found["best"]:
            text += f", {number(below['value'], 3)} ± {number(below['se'], 2)} {below_or_beyond} the best"
        facts[name] = text
    notes = [f"  {plain(note)}" for note in found["notes"]]
    what = (
        f"[bold]Fréchet distance[/] of samples to {found['rows']} held-out rows; lower is better" if by_samples else
        f"[bold]log p(x)[/] of {found['rows']} held-out rows, nats a row; differences are paired"
    )
    return [what, table(facts),
            *notes, plain(found["verdict"])]
