"""Write the measured figures into README and docs: ``python -m benchmarks.pages``. Figures come from results only."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from .common import RESULTS

ROOT = Path(__file__).parent.parent


def times(ratio: float) -> str:
    """Say how much less time something took: no more than two machines agree on."""
    return "in less than a fifth of its time" if ratio > 5 else f"in {1 / ratio:.0%} of its time".replace("%", " %")


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
        ("training at senzai's defaults, in bfloat16", speed["pythae"], speed["defaults"], t["ratio_defaults"]),
        ("the same in float32, as on a processor without bfloat16", "", speed["plain"], t["ratio_plain"]),
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
    shares = " / ".join(f"{100 * r['ceiling'][name]['share']:.0f} %" for name in ("equal", "defaults"))
    rows.append(("share of the processor's fastest matrix product while training, equal / defaults", "", shares, None))
    lines = ["| | pythae | senzai | |", "|---|---|---|---|"]
    lines += [f"| {a} | {b} | {c} | {'' if x is None else f'{x:.1f} ×'} |" for a, b, c, x in rows]
    m = r["machine"]
    lines += ["", f"Medians of three alternating runs on {m['cores']} cores of an {m['processor']} processor, torch "
              f"{m['versions']['torch']}, {r['date']}: [`benchmarks/results/spine.json`]({link})."]
    return "\n".join(lines) + "\n"


def spine_details(r: dict[str, Any]) -> str:
    """Return how the speed was measured, and what does not fit into the table."""
    c, start = r["ceiling"], r["start_up"]
    ours = ", ".join(f"`{k}={v}`" for k, v in r["time_to_target"]["settings"].items())
    lines = [
        "- The time to −105 nats counts everything from the call of `fit`, reading and inspecting the data included, "
        "but not the scoring of the test rows after each epoch. pythae runs with batch 100 and lr 1e-3, senzai with "
        f"{ours}.",
        "- Share of the rate of matrix products measured in the same run, torch's own / the fastest: "
        + ", ".join(
            f"{100 * v['share_of_torch']:.0f} % / {100 * v['share']:.0f} % {words} ({v['precision']})"
            for words, v in (("at equal settings", c["equal"]), ("at the defaults", c["defaults"]))
        ) + ".",
        f"- Peak memory of the {r['likelihood']['k']:,}-draw likelihood in a process of its own: "
        f"{r['likelihood']['peak_mib']:.0f} MiB, libraries included.",
        f"- `senzai --help`: {start['help_seconds']:.2f} s; importing senzai imports torch: "
        f"{'yes' if start['torch_imported'] else 'no'}.",
    ]
    return "\n".join(lines) + "\n"


def products_table(r: dict[str, Any]) -> str:
    """Return the table of linear layers."""
    lines = ["| product, with its gradients | torch | senzai | |", "|---|---|---|---|"]
    for name, v in r["shapes"].items():
        torchs, ours = (f"{1e3 * v[k]['median']:.2f} ms" for k in ("torch", "senzai"))
        lines.append(f"| {name} | {torchs} | {ours} | {v['ratio']:.1f} × |")
    return "\n".join(lines) + "\n"


def pages_line(r: dict[str, Any]) -> str:
    """Return what huge pages save, in words."""
    faults = {k: f"{max(v):,.0f}" for k, v in r["faults_per_step"].items()}
    low, high = min(r["ordinary"]["values"]), max(r["ordinary"]["values"])
    return (
        f"{r['task'].replace('iwae', '`iwae`')}: {1e3 * r['huge']['median']:.0f} ms of processor time a step on huge "
        f"pages, {1e3 * low:.0f} to {1e3 * high:.0f} ms on ordinary ones (medians and ranges of "
        f"{len(r['huge']['values'])} runs in turn; at most {faults['huge']} and {faults['ordinary']} page faults a "
        "step).\n"
    )


def tables_line(r: dict[str, Any]) -> str:
    """Return the time of a table in words."""
    return (
        f"{r['rows']:,} rows of {r['columns']} mixed columns, default settings ({r['steps']:,} steps of "
        f"{r['batch_size']} rows), from the call of `fit` to a run with its sampler and its reference for scores: "
        f"{r['seconds']:.1f} s (median of {len(r['values'])}); at least {min(r['training_seconds']):.1f} s of it "
        "are steps.\n"
    )


def mutants_line(r: dict[str, Any]) -> str:
    """Return how many changes of the code the tests notice, in words."""
    return (
        f"{r['run']} changes were run, the first of {r['asked_for']} drawn from {r['sites']:,} sites with seed "
        f"{r['seed']}: {r['killed']} were noticed ({100 * r['killed_of_run']:.1f} %), {r['equal']} change nothing, "
        f"{r['survived']} were not noticed. Of those that change something that is "
        f"{100 * r['killed_of_unequal']:.1f} %.\n"
    )


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
        digits = 3 if se is not None and se < 0.01 else 2
        measured = f"{r['value']:.{digits}f}" + ("" if se is None else f" ± {se:.{digits}f}") + f" {r['unit']}"
        aim = "" if r.get("aim") is None else f"{r['aim']:g} ({'met' if met(r) else '**missed**'})"
        published = "" if r.get("published") is None else f"{r['published']:g}"
        published = f"[{published or 'paper'}]({r['source'].split()[-1]})"
        spent = r.get("budget") or (f"{r['epochs']} epochs" if "epochs" in r else f"{r['steps']:,} steps")
        budget = f"{r['train_seconds'] / 60:.0f} min, {spent}"
        lines.append(f"| {r['row']} | {measured} | {published} | {aim} | {budget} | {r['differs']} |")
        if r.get("tried"):
            tried.append(f"* {r['row']}: {r['tried']}")
    return "\n".join([*lines, *(["", "What was tried:", ""] if tried else []), *tried]) + "\n"


def papers_line() -> str:
    """Return what README says of published numbers: rows with one, and how many there are of met and of missed."""
    rows = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((RESULTS / "papers").glob("*.json"))]
    names = {"vae": "plain", "vae-vamp": "VampPrior", "hvae": "two levels", "hvae-vamp": "two levels with VampPrior",
             "iwae-50": "IWAE"}
    told, epochs = [], []
    for name, words in names.items():
        r = next((r for r in rows if r["row"] == f"static MNIST, {name}"), None)
        if r is not None:
            epochs.append(r["epochs"])
            told.append(f"{words} {r['value']:.1f} ({r['published']:.1f})".replace("-", "−"))
    aimed = [r for r in rows if r.get("aim") is not None]
    text = (
        "- **Published numbers, reproduced on two cores.** Log-likelihood of static MNIST after "
        f"{min(epochs)} to {max(epochs)} epochs instead of thousands, 5,000 draws, published numbers in brackets: "
        f"{', '.join(told)}. "
        f"{sum(map(met, aimed))} of {len(aimed)} aims are met; misses are [listed as misses](docs/papers.md)."
    )
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"


def paper_lines(recipe: str) -> list[str]:
    """Return a sentence for each reproduced row of a recipe."""
    lines = []
    for path in sorted((RESULTS / "papers").glob("*.json")):
        r = json.loads(path.read_text(encoding="utf-8"))
        if r.get("recipe") == recipe:
            se = "" if r.get("standard_error") is None else f" ± {r['standard_error']:.2f}"
            published = "" if r.get("published") is None else f", published {r['published']:g}"
            lines.append(f"- {r['row']}: {r['value']:.2f}{se} {r['unit']}{published} ([what differs](../papers.md)).")
    return lines


def zoo_line(name: str, r: dict[str, Any]) -> str:
    """Return the figures of one recipe as a line of a table."""
    se = f" ± {r['log_likelihood_se']:.1f}" if r.get("log_likelihood_se") is not None else ""
    right = f" {100 * r['right']:.0f} % |" if "right" in r else ""
    return (f"| {name} | {r['log_likelihood']:.1f}{se} | {r['distortion']:.1f} | {r['rate']:.1f} | "
            f"{r['squared_error']:.1f} |{right}")


def zoo_block(name: str, found: dict[str, Any]) -> str:
    """Return what stands under "Measured results" on the page of a recipe."""
    own, plain = found[name], found["vae"]
    right = " labels right |" if "right" in own else ""
    lines = [
        "```bash", own["command"] or f"scripts/bench zoo {name}",
        *([f"senzai evaluate runs/{name} digits --k {own['k']}"] if own["command"] else []), "```",
        f"| recipe | log-likelihood (k = {own['k']}, ± one standard error over rows) | distortion | rate | "
        f"squared error |{right}",
        f"|---|---|---|---|---|{'---|' if right else ''}", zoo_line(name, own),
    ]
    if "variant" in own:
        told = ", ".join(f"`{k}={v}`" for k, v in own["variant"]["settings"].items() if k not in own["settings"])
        lines.append(zoo_line(f"{name}, {told}", own["variant"]))
    if name != "vae":
        lines.append(zoo_line("[vae](vae.md)", plain) + (" |" if right else ""))
    words = (
        f"Nats on the {own['rows']} test rows of the built-in digits, one run with seed 0 and "
        f"{own['settings']['steps']:,} steps: a check that the recipe does what it says, not a comparison of "
        "methods. The squared error is the mean over pixels of reconstructions, levels 0 to 16. " + own["note"]
    ).strip()
    lines += ["", textwrap.fill(words, 120, break_long_words=False, break_on_hyphens=False)]
    papers = paper_lines(name)
    return "\n".join([*lines, *(["", *papers] if papers else [])]) + "\n"


def result(name: str) -> dict[str, Any]:
    """Return what a benchmark wrote."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def adult_table(r: dict[str, Any]) -> str:
    """Return generated rows beside TVAE's."""
    ours, peer = r["senzai"], r["tvae"]
    spread = {k: [run[k] for run in ours["runs"]] for k in ("column_shapes", "pair_trends", "utility_auroc")}
    told = {k: f"{ours[k]:.3f} ({min(v):.3f} to {max(v):.3f})" for k, v in spread.items()}
    return "\n".join([
        f"| | senzai ({len(ours['runs'])} seeds) | TVAE | training rows |", "|---|---|---|---|",
        f"| column shapes | {told['column_shapes']} | {peer['column_shapes']:.3f} | |",
        f"| pair trends | {told['pair_trends']} | {peer['pair_trends']:.3f} | |",
        f"| AUROC on `adult.test` of a classifier trained on generated rows | {told['utility_auroc']} | "
        f"{peer['utility_auroc']:.3f} | {r['real']['utility_auroc']:.3f} |",
        f"| processor seconds, one thread | {ours['processor_seconds']:.0f} | {peer['processor_seconds']:.0f} "
        f"({r['ratio_processor_seconds']:.1f} ×) | |",
    ]) + "\n"


def imputation_table(r: dict[str, Any]) -> str:
    """Return errors of what was filled in, one line per set."""
    lines = ["| set | rows × columns | senzai | mean and mode | IterativeImputer | forests |", f"|{'---|' * 6}"]
    for name, row in r["sets"].items():
        peers = {
            "mean": row["mean_mode"]["error"], "forests": row["forests"]["error"],
            "iterative": min(row["iterative"]["error"], row["iterative_codes"]["error"]),
        }
        own = row["senzai"]["by_seed"]
        spread = f" ({min(own):.4f} to {max(own):.4f})" if len(own) > 1 else ""
        lines.append(f"| {name} | {row['rows']:,} × {row['columns']} | {row['senzai']['error']:.4f}{spread} | "
                     f"{peers['mean']:.4f} | {peers['iterative']:.4f} | {peers['forests']:.4f} |")
    return "\n".join(lines) + "\n"


def adbench_table(r: dict[str, Any]) -> str:
    """Return means over sets, one line per method, and in halves; leads of ours with standard errors over sets."""
    names = {"senzai": "senzai, `auto`", "vae": "VAE of PyOD", "pca": "PCA", "ecod": "ECOD",
             "iforest": "isolation forest", "knn": "kNN"}
    n = len(r["sets"])
    lines = [f"| | AUROC, {n} sets | lead | average precision, {n} sets | lead | AUROC, halves "
             "| average precision, halves | AUROC, digits |", f"|{'---|' * 8}"]
    for key, name in names.items():
        m, digits = r["mean"][key], r["fresh"]["mean"][key]["auroc"]
        spread = f" ({min(m['by_seed']):.3f} to {max(m['by_seed']):.3f})" if len(m["by_seed"]) > 1 else ""
        leads = ["" if key == "senzai" else f"{m[k]:+.3f} ± {m[f'{k}_error']:.3f}" for k in ("lead", "lead_ap")]
        halves = [" / ".join(f"{h[key][what]:.3f}" for h in r["halves"].values()) for what in ("auroc", "ap")]
        told = [name, f"{m['auroc']:.3f}{spread}", leads[0], f"{m['ap']:.3f}", leads[1], *halves, f"{digits:.3f}"]
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def verbs_table(r: dict[str, Any]) -> str:
    """Return what each verb took of a large table."""
    lines = [
        f"| {r['rows']:,} rows × {r['columns']:,} columns, {r['bytes'] / 1e6:,.0f} MB | processor time | peak memory |",
        "|---|---|---|",
    ]
    for name, v in r["verbs"].items():
        lines.append(f"| {name} | {v['cpu_seconds']:.0f} s | {v['peak_mib']:,.0f} MiB |")
    return "\n".join(lines) + "\n"


def growth_table(r: dict[str, Any]) -> str:
    """Return how the cost of scoring and of filling in grows."""
    score, impute = r["score"], r["impute"]
    lines = ["| | processor time | a row or cell, beside the smallest |", "|---|---|---|"]
    for n, seconds in score["seconds"].items():
        lines.append(f"| score {int(n):,} rows × 20 columns | {seconds:.2f} s | {score['ratio_per_row'][n]:.2f} |")
    for n, seconds in impute["seconds"].items():
        cells = f"{impute['rows']:,} rows × {int(n):,} columns"
        lines.append(f"| impute {cells} | {seconds:.1f} s | {impute['ratio_per_cell'][n]:.2f} |")
    return "\n".join(lines) + f"\n\nOne row is scored in {score['one_row_ms']:.0f} ms.\n"


def quality_line(adult: dict[str, Any], imputation: dict[str, Any], adbench: dict[str, Any]) -> str:
    """Return what README says of tables."""
    ours, theirs, mean = adult["senzai"], adult["tvae"], adbench["mean"]
    sets = imputation["sets"].values()
    better = {
        other: sum(s["senzai"]["error"] < min(s[k]["error"] for k in kinds) for s in sets)
        for other, kinds in {"simple": ["mean_mode"], "iterative": ["iterative", "iterative_codes"]}.items()
    }
    next_best = max(("vae", "pca", "ecod", "iforest", "knn"), key=lambda k: mean[k]["auroc"])
    names = {"vae": "PyOD's VAE", "pca": "PCA", "ecod": "ECOD", "iforest": "an isolation forest", "knn": "kNN"}
    shapes, trends = (f"{ours[k]:.2f} against {theirs[k]:.2f}" for k in ("column_shapes", "pair_trends"))
    sure, found = (
        f"{mean[next_best][k]:+.3f} ± {mean[next_best][f'{k}_error']:.3f}" for k in ("lead", "lead_ap")
    )
    area, precision = ({k: f"{v[what]:.2f}" for k, v in mean.items()} for what in ("auroc", "ap"))
    text = (
        f"- **Tables as they come.** Rows made from Adult beside TVAE's: column shapes {shapes}, pair trends {trends}, "
        f"{times(adult['ratio_processor_seconds'])}. Holes are filled better than by mean and mode on "
        f"{better['simple']} of {len(sets)} sets, than by IterativeImputer on {better['iterative']}. Anomalies on "
        f"{len(adbench['sets'])} sets: mean AUROC {area['senzai']}, PyOD's VAE {area['vae']}, next best "
        f"{names[next_best]}, {area[next_best]} (lead {sure}); average precision {precision['senzai']} against its "
        f"{precision[next_best]} (lead {found}; [all of it](docs/tables.md#measured))."
    )
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"


def main() -> None:
    """Fill every page."""
    for name, table in {"adult": adult_table, "imputation": imputation_table, "adbench": adbench_table,
                        "wide_table": verbs_table, "growth": growth_table, "large_table": verbs_table}.items():
        between(ROOT / "docs" / "tables.md", name, table(result(name)))
    r = json.loads((RESULTS / "spine.json").read_text(encoding="utf-8"))
    quality = quality_line(result("adult"), result("imputation"), result("adbench"))
    between(ROOT / "README.md", "quality", quality)
    between(ROOT / "README.md", "papers", papers_line())
    between(ROOT / "README.md", "bench", spine_table(r, "benchmarks/results/spine.json"))
    between(ROOT / "docs" / "benchmarks.md", "bench", spine_table(r, "../benchmarks/results/spine.json"))
    between(ROOT / "docs" / "benchmarks.md", "details", spine_details(r))
    products, tables = (json.loads((RESULTS / f"{n}.json").read_text(encoding="utf-8")) for n in ("products", "tables"))
    between(ROOT / "docs" / "benchmarks.md", "products", products_table(products))
    pages = json.loads((RESULTS / "huge_pages.json").read_text(encoding="utf-8"))
    between(ROOT / "docs" / "benchmarks.md", "pages", pages_line(pages))
    between(ROOT / "docs" / "benchmarks.md", "tables", tables_line(tables))
    between(ROOT / "docs" / "benchmarks.md", "mutants", mutants_line(result("mutants")))
    between(ROOT / "docs" / "papers.md", "papers", papers_table())
    zoo = result("zoo")["recipes"]
    for name in zoo:
        between(ROOT / "docs" / "recipes" / f"{name}.md", "measured", zoo_block(name, zoo))


if __name__ == "__main__":
    main()
