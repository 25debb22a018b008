"""The edits: what changes a schedule, through a Scheduler or inside a caller's transaction."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, Unpack

from tickonce.codec import encode_arguments
from tickonce.config import NodeConfig
from tickonce.editing import Amend, Create, Pause, Remove, Resume, Revert, RunNow
from tickonce.errors import BadArguments, DefinitionError, NoSchedule, UnknownJob, did_you_mean
from tickonce.jobs import Call, Job, Jobs, check_arguments
from tickonce.model import MAX_ID_BYTES, Change, Policy, Run, Schedule, ScheduleState, check_id
from tickonce.ports import Decide, Edits
from tickonce.settings import JobOptions, ScheduleSettings, aware, changes_of, check_settings, define, resolve, storable
from tickonce.triggers import At, Trigger, parse_trigger

_log = logging.getLogger("tickonce.scheduler")

#: What ``add`` and ``update`` take as job: a call with its arguments, a job, or a job's name.
JobLike: TypeAlias = "Job[..., Any] | Call | str"


class Editor(ABC):
    """The verbs that change one schedule each. Each is one atomic step: all of it happens or none.

    Any of them may raise ``StoreUnavailable`` when the store gives no answer; the step may then have happened or not.
    """

    jobs: Jobs
    tz: str
    config: NodeConfig

    # -- what differs --------------------------------------------------------------------------

    @property
    @abstractmethod
    def by(self) -> str:
        """Who is written down as the author of edits."""

    @abstractmethod
    def _edits(self) -> Edits: ...

    @abstractmethod
    def _known_ids(self) -> Iterable[str]:
        """Return ids among which one that was not found may have been meant."""

    # -- verbs ---------------------------------------------------------------------------------

    def add(
        self,
        id: str | None,
        job: JobLike,
        trigger: Trigger | str,
        *,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        if_exists: Literal["error", "keep", "update"] = "error",
        paused: bool = False,
        **settings: Unpack[ScheduleSettings],
    ) -> Schedule:
        """Add a schedule; its first fire is the first one after now.

        Args:
            id: 1 to 190 bytes without ``@ # ~ / ?`` and white space. None makes one up, for ``at(...)`` only.
            job: ``job.bind(...)``, whose arguments type checkers check; a job without arguments; or a job's name. A
                name that is not registered here is accepted, since the code may live elsewhere; a warning is logged.
            trigger: ``cron(...)``, ``every(...)``, ``at(...)``, or text such as ``"0 9 * * 1-5"`` or ``"every 5m"``.
            args: Positional arguments of a job that is given by name or without arguments.
            kwargs: The same by name.
            if_exists: ``"error"`` refuses an id that is there, ``"keep"`` leaves that schedule alone, ``"update"``
                gives it this definition: nothing is touched when it has it already.
            paused: Whether a new schedule begins paused.
            **settings: See :class:`tickonce.settings.ScheduleSettings`.

        Returns:
            The schedule as it is then.

        Raises:
            ScheduleExists: The id is there already.
            BadId: The id, the queue or the job's name is not legal.
            TriggerError: The text is no trigger, or the zone no zone.
            BadArguments: The arguments do not fit the job's signature, or are not JSON.
            UnknownJob: The job belongs to a registry that this Scheduler does not include.
            DefinitionError: A setting is out of its range, or the schedule would never fire.
            ConfigError: ``grace`` is shorter than nodes need to take over from each other.
        """
        name, arguments, options = self._called(job, args, kwargs)
        when = parse_trigger(trigger) if isinstance(trigger, str) else trigger
        schedule_id = _made_up(name, when) if id is None else id
        definition = define(name, options, when, arguments, settings, id=schedule_id, tz=self.tz)
        self.config.check_grace(definition.policy, schedule_id=schedule_id)
        if if_exists not in ("error", "keep", "update"):
            raise DefinitionError(f"if_exists must be 'error', 'keep' or 'update', got {if_exists!r}")
        create = Create(schedule_id=schedule_id, definition=definition, if_exists=if_exists, by=self.by)
        return self._apply(schedule_id, _CreatePaused(create) if paused else create)

    def update(
        self,
        id: str,
        *,
        expected_revision: int | None = None,
        job: JobLike | None = None,
        trigger: Trigger | str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **settings: Unpack[ScheduleSettings],
    ) -> Schedule:
        """Change what is given and leave the rest.

        Fires up to now are dealt with as the schedule was; the change applies to fires after now. One that changes
        neither trigger, jitter, start nor end leaves the next fire alone.

        Args:
            id: The schedule.
            expected_revision: Refuse when the schedule is at another revision, because somebody edited it meanwhile.
            job: Another job. ``job.bind(...)`` replaces the arguments, too; else they stay, and have to fit.
            trigger: Another trigger.
            args: Other arguments, all of them: what is not given in *args* and *kwargs* is gone.
            kwargs: The same by name.
            **settings: See :class:`tickonce.settings.ScheduleSettings`; ``tz`` goes with *trigger*.

        Returns:
            The schedule as it is then.

        Raises:
            NoSchedule: No schedule has that id.
            RevisionMismatch: See *expected_revision*.
            BadArguments, DefinitionError, TriggerError, UnknownJob: As for :meth:`add`; nothing was changed.
        """
        check_settings(settings, id=id)
        changes = changes_of(settings)
        if "grace" in changes:
            self.config.check_grace(Policy(grace=changes["grace"]), schedule_id=id)
        if trigger is not None:
            changes["trigger"] = resolve(trigger, id=id, tz=settings.get("tz", self.tz))
        elif "tz" in settings:
            raise DefinitionError(
                f"schedule {id!r}: tz is part of the trigger; give that as well: update(trigger=..., tz=...)"
            )
        if job is not None:
            changes["job"], arguments, _ = self._called(job, args or (), kwargs, check=False)
            if isinstance(job, Call):
                changes["arguments"] = arguments
        if args is not None or kwargs is not None:
            changes["arguments"] = self._encoded(id, args or (), kwargs)
        amend = Amend(schedule_id=id, changes=changes, expected_revision=expected_revision, by=self.by)
        return self._apply(id, _Fitting(amend, self.jobs) if {"job", "arguments"} & changes.keys() else amend)

    def pause(self, id: str, *, reason: str = "", until: datetime | None = None) -> Schedule:
        """Launch nothing more until ``resume``, or until the instant *until*; what runs goes on.

        The fires meanwhile end as one skip record. Pausing again changes reason and end.

        Raises:
            NoSchedule: No schedule has that id.
            WrongState: It has ended.
            DefinitionError: *until* is naive, or not in the future; or *reason* holds what databases refuse.
        """
        pause = Pause(schedule_id=id, reason=storable(reason, "reason"), until=aware(until, "until"), by=self.by)
        return self._apply(id, pause)

    def resume(self, id: str, *, missed: Literal["latest", "all"] | None = None) -> Schedule:
        """Go on after a pause, or after the schedule was set aside; one that is active stays as it is.

        Args:
            id: The schedule.
            missed: The fires since: only a skip record (None), the newest is run (``"latest"``), or each one within
                ``catch_up`` (``"all"``).

        Raises:
            NoSchedule: No schedule has that id.
            WrongState: It has ended.
        """
        if missed not in (None, "latest", "all"):
            raise DefinitionError(f"missed must be None, 'latest' or 'all', got {missed!r}")
        return self._apply(id, Resume(schedule_id=id, missed=missed, by=self.by))

    def remove(self, id: str) -> None:
        """Remove a schedule; what runs goes on. Code that declares it does not bring it back.

        Raises:
            NoSchedule: No schedule has that id.
        """
        self._apply(id, Remove(schedule_id=id, by=self.by))

    def revert(self, id: str) -> Schedule:
        """Give back what people changed of a declared schedule: it is then what code says.

        Raises:
            NoSchedule: No schedule has that id.
            WrongState: No code has declared it.
        """
        return self._apply(id, Revert(schedule_id=id, by=self.by))

    def run_now(
        self,
        id: str,
        *,
        key: str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start one run by hand, also of a paused schedule; its next fire stays as it is.

        Args:
            id: The schedule.
            key: Starts one run only, however often it is given: a request's or an order's number. None is a new one.
            args: Arguments in place of the schedule's, all of them: what is not given is gone.
            kwargs: The same by name.

        Returns:
            The run, pending.

        Raises:
            NoSchedule: No schedule has that id.
            RunExists: The key was given before; the error has the run's token.
            RunOpen: A run is open and ``overlap`` is ``"skip"``.
            BadArguments: They do not fit the job's signature, or are not JSON.
        """
        arguments = None if args is None and kwargs is None else self._encoded(id, args or (), kwargs)
        key = _random(8) if key is None else key
        run_now = RunNow(schedule_id=id, key=key, arguments=arguments, by=self.by)
        started = _Started(run_now, None if arguments is None else self.jobs)
        self._apply(id, started)
        return started.runs[-1]

    def get(self, id: str) -> Schedule:
        """Return a schedule.

        Raises:
            NoSchedule: No schedule has that id.
        """
        found = self._edits().get(check_id(id))
        if found is None or found.state is ScheduleState.REMOVED:
            raise NoSchedule(id, known=self._known_ids())
        return found

    # -- steps ---------------------------------------------------------------------------------

    def _apply(self, id: str, decide: Decide) -> Schedule:
        check_id(id)
        try:
            after = self._edits().change(id, decide)
        except NoSchedule:
            raise NoSchedule(id, known=self._known_ids()) from None
        assert after is not None  # noqa: S101 - every edit here either finds or makes the schedule, or raises
        return after

    def _encoded(self, id: str, args: Iterable[Any], kwargs: Mapping[str, Any] | None) -> str:
        """Return new arguments of a schedule as JSON."""
        try:
            return encode_arguments(tuple(args), kwargs or {})
        except ValueError as error:
            raise BadArguments(self.get(id).job, reason=str(error)) from None

    def _called(
        self, job: object, args: Iterable[Any], kwargs: Mapping[str, Any] | None, *, check: bool = True
    ) -> tuple[str, str, JobOptions]:
        """Return name, arguments and options of *job*; with *check*, the arguments have to fit."""
        match job:
            case Call():
                if tuple(args) or kwargs:
                    raise DefinitionError("arguments are given twice: in bind(...), and as args= or kwargs=")
                self._registered(job.job)
                return job.job_name, job.arguments, job.job.options
            case Job():
                self._registered(job)
                return job.name, job.bound(args, kwargs or {}).arguments if check else "", job.options
            case str():
                found = self.jobs.find(check_id(job))
                if found is not None:
                    return job, found.bound(args, kwargs or {}).arguments if check else "", found.options
                self._unknown(job)
                try:
                    return job, encode_arguments(tuple(args), kwargs or {}), JobOptions()
                except ValueError as error:
                    raise BadArguments(job, reason=str(error)) from None
            case _:
                raise DefinitionError(
                    f"{job!r} is no job; put @scheduler.job above the function, or give the job's name"
                )

    def _registered(self, job: Job[..., Any]) -> None:
        if self.jobs.find(job.name) is None:
            raise UnknownJob(job.name, known=self.jobs.names())

    def _unknown(self, name: str) -> None:
        if name in _told:
            return
        _told.add(name)
        names = self.jobs.names()
        # Where no job is registered at all, as in a web process, names are all that there is.
        level = logging.WARNING if names else logging.DEBUG
        hint = did_you_mean(name, names)
        _log.log(level, "no job %r is registered here: its arguments are not checked.%s", name, hint)


#: Names that were said to be unknown: once each is enough.
_told: set[str] = set()


class Bound(Editor):
    """The edits of a Scheduler as part of a transaction that the caller has begun and will end.

    Both happen or neither: the caller's own rows and the schedule. Nothing here commits, rolls back or retries. The
    schedule's fires wait until the caller ends, so be quick. After an error of the database the transaction is as that
    database leaves it; to end it stays the caller's part.
    """

    def __init__(self, scheduler: Editor, edits: Edits) -> None:
        self.jobs, self.tz, self.config = scheduler.jobs, scheduler.tz, scheduler.config
        self._scheduler, self._inside = scheduler, edits

    @property
    def by(self) -> str:
        """Who is written down as the author of edits."""
        return self._scheduler.by

    def _edits(self) -> Edits:
        return self._inside

    def _known_ids(self) -> Iterable[str]:
        return ()  # a second connection, in the middle of somebody's transaction, is not worth a hint


# -- decisions made of those in editing.py -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _CreatePaused:
    """Create and pause in one step, so that no fire falls in between."""

    create: Create

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        change = self.create(now, schedule, open_runs)
        exists = schedule is not None and schedule.state is not ScheduleState.REMOVED
        if change is None or exists:
            return change
        paused = Pause(schedule_id=change.schedule.id, by=self.create.by)(now, change.schedule, open_runs)
        return replace(paused, schedule=replace(paused.schedule, revision=change.schedule.revision)) if paused else None


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Amend, if the arguments then fit the job, as far as that is known here."""

    amend: Amend
    jobs: Jobs

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        change = self.amend(now, schedule, open_runs)
        if change is not None:
            definition = change.schedule.definition
            job = self.jobs.find(definition.job)
            if job is not None:
                check_arguments(definition.arguments, job)
        return change


class _Started:
    """Run now, and remember the run: the decision is made inside the store's step."""

    def __init__(self, run_now: RunNow, jobs: Jobs | None) -> None:
        self._run_now, self._jobs = run_now, jobs
        self.runs: list[Run] = []

    def __call__(self, now: datetime, schedule: Schedule | None, open_runs: int) -> Change | None:
        change = self._run_now(now, schedule, open_runs)
        if change is not None:
            run = replace(change.manual[0], created_at=now)
            job = None if self._jobs is None else self._jobs.find(run.job)
            if job is not None:
                check_arguments(run.arguments, job)
            self.runs.append(run)
        return change


def _made_up(job: str, trigger: object) -> str:
    """Return a new id for a schedule that nobody has to name."""
    if not isinstance(trigger, At):
        raise DefinitionError("a schedule needs an id, by which people find it; only at(...) goes without")
    mark = f"-{_random(6)}"
    return job.encode()[: MAX_ID_BYTES - len(mark)].decode(errors="ignore") + mark


def _random(size: int) -> str:
    return os.urandom(size).hex()  # as `secrets` does, whose import takes longer than most of ours
