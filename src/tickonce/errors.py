"""Every error that tickonce raises, in one tree.

::

    TickonceError                        base of all
    ├── ConfigError                      config.invalid          a setting is out of its range
    │   ├── NoStore                      config.no_store         a node or client without a store URL
    │   └── MissingExtra                 config.missing_extra    a driver that is not installed
    ├── TriggerError                     trigger.invalid         a trigger that cannot be made
    │   └── UnknownTrigger               trigger.unknown         a kind or version that this code does not know
    ├── DefinitionError                  definition.invalid      a job or schedule that cannot be accepted
    │   ├── BadId                        definition.bad_id       an id with illegal characters or length
    │   ├── BadArguments                 definition.bad_arguments  not JSON, or not the job's signature
    │   ├── JobExists                    definition.job_exists   two jobs under one name
    │   └── UnknownJob                   definition.unknown_job  a name that no registered job has
    ├── LookupFailed                     lookup.failed           what was asked for is not there
    │   ├── NoSchedule                   lookup.no_schedule
    │   └── NoRun                        lookup.no_run
    ├── Conflict                         conflict                the store holds something that forbids the step
    │   ├── ScheduleExists               conflict.schedule_exists
    │   ├── RevisionMismatch             conflict.revision       somebody else edited it meanwhile
    │   ├── RunExists                    conflict.run_exists     a run with that key is there already
    │   ├── RunOpen                      conflict.run_open       overlap forbids one more open run
    │   └── WrongState                   conflict.state          the run or schedule is not in a state that allows it
    ├── StoreError                       store.failed            the store refused or failed
    │   ├── StoreUnavailable             store.unavailable       no answer: not reachable, timed out, cut off
    │   ├── StoreBusy                    store.busy              a row stayed locked for too long
    │   ├── SchemaError                  store.schema            tables are missing, too old or too new
    │   └── NotTransactional             store.not_transactional the store cannot join a caller's transaction
    └── RunError                         run.failed              inside or around a run
        ├── NotInRun                     run.not_in_run          current_run() outside a run
        ├── RunCancelled                 run.cancelled           raised by run.check() after a cancel or timeout
        ├── RunTimeout                   run.timeout             the run took longer than its timeout
        ├── LeaseLost                    run.lease_lost          another attempt owns the run now
        └── ResultError                  run.result              the result cannot be kept as JSON

A message says what is wrong and what to do; ids are attributes; ``code`` is stable and goes into logs and JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TickonceError(Exception):
    """Base of all errors of tickonce."""

    code = "tickonce"


# -- configuration -----------------------------------------------------------------------------


class ConfigError(TickonceError):
    """A setting is out of its range; the message names field, rule and value."""

    code = "config.invalid"


class NoStore(ConfigError):
    """No store was named. There is no default: a relative file would be one store per directory."""

    code = "config.no_store"

    def __init__(self) -> None:
        super().__init__(
            "no store is named; set it once for all processes, for example\n"
            "  export TICKONCE_STORE=postgresql://user@host/database\n"
            "  export TICKONCE_STORE=sqlite:////var/lib/myapp/tickonce.db   (processes of one machine)"
        )


class MissingExtra(ConfigError):
    """A library that only some users need is not installed.

    Attributes:
        extra: The extra of the package that brings it.
    """

    code = "config.missing_extra"

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f'{what} needs a library that is not installed: pip install "tickonce[{extra}]"')
        self.extra = extra


# -- triggers and definitions ------------------------------------------------------------------


class TriggerError(TickonceError):
    """A trigger that cannot be made: the message names the field, the value and what is allowed."""

    code = "trigger.invalid"


class UnknownTrigger(TriggerError):
    """A trigger's JSON form has a kind or version that this code does not know.

    Not a fault of the schedule: newer code may know it, so a node leaves it to others.
    """

    code = "trigger.unknown"


class DefinitionError(TickonceError):
    """A job or schedule that cannot be accepted; nothing was changed."""

    code = "definition.invalid"


class BadId(DefinitionError):
    """An id, or a key of a run by hand, with illegal characters or of illegal length.

    Attributes:
        id: The text that was refused.
    """

    code = "definition.bad_id"

    def __init__(self, id: str, *, reason: str, what: str = "an id") -> None:
        super().__init__(f"{id!r} cannot be {what}: {reason}")
        self.id = id


class BadArguments(DefinitionError):
    """Arguments that are not JSON, or that do not fit the job's signature.

    Attributes:
        job: The job's name.
    """

    code = "definition.bad_arguments"

    def __init__(self, job: str, *, reason: str) -> None:
        super().__init__(f"arguments of job {job!r}: {reason}")
        self.job = job


class JobExists(DefinitionError):
    """Two functions were registered under one name.

    Attributes:
        job: The name.
    """

    code = "definition.job_exists"

    def __init__(self, job: str) -> None:
        super().__init__(
            f'a job named {job!r} is registered already; give one of them a name: @scheduler.job(name="...")'
        )
        self.job = job


class UnknownJob(DefinitionError):
    """No job with that name is registered in this process.

    Attributes:
        job: The name that was asked for.
    """

    code = "definition.unknown_job"

    def __init__(self, job: str, *, known: Iterable[str] = ()) -> None:
        super().__init__(f"no job {job!r} is registered here.{did_you_mean(job, known)}")
        self.job = job


# -- looking up, conflicts ---------------------------------------------------------------------


class LookupFailed(TickonceError):
    """What was asked for is not in the store."""

    code = "lookup.failed"


class NoSchedule(LookupFailed):
    """No schedule has that id.

    Attributes:
        schedule_id: The id that was asked for.
    """

    code = "lookup.no_schedule"

    def __init__(self, schedule_id: str, *, known: Iterable[str] = ()) -> None:
        super().__init__(f"No schedule {schedule_id!r}.{did_you_mean(schedule_id, known)}")
        self.schedule_id = schedule_id


class NoRun(LookupFailed):
    """No run has that token.

    Attributes:
        token: The token that was asked for.
    """

    code = "lookup.no_run"

    def __init__(self, token: str) -> None:
        super().__init__(f"No run {token!r}; it may have been pruned. List them with: tickonce runs")
        self.token = token


class Conflict(TickonceError):
    """The store holds something that forbids the step; nothing was changed."""

    code = "conflict"


class ScheduleExists(Conflict):
    """A schedule with that id exists.

    Attributes:
        schedule_id: The id.
    """

    code = "conflict.schedule_exists"

    def __init__(self, schedule_id: str) -> None:
        super().__init__(
            f'schedule {schedule_id!r} exists; change it with update(), or add it with if_exists="keep" or "update"'
        )
        self.schedule_id = schedule_id


class RevisionMismatch(Conflict):
    """The schedule was edited since it was read.

    Attributes:
        schedule_id: The id.
        expected: The revision that the caller had read.
        found: The revision in the store.
    """

    code = "conflict.revision"

    def __init__(self, schedule_id: str, *, expected: int, found: int) -> None:
        super().__init__(
            f"schedule {schedule_id!r} is at revision {found}, not {expected}: somebody edited it; read it again"
        )
        self.schedule_id, self.expected, self.found = schedule_id, expected, found


class RunExists(Conflict):
    """A run with that key was started before.

    Attributes:
        token: Its token.
    """

    code = "conflict.run_exists"

    def __init__(self, token: str) -> None:
        super().__init__(f"run {token} exists already; a key starts one run only")
        self.token = token


class RunOpen(Conflict):
    """The schedule's overlap policy forbids one more open run.

    Attributes:
        schedule_id: The schedule.
        open: How many of its runs are open.
        token: The token that the refused run would have had, where it was to be a new one.
    """

    code = "conflict.run_open"

    def __init__(self, schedule_id: str, *, open: int, token: str | None = None) -> None:
        super().__init__(
            f"schedule {schedule_id!r} has {open} open run(s) and overlap='skip'; "
            "wait, cancel it, or set overlap='allow'"
        )
        self.schedule_id, self.open, self.token = schedule_id, open, token


class WrongState(Conflict):
    """The run or schedule is not in a state that allows the step.

    Attributes:
        subject: The schedule's id or the run's token.
        state: The state it is in.
    """

    code = "conflict.state"

    def __init__(self, subject: str, *, state: str, wanted: str) -> None:
        super().__init__(f"{subject} is {state}; this needs it to be {wanted}")
        self.subject, self.state = subject, state


# -- stores ------------------------------------------------------------------------------------


class StoreError(TickonceError):
    """The store refused or failed. After one that writes, what it wrote may stand or not."""

    code = "store.failed"


class StoreUnavailable(StoreError):
    """The store gave no answer: not reachable, timed out, or the connection was cut."""

    code = "store.unavailable"


class StoreBusy(StoreError):
    """A row or file stayed locked for longer than we wait; usually a caller's open transaction."""

    code = "store.busy"


class SchemaError(StoreError):
    """The tables are missing, too old or too new for this code.

    Attributes:
        found: The schema's revision in the store, or None.
        needed: The revision that this code works with.
    """

    code = "store.schema"

    def __init__(self, message: str, *, found: str | None, needed: str) -> None:
        super().__init__(message)
        self.found, self.needed = found, needed


class NotTransactional(StoreError):
    """The store, or the connection given, cannot join a caller's transaction."""

    code = "store.not_transactional"


# -- runs --------------------------------------------------------------------------------------


class RunError(TickonceError):
    """Something inside or around one run."""

    code = "run.failed"


class NotInRun(RunError):
    """``current_run()`` was called outside a run."""

    code = "run.not_in_run"

    def __init__(self) -> None:
        super().__init__(
            "there is no current run here; current_run() works inside a job (in a thread of your own: "
            "contextvars.copy_context().run). current_run(None) returns None instead of raising"
        )


class RunCancelled(RunError):
    """Raised by ``run.check()`` and ``run.sleep()`` once the run was asked to stop.

    Attributes:
        token: The run.
        reason: Why: ``cancelled``, ``timeout``, ``cut off`` or ``stopping``.
    """

    code = "run.cancelled"

    def __init__(self, token: str, *, reason: str) -> None:
        super().__init__(f"run {token} was asked to stop: {reason}")
        self.token, self.reason = token, reason


class RunTimeout(RunError):
    """The run took longer than its timeout.

    Attributes:
        token: The run.
    """

    code = "run.timeout"

    def __init__(self, token: str, *, seconds: float) -> None:
        super().__init__(f"run {token} took longer than its timeout of {seconds:g} s")
        self.token = token


class LeaseLost(RunError):
    """The run was claimed again by another node; drop the result, do not retry.

    Attributes:
        token: The run whose lease lapsed.
        attempt: The attempt we held; the store holds a newer one.
    """

    code = "run.lease_lost"

    def __init__(self, token: str, *, attempt: int) -> None:
        super().__init__(f"lease on run {token} was lost (attempt {attempt} is stale)")
        self.token, self.attempt = token, attempt


class ResultError(RunError):
    """A job returned what cannot be kept as JSON."""

    code = "run.result"


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known text nearest to *text*, or nothing."""
    near = get_close_matches(text, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
