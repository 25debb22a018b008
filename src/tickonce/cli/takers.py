"""What ``tickonce doctor`` looks at between work and those who carry it out: queues, jobs, slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta

from tickonce.cli.findings import Finding, Patient, some
from tickonce.cli.paging import gathered
from tickonce.cli.texts import distance
from tickonce.errors import did_you_mean
from tickonce.model import Node, NodeState, Run, RunState, ScheduleState, knows_job

#: A run that is due for longer than this, though somebody should have taken it, is a problem.
OVERDUE = timedelta(minutes=1)
#: Runs and schedules that are looked at, at most.
LOOKED_AT = 10_000

_SERVE = "tickonce serve -A module:scheduler"


def waiting(patient: Patient) -> Iterator[Finding]:
    """Yield runs that nobody carries out: their queue is served by no live node, or nobody knows their job."""
    if not patient.alive:
        return  # that is told already, and says it all
    scheduler = patient.scheduler
    found, _ = gathered(
        lambda count, cursor: scheduler.runs(limit=count, cursor=cursor, states=[RunState.PENDING]), LOOKED_AT
    )
    served = _served(patient.alive)
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
            f"{_SERVE} --slots {2 * max(node.slots for node in able)}, or more nodes",
        )
    return Finding(
        "jobs",
        "problem",
        f"{count} run(s) of job {job!r} wait for more than {distance(OVERDUE)}, and nobody with a free slot takes them",
        f"where no live node of the queue knows the job, with the code that has it: {_SERVE} --queues "
        f"{','.join(sorted(queues))}",
    )


def untaken(patient: Patient) -> Iterator[Finding]:
    """Yield active schedules whose runs nobody would carry out, before the first of them waits."""
    alive = tuple(node for node in patient.alive if node.state is NodeState.ALIVE)
    if not alive:
        return  # told already
    scheduler = patient.scheduler
    found, more = gathered(
        lambda count, cursor: scheduler.schedules(limit=count, cursor=cursor, states=[ScheduleState.ACTIVE]), LOOKED_AT
    )
    served = _served(alive)
    homeless = [schedule for schedule in found if schedule.definition.queue not in served]
    for queue in sorted({schedule.definition.queue for schedule in homeless}):
        ids = [schedule.id for schedule in homeless if schedule.definition.queue == queue]
        yield Finding(
            "queues",
            "problem",
            f"no live node serves queue {queue!r}, into which {len(ids)} schedule(s) launch: {some(ids)}",
            f"{_SERVE} --queues {queue}",
        )
    # A node of a release that does not tell its jobs may know any.
    telling = {
        queue: nodes
        for queue, nodes in ((queue, _able(alive, queue)) for queue in sorted(served))
        if all("jobs" in node.facts for node in nodes)
    }
    kinds = {(schedule.definition.queue, schedule.definition.job) for schedule in found}
    for queue, job in sorted(kinds):
        if queue in telling and not any(knows_job(node, job) for node in telling[queue]):
            ids = [each.id for each in found if (each.definition.queue, each.definition.job) == (queue, job)]
            yield _unknown(patient, job, queue, ids, alive)
    if more:
        yield Finding("queues", "ok", f"only the first {LOOKED_AT} active schedules were looked at")


def _unknown(patient: Patient, job: str, queue: str, ids: list[str], alive: tuple[Node, ...]) -> Finding:
    elsewhere = sorted({other for node in alive if node.slots and knows_job(node, job) for other in node.queues})
    if elsewhere:
        return Finding(
            "jobs",
            "problem",
            f"no live node that serves queue {queue!r} knows job {job!r} of {len(ids)} schedule(s): {some(ids)}; "
            f"nodes that know it serve {some(elsewhere)}",
            f"tickonce edit {ids[0]} --queue {elsewhere[0]}; or, with the code that has the job: {_SERVE} "
            f"--queues {queue}",
        )
    hint = did_you_mean(job, sorted(patient.scheduler.jobs.names()))
    return Finding(
        "jobs",
        "problem",
        f"no live node knows job {job!r} of {len(ids)} schedule(s): {some(ids)}{'.' if hint else ''}{hint}",
        f"with the code that has the job: {_SERVE}; or: tickonce edit {ids[0]} --job NAME; or: tickonce rm {ids[0]}",
    )


def unheard_of(alive: Collection[Node], job: str) -> bool:
    """Return whether there are live nodes, all tell which jobs they know, and none knows *job*."""
    taking = [node for node in alive if node.state is NodeState.ALIVE and node.slots]
    return bool(taking) and all("jobs" in node.facts and not knows_job(node, job) for node in taking)


def _served(alive: tuple[Node, ...]) -> set[str]:
    return {queue for node in alive if node.slots for queue in node.queues}


def _able(alive: tuple[Node, ...], queue: str) -> list[Node]:
    return [node for node in alive if node.slots and queue in node.queues]
