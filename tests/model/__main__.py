"""The larger search (``make model``): says what it has seen, and fails if any promise broke."""

from __future__ import annotations

import argparse
import sys

from tests.model.cases import CASES, LARGER, without
from tests.model.search import search
from tests.model.telling import report


def main() -> int:
    """Search everything; return the exit code."""
    argparse.ArgumentParser(prog="python -m tests.model", description=__doc__).parse_args()
    failed = 0
    for name, case in CASES.items():
        for rules in case.shows:
            print(report(f"{name}, without {rules}", search(without(case.world, rules), rest=case.rest)), flush=True)
    worlds = {name: (case.world, case.rest) for name, case in CASES.items()}
    worlds.update((name, (world, True)) for name, world in LARGER.items())
    for name, (world, rest) in worlds.items():
        found = search(world, rest=rest)
        print(report(name, found), flush=True)
        failed += bool(found.broken) or not found.complete
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
