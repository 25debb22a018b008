"""Definitions as JSON: the form kept in stores, and its hash, by which a redeploy sees what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from tickonce.model import NO_ARGUMENTS, CutOff, Definition, Misfire, OnLost, Overlap, Policy
from tickonce.retry import Retry
from tickonce.triggers import load_trigger

_POLICY = Policy()
_RETRY = Retry()
_POLICY_READERS: dict[str, Callable[[Any], Any]] = {
    "misfire": Misfire,
    "overlap": Overlap,
    "on_lost": OnLost,
    "when_cut_off": CutOff,
    "grace": lambda value: timedelta(seconds=value),
    "catch_up": lambda value: timedelta(seconds=value),
    "start_within": lambda value: timedelta(seconds=value),
    "timeout": lambda value: timedelta(seconds=value),
    "max_losses": int,
}


def form_of(definition: Definition) -> dict[str, Any]:
    """Return the JSON form of *definition*: only what differs from the defaults, so that it stays readable."""
    form: dict[str, Any] = {"job": definition.job, "trigger": dict(definition.trigger.spec())}
    arguments = json.loads(definition.arguments)
    if arguments != {"args": [], "kwargs": {}}:
        form["arguments"] = arguments
    if policy := policy_form(definition.policy):
        form["policy"] = policy
    if definition.jitter:
        form["jitter"] = definition.jitter.total_seconds()
    for name in ("start", "end"):
        instant: datetime | None = getattr(definition, name)
        if instant is not None:
            form[name] = instant.astimezone(UTC).isoformat()
    for name in ("queue", "priority", "owner", "description"):
        value = getattr(definition, name)
        if value != _DEFAULTS[name]:
            form[name] = value
    if definition.tags:
        form["tags"] = list(definition.tags)
    return {**form, **definition.extra}


def definition_of(form: Mapping[str, Any]) -> Definition:
    """Return the definition that *form* stands for; what this code does not know of it is kept as it is."""
    extra = {name: value for name, value in form.items() if name not in _KNOWN}
    policy = form.get("policy", {})
    try:
        read = policy_of(policy)
    except (KeyError, TypeError, ValueError):
        # A policy of newer code: kept whole, and the schedule left to nodes that know it.
        extra["policy"], read = policy, _POLICY
    arguments = form.get("arguments")
    return Definition(
        job=form["job"],
        trigger=load_trigger(form["trigger"]),
        arguments=NO_ARGUMENTS if arguments is None else _dump(arguments),
        policy=read,
        jitter=timedelta(seconds=form.get("jitter", 0)),
        start=_instant(form.get("start")),
        end=_instant(form.get("end")),
        queue=form.get("queue", "default"),
        priority=form.get("priority", 0),
        tags=tuple(form.get("tags", ())),
        owner=form.get("owner", ""),
        description=form.get("description", ""),
        extra=extra,
    )


def dump_definition(definition: Definition) -> str:
    """Return the form of *definition* as canonical JSON text."""
    return _dump(form_of(definition))


@lru_cache(maxsize=16_384)
def load_definition(text: str) -> Definition:
    """Return the definition that *text* stands for. Kept in memory: a definition is read at every fire."""
    return definition_of(json.loads(text))


@lru_cache(maxsize=4_096)
def dump_policy(policy: Policy) -> str:
    """Return *policy* as canonical JSON text."""
    return _dump(policy_form(policy))


@lru_cache(maxsize=4_096)
def load_policy(text: str) -> Policy:
    """Return the policy that *text* stands for.

    Raises:
        ValueError: It has a field or value that this code does not know.
    """
    return policy_of(json.loads(text))


def policy_form(policy: Policy) -> dict[str, Any]:
    """Return what differs from the defaults; durations in seconds."""
    form: dict[str, Any] = {}
    for item in fields(Policy):
        value = getattr(policy, item.name)
        if value != getattr(_POLICY, item.name):
            form[item.name] = _plain(value)
    return form


def policy_of(form: Mapping[str, Any]) -> Policy:
    """Return the policy that *form* stands for.

    Raises:
        ValueError, KeyError, TypeError: A field or value that this code does not know.
    """
    return Policy(**{name: _POLICY_READERS[name](value) for name, value in form.items()})


def hash_of(definition: Definition) -> str:
    """Return a hash of *definition* that is the same on every machine and in every release that knows its fields."""
    return blake2b(dump_definition(definition).encode(), digest_size=16).hexdigest()


def _retry_of(form: Mapping[str, Any]) -> Retry:
    durations = {name: timedelta(seconds=form[name]) for name in ("delay", "limit") if name in form}
    return Retry(**{**form, **durations})


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Retry):
        names = [item.name for item in fields(Retry)]
        return {name: _plain(getattr(value, name)) for name in names if getattr(value, name) != getattr(_RETRY, name)}
    return str(value) if isinstance(value, str) else value


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _dump(form: Any) -> str:
    return json.dumps(form, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


_DEFAULTS = {
    item.name: item.default for item in fields(Definition) if item.name in {"queue", "priority", "owner", "description"}
}
_POLICY_READERS["retry"] = _retry_of
_KNOWN = {item.name for item in fields(Definition)} - {"extra"}
