"""The demo as people start it: its verdict, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.servers.waiting import wait_until

KEYS = {
    *("expected", "done", "doubled", "missed", "lateness_p50_ms", "lateness_p99_ms", "nodes", "killed", "seconds"),
    *("unexpected", "wrong", "skipped", "recovered"),
}

pytestmark = pytest.mark.chaos


def started(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tickonce", "demo", *words],
        env={**os.environ, "TMPDIR": str(tmp_path), "http_proxy": "http://127.0.0.1:1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_each_tick_is_launched_once_though_a_node_is_killed(tmp_path: Path) -> None:
    demo = started(tmp_path, "--seconds", "6", "-o", "json")
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    verdict = json.loads(out.splitlines()[-1])
    assert verdict.keys() == KEYS
    assert {verdict[name] for name in ("doubled", "missed", "unexpected", "wrong")} == {0}
    assert (verdict["nodes"], verdict["killed"], verdict["seconds"]) == (3, 1, 6)
    assert verdict["done"] == verdict["expected"] >= 6
    for word in ("added", "edited", "paused", "resumed", "removed", "killed"):
        assert f" {word} " in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "terminated", "killed"],
)
def test_no_process_is_left_behind(tmp_path: Path, number: signal.Signals, code: int) -> None:
    demo = started(tmp_path, "--seconds", "60", "--nodes", "2")
    try:
        wait_until(lambda: len(psutil.Process(demo.pid).children()) == 2, what="two nodes")
        nodes = psutil.Process(demo.pid).children()
        wait_until(lambda: list(tmp_path.glob("*/ledger.db")), what="a ledger")
        demo.send_signal(number)
        demo.communicate(timeout=30)
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == code
    _, alive = psutil.wait_procs(nodes, timeout=20)
    assert alive == []
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []
