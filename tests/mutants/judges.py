"""What looks at a mutant: tests, then simulated fleets, in a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.catalogue import Edit, Mutant

ROOT = Path(__file__).parents[2]
#: What follows the tests nearest to a rule: all that is quick and needs no real processes.
SUITE = (
    "tests/unit/test_planning.py",
    "tests/unit/test_editing.py",
    "tests/unit/test_ledger.py",
    "tests/contract/test_memory.py",
    "tests/contract/test_sqlite.py",
    "tests/fleet",
    "tests/model",
    "tests/regressions",
    "tests/unit",
)
#: The simulation has a judge of its own here.
_NOT_HERE = "--ignore=tests/fleet/test_simulation.py"
_LONGEST_S = 900
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_LACKING = re.compile(r"^too little was looked at: .*", re.MULTILINE)
_SEED = re.compile(r"^seed (\d+):\n\s*(.*)", re.MULTILINE)


def misfits(mutant: Mutant) -> list[str]:
    """Return what is wrong with the mutant's edits as the code is now."""
    wrong = []
    for edit in mutant.edits:
        count = (ROOT / edit.path).read_text().count(edit.old)
        if count != 1:
            wrong.append(f"{edit.path} has this {count} times: {edit.old.strip()!r}")
    return wrong


def unharmed(mutants: Sequence[Mutant]) -> Mutant:
    """Return one that takes out nothing and asks the tests nearest to all of these: what is red with it judges none."""
    near = dict.fromkeys(place for mutant in mutants for place in mutant.near)
    return Mutant("nothing", (), tuple(near), simulated=any(mutant.simulated for mutant in mutants))


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Path]:
    """Give a copy of what git knows of the tree, without the rule."""
    with TemporaryDirectory(prefix="tickonce-mutant-") as folder:
        copy = Path(folder)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        for edit in mutant.edits:
            _apply(copy, edit)
        yield copy


def seen_by_tests(mutant: Mutant, copy: Path) -> str | None:
    """Return the first test that turns red, or None."""
    for places in (mutant.near, SUITE):
        done = _run(copy, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", _NOT_HERE, *places)
        if done.returncode == 0:
            continue
        found = _FAILED.search(done.stdout)
        if done.returncode == 1 and found is not None:
            return found.group(1)
        raise RuntimeError(
            f"pytest did not judge (exit {done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return None


def seen_by_fleets(copy: Path, *, seeds: int) -> str | None:
    """Return the first seed whose fleet breaks a promise, and how, or None."""
    done = _run(copy, "-m", "tickonce.testing.simulation", "--seeds", str(seeds), "--stop-at-first")
    if done.returncode == 0:
        return None
    found = _SEED.search(done.stdout)
    if found is None and (lacking := _LACKING.search(done.stdout)) is not None:
        return lacking.group()
    if found is None and "BrokenProcessPool" in done.stderr:
        return "a fleet that does not come to an end"  # the simulation ends a process in which no time passes
    if found is None:
        raise RuntimeError(f"the simulation did not judge:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return f"seed {found.group(1)}: {found.group(2)}"


def _apply(copy: Path, edit: Edit) -> None:
    path = copy / edit.path
    path.write_text(path.read_text().replace(edit.old, edit.new))


def _run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Ahead of the installed package, which is the tree with the rule.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy / "src"), str(copy)])}
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
