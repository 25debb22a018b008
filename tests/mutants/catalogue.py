"""The rules, and how each is taken out."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY = "src/tickonce/stores/memory"
SQL = "src/tickonce/stores/sql"
ENGINE = "src/tickonce/engine"


@dataclass(frozen=True)
class Edit:
    """In the file at *path*, *old* stands exactly once and becomes *new*."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """The code without one rule.

    Attributes:
        rule: What is taken out.
        edits: How.
        near: Tests that are asked first, being nearest to the rule; the rest of the suite follows.
        simulated: Whether the simulation has the scenes in which the rule matters.
    """

    rule: str
    edits: tuple[Edit, ...]
    near: tuple[str, ...]
    simulated: bool = True


MUTANTS = (
    Mutant(
        "the unique key",
        (
            Edit(
                f"{MEMORY}/store.py",
                "if conflicts := [fire.token for fire in change.runs if fire.token in self._tables.runs]:",
                "if conflicts := []:",
            ),
        ),
        ("tests/contract/test_memory.py",),
        simulated=False,  # no simulated store goes back in time
    ),
    Mutant(
        "the unique key, SQL",
        (
            Edit(
                f"{SQL}/migrations/versions/0001_first_tables.py",
                "return sa.Column(column, name(length), primary_key=True)",
                'return sa.Column(column, name(length), primary_key=column != "token", nullable=False)',
            ),
        ),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "the version check",
        (
            Edit(
                f"{MEMORY}/store.py",
                "if before is None or before.version != plan.schedule.version:",
                "if before is None:",
            ),
        ),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the version check, SQL",
        (Edit(f"{SQL}/launching.py", "if version == plan.schedule.version:", "if version is not None:"),),
        ("tests/contract/test_sqlite.py",),
        simulated=False,  # it has the memory store, but for the last seeds
    ),
    Mutant(
        "the version that is never used twice",
        (
            Edit(
                f"{MEMORY}/tables.py",
                "version = secrets.randbits(62) if before is None else before.version + 1",
                "version = 1 if before is None else before.version + 1",
            ),
            Edit(
                f"{SQL}/edits.py",
                "version = secrets.randbits(62) if before is None else before.version + 1",
                "version = 1 if before is None else before.version + 1",
            ),
        ),
        ("tests/contract/test_memory.py", "tests/contract/test_sqlite.py"),
        simulated=False,  # it takes a tombstone that was pruned, after a month
    ),
    Mutant(
        "the count inside the launch",
        (
            Edit(
                f"{MEMORY}/store.py",
                "change = choose(plan, self._tables.open_count(schedule_id))",
                "change = choose(plan, 0)",
            ),
        ),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the count inside the launch, SQL",
        (
            Edit(
                f"{SQL}/launching.py",
                "choose(plan, open_runs.get(schedule_id, 0), version=version + 1)",
                "choose(plan, 0, version=version + 1)",
            ),
        ),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "the attempt fence",
        (
            Edit(
                f"{MEMORY}/tables.py",
                "if run is None or (run.state, run.node, run.attempt) != (RunState.RUNNING, node_id, attempt):",
                "if run is None or run.state is not RunState.RUNNING:",
            ),
        ),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the attempt fence, SQL",
        (
            Edit(
                f"{SQL}/work.py",
                "return row is not None and row[1] == outcome.node and row[2] == outcome.attempt",
                "return row is not None",
            ),
        ),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "its rise at each claim",
        (Edit(f"{MEMORY}/transitions.py", "attempt=run.attempt + 1,", "attempt=max(run.attempt, 1),"),),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "its rise at each claim, SQL",
        (
            Edit(
                f"{SQL}/work.py",
                "UPDATE {runs} SET state = 'running', attempt = attempt + 1, node = :node",
                "UPDATE {runs} SET state = 'running', node = :node",
            ),
        ),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "the door",
        (Edit(f"{ENGINE}/door.py", "            if key in self._passed:\n                return False\n", ""),),
        ("tests/fleet",),
    ),
    Mutant(
        "the question what a node holds",
        (Edit(f"{ENGINE}/beat.py", "if self._worker.unknown(answer.held):", "if False:"),),
        ("tests/fleet",),
    ),
    Mutant(
        "the standing recovery",
        (
            Edit(
                f"{ENGINE}/upkeep.py",
                "        if now < self._recover_at and not self._recovery_wanted:\n",
                "        if self._recover_at != _ZERO and not self._recovery_wanted:\n"
                "            self._recover_at = now + self._config.lease\n",
            ),
        ),
        ("tests/fleet",),
    ),
    Mutant(
        "the alive check",
        (
            Edit(
                f"{MEMORY}/store.py",
                "            now = self.instant()\n            if not self._tables.alive(node_id):\n"
                "                return Launched(instant=now, alive=False)\n",
                "            now = self.instant()\n",
            ),
            Edit(
                f"{MEMORY}/store.py",
                "            if not self._tables.alive(node_id):\n                return []\n"
                "            now, pending =",
                "            now, pending =",
            ),
        ),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the alive check, SQL",
        (
            Edit(f"{SQL}/launching.py", "    if not alive:\n        return Launched(instant=now, alive=False)\n", ""),
            Edit(f"{SQL}/work.py", "    if not alive:\n        return []\n", ""),
        ),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "the witness rule",
        (
            Edit(
                f"{ENGINE}/upkeep.py",
                "dead = [node.id for node in over if self._witness.may_judge(node.lease, instant=instant, now=now)]",
                "dead = [node.id for node in over]",
            ),
        ),
        ("tests/fleet",),
    ),
    Mutant(
        "the node's own lease",
        (
            Edit(
                f"{ENGINE}/worker.py",
                "        if self._lease.holds(self._clock.monotonic()):\n            while self._waiting",
                "        if True:\n            while self._waiting",
            ),
            Edit(
                f"{ENGINE}/worker.py",
                "        ready = self._lease.holds(self._clock.monotonic())\n        if ready and",
                "        ready = True\n        if ready and",
            ),
            Edit(
                f"{ENGINE}/worker.py",
                "                ready = self._lease.holds(self._clock.monotonic())\n        if not ready:",
                "                ready = True\n        if not ready:",
            ),
        ),
        ("tests/fleet",),
    ),
    Mutant(
        "the guard against the store's clock",
        (Edit(f"{ENGINE}/storetime.py", "        return self._jumped\n", "        return False\n"),),
        ("tests/fleet/test_clocks.py",),
    ),
    Mutant(
        "the settling at edits",
        (
            Edit(
                "src/tickonce/editing/settling.py",
                "    settled = settle(now, schedule, open_runs)\n    return replace(settled, schedule=move_on(",
                "    settled = Change(schedule=schedule)\n    return replace(settled, schedule=move_on(",
            ),
        ),
        ("tests/unit/test_editing.py",),
    ),
    Mutant(
        "the watermark",
        (
            Edit(
                "src/tickonce/planning.py",
                "    return max(schedule.watermark, schedule.paused_until or schedule.watermark)\n",
                "    return (schedule.next_fire or schedule.watermark) - _TICK\n",
            ),
            Edit(
                f"{ENGINE}/ticker.py",
                "if moved is not None and schedule.watermark < moved[0]:",
                "if False:",
            ),
        ),
        ("tests/fleet", "tests/unit/test_zone_changes.py"),
        simulated=False,  # it matters where a store went back in time, or rules of a zone changed
    ),
    Mutant(
        "the tombstone",
        (
            Edit(
                f"{MEMORY}/store.py",
                "                after = self._tables.write(change, before)\n                for run in made:\n",
                "                after = self._tables.write(change, before)\n"
                "                if after.state is ScheduleState.REMOVED:\n"
                "                    del self._tables.schedules[schedule_id]\n                for run in made:\n",
            ),
        ),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the ordered locks",
        (
            Edit(
                f"{SQL}/upkeep.py",
                "FROM {{schedules}} WHERE id = ANY(:ids) ORDER BY id {{lock}}",
                "FROM {{schedules}} WHERE id = ANY(:ids) ORDER BY md5(concat(id, {{now}})) {{lock}}",
            ),
        ),
        ("tests/unit/stores/test_locking.py",),
        simulated=False,  # it takes locks on rows
    ),
    Mutant(
        "the catch-up",
        (
            Edit(
                "src/tickonce/planning.py",
                "            start = following(definition, max(first, now - policy.catch_up) - _TICK)\n",
                "            start = None\n",
            ),
        ),
        ("tests/unit/test_planning.py",),
    ),
    Mutant(
        "the end of a plan's time",
        (Edit(f"{MEMORY}/store.py", "if until is not None and now > until:", "if until is None and now < now:"),),
        ("tests/contract/test_memory.py",),
    ),
    Mutant(
        "the end of a plan's time, SQL",
        (Edit(f"{SQL}/launching.py", "if until is not None and now > until:", "if until is None and now < now:"),),
        ("tests/contract/test_sqlite.py",),
        simulated=False,
    ),
    Mutant(
        "the fence in a job's own transaction",
        (
            Edit(
                "src/tickonce/context.py",
                "        if not self._end(connection):\n",
                "        if self._end(connection) is None:\n",
            ),
        ),
        ("tests/embed/test_transaction.py",),
        simulated=False,  # it has no databases
    ),
)
