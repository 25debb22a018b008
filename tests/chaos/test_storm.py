"""A short storm on each store; the long ones are `make chaos`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.storm.report import Result, Storm
from tests.chaos.storm.run import run
from tests.servers import ServerMissing, plugin
from tests.servers.faketime import clocked, faketime

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

#: What fits into three quarters of a minute, with the start and the end of everything.
SECONDS = 23


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        pytest.param("sqlite", 1),
        pytest.param("postgresql", 4, marks=pytest.mark.server),
        pytest.param("mysql", 3, marks=pytest.mark.server),
    ],
)
def test_a_storm_doubles_and_forgets_nothing(kind: str, seed: int, tmp_path: Path) -> None:
    # In so short a storm no node may happen to hold a run as it is killed: then another one is looked at.
    result = storm(kind, seed, tmp_path)
    if not result.wrong and result.lacking:
        result = storm(kind, seed + 100, tmp_path)
    assert result.ok, f"{result.told()}\n{result.logs}"


def storm(kind: str, seed: int, home: Path) -> Result:
    folder = home / str(seed)
    folder.mkdir()
    try:
        result = run(Storm(store=kind, seconds=SECONDS, nodes=5, seed=seed, folder=folder), print)
    except ServerMissing as reason:
        plugin._skip(kind, str(reason))
    print(json.dumps(result.form()))
    return result


LOOKS = """
import json, sys, threading, time
wall, monotonic = time.time(), time.monotonic()
threading.Event().wait(0.3)
waited = time.monotonic() - monotonic
print(json.dumps([wall, monotonic, waited]), flush=True)
"""


def test_a_false_clock_is_false_and_nothing_else_is(tmp_path: Path) -> None:
    if faketime() is None:
        needed = bool(os.environ.get("TICKONCE_TEST_REQUIRE"))
        (pytest.fail if needed else pytest.skip)("libfaketime is not installed: `make servers` installs it on Debian")
    clock = tmp_path / "clock"
    clock.write_text("-7200\n")
    before, began = time.time(), time.monotonic()
    said = subprocess.run([sys.executable, "-c", LOOKS], env=clocked(clock), check=True, capture_output=True).stdout
    wall, monotonic, waited = json.loads(said)
    assert wall == pytest.approx(before - 7200, abs=30)
    assert began < monotonic < time.monotonic()
    assert 0.29 < waited < 10
