"""Schedules, runs, skip records and nodes as JSON. The keys are stable: one may be added, none changes or goes."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from tickonce.cli.texts import iso, masked, masked_arguments, trigger_text
from tickonce.model import Node, NodeState, Policy, Run, Schedule, Skip
from tickonce.retry import Retry


def schedule_form(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule for JSON; lengths of time are seconds, ``_s`` behind their names."""
    definition, declaration = schedule.definition, schedule.declaration
    return {
        "id": schedule.id,
        "state": str(schedule.state),
        "reason": schedule.reason,
        "paused_until": iso(schedule.paused_until),
        "job": definition.job,
        **_arguments(definition.arguments),
        "trigger": dict(definition.trigger.spec()),
        "trigger_text": trigger_text(definition.trigger),
        "policy": policy_form(definition.policy),
        "jitter_s": definition.jitter.total_seconds(),
        "start": iso(definition.start),
        "end": iso(definition.end),
        "queue": definition.queue,
        "priority": definition.priority,
        "tags": list(definition.tags),
        "owner": definition.owner,
        "description": definition.description,
        "next_fire": iso(schedule.next_fire),
        "due": iso(schedule.due),
        "watermark": iso(schedule.watermark),
        "revision": schedule.revision,
        "version": str(schedule.version),
        "source": schedule.source,
        "overrides": sorted(declaration.overrides) if declaration is not None else [],
        "release": declaration.release if declaration is not None else None,
        "created_at": iso(schedule.created_at),
        "created_by": schedule.created_by,
        "updated_at": iso(schedule.updated_at),
        "updated_by": schedule.updated_by,
    }


def policy_form(policy: Policy) -> dict[str, Any]:
    """Return a policy for JSON, defaults included."""
    form: dict[str, Any] = {}
    for item in fields(Policy):
        value = getattr(policy, item.name)
        if item.name in ("grace", "catch_up", "start_within", "timeout"):
            form[f"{item.name}_s"] = None if value is None else value.total_seconds()
        elif isinstance(value, Retry):
            form[item.name] = _retry_form(value)
        else:
            form[item.name] = str(value) if isinstance(value, str) else value
    return form


def run_form(run: Run) -> dict[str, Any]:
    """Return a run for JSON."""
    return {
        "token": run.token,
        "schedule_id": run.schedule_id,
        "scheduled_time": iso(run.scheduled_time),
        "state": str(run.state),
        "reason": run.reason,
        "job": run.job,
        **_arguments(run.arguments),
        "source": run.source,
        "queue": run.queue,
        "priority": run.priority,
        "attempt": run.attempt,
        "failures": run.failures,
        "losses": run.losses,
        "node": run.node,
        "due": iso(run.due),
        "start_by": iso(run.start_by),
        "created_at": iso(run.created_at),
        "created_by": run.created_by,
        "started_at": iso(run.started_at),
        "finished_at": iso(run.finished_at),
        "overdue": run.overdue,
        "cancelling": run.cancelling,
        "progress": run.progress,
        "result": None if run.result is None else _loaded(run.result),
        "error": None if run.error is None else masked(run.error),
    }


def skip_form(skip: Skip) -> dict[str, Any]:
    """Return a skip record for JSON; ``count`` is a lower bound where ``more`` is true."""
    return {
        "schedule_id": skip.schedule_id,
        "reason": str(skip.reason),
        "first": iso(skip.first),
        "last": iso(skip.last),
        "count": skip.count,
        "more": skip.more,
    }


def node_form(node: Node, now: datetime) -> dict[str, Any]:
    """Return a node for JSON; *now* is the store's clock."""
    return {
        "id": node.id,
        "host": node.host,
        "pid": node.pid,
        "state": str(node.state),
        "alive": is_alive(node, now),
        "lease_s": node.lease.total_seconds(),
        "started_at": iso(node.started_at),
        "beat_at": iso(node.beat_at),
        "alive_until": iso(node.alive_until),
        "ticks": node.ticks,
        "serving": node.serving,
        "ticked_at": iso(node.ticked_at),
        "slots": node.slots,
        "busy": node.busy,
        "queues": list(node.queues),
        "release": node.release,
        "declares": len(node.declares),
        "facts": dict(node.facts),
    }


def is_alive(node: Node, now: datetime) -> bool:
    """Whether *node* takes part and has beaten within its lease, seen at the store's instant *now*."""
    return (
        node.state in (NodeState.ALIVE, NodeState.LEAVING) and node.alive_until is not None and node.alive_until > now
    )


def duration_of(run: Run) -> timedelta | None:
    """Return how long the last attempt of *run* took, once it has ended."""
    if run.started_at is None or run.finished_at is None:
        return None
    return max(timedelta(0), run.finished_at - run.started_at)


def _arguments(text: str) -> dict[str, Any]:
    found = masked_arguments(_loaded(text))
    if not isinstance(found, dict):
        return {"args": [], "kwargs": {}}
    return {"args": found.get("args", []), "kwargs": found.get("kwargs", {})}


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _retry_form(retry: Retry) -> dict[str, Any]:
    return {
        "times": retry.times,
        "delay_s": retry.delay.total_seconds(),
        "kind": retry.kind,
        "limit_s": retry.limit.total_seconds(),
        "jitter": retry.jitter,
    }
