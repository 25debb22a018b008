"""``python -m tests.chaos.storm``: a storm, its verdict on the last line; see ``--help``."""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import sys
from pathlib import Path

from tests.chaos.storm.plan import plan_of
from tests.chaos.storm.report import Storm
from tests.chaos.storm.run import run
from tests.chaos.storm.site import site_of
from tests.servers import ServerMissing
from tickonce.errors import StoreError

ROOT = Path(__file__).parents[3]


def main() -> int:
    """Do what the command line says; return 0 when nothing was wrong and enough was looked at."""
    parser = _parser()
    given = parser.parse_args()
    if not 0 < given.seconds < float("inf"):
        parser.error(f"--seconds must be more than 0, got {given.seconds:g}")
    seed = random.randrange(10**6) if given.seed is None else given.seed
    name = given.store.partition("://")[0]
    folder = given.folder or ROOT / "build" / "chaos" / f"{name}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    logging.basicConfig(filename=folder / "judge.log")
    storm = Storm(store=given.store, seconds=given.seconds, nodes=given.nodes, seed=seed, folder=folder)
    try:
        if given.plan:
            with site_of(storm.store, storm.nodes, folder) as site:
                for fault in plan_of(seed, storm.seconds, storm.nodes, site.kinds):
                    _say(str(fault))
            return 0
        result = run(storm, _say)
    except (ServerMissing, ValueError) as error:
        _say(f"{error}; `make servers` installs servers" if isinstance(error, ServerMissing) else str(error))
        return 2
    except StoreError as error:  # the one that is given cannot be used
        _say(f"STORE: {error}")
        return 2
    for line in result.told().splitlines():
        _say(line)
    _say(f"picture: {result.picture}")
    _say(f"again: {storm.command}")
    _say(json.dumps(result.form()))
    return 0 if result.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm", description="Faults at random on real nodes.")
    parser.add_argument("--store", default="postgresql", help="postgresql, mariadb, sqlite, or URL of an empty one")
    parser.add_argument("--seconds", type=float, default=120, help="how long faults come (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=5, help="node processes, at least 3 (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="decides the plan; chosen and printed when not given")
    parser.add_argument("--folder", type=Path, help="for verdict, picture, logs and ledger (default: build/chaos/...)")
    parser.add_argument("--plan", action="store_true", help="write the plan, and do nothing")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
