"""What people write beside a job, a schedule or a node, and the values that it stands for.

Durations may be text (``"10m"``), policies are words. The TypedDicts below are the keyword arguments of ``job``,
``schedule``, ``add``, ``update``, ``serve`` and the like, so each is described here once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Literal, TypedDict

from tickonce.config import NodeConfig, Retention
from tickonce.durations import parse_duration
from tickonce.errors import ConfigError, DefinitionError, TickonceError, did_you_mean
from tickonce.model import CutOff, Definition, Misfire, OnLost, Overlap, Policy, check_id
from tickonce.retry import Retry
from tickonce.triggers import At, Trigger, parse_trigger


class JobSettings(TypedDict, total=False):
    """How runs of a job are carried out, unless its schedule says otherwise.

    Attributes:
        timeout: How long one attempt may take; None is no limit.
        retries: Tries after the first one, or a ``Retry`` that also says how long to wait; None is never.
        queue: Nodes that serve this queue carry its runs out.
        priority: Of pending runs the highest goes first; -32768 to 32767, 0 by default.
        on_lost: A run whose node is gone is run again (``"rerun"``) or ends as lost (``"fail"``).
        max_losses: Losses after which a run is not run again any more but ends as lost; 2 by default.
        when_cut_off: A node that cannot reach the store for a lease lets the run go on (``"finish"``) or cancels it.
    """

    timeout: timedelta | str | None
    retries: int | Retry | None
    queue: str
    priority: int
    on_lost: Literal["rerun", "fail"]
    max_losses: int
    when_cut_off: Literal["finish", "cancel"]


class ScheduleSettings(JobSettings, total=False):
    """What a schedule says beside job, trigger and arguments. What is not given is as the job says, else the default.

    Attributes:
        tz: Zone for a trigger that names none, as IANA name; else the Scheduler's.
        jitter: Fires become due up to this long after their scheduled time, by a hash of the fire.
        start: No fire is scheduled before this instant; aware.
        end: No fire is scheduled after this instant; aware.
        misfire: What happens to fires found more than *grace* late: the newest of them (``"latest"``), each one within
            *catch_up*, oldest first (``"all"``), or none (``"skip"``).
        overlap: While a run of the schedule is open, a fire is skipped (``"skip"``) or launched beside it
            (``"allow"``).
        grace: How late a fire may be found and still count as on time; 10 s by default.
        catch_up: How far back ``misfire="all"`` reaches; a day by default.
        start_within: A pending run not started this long after its due time ends as skipped; None is one period of the
            trigger, at least a minute, and with ``misfire="all"`` never.
        tags: Words to find it by.
        owner: Who answers for it.
        description: For people.
    """

    tz: str
    jitter: timedelta | str
    start: datetime | None
    end: datetime | None
    misfire: Literal["latest", "all", "skip"]
    overlap: Literal["skip", "allow"]
    grace: timedelta | str
    catch_up: timedelta | str
    start_within: timedelta | str | None
    tags: Iterable[str]
    owner: str
    description: str


class NodeSettings(TypedDict, total=False):
    """Settings of a node: the fields of ``NodeConfig``, with durations as text, too."""

    slots: int
    queues: Iterable[str]
    ticks: bool
    lease: timedelta | str
    beat: timedelta | str
    margin: timedelta | str
    takeover_after: timedelta | str
    poll: timedelta | str
    blind_poll: timedelta | str
    batch: int
    drain_timeout: timedelta | str
    retention: Retention | None
    orphan_after: timedelta | str


_SOME = At(datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How runs of a job are carried out, unless their schedule says otherwise; see :class:`JobSettings`.

    ``timeout`` and ``retry`` are looked up when a run is carried out, so a new release of the job's code changes them
    for all its schedules. The others are written into a schedule when it is added.
    """

    timeout: timedelta | None = None
    retry: Retry | None = None
    queue: str = "default"
    priority: int = 0
    on_lost: OnLost = OnLost.RERUN
    max_losses: int = 2
    when_cut_off: CutOff = CutOff.FINISH

    def __post_init__(self) -> None:
        # A definition knows all the rules, so they are written down once; its job and trigger do not matter here.
        policy = replace(self.policy, timeout=self.timeout, retry=self.retry)
        Definition(job="", trigger=_SOME, policy=policy, queue=self.queue, priority=self.priority)

    @property
    def policy(self) -> Policy:
        """The policy of a schedule that says nothing of its own."""
        return Policy(on_lost=self.on_lost, max_losses=self.max_losses, when_cut_off=self.when_cut_off)


def job_options(job: str, settings: Mapping[str, Any]) -> JobOptions:
    """Return the options that *settings* stand for.

    Raises:
        DefinitionError: One of them is out of its range.
        TypeError: There is no such setting.
    """
    _only(settings, JobSettings, f"job {job!r}")
    return JobOptions(**changes_of(settings))


def define(
    job: str,
    options: JobOptions,
    trigger: Trigger | str,
    arguments: str,
    settings: Mapping[str, Any],
    *,
    id: str,
    tz: str,
) -> Definition:
    """Return the definition of schedule *id*.

    Args:
        job: Name of the job.
        options: The job's own; *settings* go before.
        trigger: A trigger, or text that stands for one.
        arguments: JSON text.
        settings: See :class:`ScheduleSettings`.
        id: The schedule's id.
        tz: Zone for a trigger that names none, unless *settings* do.

    Raises:
        BadId: The id is not legal.
        TriggerError: The text is no trigger, or the zone no zone.
        DefinitionError: A setting is unknown or out of its range.
    """
    check_id(id)
    _only(settings, ScheduleSettings, f"schedule {id!r}")
    changes = changes_of(settings)
    policy = {name: changes.pop(name) for name in list(changes) if name in _POLICY}
    return Definition(
        job=job,
        trigger=resolve(trigger, id=id, tz=settings.get("tz", tz)),
        arguments=arguments,
        policy=replace(options.policy, **policy),
        **{"queue": options.queue, "priority": options.priority, **changes},
    )


def resolve(trigger: Trigger | str, *, id: str, tz: str) -> Trigger:
    """Return *trigger*, or the one that its text stands for, with all filled in that depends on schedule and zone.

    Raises:
        TriggerError: It is no trigger, or *tz* is no zone.
    """
    if isinstance(trigger, str):
        trigger = parse_trigger(trigger)
    elif not isinstance(trigger, Trigger):
        raise DefinitionError(
            f"schedule {id!r}: a trigger is cron(...), every(...), at(...) or text like '0 9 * * *', got {trigger!r}"
        )
    return trigger.resolved(schedule_id=id, tz=tz)


def changes_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``Definition`` and ``Policy`` that *settings* stand for; ``tz`` is left out.

    Raises:
        DefinitionError: A value is of the wrong kind. Ranges are checked where the values are put to use.
    """
    return {
        "retry" if name == "retries" else name: _READERS[name](value, name)
        for name, value in settings.items()
        if name != "tz"
    }


def check_settings(settings: Mapping[str, Any], *, id: str) -> None:
    """Refuse names that no schedule has.

    Raises:
        TypeError: As Python does for an argument that a function does not know.
    """
    _only(settings, ScheduleSettings, f"schedule {id!r}")


def node_config(base: NodeConfig, settings: Mapping[str, Any]) -> NodeConfig:
    """Return *base* with *settings* in place of its own.

    Raises:
        ConfigError: A setting is out of its range.
    """
    _only(settings, NodeSettings, "a node")
    durations = {item.name for item in fields(NodeConfig) if isinstance(item.default, timedelta)}
    changes = dict(settings)
    for name, value in settings.items():
        if name in durations:
            changes[name] = parse_duration(value, name)
        elif name == "queues":
            changes[name] = _words(value, name, error=ConfigError)
    return replace(base, **changes) if changes else base


def aware(value: datetime | None, name: str) -> datetime | None:
    """Return *value* in UTC.

    Raises:
        DefinitionError: It is no datetime, or naive.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise DefinitionError(f"{name} must be an aware datetime, got {value!r}")
    if value.utcoffset() is None:
        raise DefinitionError(
            f"{name} must be aware, got the naive {value.isoformat()}: it is a different instant in each zone; "
            "give it one: datetime.now(UTC), or replace(tzinfo=ZoneInfo(...))"
        )
    return value.astimezone(UTC)


def storable(value: Any, name: str) -> str:
    """Return *value*.

    Raises:
        DefinitionError: It is no text, or text that databases refuse: each of them would, or might, so all do.
    """
    if not isinstance(value, str):
        raise DefinitionError(f"{name} must be text, got {value!r}")
    if "\x00" in value or value != value.encode(errors="replace").decode():
        raise DefinitionError(f"{name} holds a NUL character or a lone surrogate, which databases refuse")
    return value


# -- readers -----------------------------------------------------------------------------------


def _duration(value: Any, name: str) -> timedelta:
    return parse_duration(value, name, error=DefinitionError)


def _optional_duration(value: Any, name: str) -> timedelta | None:
    return None if value is None else _duration(value, name)


def _word(value: Any, name: str, *, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        words = [repr(str(item)) for item in kind]
        raise DefinitionError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, got {value!r}") from None


def _retry(value: Any, name: str) -> Retry | None:
    if value is None or isinstance(value, Retry):
        return value
    return Retry(times=_whole(value, name))


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DefinitionError(f"{name} must be a whole number, got {value!r}")
    return value


def _words(value: Any, name: str, *, error: type[TickonceError] = DefinitionError) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise error(f"{name} must be a list of words, got {value!r}")
    return tuple(storable(item, name) for item in value)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "timeout": _optional_duration,
    "retries": _retry,
    "queue": storable,
    "priority": _whole,
    "on_lost": partial(_word, kind=OnLost),
    "max_losses": _whole,
    "when_cut_off": partial(_word, kind=CutOff),
    "jitter": _duration,
    "start": aware,
    "end": aware,
    "misfire": partial(_word, kind=Misfire),
    "overlap": partial(_word, kind=Overlap),
    "grace": _duration,
    "catch_up": _duration,
    "start_within": _optional_duration,
    "tags": _words,
    "owner": storable,
    "description": storable,
}
_POLICY = frozenset(item.name for item in fields(Policy))


def _only(settings: Mapping[str, Any], allowed: type, what: str) -> None:
    known = allowed.__annotations__
    for name in settings:
        if name not in known:
            raise TypeError(f"{what} has no setting {name!r}.{did_you_mean(name, known)}")
