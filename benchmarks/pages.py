"""Write the measured figures into README and docs: ``python -m benchmarks.pages``. Figures come from results only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .common import RESULTS

ROOT = Path(__file__).parent.parent


def between(path: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->``."""
    page = path.read_text(encoding="utf-8")
    new, n = re.subn(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", lambda m: m[1] + text + m[2], page, flags=re.S)
    if n != 1:
        raise SystemExit(f"{path} must have one block {mark!r}, but has {n}.")
    path.write_text(new, encoding="utf-8")


def spine_table(r: dict[str, Any], link: str) -> str:
    """Return the table of speed."""
    t, k, g = r["throughput"], r["likelihood"], r["time_to_target"]
    speed = {name: f"{v['median']:,.0f} rows/s" for name, v in t["rows_per_second"].items()}
    image = {name: f"{1e3 * v['median']:.0f} ms" for name, v in k["seconds_per_image"].items()}
    elbo = t["test_elbo"]
    rows = [
        ("training at equal settings (batch 100, fp32)", speed["pythae"], speed["equal"], t["ratio_equal"]),
        ("training at senzai's defaults", speed["pythae"], speed["defaults"], t["ratio_defaults"]),
        (f"test ELBO after the same {t['epochs']} epochs, equal settings / defaults", f"{elbo['pythae']:.2f}",
         f"{elbo['equal']:.2f} / {elbo['defaults']:.2f}", None),
        ("from the call of `fit` to a test ELBO of −105 nats", f"{g['seconds']['pythae']['median']:.1f} s",
         f"{g['seconds']['senzai']['median']:.1f} s", g["ratio"]),
        (f"log-likelihood of an image, {k['k']:,} draws, fp32", image["pythae"], image["fp32"], k["ratio_fp32"]),
        (f"the same with bfloat16 networks ({k['bf16_minus_fp32_nats']:+.3f} nats)", "", image["bf16"],
         k["ratio_bf16"]),
    ]
    if "bare" in t["rows_per_second"]:
        ratio = t["rows_per_second"]["bare"]["median"] / t["rows_per_second"]["pythae"]["median"]
        rows.insert(1, ("a bare torch loop of the same network, for scale", "", speed["bare"], ratio))
    lines = ["| | pythae | senzai | |", "|---|---|---|---|"]
    lines += [f"| {a} | {b} | {c} | {'' if x is None else f'{x:.1f} ×'} |" for a, b, c, x in rows]
    m = r["machine"]
    lines += ["", f"Medians of three alternating runs on {m['cores']} cores of an {m['processor']} processor, torch "
              f"{m['versions']['torch']}, {r['date']}: [`benchmarks/results/spine.json`]({link})."]
    return "\n".join(lines) + "\n"


def met(r: dict[str, Any]) -> bool:
    """Whether a row is as good as it was to be; more is better unless it says otherwise."""
    return bool(r["value"] <= r["aim"] if r.get("better") == "lower" else r["value"] >= r["aim"])


def papers_table() -> str:
    """Return one line for each reproduced row, misses included, and what was tried where a row says so."""
    lines = ["| row | measured | published | aim | budget | what differs |", "|---|---|---|---|---|---|"]
    tried = []
    for path in sorted((RESULTS / "papers").glob("*.json")):
        r = json.loads(path.read_text(encoding="utf-8"))
        se = r.get("standard_error")
        measured = f"{r['value']:.2f}" + ("" if se is None else f" ± {se:.2f}") + f" {r['unit']}"
        aim = "" if r.get("aim") is None else f"{r['aim']:g} ({'met' if met(r) else '**missed**'})"
        published = "" if r.get("published") is None else f"{r['published']:g}"
        published = f"[{published or 'paper'}]({r['source'].split()[-1]})"
        spent = r.get("budget") or (f"{r['epochs']} epochs" if "epochs" in r else f"{r['steps']:,} steps")
        budget = f"{r['train_seconds'] / 60:.0f} min, {spent}"
        lines.append(f"| {r['row']} | {measured} | {published} | {aim} | {budget} | {r['differs']} |")
        if r.get("tried"):
            tried.append(f"* {r['row']}: {r['tried']}")
    return "\n".join([*lines, *(["", "What was tried:", ""] if tried else []), *tried]) + "\n"


def main() -> None:
    """Fill every page."""
    r = json.loads((RESULTS / "spine.json").read_text(encoding="utf-8"))
    between(ROOT / "README.md", "bench", spine_table(r, "benchmarks/results/spine.json"))
    between(ROOT / "docs" / "benchmarks.md", "bench", spine_table(r, "../benchmarks/results/spine.json"))
    between(ROOT / "docs" / "papers.md", "papers", papers_table())


if __name__ == "__main__":
    main()
