"""Jobs and the schedules that code declares: registries with decorators, also for reusable apps."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, overload

from tickonce.codec import decode_arguments, encode_arguments
from tickonce.errors import BadArguments, BadId, DefinitionError, JobExists
from tickonce.model import Definition, check_id
from tickonce.settings import JobOptions, JobSettings, ScheduleSettings, define, job_options
from tickonce.triggers import Trigger, parse_trigger

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call:
    """A job with its arguments, checked against its signature; made by ``job.bind(...)``.

    Attributes:
        job: The job.
        arguments: The arguments as JSON text.
    """

    job: Job[..., Any]
    arguments: str

    @property
    def job_name(self) -> str:
        """Name of the job."""
        return self.job.name


class Job(Generic[P, R]):
    """A registered function. Calling it calls the function, here and now, without any schedule.

    Attributes:
        name: Under which schedules and nodes know it.
        function: The function as it was written.
        is_async: Whether it is a coroutine function.
        options: How its runs are carried out, unless their schedule says otherwise.
        aliases: Names that it had before: schedules and runs that still use them find it.
    """

    __name__: str
    __qualname__: str

    def __init__(
        self, function: Callable[P, R], *, name: str, options: JobOptions | None = None, aliases: tuple[str, ...] = ()
    ) -> None:
        _check_function(function)
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.options = JobOptions() if options is None else options
        self.aliases = aliases
        update_wrapper(self, function)
        if sys.version_info >= (3, 12) and self.is_async:
            inspect.markcoroutinefunction(self)  # so that frameworks see what calling it gives

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<job {self.name}>"

    def __reduce__(self) -> str:
        # Where the function was defined, its name now stands for the job: that is what pickle is to write down.
        return self.__qualname__

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """Return a call of this job for ``scheduler.add`` and the like; type checkers check the arguments.

        Raises:
            BadArguments: They do not fit the signature, or are not JSON (dates, decimals, UUIDs and bytes are fine).
        """
        return self.bound(args, kwargs)

    def bound(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Call:
        """Do what :meth:`bind` does, for arguments that are known only at run time."""
        args = tuple(args)
        try:
            if self._signature is not None:
                self._signature.bind(*args, **kwargs)
            text = encode_arguments(args, kwargs)
        except (TypeError, ValueError) as error:
            raise BadArguments(self.name, reason=str(error)) from None
        return Call(self, text)

    @cached_property
    def _signature(self) -> inspect.Signature | None:
        try:
            return inspect.signature(self.function)
        except ValueError:  # some functions written in C have none; their own call tells
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A schedule that code declares.

    Attributes:
        id: Its id.
        job: The job.
        trigger: When; not resolved yet, since the zone is the Scheduler's.
        arguments: JSON text.
        settings: What the decorator was given.
    """

    id: str
    job: Job[..., Any]
    trigger: Trigger
    arguments: str
    settings: ScheduleSettings

    def definition(self, tz: str) -> Definition:
        """Return the definition, given the zone for triggers that name none.

        Raises:
            TickonceError: It is not legal, see :func:`tickonce.settings.define`.
        """
        return define(self.job.name, self.job.options, self.trigger, self.arguments, self.settings, id=self.id, tz=tz)


class Jobs:
    """A registry of jobs and declared schedules. Nothing here touches a store.

    A job's name is the module's name and the function's, such as ``shop.tasks.sync``. The module's name is the one
    under which others import it: run with ``python -m shop.tasks`` it is ``shop.tasks`` as well, and a file run as a
    script has its stem: ``python app.py``, ``python -m app`` and ``import app`` all give ``app.sync``. Of
    ``shop/__main__.py`` it is ``shop``. A script inside a package (``python shop/tasks.py``) does not know the package,
    so run it with ``-m`` or name the jobs.

    Args:
        prefix: Stands before each name instead of the module: with ``Jobs("billing.")`` a function ``charge`` is
            ``billing.charge``, and ``name="charge_all"`` is ``billing.charge_all``. Ids and aliases that are given stay
            as they are.

    Example:
        >>> jobs = Jobs("billing.")
        >>> @jobs.job(retries=3, timeout="10m")
        ... def charge(customer: str) -> None: ...
        >>> charge.name, jobs.find("billing.charge") is charge
        ('billing.charge', True)
    """

    def __init__(self, prefix: str = "") -> None:
        if prefix:
            check_id(prefix)
        self.prefix = prefix
        self._contents = _Contents()

    # -- decorators ----------------------------------------------------------------------------

    @overload
    def job(self, function: Callable[P, R], /) -> Job[P, R]: ...
    @overload
    def job(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        **options: Unpack[JobSettings],
    ) -> Callable[[Callable[P, R]], Job[P, R]]: ...
    def job(
        self, function: Any = None, /, *, name: str | None = None, aliases: Iterable[str] = (), **options: Any
    ) -> Any:
        """Register a function as a job: ``@jobs.job``, or ``@jobs.job(timeout="10m", retries=3)``.

        Args:
            function: The function, a coroutine function too. Give a function that is made inside another one, and a
                lambda, a name.
            name: Its name, instead of module and function. Schedules keep the name, so it has to last.
            aliases: Names that it had before; written in full.
            **options: See :class:`tickonce.settings.JobSettings`.

        Raises:
            JobExists: Another function has that name.
            DefinitionError: The function has no name that lasts, or an option is out of its range.
        """

        def register(function: Callable[P, R]) -> Job[P, R]:
            if isinstance(function, Job):
                return self._again(function, given=name is not None or bool(aliases) or bool(options))
            return self._register(function, name, aliases, options)

        return register if function is None else register(function)

    def schedule(
        self,
        trigger: Trigger | str,
        *,
        id: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **settings: Unpack[ScheduleSettings],
    ) -> Callable[[Callable[P, R]], Job[P, R]]:
        """Declare a schedule of the decorated function, which becomes a job if it is none yet.

        The schedule is written to the store by ``start``, ``serve`` or ``declare``. Several on one function need ids::

            @jobs.schedule("0 9 * * *", id="report-morning")
            @jobs.schedule("0 18 * * *", id="report-evening", kwargs={"full": True})
            @jobs.job(timeout="10m")
            def report(full: bool = False) -> None: ...

        Settings here belong to the schedule; ``@jobs.job(...)``, closest to the function, has those that all its
        schedules share.

        Args:
            trigger: ``cron(...)``, ``every(...)``, ``at(...)`` or text such as ``"0 9 * * 1-5"`` or ``"every 5m"``.
            id: The schedule's id; the job's name by default.
            args: Positional arguments of the job.
            kwargs: Arguments of the job by name.
            **settings: See :class:`tickonce.settings.ScheduleSettings`.

        Raises:
            TriggerError: The text is no trigger, or the zone no zone.
            BadId: The id is not legal.
            BadArguments: The arguments do not fit the function, or are not JSON.
            DefinitionError: A setting is out of its range, or the id is declared already.
        """
        when = parse_trigger(trigger) if isinstance(trigger, str) else trigger

        def declare(function: Callable[P, R]) -> Job[P, R]:
            job = self._again(function, given=False) if isinstance(function, Job) else self.job(function)
            call = job.bound(args, kwargs or {})
            declared = Declared(
                id=job.name if id is None else id, job=job, trigger=when, arguments=call.arguments, settings=settings
            )
            declared.definition("UTC")  # what is wrong is said here, at the line that people wrote
            self._contents.put(declared={declared.id: declared})
            return job

        return declare

    # -- reading -------------------------------------------------------------------------------

    def find(self, name: str) -> Job[..., Any] | None:
        """Return the job with that name or alias, or None."""
        return self._contents.jobs.get(name)

    def names(self) -> frozenset[str]:
        """Return all names and aliases: what this code can carry out."""
        return frozenset(self._contents.jobs)

    @property
    def declared(self) -> tuple[Declared, ...]:
        """The declared schedules, by id."""
        return tuple(declared for _, declared in sorted(self._contents.declared.items()))

    def include(self, jobs: Jobs) -> None:
        """Take in all jobs and schedules of another registry, also those that it gets later. Twice is as once.

        Raises:
            JobExists: Both have a job of one name.
            DefinitionError: Both declare a schedule of one id.
        """
        theirs = jobs._contents
        if theirs in self._contents.family():
            raise DefinitionError("a registry cannot be included in itself")
        if self._contents not in theirs.parents:
            self._contents.put(jobs=theirs.jobs, declared=theirs.declared)
            theirs.parents.append(self._contents)

    # -- steps ---------------------------------------------------------------------------------

    def _register(
        self, function: Callable[P, R], name: str | None, aliases: Iterable[str], options: Mapping[str, Any]
    ) -> Job[P, R]:
        _check_function(function)
        name = stable_name(function, prefix=self.prefix) if name is None else check_id(self.prefix + name)
        if isinstance(aliases, str):
            raise DefinitionError(f"job {name!r}: aliases must be a list of names, got {aliases!r}")
        names = tuple(check_id(alias) for alias in aliases)
        job = Job(function, name=name, options=job_options(name, options), aliases=names)
        self._contents.put(jobs=dict.fromkeys((name, *names), job))
        return job

    def _again(self, job: Job[P, R], *, given: bool) -> Job[P, R]:
        """Accept a job where a function was expected."""
        if given:
            raise DefinitionError(
                f"{job.name!r} is a job already; put @job(...) closest to the function, below @schedule"
            )
        if self.find(job.name) is not job:
            raise DefinitionError(f"job {job.name!r} belongs to another registry; include() that one first")
        return job


class _Contents:
    """What a registry holds, its own and what it includes."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job[..., Any]] = {}  # by name and by alias
        self.declared: dict[str, Declared] = {}
        self.parents: list[_Contents] = []

    def family(self) -> list[_Contents]:
        """Return these contents and those of the registries that they are included in."""
        found = [self]
        for contents in found:
            found.extend(parent for parent in contents.parents if parent not in found)
        return found

    def put(
        self, *, jobs: Mapping[str, Job[..., Any]] | None = None, declared: Mapping[str, Declared] | None = None
    ) -> None:
        """Take in jobs and declared schedules here and above; all or, when one does not fit anywhere, none."""
        jobs, declared = dict(jobs or {}), dict(declared or {})
        for contents in self.family():
            for name, job in jobs.items():
                contents.check_job(name, job)
            for each in declared.values():
                contents.check_declared(each)
        for contents in self.family():
            contents.jobs.update(jobs)
            contents.declared.update(declared)

    def check_job(self, name: str, job: Job[..., Any]) -> None:
        """Refuse a second job under one name."""
        before = self.jobs.get(name)
        if before is not None and before is not job and not _same_source(before, job):
            raise JobExists(name)

    def check_declared(self, declared: Declared) -> None:
        """Refuse a second schedule under one id."""
        before = self.declared.get(declared.id)
        if before is None or before is declared:
            return
        if before.job is declared.job or not _same_source(before.job, declared.job):
            raise DefinitionError(
                f"schedule {declared.id!r} is declared twice, for jobs {before.job.name!r} and {declared.job.name!r}; "
                'give each an id of its own: schedule(..., id="...")'
            )


def stable_name(function: Callable[..., Any], *, prefix: str = "") -> str:
    """Return the name of a job made of *function*, see :class:`Jobs`.

    Raises:
        DefinitionError: It has no name that would be the same in another process.
        BadId: The name has characters that no name may have.
    """
    qualname = getattr(function, "__qualname__", None)
    if qualname is None:
        raise DefinitionError(f'{function!r} has no name of its own; give it one: job(name="...")')
    if "<" in qualname:
        what = "a lambda" if qualname.endswith("<lambda>") else "made inside another function"
        raise DefinitionError(f'{qualname} is {what}, so nothing says which one it is; give it a name: job(name="...")')
    name = prefix + qualname if prefix else f"{_module_of(function)}.{qualname}"
    try:
        return check_id(name)
    except BadId as error:
        raise BadId(name, reason=f'{str(error).partition(": ")[2]}; give the job a name: job(name="...")') from None


def _module_of(function: Callable[..., Any]) -> str:
    module: str = function.__module__ or ""
    if module not in ("__main__", "__mp_main__"):  # the second is how multiprocessing imports the main module
        return module.removesuffix(".__main__")
    # While a module is being executed its globals say how it was started, before sys.modules does in a spawned process.
    names: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    spec = names.get("__spec__")
    if spec is not None and spec.name not in ("__main__", "__mp_main__"):
        return str(spec.name).removesuffix(".__main__")
    file = names.get("__file__")
    if file is None:
        raise DefinitionError(
            f"{function.__qualname__} was typed in, so no other process can know it by its module; "
            'give it a name: job(name="...")'
        )
    from pathlib import Path

    path = Path(file).absolute()
    return path.parent.name if path.stem == "__main__" else path.stem


def _check_function(function: object) -> None:
    if not callable(function) or isinstance(function, type):
        raise DefinitionError(f"a job is a function, got {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"a job cannot be a generator: calling {function!r} would carry out nothing")


def _same_source(one: Job[..., Any], other: Job[..., Any]) -> bool:
    """Whether both came from the same lines of the same file: a module loaded again, or under two names."""
    mine, theirs = (getattr(inspect.unwrap(job.function), "__code__", None) for job in (one, other))
    if mine is None or theirs is None:
        return False
    return (mine.co_filename, mine.co_firstlineno, mine.co_qualname) == (
        theirs.co_filename,
        theirs.co_firstlineno,
        theirs.co_qualname,
    )


def check_arguments(text: str, job: Job[..., Any]) -> None:
    """Refuse arguments in JSON that do not fit the job.

    Raises:
        BadArguments: They do not fit its signature, or cannot be read.
    """
    try:
        args, kwargs = decode_arguments(text)
    except ValueError as error:
        raise BadArguments(job.name, reason=str(error)) from None
    job.bound(args, kwargs)
