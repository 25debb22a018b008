"""What ``tickonce doctor`` looks at in the fleet: nodes and schedules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from tickonce.cli.findings import Finding, Patient, some
from tickonce.cli.paging import gathered
from tickonce.cli.texts import distance, relative
from tickonce.model import NodeState, Schedule, ScheduleState

#: What is due for longer than this, though somebody should have dealt with it, is a problem.
OVERDUE = timedelta(minutes=1)
#: Nodes' clocks that differ from the store's by more than this confuse people who compare logs.
CLOCKS_DIFFER = timedelta(seconds=1)
#: Schedules that are looked at, at most.
LOOKED_AT = 10_000

_SERVE = "tickonce serve -A module:scheduler"
_SAME_RELEASE = "fine while a rollout runs; else the same on all: pip install tickonce=={newest}"
_SAME_TZDATA = (
    "the same on all nodes, then restart them: pip install tzdata=={newest}, and PYTHONTZPATH= in their environment "
    "where the system's is another"
)


def members(patient: Patient) -> Iterator[Finding]:
    """Yield who takes part, and whether somebody launches and somebody carries out."""
    alive = [node for node in patient.alive if node.state is NodeState.ALIVE]
    if not alive:
        waiting = patient.scheduler.schedules(limit=1, states=[ScheduleState.ACTIVE]).items
        if waiting:
            yield Finding("nodes", "problem", "no node is alive, so nothing is launched", _SERVE)
        else:
            yield Finding("nodes", "ok", "no node is alive, and no schedule is active")
        return
    yield Finding("nodes", "ok", f"{len(alive)} alive: {some(node.id for node in alive)}")
    ticking = [node for node in alive if node.ticks]
    if not ticking:
        yield Finding("nodes", "problem", "no live node launches schedules: all run with --no-ticks", _SERVE)
    stuck = [node for node in ticking if not node.serving]
    if stuck:
        yield Finding(
            "nodes",
            "problem",
            f"the ticker does not keep up on {some(node.id for node in stuck)}",
            "look at that node's log and load, and restart it",
        )
    late = [node for node in patient.nodes if node.state is NodeState.ALIVE and node not in patient.alive]
    if late:
        yield Finding(
            "nodes",
            "warning",
            f"the lease is over of {some(node.id for node in late)}; others will declare it dead soon",
            "if the process still lives, look for what stops it from beating: a paused machine, the network",
        )


def versions(patient: Patient) -> Iterator[Finding]:
    """Yield what live nodes should have in common and have not."""
    for fact, what, mend in (
        ("tickonce", "releases of tickonce", _SAME_RELEASE),
        ("tzdata", "time zone data, so zones whose rules have changed fire apart", _SAME_TZDATA),
    ):
        found: dict[str, list[str]] = {}
        for node in patient.alive:
            if fact in node.facts:
                found.setdefault(str(node.facts[fact]), []).append(node.id)
        if len(found) > 1:
            newest = max(found, key=_numbers)
            counted = ", ".join(
                f"{version} on {len(ids)}" + ("" if version == newest else f" ({some(ids)})")
                for version, ids in sorted(found.items())
            )
            wanted = package_version(newest) if fact == "tzdata" else newest
            yield Finding("versions", "warning", f"nodes differ in {what}: {counted}", mend.format(newest=wanted))
    releases = {node.release for node in patient.alive if node.release is not None}
    if len(releases) > 1:
        yield Finding(
            "versions",
            "warning",
            f"nodes run several releases of the program: {', '.join(sorted(releases))}",
            "fine while a rollout runs; else deploy the same release everywhere",
        )


def package_version(tzdata: str) -> str:
    """Return the version of the package ``tzdata`` that brings a release of the IANA's data.

    >>> package_version("2026b"), package_version("2026.2"), package_version("unknown")
    ('2026.2', '2026.2', 'NEWEST')
    """
    found = re.fullmatch(r"(\d{4})(?:\.(\d+)|([a-z]))", tzdata)
    if found is None:
        return "NEWEST"
    return f"{found[1]}.{found[2] or ord(found[3]) - ord('a') + 1}"


def _numbers(version: str) -> tuple[list[int], str]:
    """Return what versions are put in order by; one that tells no number comes first."""
    version = version if package_version(version) == "NEWEST" else package_version(version)
    return [int(number) for number in re.findall(r"\d+", version)], version


def clocks(patient: Patient) -> Iterator[Finding]:
    """Yield nodes whose clock is far from the store's, as far as they have said."""
    for node in patient.alive:
        seconds = node.facts.get("clock_offset_s")
        if isinstance(seconds, int | float) and abs(seconds) > CLOCKS_DIFFER.total_seconds():
            ahead = "ahead of" if seconds > 0 else "behind"
            yield Finding(
                "clocks",
                "warning",
                f"{node.id}: its clock is {distance(timedelta(seconds=seconds))} {ahead} the store's; "
                "launches are right all the same, logs are not",
                f"on {node.host or node.id}: sudo timedatectl set-ntp true",
            )


def schedules(patient: Patient) -> Iterator[Finding]:
    """Yield schedules that were set aside, are overdue, or cannot be read here."""
    scheduler = patient.scheduler
    aside, _ = _schedules(patient, [ScheduleState.ASIDE])
    for each in aside:
        yield Finding(
            "schedules",
            "problem",
            f"{each.id} was set aside: {each.reason or 'its trigger raised'}",
            f"tickonce edit {each.id} --trigger ...; then: tickonce resume {each.id}",
        )
    if patient.alive:
        page = scheduler.schedules(limit=100, states=[ScheduleState.ACTIVE], due_before=patient.now - OVERDUE)
        known = [each for each in page.items if each.definition.known]
        if known:
            yield Finding(
                "schedules",
                "problem",
                f"due for more than {distance(OVERDUE)} and not launched: {some(each.id for each in known)}",
                "look at the nodes' logs; a transaction of your own that edits the schedule holds it while it is open",
            )
        strange = [each for each in page.items if not each.definition.known]
        if strange:
            yield Finding(
                "schedules",
                "problem",
                f"not known to this release, and no node launches: {some(each.id for each in strange)}",
                "start nodes of the newer release that wrote them",
            )


def orphans(patient: Patient) -> Iterator[Finding]:
    """Yield schedules that code once declared and no live node declares any more."""
    alive = [node for node in patient.alive if node.state is NodeState.ALIVE]
    if not alive:
        return
    declared = {schedule_id for node in alive for schedule_id in node.declares}
    found, more = _schedules(patient, [ScheduleState.ACTIVE], source="code")
    # A node skips the fires when it has itself been up for so long and seen nobody declare the schedule.
    up_since = min((node.started_at for node in alive if node.ticks and node.started_at is not None), default=None)
    for each in found:
        if each.id in declared or each.declaration is None:
            continue
        seen_at = each.declaration.seen_at
        skipped_from = max(seen_at, up_since or seen_at) + patient.scheduler.config.orphan_after
        told = f"{each.id} is declared by no live node, last {relative(seen_at, patient.now)}"
        mend = f"tickonce rm {each.id}, or deploy the code that declares it"
        if skipped_from < patient.now:
            yield Finding("orphans", "warning", f"{told}; its fires are skipped", mend)
        else:
            away = distance(skipped_from - patient.now)
            mend = f"fine while a rollout runs; else {mend}"
            yield Finding("orphans", "warning", f"{told}; its fires are launched for {away} more, then skipped", mend)
    if more:
        yield Finding("orphans", "ok", f"only the first {LOOKED_AT} declared schedules were looked at")


def _schedules(patient: Patient, states: list[ScheduleState], source: str | None = None) -> tuple[list[Schedule], bool]:
    scheduler = patient.scheduler
    if source is None:
        return gathered(lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, states=states), LOOKED_AT)
    return gathered(
        lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, states=states, source=source), LOOKED_AT
    )
