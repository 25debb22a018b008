"""``make mutants``: take out each rule in turn and say which test and which simulated fleet saw it."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.judges import misfits, mutated, seen_by_fleets, seen_by_tests, unharmed


def main() -> int:
    """Judge the mutants that are asked for; return 0 when each was seen, 1 when not, 2 when nothing can be judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rules", nargs="*", help="parts of names of rules (default: all)")
    parser.add_argument("--seeds", type=int, default=300, help="simulated fleets a mutant (default: %(default)s)")
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {given.seeds}")
    for part in given.rules:
        if not any(part in each.rule for each in MUTANTS):
            parser.error(f"no rule is called {part!r}; there are: {', '.join(each.rule for each in MUTANTS)}")
    chosen = [each for each in MUTANTS if not given.rules or any(part in each.rule for part in given.rules)]
    control = judged(unharmed(chosen), seeds=given.seeds)
    print(json.dumps(control), flush=True)
    if control["test"] is not None or (control["simulation"] is not None and any(each.simulated for each in chosen)):
        print("red without any mutant: put that right first, it says nothing about rules", file=sys.stderr)
        return 2
    survivors = 0
    for mutant in chosen:
        told = judged(mutant, seeds=given.seeds)
        survivors += told["test"] is None and (told["simulation"] is None or not mutant.simulated)
        print(json.dumps(told), flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants were seen")
    return 1 if survivors else 0


def judged(mutant: Mutant, *, seeds: int) -> dict[str, object]:
    """Return what saw the mutant."""
    begin = time.monotonic()
    if wrong := misfits(mutant):
        raise SystemExit(f"{mutant.rule}: the code has changed: {'; '.join(wrong)}")
    with mutated(mutant) as copy:
        test = seen_by_tests(mutant, copy)
        simulation = seen_by_fleets(copy, seeds=seeds) if mutant.simulated else None
    return {
        "rule": mutant.rule,
        "test": test,
        "simulation": simulation if mutant.simulated else "has no such scene",
        "seconds": round(time.monotonic() - begin),
    }


if __name__ == "__main__":
    sys.exit(main())
