"""Run benchmarks: ``python -m benchmarks.run spine --rounds 3``, ``python -m benchmarks.run papers vae``.

``adbench`` and ``adult`` need PyOD and ctgan, which another interpreter may have: ``--peer-python``.
``papers`` without rows lists them. ``--quick`` only shows that something works, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .common import write

Result = dict[str, Any]


def spine(given: argparse.Namespace) -> dict[str, Result]:
    """Speed of training and of likelihoods, beside another library."""
    from .spine import all_of_it

    return {"spine": all_of_it(given.rounds, quick=given.quick)}


def products(given: argparse.Namespace) -> dict[str, Result]:
    """Linear layers beside torch's."""
    from .products import measure

    return {"products": measure(given.rounds, quick=given.quick)}


def huge_pages(given: argparse.Namespace) -> dict[str, Result]:
    """Large tensors on huge and on ordinary pages."""
    from .huge_pages import measure

    return {"huge_pages": measure(given.rounds, quick=given.quick)}


def tables(given: argparse.Namespace) -> dict[str, Result]:
    """Time to fit ten thousand rows of thirty mixed columns."""
    from .tables import measure

    return {"tables": measure(given.rounds, quick=given.quick)}


def series(given: argparse.Namespace) -> dict[str, Result]:
    """Windows, forecasts, anomalies and labelled series; without rows it lists them."""
    from .series import PARTS, measure

    if not given.rows:
        print("\n".join(PARTS))
        return {}
    peer = None if given.peer_python == sys.executable else given.peer_python
    found = {}
    for row in given.rows:
        found[f"series/{row}"] = measure(row, given.rounds, quick=given.quick, peer=peer)
        if not given.quick:
            write(f"series/{row}", found[f"series/{row}"])
    return {} if not given.quick else found


def audio_digits(given: argparse.Namespace) -> dict[str, Result]:
    """Spoken digits: what a classifier hears in reconstructions and samples."""
    from .audio import measure_digits

    return {"audio_digits": measure_digits(given.rounds, quick=given.quick)}


def audio_codec(given: argparse.Namespace) -> dict[str, Result]:
    """A codec of spoken digits beside mu-law."""
    from .audio import measure_codec

    return {"audio_codec": measure_codec(given.rounds, quick=given.quick)}


def causal(given: argparse.Namespace) -> dict[str, Result]:
    """Interventions, counterfactuals and effects where the truth is known, and graphs learned from cells."""
    from .causal import ROWS, measure

    return {f"causal/{row}": measure(row, given.rounds, quick=given.quick) for row in given.rows or ROWS}


def finance(given: argparse.Namespace) -> dict[str, Result]:
    """Risk where the truth is known, and of two indices; each row is written as soon as it is there."""
    from .finance import ROWS, measure

    return {f"finance/{row}": measure((row,), given.rounds, quick=given.quick) for row in given.rows or ROWS}


def startup(given: argparse.Namespace) -> dict[str, Result]:
    """Processor seconds of each verb as a whole process, here and in another checkout."""
    from .startup import measure

    return {"startup": measure(given.rounds, against=given.against, quick=given.quick)}


def export(given: argparse.Namespace) -> dict[str, Result]:
    """Exports of every recipe: error, and latency beside the model itself."""
    from .export import measure

    return {"export": measure(quick=given.quick, recipes=given.rows or None)}


def serve(given: argparse.Namespace) -> dict[str, Result]:
    """The server beside a naive one, one row's latency, and memory over some minutes."""
    from .serve import measure

    return {"serve": measure(given.rounds, minutes=given.minutes or 3.0, quick=given.quick)}


def studio(given: argparse.Namespace) -> dict[str, Result]:
    """First paint of the studio, and frames of a map of very many points in a browser."""
    from .studio import measure

    return {"studio": measure(given.rounds, quick=given.quick)}


def papers(given: argparse.Namespace) -> dict[str, Result]:
    """Published numbers; each row is written as soon as it is there."""
    from .papers import rows

    known = rows()
    if not given.rows:
        for name, row in known.items():
            print(f"{name:16} {row.title}")
        return {}
    if unknown := sorted(set(given.rows) - set(known)):
        raise SystemExit(f"Unknown row {unknown[0]!r}; known: {', '.join(known)}.")
    for name in given.rows:
        found = known[name].run(given.budget, given.quick)
        print(json.dumps(found, indent=2))
        if not given.quick:
            write(f"papers/{name}", found)
    return {}


def adbench(given: argparse.Namespace) -> dict[str, Result]:
    """Anomalies, beside PyOD's detectors."""
    from .adbench import measure

    return {"adbench": measure(given.rounds, given.peer_python, quick=given.quick)}


def imputation(given: argparse.Namespace) -> dict[str, Result]:
    """Missing entries, beside scikit-learn's imputers."""
    from .imputation import SETS, measure

    return {"imputation": measure(tuple(given.rows) or SETS, given.rounds, quick=given.quick)}


def adult(given: argparse.Namespace) -> dict[str, Result]:
    """Generated rows, beside TVAE's."""
    from .adult import compare

    return {"adult": compare(given.rounds, given.peer_python, rows=given.peer_rows, quick=given.quick)}


def large_table(given: argparse.Namespace) -> dict[str, Result]:
    """A CSV of 5 GB (times the budget) through every verb under a limit of 2 GiB."""
    from .large_table import all_of_it

    return {"large_table": all_of_it(given.budget, quick=given.quick)}


def wide_table(given: argparse.Namespace) -> dict[str, Result]:
    """A table of 10,000 columns through every verb."""
    from .wide_table import all_of_it

    return {"wide_table": all_of_it(quick=given.quick)}


def growth(given: argparse.Namespace) -> dict[str, Result]:
    """How score grows with the rows, and impute with the columns."""
    from .growth import measure

    return {"growth": measure(quick=given.quick)}


def scale(given: argparse.Namespace) -> dict[str, Result]:
    """Two processes beside one, shards beside memory, and seconds per row as rows grow."""
    from .scale import run

    return run(given.rows, rounds=given.rounds, full=given.full, quick=given.quick)


def few_rows(given: argparse.Namespace) -> dict[str, Result]:
    """Fewer rows than columns, beside factor analysis."""
    from .few_rows import measure

    return {"few_rows": measure(given.rounds, quick=given.quick)}


def tuning(given: argparse.Namespace) -> dict[str, Result]:
    """Tuning by two processes beside tuning by one."""
    from .tuning import measure

    return {"tuning": measure(given.rounds, quick=given.quick)}


def zoo(given: argparse.Namespace) -> dict[str, Result]:
    """Every recipe on one small task."""
    from .zoo import measure

    return {"zoo": measure(tuple(given.rows), quick=given.quick)}


def pictures(given: argparse.Namespace) -> dict[str, Result]:
    """Pictures at equal seconds, beside a hand-written loop and another library's network."""
    from .pictures import measure

    return {"pictures": measure(tuple(given.rows), quick=given.quick)}


def spatial(given: argparse.Namespace) -> dict[str, Result]:
    """Codes on a grid at 128 pixels: quality, the cost of a step, and a picture of 4,096 pixels a side."""
    from .spatial import measure

    return measure(given.rows, given.rounds, given.minutes or 20.0, quick=given.quick)


def faces(given: argparse.Namespace) -> dict[str, Result]:
    """Drawn faces through codes on a grid, and samples from their codes."""
    from .faces import measure

    return {"faces": measure(quick=given.quick)}


def text(given: argparse.Namespace) -> dict[str, Result]:
    """Sentences, with a code and without; ``speed`` measures a step and the decoding alone."""
    from .text import measure, sentences, speed

    if given.rows == ["speed"]:
        return {"text_speed": speed(sentences(), quick=given.quick)}
    return {"text": measure(given.rounds, quick=given.quick)}


def music(given: argparse.Namespace) -> dict[str, Result]:
    """Two-bar melodies of POP909."""
    from .music import measure

    return {"music": measure(given.rounds, quick=given.quick)}


def molecules(given: argparse.Namespace) -> dict[str, Result]:
    """Molecules of QM9: codes, properties, and a search for better ones."""
    from .molecules import measure

    return {"molecules": measure(given.rounds, quick=given.quick)}


def topics(given: argparse.Namespace) -> dict[str, Result]:
    """Topics of 20 Newsgroups beside scikit-learn's LDA and NMF."""
    from .topics import measure

    return {"topics": measure(given.rounds, quick=given.quick)}


def transfer(given: argparse.Namespace) -> dict[str, Result]:
    """Sentences of movie reviews brought to the other polarity."""
    from .transfer import measure

    return {"transfer": measure(given.rounds, quick=given.quick)}


def recommend(given: argparse.Namespace) -> dict[str, Result]:
    """Recommendation on Last.fm, beside simple methods."""
    from .recommend import measure, scale

    if given.rows:
        sizes = {"scale": (100_000, 20_000, 107, 400), "scale_small": (10_000, 20_000, 60, 40)}
        users, items, per_user, steps = sizes[given.rows[0]]
        return {f"recommend_{given.rows[0]}": scale(users, items, per_user, steps=steps)}
    return {"recommend": measure(given.rounds, quick=given.quick)}


def cells(given: argparse.Namespace) -> dict[str, Result]:
    """Counts of cells with known factors, beside scvi-tools where --peer-python has it; or ``full``, or ``smfish``."""
    from .cells import measure

    if given.rows[:1] == ["streamed"]:
        from tempfile import TemporaryDirectory

        from .cells import streamed

        n, genes, steps = (2000, 100, 5) if given.quick else (1_000_000, 2000, 200)
        with TemporaryDirectory() as folder:
            return {"cells_streamed": streamed(n, genes, 0.05, Path(folder), steps=steps)}
    peer = None if given.peer_python == sys.executable else given.peer_python
    size = given.rows[0] if given.rows else "small"
    name = "cells" if size == "small" else f"cells_{size}"
    return {name: measure(size, peer, quick=given.quick, seed=given.seed)}


def mutants(given: argparse.Namespace) -> dict[str, Result]:
    """Changes made in the code by a tool, and whether the tests notice."""
    from .mutants import measure

    return {"mutants": measure(given.mutants, given.seed, quick=given.quick)}


def families(given: argparse.Namespace) -> dict[str, Result]:
    """Five families of generators on three sets."""
    from .families import measure

    return {"families": measure(sets=given.rows or None, quick=given.quick)}


def medical(given: argparse.Namespace) -> dict[str, Result]:
    """Pneumonia by a model of normal radiographs, privacy, and volumes there and back."""
    from .medical import measure

    return {"medical": measure(quick=given.quick)}


def private(given: argparse.Namespace) -> dict[str, Result]:
    """Adult with differential privacy; what is there is written after each run."""
    from .private import measure

    keep = None if given.quick else lambda found: write("private", found)
    return {"private": measure(given.rounds, quick=given.quick, keep=keep)}


def private_pictures(given: argparse.Namespace) -> dict[str, Result]:
    """Pictures of a private run beside those of the same run without noise."""
    from .private_pictures import measure

    return {"private_pictures": measure(given.rounds, quick=given.quick)}


def borrowed(given: argparse.Namespace) -> dict[str, Result]:
    """Frozen encoders trained elsewhere, and 100 labels."""
    from .borrowed import measure

    return {"borrowed": measure(given.rounds, quick=given.quick)}


def multimodal(given: argparse.Namespace) -> dict[str, Result]:
    """Six views of digits, pictures of emoji beside their names."""
    from .multimodal import measure

    rows = given.rows or ["views", "emoji"]
    return {f"multimodal_{row}": measure(row, given.rounds, quick=given.quick) for row in rows}


def quantum(given: argparse.Namespace) -> dict[str, Result]:
    """Eight bits under a quantum circuit and under classical priors of as many parameters."""
    from .quantum import measure

    return {"quantum": measure(given.rounds, quick=given.quick)}


def federated(given: argparse.Namespace) -> dict[str, Result]:
    """Adult at ten sites, evenly and by occupation: federated, on all rows, and on the rows of one site."""
    from .federated import measure

    return {"federated": measure(given.rows, seed=given.seed, quick=given.quick)}


JOBS: dict[str, Callable[[argparse.Namespace], dict[str, Result]]] = {
    "spine": spine, "products": products, "tables": tables, "papers": papers, "adbench": adbench,
    "imputation": imputation, "adult": adult, "large_table": large_table, "wide_table": wide_table,
    "growth": growth, "scale": scale, "few_rows": few_rows, "zoo": zoo, "huge_pages": huge_pages, "startup": startup,
    "mutants": mutants,
    "export": export, "text": text, "tuning": tuning, "serve": serve, "studio": studio, "recommend": recommend,
    "series": series, "pictures": pictures, "spatial": spatial, "faces": faces, "music": music, "molecules": molecules,
    "audio_digits": audio_digits, "audio_codec": audio_codec, "topics": topics, "transfer": transfer,
    "finance": finance, "families": families, "medical": medical,
    "cells": cells, "causal": causal, "private": private, "private_pictures": private_pictures,
    "multimodal": multimodal,
    "borrowed": borrowed, "quantum": quantum,
    "federated": federated,
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=sorted(JOBS))
    parser.add_argument("rows", nargs="*", help="rows of papers, sets of imputation, recipes of zoo, parts of scale")
    parser.add_argument("--rounds", type=int, default=3, help="runs, or seeds, of each")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with ctgan and pyod")
    parser.add_argument("--peer-rows", type=Path, help="rows that others.py made with TVAE before, instead")
    parser.add_argument("--budget", type=float, default=1.0, help="share of the default epochs, or bytes")
    parser.add_argument("--against", type=Path, help="another checkout whose start-up is measured in the same rounds")
    parser.add_argument("--mutants", type=int, default=500, help="changes that mutants draws")
    parser.add_argument("--minutes", type=float, help="how long serve asks steadily (3), or spatial trains (20)")
    parser.add_argument("--seed", type=int, default=0, help="of what mutants draws")
    parser.add_argument("--full", action="store_true", help="scale with 20 GB of shards and ten million rows")
    parser.add_argument("--quick", action="store_true", help="tiny budgets, to see that it works; writes nothing")
    given = parser.parse_args()
    for name, found in JOBS[given.job](given).items():
        print(json.dumps(found, indent=2))
        if not given.quick:
            write(name, found)


if __name__ == "__main__":
    main()
