"""What ``tickonce doctor`` looks at in the fleet: nodes, schedules, runs that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from tickonce.cli.findings import Finding, Patient, some
from tickonce.cli.paging import gathered
from tickonce.cli.texts import distance, relative
from tickonce.model import Node, NodeState, Run, RunState, Schedule, ScheduleState

#: What is due for longer than this, though somebody should have dealt with it, is a problem.
OVERDUE = timedelta(minutes=1)
#: Nodes' clocks that differ from the store's by more than this confuse people who compare logs.
CLOCKS_DIFFER = timedelta(seconds=1)
#: Runs and schedules that are looked at, at most.
LOOKED_AT = 10_000

_SERVE = "tickonce serve -A module:scheduler"


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
        ("tickonce", "releases of tickonce", "fine while a rollout runs; else install the same release on all nodes"),
        ("tzdata", "time zone data", "install the same tzdata on all nodes, or zones with new rules fire apart"),
    ):
        found = Counter(str(node.facts[fact]) for node in patient.alive if fact in node.facts)
        if len(found) > 1:
            counted = ", ".join(f"{version} on {count}" for version, count in sorted(found.items()))
            yield Finding("versions", "warning", f"nodes differ in {what}: {counted}", mend)
    releases = {node.release for node in patient.alive if node.release is not None}
    if len(releases) > 1:
        yield Finding(
            "versions",
            "warning",
            f"nodes run several releases of the program: {', '.join(sorted(releases))}",
            "fine while a rollout runs; else deploy the same release everywhere",
        )


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
                "let NTP set that machine's clock",
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
    border = patient.now - patient.scheduler.config.orphan_after
    gone = [
        each
        for each in found
        if each.id not in declared and each.declaration is not None and each.declaration.seen_at < border
    ]
    for each in gone:
        seen = "" if each.declaration is None else relative(each.declaration.seen_at, patient.now)
        yield Finding(
            "orphans",
            "warning",
            f"{each.id} is declared by no live node, last {seen}; its fires are skipped",
            f"tickonce rm {each.id}, or deploy the code that declares it",
        )
    if more:
        yield Finding("orphans", "ok", f"only the first {LOOKED_AT} declared schedules were looked at")


def waiting(patient: Patient) -> Iterator[Finding]:
    """Yield runs that nobody carries out: their queue is served by no live node, or nobody knows their job."""
    if not patient.alive:
        return  # that is told already, and says it all
    scheduler = patient.scheduler
    found, _ = gathered(
        lambda count, cursor: scheduler.runs(limit=count, cursor=cursor, states=[RunState.PENDING]), LOOKED_AT
    )
    served = {queue for node in patient.alive if node.slots for queue in node.queues}
    late = [run for run in found if run.due < patient.now - OVERDUE]
    due = [run for run in found if run.due <= patient.now]
    for queue, count in sorted(Counter(run.queue for run in due if run.queue not in served).items()):
        yield Finding(
            "queues",
            "problem",
            f"{count} run(s) wait in queue {queue!r}, which no live node serves",
            f"{_SERVE} --queues {queue}",
        )
    stuck = [run for run in late if run.queue in served]
    for job, count in sorted(Counter(run.job for run in stuck).items()):
        yield _unclaimed(job, count, [run for run in stuck if run.job == job], patient.alive)
    overdue = scheduler.runs(limit=100, states=[RunState.RUNNING], overdue=True).items
    if overdue:
        yield Finding(
            "runs",
            "warning",
            f"over their timeout and still running: {some(run.token for run in overdue)}",
            "their functions do not heed run.check(); they keep their slots until they end",
        )


def _unclaimed(job: str, count: int, runs: list[Run], alive: tuple[Node, ...]) -> Finding:
    queues = {run.queue for run in runs}
    able = [node for node in alive if queues & set(node.queues)]
    if able and all(node.busy >= node.slots for node in able):
        return Finding(
            "queues",
            "warning",
            f"{count} run(s) of job {job!r} wait for more than {distance(OVERDUE)}: all slots are taken",
            "start more nodes, or give them more slots: tickonce serve --slots N",
        )
    return Finding(
        "jobs",
        "problem",
        f"{count} run(s) of job {job!r} wait for more than {distance(OVERDUE)}, and nobody with a free slot takes them",
        f"no live node of queue {some(sorted(queues))} knows the job: deploy the code that has it, or correct the name",
    )


def _schedules(patient: Patient, states: list[ScheduleState], source: str | None = None) -> tuple[list[Schedule], bool]:
    scheduler = patient.scheduler
    if source is None:
        return gathered(lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, states=states), LOOKED_AT)
    return gathered(
        lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, states=states, source=source), LOOKED_AT
    )
