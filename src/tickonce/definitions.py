"""Definitions as JSON: the form kept in stores, and its hash, by which a redeploy sees what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from tickonce.errors import DefinitionError, TriggerError
from tickonce.model import NO_ARGUMENTS, CutOff, Definition, Misfire, OnLost, Overlap, Policy, check_id
from tickonce.retry import Retry
from tickonce.triggers import OpaqueTrigger, load_trigger

_POLICY = Policy()
_RETRY = Retry()
_POLICY_READERS: dict[str, Callable[[Any], Any]] = {
    "misfire": Misfire,
    "overlap": Overlap,
    "on_lost": OnLost,
    "when_cut_off": CutOff,
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
    """Return the definition that *form* stands for; what this code does not know of it is kept as it is.

    That includes fields that it knows with values that it does not: newer code may have given them more meaning. One
    such row must not keep a node from reading the others.
    """
    extra = {name: value for name, value in form.items() if name not in _KNOWN}
    read: dict[str, Any] = {}
    for name, reader in _READERS.items():
        if name in form:
            try:
                read[name] = reader(form[name])
            except Exception:  # noqa: BLE001  # whatever is wrong with it, it is left to nodes that can read it
                extra[name] = form[name]
    try:
        trigger = load_trigger(form["trigger"])
    except TriggerError as error:
        trigger = OpaqueTrigger(form["trigger"], why=str(error))
    try:
        return Definition(job=form["job"], trigger=trigger, extra=extra, **read)
    except DefinitionError:
        everything = {name: value for name, value in form.items() if name not in ("job", "trigger")}
        return Definition(job=form["job"], trigger=trigger, extra=everything)


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
        ValueError: It has a field or value that this code does not know.
    """
    try:
        return Policy(**{name: _POLICY_READERS[name](value) for name, value in form.items()})
    except Exception as error:
        raise ValueError(f"a policy that this release does not know: {error!r}") from error


def hash_of(definition: Definition) -> str:
    """Return a hash of *definition* that is the same on every machine and in every release that knows its fields."""
    return blake2b(dump_definition(definition).encode(), digest_size=16).hexdigest()


def _retry_of(form: Mapping[str, Any]) -> Retry:
    durations = {name: _seconds(form[name]) for name in ("delay", "limit") if name in form}
    return Retry(**{**form, **durations})


def _seconds(value: Any) -> timedelta:
    return timedelta(seconds=value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number is needed, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is needed, got {value!r}")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list is needed, got {value!r}")
    return tuple(_text(item) for item in value)


def _arguments(value: Any) -> str:
    return NO_ARGUMENTS if value is None else _dump(value)


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Retry):
        names = [item.name for item in fields(Retry)]
        return {name: _plain(getattr(value, name)) for name in names if getattr(value, name) != getattr(_RETRY, name)}
    return str(value) if isinstance(value, str) else value


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no offset: it is a different instant on each machine")
    return instant.astimezone(UTC)


def _dump(form: Any) -> str:
    return json.dumps(form, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


_DEFAULTS = {
    item.name: item.default for item in fields(Definition) if item.name in {"queue", "priority", "owner", "description"}
}
_POLICY_READERS |= dict.fromkeys(("grace", "catch_up", "start_within", "timeout"), _seconds)
_POLICY_READERS |= {"max_losses": _whole, "retry": _retry_of}
_READERS: dict[str, Callable[[Any], Any]] = {
    "arguments": _arguments,
    "policy": policy_of,
    "jitter": _seconds,
    "start": _instant,
    "end": _instant,
    "queue": check_id,
    "priority": _whole,
    "tags": _words,
    "owner": _text,
    "description": _text,
}
_KNOWN = {item.name for item in fields(Definition)} - {"extra"}
