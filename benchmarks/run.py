"""Run benchmarks: ``python -m benchmarks.run spine --rounds 3``, ``python -m benchmarks.run papers vae``.

``papers`` without rows lists them. ``--quick`` only shows that something works, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
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


def tables(given: argparse.Namespace) -> dict[str, Result]:
    """Time to fit ten thousand rows of thirty mixed columns."""
    from .tables import measure

    return {"tables": measure(given.rounds, quick=given.quick)}


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


JOBS: dict[str, Callable[[argparse.Namespace], dict[str, Result]]] = {
    "spine": spine, "products": products, "tables": tables, "papers": papers,
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=sorted(JOBS))
    parser.add_argument("rows", nargs="*", help="rows of papers")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs; medians are reported")
    parser.add_argument("--budget", type=float, default=1.0, help="share of each row's default number of epochs")
    parser.add_argument("--quick", action="store_true", help="tiny budgets, to see that it works; writes nothing")
    given = parser.parse_args()
    for name, found in JOBS[given.job](given).items():
        print(json.dumps(found, indent=2))
        if not given.quick:
            write(name, found)


if __name__ == "__main__":
    main()
