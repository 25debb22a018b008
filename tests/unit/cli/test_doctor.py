"""``tickonce doctor`` finds what is wrong and says what mends it."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickonce import Scheduler
from tickonce.cli import checks, machine, takers
from tickonce.cli.findings import Patient
from tickonce.model import Node
from tickonce.testing import FakeClock

NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)
NODE = Node(id="web-1-1-a", host="web-1", alive_until=NOW + timedelta(seconds=10), facts={"tzdata": "2026a"})


@pytest.fixture
def clock():
    return FakeClock(NOW)


@pytest.fixture
def scheduler(clock):
    with Scheduler("memory:", clock=clock) as found:
        yield found


def patient(scheduler, *nodes):
    return Patient(scheduler, scheduler.store.instant(), nodes, nodes)


def told(findings):
    return [(finding.level, finding.found, finding.mend) for finding in findings]


def test_all_is_well(tickonce):
    with Scheduler(tickonce.url) as node, node.node():
        said = tickonce("doctor")
        form = tickonce.json("doctor")
    assert "0 problem(s)" in said.stderr
    assert form["problems"] == 0
    assert {finding["level"] for finding in form["findings"]} == {"ok"}
    assert {finding["check"] for finding in form["findings"]} == {"store", "schema", "clock", "nodes"}


def test_schedules_without_a_node_are_a_problem(tickonce):
    tickonce("add", "sync", "every 1d", "shop.sync")
    said = tickonce("doctor", exit=10)
    assert "no node is alive" in said.stdout
    assert "-> tickonce serve" in said.stdout
    assert tickonce.json("doctor", exit=10)["problems"] == 1


def test_a_store_that_cannot_be_reached_is_a_problem(tickonce):
    assert "problem  store:" in tickonce("doctor", "--store", "postgresql://a:s3cret@127.0.0.1:1/x", exit=10).stdout


def test_accept_clock_raises_the_epoch(made, tickonce):
    assert "epoch 1" in tickonce("doctor", "--accept-clock").stderr
    assert tickonce.scheduler.store.accept_clock() == 2


def test_runs_in_a_queue_that_nobody_serves(scheduler):
    scheduler.add("sync", "shop.sync", "every 1d", queue="slow")
    scheduler.run_now("sync")
    assert told(takers.waiting(patient(scheduler, NODE))) == [
        ("problem", "1 run(s) wait in queue 'slow', which no live node serves", f"{takers._SERVE} --queues slow")
    ]


def test_runs_of_a_job_that_nobody_knows(scheduler, clock):
    scheduler.add("sync", "shop.synk", "every 1d")
    scheduler.run_now("sync")
    assert told(takers.waiting(patient(scheduler, NODE))) == []  # it may be taken any moment
    clock.advance(timedelta(minutes=2))
    ((level, found, mend),) = told(takers.waiting(patient(scheduler, NODE)))
    assert (level, "'shop.synk'" in found, "knows the job" in mend) == ("problem", True, True)
    ((level, found, mend),) = told(takers.waiting(patient(scheduler, replace(NODE, busy=10))))
    assert (level, "all slots are taken" in found) == ("warning", True)


def test_a_schedule_that_is_due_and_not_launched(scheduler, clock):
    scheduler.add("sync", "shop.sync", "every 1m")
    assert told(checks.schedules(patient(scheduler, NODE))) == []
    clock.advance(timedelta(minutes=3))
    ((level, found, _),) = told(checks.schedules(patient(scheduler, NODE)))
    assert (level, "sync" in found) == ("problem", True)


def test_a_schedule_that_was_set_aside(scheduler):
    from tickonce.editing import SetAside

    added = scheduler.add("sync", "shop.sync", "every 1m")
    scheduler.store.change("sync", SetAside(schedule_id="sync", version=added.version, reason="it raised"))
    ((level, found, mend),) = told(checks.schedules(patient(scheduler)))
    assert (level, found) == ("problem", "sync was set aside: it raised")
    assert "tickonce resume sync" in mend


def test_a_schedule_that_no_live_node_declares(clock):
    with Scheduler("memory:", clock=clock) as scheduler:
        scheduler.schedule("every 1m", id="sync")(scheduler.job(name="sync")(lambda: None))
        scheduler.declare()
        ((level, found, mend),) = told(checks.orphans(patient(scheduler, NODE)))
        assert (level, "sync is declared by no live node" in found) == ("warning", True)
        assert "its fires are launched for 1h more, then skipped" in found
        assert "fine while a rollout runs" in mend
        clock.advance(timedelta(hours=2))
        ((level, found, mend),) = told(checks.orphans(patient(scheduler, NODE)))
        assert (level, found) == ("warning", "sync is declared by no live node, last 2h ago; its fires are skipped")
        assert "tickonce rm sync" in mend
        # Nodes that came back lately launch: they have not been there to see that nobody declares it.
        fresh = replace(NODE, started_at=clock.wall() - timedelta(minutes=20))
        ((_, found, _),) = told(checks.orphans(patient(scheduler, fresh)))
        assert "launched for 40m more" in found
        assert told(checks.orphans(patient(scheduler, replace(NODE, declares={"sync": "x"})))) == []


def test_nodes_that_differ(scheduler):
    other = replace(NODE, id="web-2-1-b", facts={"tzdata": "2025b"}, release="2")
    levels = told(checks.versions(patient(scheduler, replace(NODE, release="1"), other)))
    apart = "so zones whose rules have changed fire apart"
    assert [found for _, found, _ in levels] == [
        f"nodes differ in time zone data, {apart}: 2025b on 1 (web-2-1-b), 2026a on 1",
        "nodes run several releases of the program: 1, 2",
    ]
    assert "pip install tzdata==2026.1, and PYTHONTZPATH= " in levels[0][2]


def test_a_node_that_does_not_launch_and_one_that_is_stuck(scheduler):
    assert "--no-ticks" in str(told(checks.members(patient(scheduler, replace(NODE, ticks=False)))))
    assert "does not keep up" in str(told(checks.members(patient(scheduler, replace(NODE, serving=False)))))


def test_a_node_whose_clock_is_wrong(scheduler):
    wrong = replace(NODE, facts={"clock_offset_s": -90.5})
    ((level, found, mend),) = told(checks.clocks(patient(scheduler, wrong)))
    assert (level, "1m30s behind the store's" in found) == ("warning", True)
    assert mend == "on web-1: sudo timedatectl set-ntp true"


def test_the_machines_clock_against_the_stores():
    assert machine._clock(timedelta(seconds=-90), unsure=timedelta(0)).level == "warning"
    assert machine._clock(timedelta(seconds=3), unsure=timedelta(seconds=5)).level == "ok"


MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/x
36 35 98:0 /mnt1 {place}/my\\040share rw,noatime master:1 - nfs4 host:/x rw,errors=continue
40 22 0:50 / {place}/home rw - fuse.sshfs me@host:/ rw,user_id=0
"""


@pytest.fixture
def mounts(tmp_path):
    place = tmp_path.resolve()
    file = place / "mountinfo"
    file.write_text(MOUNTS.format(place=place))
    return file


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path, mounts):
    assert machine.filesystem_of(tmp_path / "my share" / "t.db", mounts) == "nfs4"
    assert machine.filesystem_of(tmp_path / "home" / "t.db", mounts) == "fuse.sshfs"
    assert machine.filesystem_of(tmp_path / "t.db", mounts) == "overlay"
    (tmp_path / "here").symlink_to(tmp_path / "home")
    assert machine.filesystem_of(tmp_path / "here" / "t.db", mounts) == "fuse.sshfs"
    assert machine.filesystem_of(tmp_path, tmp_path / "nothing") is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_this_machine_tells_its_own_file_systems(tmp_path):
    assert machine.filesystem_of(Path("/proc/self/status")) == "proc"
    assert machine.filesystem_of(tmp_path) is not None


@pytest.mark.parametrize(("place", "kind"), [("my share", "nfs4"), ("home", "fuse.sshfs")])
def test_a_file_on_a_network_is_a_problem(place, kind, tmp_path, mounts, monkeypatch):
    (tmp_path / place).mkdir()
    monkeypatch.setattr(machine.filesystem_of, "__defaults__", (mounts,))
    monkeypatch.setattr(sys, "platform", "linux")
    with Scheduler(f"sqlite:///{tmp_path}/{place}/t.db") as scheduler:
        ((level, found, mend),) = told(machine.file(patient(scheduler)))
    assert (level, f"network file system ({kind})" in found) == ("problem", True)
    assert "TICKONCE_STORE=postgresql://" in mend


def test_a_file_in_a_containers_own_file_system_is_a_problem(tmp_path, mounts, monkeypatch):
    monkeypatch.setattr(machine.filesystem_of, "__defaults__", (mounts,))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with Scheduler(f"sqlite:///{tmp_path}/t.db") as scheduler:
        assert "volume" in next(machine.file(patient(scheduler))).mend


def test_settings_that_lose_commits_are_told(tmp_path):
    with Scheduler(f"sqlite:///{tmp_path}/t.db?sync=normal") as scheduler:
        assert [finding.level for finding in machine.durability(patient(scheduler))] == ["warning"]
