"""Run benchmarks: ``python -m benchmarks.run spine --rounds 3``; without names all of them."""

from __future__ import annotations

import argparse
import json

from .common import write


def main() -> None:
    """Parse the command line and run."""
    names = ("spine", "static_mnist")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["spine"], help=f"some of: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs; medians are reported")
    parser.add_argument("--quick", action="store_true", help="tiny budgets, to see that it works; writes nothing")
    given = parser.parse_args()
    for name in given.names:
        if name == "spine":
            from .spine import all_of_it

            found = all_of_it(given.rounds, quick=given.quick)
        elif name == "static_mnist":
            from .static_mnist import reproduce

            found = reproduce(epochs=1 if given.quick else 100)
        else:
            parser.error(f"unknown benchmark {name!r}; known: {', '.join(names)}")
        print(json.dumps(found, indent=2))
        if not given.quick:
            write(name, found)


if __name__ == "__main__":
    main()
