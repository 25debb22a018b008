"""Run simulations: many seeds, or one with its trace; see ``--help``."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tickonce.testing.simulation.figures import LEAST_A_SEED, Figures
from tickonce.testing.simulation.scenario import Scenario, scenario_of
from tickonce.testing.simulation.shrink import shrunk
from tickonce.testing.simulation.simulate import Outcome, simulate

MODULE = "tickonce.testing.simulation"
#: No simulation takes this long, in real seconds: if one does, it hangs, and says where.
HANGS_AFTER_S = 120
#: Seeds that one process takes at a time.
CHUNK = 10


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; return 0 when all was clean and enough was looked at, else 1."""
    parser = _parser()
    given = parser.parse_args(words)
    if wrong := _wrong(given):
        parser.error(wrong)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets must not depend on chance that no seed decides.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", MODULE, *sys.argv[1:]])  # noqa: S606
    if given.seed is not None:
        return _one(given)
    return _many(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seeds", type=_at_least_one, default=100, help="how many seeds to run (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--processes", type=_at_least_one, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--stop-at-first", action="store_true", help="end at the first seed that shows a violation")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer incidents that show the same")
    parser.add_argument("--seed", type=int, help="run this one alone and tell of it")
    parser.add_argument(
        "--only", type=_numbers, help="with --seed: numbers of the incidents that happen, as 3,7,12; empty for none"
    )
    parser.add_argument("--trace", action="store_true", help="with --seed: write down every call on the store")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--json", action="store_true", help="write the figures as one JSON object")
    return parser


def _at_least_one(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"must be a number, at least 1, got {word!r}")
    return int(word)


def _numbers(word: str) -> frozenset[int]:
    try:
        return frozenset(int(each) for each in word.split(",") if each)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give numbers as 3,7,12, got {word!r}") from None


def _wrong(given: argparse.Namespace) -> str | None:
    """Return what does not go together, or None."""
    if given.seed is None:
        alone = [word for word, said in (("--only", given.only is not None), ("--trace", given.trace)) if said]
        return f"{alone[0]} needs --seed: which fleet is meant?" if alone else None
    incidents = len(scenario_of(given.seed).incidents)
    unknown = sorted(number for number in given.only or () if not 0 <= number < incidents)
    if unknown:
        return f"--only: seed {given.seed} has incidents 0 to {incidents - 1}, and none {unknown[0]}"
    return None


# -- one seed --------------------------------------------------------------------------------------


def _one(given: argparse.Namespace) -> int:
    scenario = scenario_of(given.seed)
    numbers = None if given.only is None else set(given.only)
    for number, incident in enumerate(scenario.incidents):
        if numbers is None or number in numbers:
            _write(f"#{number:<3} {incident}")
    if numbers is not None:
        scenario = scenario.only(numbers)
    with _folder(given.store) as folder:
        outcome = simulate(scenario, tell=_write if given.trace else None, folder=folder)
    _write(json.dumps({**outcome.verdict.form(), "trace": outcome.trace}))
    if outcome.verdict.clean:
        return 0
    _write(outcome.verdict.told())
    if numbers is None and not given.no_shrink and given.store == "memory":
        _tell_shrunk(scenario, outcome)
    return 1


def _tell_shrunk(scenario: Scenario, outcome: Outcome) -> None:
    found = shrunk(scenario, frozenset(each.kind for each in outcome.verdict.violations))
    _write(f"{len(found)} of {len(scenario.incidents)} incidents suffice:")
    for number in found:
        _write(f"  #{number:<3} {scenario.incidents[number]}")
    _write(f"replay: make sim SEED={scenario.seed} ONLY={','.join(map(str, found))}")


# -- many seeds ------------------------------------------------------------------------------------


def _many(given: argparse.Namespace) -> int:
    figures, chunks = Figures(), _chunks(given)
    with ProcessPoolExecutor(given.processes) as pool:
        running = [pool.submit(_some, seeds, given.store, stop=given.stop_at_first) for seeds in chunks]
        for done in running:
            figures.add(done.result())
            if figures.bad and given.stop_at_first:
                for other in running:
                    other.cancel()
                break
    for seed, told in sorted(figures.bad.items()):
        _write(f"seed {seed}:")
        for line in told:
            _write(f"  {line}")
        _write(f"  replay: make sim SEED={seed}")
    if figures.bad and not given.no_shrink and not given.stop_at_first and given.store == "memory":
        scenario = scenario_of(min(figures.bad))
        _tell_shrunk(scenario, simulate(scenario))
    stopped = given.stop_at_first and figures.bad
    lacking = [] if stopped else figures.lacking(LEAST_A_SEED)
    _write(json.dumps(figures.form()) if given.json else figures.told())
    for line in lacking:
        _write(f"too little was looked at: {line}")
    return 1 if figures.bad or lacking else 0


def _chunks(given: argparse.Namespace) -> list[range]:
    last = given.first + given.seeds
    return [range(at, min(at + CHUNK, last)) for at in range(given.first, last, CHUNK)]


def _some(seeds: range, store: str, *, stop: bool) -> Figures:
    """Run some seeds in this process."""
    figures = Figures()
    gc.disable()  # a simulation leaves its cycles behind as a whole
    for seed in seeds:
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        with _folder(store) as folder, figures.timed():
            outcome = simulate(scenario_of(seed), folder=folder)
        figures.take(seed, outcome)
        faulthandler.cancel_dump_traceback_later()
        gc.collect()
        if stop and figures.bad:
            break
    return figures


@contextmanager
def _folder(store: str) -> Iterator[Path | None]:
    if store == "memory":
        yield None
        return
    fast = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one; the file is a private one
    with tempfile.TemporaryDirectory(prefix="tickonce-sim-", dir=fast if fast.is_dir() else None) as folder:
        yield Path(folder)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
